"""Jobs in processes of their own: started in turn, stopped, killed, carried on, told in words when they fail."""

import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from mammo_core.errors import InputError
from mammo_core.model import build_model
from mammo_train.fit import fit
from mammo_train.jobs import work as work_module
from mammo_train.jobs.asked import PhantomAsked, PrepareAsked, TrainAsked
from mammo_train.jobs.queue import Queue
from mammo_train.jobs.store import DIED, OUTPUT, REBOOTED, Job, Jobs
from mammo_train.prepared_set import open_prepared
from mammo_train.recipe import Recipe, dump_recipe
from mammo_train.run import STATUS, read_log, read_status, write_status
from mammo_train.split import make_split
from tiny_set import phase, tiny_recipe, tiny_set

PATIENCE = 300


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs")


def phantoms(tmp_path: Path, name: str = "set", **changes: object) -> PhantomAsked:
    return PhantomAsked(**({"out": str(tmp_path / name), "studies": 2, "size": "64x64"} | changes))


def wait_for(jobs: Jobs, queue: Queue, job: Job, what: Callable[[Job], object]) -> Job:
    until = time.monotonic() + PATIENCE
    while not what(found := jobs.get(job.id)):
        assert time.monotonic() < until, (found.state, found.reason, jobs.output(job.id))
        queue.step()
        time.sleep(0.1)
    return found


def ended(job: Job) -> bool:
    return job.ended


def slow_recipe(epochs: int = 400) -> Recipe:
    """Many short epochs, so that something can happen in the middle."""
    return tiny_recipe(phase("all", epochs=epochs), split={"validation": 0.5, "test": 0.0})


def train_job(jobs: Jobs, tmp_path: Path, recipe: Recipe) -> Job:
    if not (tmp_path / "set").exists():
        tiny_set(tmp_path / "set")
    return jobs.add("A run", TrainAsked(data=str(tmp_path / "set"), recipe=dump_recipe(recipe)))


def epochs_of(run: Path) -> list[dict[str, object]]:
    return [event for event in read_log(run) if event["event"] == "epoch"] if (run / "log.jsonl").exists() else []


def test_jobs_take_turns_and_do_what_was_asked(jobs: Jobs, tmp_path: Path) -> None:
    first = jobs.add("First", phantoms(tmp_path, "one"))
    second = jobs.add("Second", phantoms(tmp_path, "two"))
    assert [job.id for job in jobs.all()] == [first.id, second.id]
    queue = Queue(jobs, lambda: 1)
    queue.step()
    assert [job.state for job in jobs.all()] == ["running", "waiting"]
    queue.step()
    assert jobs.get(second.id).state == "waiting", "one at a time"
    assert wait_for(jobs, queue, second, ended).state == "finished"
    assert jobs.get(first.id).state == "finished"
    for name in ("one", "two"):
        assert len(open_prepared(tmp_path / name).table) == 8
    # Another server on the same folder sees the same.
    assert [job.state for job in Jobs(jobs.folder).all()] == ["finished", "finished"]


def test_the_command_is_what_a_terminal_would_take(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.add("  Two\n words ", phantoms(tmp_path, "a; rm -rf $HOME"), tags=("x", " x", "", "y"))
    assert (job.record.title, job.record.tags) == ("Two words", ("x", "y"))
    assert job.command[:3] == ("mammo", "phantom", str(tmp_path / "a; rm -rf $HOME"))
    queue = Queue(jobs, lambda: 1)
    wait_for(jobs, queue, job, ended)
    assert (tmp_path / "a; rm -rf $HOME" / "table.csv").is_file(), "a word is a word, no shell reads it"


def test_what_cannot_be_asked_is_said(jobs: Jobs, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="title: has 0 characters"):
        jobs.add(" ", phantoms(tmp_path))
    with pytest.raises(InputError, match="has 41 characters; at most 40"):
        jobs.add("x", phantoms(tmp_path), tags=("x" * 41,))
    with pytest.raises(InputError, match="out: '--help' begins with a hyphen"):
        jobs.add("x", PhantomAsked(out="--help"))
    with pytest.raises(InputError, match="holds a character that no path has"):
        jobs.add("x", PrepareAsked(source="rsna", folder="/a\0b", out="/c"))
    for strange in ("../../etc", "nothing", ""):
        with pytest.raises(InputError, match="is not here"):
            jobs.get(strange)
    assert jobs.all() == ()


def test_a_run_is_stopped_carried_on_and_learns_as_if_nothing_had_happened(jobs: Jobs, tmp_path: Path) -> None:
    recipe = slow_recipe(30)
    job = train_job(jobs, tmp_path, recipe)
    queue = Queue(jobs, lambda: 1)
    wait_for(jobs, queue, job, lambda now: len(epochs_of(now.run)) >= 2)
    with pytest.raises(InputError, match="is running: stop it first"):
        jobs.delete(job.id)
    with pytest.raises(InputError, match="is running: only what was stopped"):
        jobs.resume(job.id)
    jobs.stop(job.id)
    stopped = wait_for(jobs, queue, job, ended)
    assert (stopped.state, stopped.reason) == ("stopped", "asked to by a person")
    assert "Traceback" not in "\n".join(jobs.output(job.id))
    seen = len(epochs_of(stopped.run))
    assert seen < 30, "the test has to stop it in the middle"
    for _ in range(3):
        queue.step()
    assert jobs.get(job.id).state == "stopped", "it does not start by itself"
    jobs.resume(job.id)
    assert wait_for(jobs, queue, job, ended).state == "finished"
    data = open_prepared(tmp_path / "set")
    fit(recipe, data, make_split(data.table, recipe.split), tmp_path / "straight")
    curves = [
        [(event["epoch"], event["train_loss"], event["roc_auc"]) for event in epochs_of(run)]
        for run in (stopped.run, tmp_path / "straight")
    ]
    assert curves[0] == curves[1]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_killed_process_is_told_apart_and_carried_on(jobs: Jobs, tmp_path: Path) -> None:
    job = train_job(jobs, tmp_path, slow_recipe(20))
    queue = Queue(jobs, lambda: 1)
    wait_for(jobs, queue, job, lambda now: len(epochs_of(now.run)) >= 2)
    status = read_status(job.folder)
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
    died = wait_for(jobs, queue, job, ended)
    assert (died.state, died.reason) == ("died", DIED)
    assert jobs.output(job.id), "its last words are still there"
    jobs.resume(job.id)
    assert wait_for(jobs, queue, job, ended).state == "finished"
    assert [event["epoch"] for event in epochs_of(job.run)] == list(range(1, 21))


def test_another_process_of_the_same_number_is_not_the_job(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.add("x", phantoms(tmp_path))
    own = psutil.Process()
    status = {"state": "running", "pid": own.pid, "process_started": own.create_time() - 100, "changed": "2026"}
    (job.folder / STATUS).write_text(json.dumps(status), encoding="utf-8")
    assert jobs.get(job.id).state == "died"
    status["process_started"] = own.create_time()
    (job.folder / STATUS).write_text(json.dumps(status), encoding="utf-8")
    assert jobs.get(job.id).state == "running"


def test_a_job_that_ran_when_the_machine_was_started_anew_is_told_apart_and_carried_on(
    jobs: Jobs, tmp_path: Path
) -> None:
    job = train_job(jobs, tmp_path, slow_recipe(2))
    (job.folder / OUTPUT).write_text("epoch 1 ...\n", encoding="utf-8")
    # As the machine's last moment left it; the number and even the start are now those of a process that lives.
    for folder in (job.folder, job.run):
        folder.mkdir(exist_ok=True)
        write_status(folder, "running", "")
        status = read_status(folder)
        assert status is not None
        (folder / STATUS).write_text(status.model_copy(update={"boot": "an earlier one"}).model_dump_json())
    died = jobs.get(job.id)
    assert (died.state, died.reason) == ("died", REBOOTED)
    assert jobs.output(job.id) == ("epoch 1 ...",), "its last words are still there"
    jobs.resume(job.id)
    assert jobs.get(job.id).state == "waiting"
    assert wait_for(jobs, Queue(jobs, lambda: 1), job, ended).state == "finished"


def test_what_was_wrong_is_told_in_the_commands_own_words(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.add("x", TrainAsked(data=str(tmp_path / "nowhere"), recipe=dump_recipe(slow_recipe())))
    queue = Queue(jobs, lambda: 1)
    failed = wait_for(jobs, queue, job, ended)
    assert failed.state == "failed"
    assert str(tmp_path / "nowhere") in failed.reason
    assert "Traceback" not in failed.reason


def test_a_job_that_waits_is_taken_out_put_back_and_deleted(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.add("x", phantoms(tmp_path))
    jobs.stop(job.id)
    assert (jobs.get(job.id).state, jobs.get(job.id).reason) == ("stopped", "taken out of the queue")
    jobs.resume(job.id)
    assert jobs.get(job.id).state == "waiting"
    again = jobs.describe(job.id, "y", ("tag",))
    assert (again.record.title, again.record.tags, again.record.made_at) == ("y", ("tag",), job.record.made_at)
    jobs.delete(job.id)
    assert jobs.all() == ()
    assert not job.folder.exists()


def test_a_folder_that_holds_no_whole_job_is_passed_over(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.add("x", phantoms(tmp_path))
    (jobs.folder / "abcdef").mkdir()
    (jobs.folder / "abcdee").mkdir()
    (jobs.folder / "abcdee" / "job.json").write_text("{", encoding="utf-8")
    assert [found.id for found in jobs.all()] == [job.id]
    (job.folder / STATUS).write_text("not a status", encoding="utf-8")
    assert jobs.get(job.id).state == "failed"


def test_preparing_is_stopped_at_once_and_carried_on(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.add("x", phantoms(tmp_path, studies=400))
    queue = Queue(jobs, lambda: 1)
    wait_for(jobs, queue, job, lambda now: now.state == "running" and (tmp_path / "set").exists())
    status = read_status(job.folder)
    assert status is not None
    process = psutil.Process(status.pid)
    workers = process.children(recursive=True)
    jobs.stop(job.id)
    assert wait_for(jobs, queue, job, ended).state == "stopped"
    psutil.wait_procs([process, *workers], timeout=PATIENCE)
    assert len(list((tmp_path / "set" / "truth").glob("*"))) < 100, "nobody makes the rest of the 400 behind its back"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "no space"), "disk: is full: free some space"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory: was not"),
        (MemoryError(), "memory: was not enough; smaller batches"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "memory: was not enough; smaller batches"),
    ],
)
def test_a_machine_at_its_limits_is_told_in_words(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    job = jobs.add("A set", phantoms(tmp_path))

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(work_module, "_run", fail)
    with pytest.raises(InputError):
        work_module.work(job.folder)
    found = jobs.get(job.id)
    assert found.state == "failed"
    assert words in found.reason


def test_a_loss_that_is_not_a_number_is_told_in_words(jobs: Jobs, tmp_path: Path) -> None:
    tensors = build_model(tiny_recipe(phase("all")).architecture).backbone.state_dict()
    name = next(name for name in tensors if name.endswith("weight"))
    save_file(tensors | {name: torch.full_like(tensors[name], 3e38)}, tmp_path / "weights.safetensors")
    weights = str(tmp_path / "weights.safetensors")
    wild = tiny_recipe(phase("all"), split={"validation": 0.5, "test": 0.0}, weights=weights)
    job = train_job(jobs, tmp_path, wild)
    found = wait_for(jobs, Queue(jobs, lambda: 1), job, ended)
    assert found.state == "failed"
    assert "loss is nan" in found.reason
    assert "try a lower learning_rate" in found.reason
