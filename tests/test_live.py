"""What the Train tab shows of a job at this moment."""

import json
import time
from pathlib import Path

import pytest

from mammo_gui.live import live, sub_runs
from mammo_gui.views.live import memory_words
from mammo_train.jobs.asked import Asked, CompareAsked, PhantomAsked, PrepareAsked, TrainAsked
from mammo_train.jobs.store import Job, Jobs
from mammo_train.memory import GpuMemory, Memory
from mammo_train.progress_file import PROGRESS, Pace, Progressed, Step
from mammo_train.recipe import dump_recipe
from mammo_train.run import write_status
from tiny_set import phase, tiny_recipe

GIB = 1 << 30
HELD = Memory(resident=1200 << 20, peak=1500 << 20, total=24 * GIB, gpu=None)
ON_GPU = HELD.model_copy(update={"gpu": GpuMemory(used=12 * GIB, peak=3 * GIB, total=80 * GIB), "processes": 4})


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs")


def log(run: Path, *events: dict[str, object]) -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


def running(jobs: Jobs, *, cluster: str = "") -> Job:
    asked = TrainAsked(data="/set", recipe=dump_recipe(tiny_recipe(phase("all"))))
    job = jobs.add("x", asked, cluster=cluster, workers=4)
    write_status(job.folder, "running", "")
    return jobs.get(job.id)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (HELD, "1.2 of 24 GiB, at most 1.5"),
        (HELD.model_copy(update={"peak": None}), "1.2 of 24 GiB"),
        (
            ON_GPU,
            "1.2 of 24 GiB, at most 1.5; GPU 12 of 80 GiB, at most 3.0 for its own tensors; "
            "of the first of 4 processes",
        ),
    ],
)
def test_memory_is_said_plainly(held: Memory, words: str) -> None:
    assert memory_words(held) == words


def test_a_job_of_this_machine_is_asked_now_and_its_gpu_is_what_it_said_last(jobs: Jobs) -> None:
    job = running(jobs)
    found = live(job, ()).memory
    assert found is not None, "the job's process, here the test's own, is asked"
    assert (found.peak, found.gpu) == (None, None)
    log(job.run, {"event": "start", "device": "cuda:0"}, {"event": "epoch", "memory": ON_GPU.model_dump()})
    said = live(job, ())
    assert said.device == "cuda:0"
    assert said.memory is not None
    assert said.memory.gpu == ON_GPU.gpu
    assert said.memory.resident != ON_GPU.resident
    assert said.memory.peak == max(ON_GPU.peak or 0, said.memory.resident)


def test_a_job_of_a_cluster_holds_what_it_said_last(jobs: Jobs) -> None:
    job = running(jobs, cluster="http://127.0.0.1:8265")
    assert live(job, ()).memory is None
    later = HELD.model_copy(update={"resident": 2 * GIB})
    first, second = ({"event": "epoch", "memory": held.model_dump()} for held in (HELD, later))
    log(job.run, first, {"event": "resume", "device": "cuda:1"}, second, {"event": "note", "text": "x"})
    assert (live(job, ()).memory, live(job, ()).device) == (later, "cuda:1")
    write_status(job.folder, "stopped", "asked to by a person")
    assert live(jobs.get(job.id), ()).memory is None


@pytest.mark.parametrize("memory", [None, "much", {"resident": "?"}, {"resident": 1, "made_up": 2}])
def test_a_log_that_says_nothing_of_memory_or_cannot_be_understood_is_read_all_the_same(
    jobs: Jobs, memory: object
) -> None:
    job = running(jobs, cluster="http://127.0.0.1:8265")
    log(job.run, {"event": "start", "device": "cpu"}, {"event": "epoch", **({"memory": memory} if memory else {})})
    assert (live(job, ()).memory, live(job, ()).device) == (None, "cpu")


def test_the_runs_of_a_comparison_say_what_they_hold_while_they_run(jobs: Jobs) -> None:
    job = jobs.add("x", CompareAsked(data="/set", plan=""))
    for name, state in (("a", "running"), ("b", "stopped")):
        log(job.run / "runs" / name, {"event": "epoch", "phase": "p", "epoch": 1, "memory": HELD.model_dump()})
        write_status(job.run / "runs" / name, state, "")
    assert [(run.name, run.memory) for run in sub_runs(job)] == [("a", HELD), ("b", None)]


PREPARE = PrepareAsked(source="folder", folder="/source", out="/set")


@pytest.mark.parametrize("asked", [CompareAsked(data="/set", plan=""), PREPARE, PhantomAsked(out="/set")])
def test_the_time_left_of_what_is_counted_is_that_of_the_whole(jobs: Jobs, asked: Asked) -> None:
    job = jobs.add("x", asked)
    write_status(job.folder, "running", "")
    now = time.time()
    # 2 of 5 in 200 s, one of them from before: 200 s each, of which 50 have passed.
    paced = Step(what="Runs", done=2, total=5, pace=Pace(begun=1, seconds=200, changed=now - 50))
    part = Step(what="one: epoch 1/2", done=1, total=2, pace=Pace(begun=0, seconds=1, changed=now))
    (job.folder / PROGRESS).write_text(Progressed(steps=(paced, part)).model_dump_json())
    left = live(jobs.get(job.id), ()).left
    assert left == pytest.approx(550, abs=20)
    write_status(job.folder, "stopped", "")
    assert live(jobs.get(job.id), ()).left is None
    jobs.resume(job.id)
    write_status(job.folder, "running", "")
    assert live(jobs.get(job.id), ()).steps == (), "what an earlier process said is over"
