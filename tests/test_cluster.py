"""A real Ray cluster on this machine: the same curves, figures and pictures as without it, and jobs handed to it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from mammo_core.errors import InputError
from mammo_gui.live import live
from mammo_train.cli import app
from mammo_train.cluster.session import require_ray
from mammo_train.jobs.asked import TrainAsked
from mammo_train.jobs.queue import Queue
from mammo_train.jobs.remote import GIVEN_UP, LOOK_SECONDS, SUBMITTED, look_after
from mammo_train.jobs.store import Jobs
from mammo_train.recipe import dump_recipe
from mammo_train.run import read_log, write_status
from tiny_set import curve, phase, tiny_recipe, tiny_set

ray = pytest.importorskip("ray")
# Ray warns of itself when it is used as its documentation says.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning", "ignore::UserWarning"
    )
]
PATIENCE = 480
NOWHERE = "http://127.0.0.1:9"
EPOCHS = 12
RECIPE = tiny_recipe(phase("head", trained=1, epochs=1), phase("all", epochs=2), split={"validation": 0.5, "test": 0.0})


LONG = tiny_recipe(
    phase("head", trained=1, epochs=1), phase("all", epochs=EPOCHS - 1), split={"validation": 0.5, "test": 0.0}
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, str]]:
    """Addresses of the cluster and of its job server."""
    # The job server is lost without a word where the names of its sockets pass 107 characters: no folder of pytest's.
    folder = tempfile.mkdtemp(prefix="r")
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    start = [sys.executable, "-m", "ray.scripts.scripts"]
    options = {"port": "6479", "dashboard-port": "8365", "num-cpus": "3", "temp-dir": folder}
    words = [f"--{name}={value}" for name, value in options.items()]
    memory = "--object-store-memory=100000000"
    subprocess.run([*start, "start", "--head", *words, memory], env=environment, check=True, capture_output=True)
    yield "127.0.0.1:6479", "http://127.0.0.1:8365"
    subprocess.run([*start, "stop", "--force"], env=environment, check=True, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def there(cluster: tuple[str, str], *words: str) -> str:
    """Run a command on the cluster; return what it says."""
    found = CliRunner().invoke(app, [*words, "--cluster", cluster[0]])
    assert found.exit_code == 0, found.output
    return found.output


def test_what_is_wrong_and_who_stopped_it_is_said(cluster: tuple[str, str], tmp_path: Path) -> None:
    tiny_set(tmp_path / "set")
    (tmp_path / "recipe.toml").write_text(dump_recipe(RECIPE))
    words = ["train", str(tmp_path / "recipe.toml"), str(tmp_path / "set"), str(tmp_path / "run")]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text("another")
    found = CliRunner().invoke(app, [*words, "--resume", "--cluster", cluster[0]])
    assert found.exit_code == 2
    assert "the run was begun with 'another'" in found.output
    nowhere = CliRunner().invoke(app, [*words, "--resume", "--cluster", "127.0.0.1:9"])
    assert nowhere.exit_code == 2
    assert "no cluster answers there" in nowhere.output


def test_arms_are_measured_as_on_this_machine(cluster: tuple[str, str], tmp_path: Path) -> None:
    tiny_set(tmp_path / "set", patients=24)
    (tmp_path / "recipe.toml").write_text(dump_recipe(RECIPE))
    arms = "".join(f'[[arms]]\nname = "{name}"\nrecipe = "{tmp_path}/recipe.toml"\n' for name in ("a", "b"))
    plan = (
        'name = "two"\nseeds = [0]\ndraws = 100\n[budget]\npasses = 4\n[split]\nvalidation = 0.3\ntest = 0.3\n' + arms
    )
    (tmp_path / "plan.toml").write_text(plan)
    words = ["compare", str(tmp_path / "plan.toml"), str(tmp_path / "set")]
    there(cluster, *words, str(tmp_path / "there"))
    assert CliRunner().invoke(app, [*words, str(tmp_path / "here")]).exit_code == 0
    remote, local = (pd.read_csv(tmp_path / name / "arms.csv") for name in ("there", "here"))
    # A worker has other threads, which add up in another order: equal but for rounding.
    pd.testing.assert_frame_equal(remote, local, rtol=1e-4)


def test_pictures_are_those_of_this_machine_and_a_broken_file_costs_itself(
    cluster: tuple[str, str], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    lines = ["file,patient_id,laterality,view,cancer"]
    for number in range(4):
        path = tiny_set(tmp_path / "set").folder / f"images/p{number}-CC.png"
        (source / f"{number}.png").write_bytes(path.read_bytes() if number != 2 else b"broken")
        lines.append(f"{number}.png,p{number},L,CC,{number % 2}")
    (source / "table.csv").write_text("\n".join(lines))
    words = ["prepare", "folder", str(source)]
    there(cluster, *words, str(tmp_path / "there"), "--size", "64x64")
    assert CliRunner().invoke(app, [*words, str(tmp_path / "here"), "--size", "64x64"]).exit_code == 0
    for name in ("table.csv", "prepared.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    for picture in (tmp_path / "here" / "images").glob("*.png"):
        assert (tmp_path / "there" / "images" / picture.name).read_bytes() == picture.read_bytes()


def wait(queue: Queue, seen: Callable[[], bool], trouble: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < until, trouble()
        queue.step()
        time.sleep(0.3)


def test_a_job_of_two_processes_is_stopped_and_carried_on_and_learns_as_torchrun(
    cluster: tuple[str, str], tmp_path: Path
) -> None:
    tiny_set(tmp_path / "set")
    (tmp_path / "recipe.toml").write_text(dump_recipe(LONG))
    jobs = Jobs(tmp_path / "jobs")
    queue = Queue(jobs, lambda: 0)
    asked = TrainAsked(data=str(tmp_path / "set"), recipe=dump_recipe(LONG))
    job = jobs.add("There", asked, cluster=cluster[1], workers=2)
    wait(queue, lambda: len(curve(read_log(job.run))) > 0 or jobs.get(job.id).ended, lambda: jobs.output(job.id))
    jobs.stop(job.id)
    wait(queue, lambda: jobs.get(job.id).ended, lambda: jobs.output(job.id))
    assert (jobs.get(job.id).state, jobs.get(job.id).reason) == ("stopped", "asked to by a person"), jobs.output(job.id)
    assert 0 < len(curve(read_log(job.run))) < EPOCHS
    held = live(replace(jobs.get(job.id), state="running"), ()).memory
    assert held is not None, "it cannot be asked from here, and says what it holds"
    assert held.processes == 2
    assert 100 << 20 < held.resident < held.total
    jobs.resume(job.id)
    wait(queue, lambda: jobs.get(job.id).ended, lambda: jobs.output(job.id))
    found = jobs.get(job.id)
    assert (found.state, found.reason) == ("finished", "every phase is done"), jobs.output(job.id)
    assert any("ROC-AUC" in line for line in jobs.output(job.id)), "what it says is heard"
    assert (job.run / "evaluation.html").is_file()

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["train", str(tmp_path / "recipe.toml"), str(tmp_path / "set"), str(tmp_path / "here")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(
        [*torchrun, "-m", "mammo_train.cli", *words], env=environment, check=True, capture_output=True, timeout=PATIENCE
    )
    ours, theirs = curve(read_log(job.run)), curve(read_log(tmp_path / "here"))
    assert len(ours) == len(theirs) == EPOCHS
    for one, other in zip(ours, theirs, strict=True):
        for figure in ("train_loss", "validation_loss", "roc_auc"):
            assert one[figure] == pytest.approx(other[figure], rel=1e-4)


def test_a_job_server_that_does_not_answer_is_told_in_words(tmp_path: Path) -> None:
    tiny_set(tmp_path / "set")
    jobs = Jobs(tmp_path / "jobs")
    asked = TrainAsked(data=str(tmp_path / "set"), recipe=dump_recipe(RECIPE))
    job = jobs.add("Nowhere", asked, cluster=NOWHERE)
    Queue(jobs, lambda: 0).step()
    found = jobs.get(job.id)
    assert found.state == "failed"
    assert f"job server {NOWHERE} cannot be reached" in found.reason


def test_a_job_server_that_goes_away_ends_nothing_until_somebody_gives_the_job_up(tmp_path: Path) -> None:
    tiny_set(tmp_path / "set")
    jobs = Jobs(tmp_path / "jobs")
    job = jobs.add("Away", TrainAsked(data=str(tmp_path / "set"), recipe=dump_recipe(RECIPE)), cluster=NOWHERE)
    (job.folder / SUBMITTED).write_text("mammo-away")
    write_status(job.folder, "running", "")
    look_after(jobs.get(job.id))
    found = jobs.get(job.id)
    assert found.state == "running"
    assert "cannot be reached" in found.reason
    jobs.stop(job.id)
    time.sleep(LOOK_SECONDS)
    look_after(jobs.get(job.id))
    assert (jobs.get(job.id).state, jobs.get(job.id).reason) == ("stopped", GIVEN_UP)


@pytest.mark.parametrize(
    "address", ["host:8265", "ftp://host", "http://", "http://host:99999", "http://a@host", "http://host/;rm"]
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError, match="such as http://host:8265"):
        Jobs(tmp_path / "jobs").run_on(address, 1)


def test_ray_that_is_missing_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install \"mammo-gui\[cluster\]\""):
        require_ray()
