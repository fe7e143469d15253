"""A run killed with -9 at any moment, stopped or refused: what it is afterwards."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from killed_run import recipe
from mammo_core.checkpoint import load_checkpoint
from mammo_core.errors import InputError
from mammo_train.fit import fit
from mammo_train.prepared_set import PreparedSet
from mammo_train.run import Stopped, read_log, read_status, request_stop
from mammo_train.state import load_state
from tiny_set import curve, halves, phase, tiny_recipe, tiny_set


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    return tiny_set(tmp_path_factory.mktemp("set"), spot=9)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_run_killed_eight_times_has_the_curve_of_one_left_alone(data: PreparedSet, tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    script = [sys.executable, str(Path(__file__).parent / "killed_run.py"), str(data.folder)]
    killed = subprocess.run(
        [*script, str(tmp_path / "killed")], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert (killed.stdout, killed.returncode) == ("8\n", 0), killed.stderr
    alone = subprocess.run(
        [sys.executable, "-c", _ALONE, str(data.folder), str(tmp_path / "alone")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert alone.returncode == 0, alone.stderr
    lived, left = (read_log(tmp_path / name) for name in ("killed", "alone"))
    assert curve(lived) == curve(left)
    assert [event["epoch"] for event in curve(lived)] == [1, 2, 3, 4, 5, 6]
    assert len({event["roc_auc"] for event in curve(left)}) > 1, "a curve that never moves proves nothing"
    checkpoints = [load_checkpoint(tmp_path / name / "checkpoint.safetensors") for name in ("killed", "alone")]
    first, second = checkpoints
    assert all(bool((tensor == second.weights[name]).all()) for name, tensor in first.weights.items())
    assert first.header.validation == second.header.validation
    assert first.header.calibration == second.header.calibration


_ALONE = """
import sys
from pathlib import Path
import torch
from killed_run import recipe
from tiny_set import halves
from mammo_train.fit import fit
from mammo_train.prepared_set import open_prepared
torch.set_num_threads(1)
data = open_prepared(Path(sys.argv[1]))
fit(recipe(), data, halves(data), Path(sys.argv[2]))
"""


def test_a_stopped_run_that_asks_for_lesions_is_carried_on_in_mid_epoch(tmp_path: Path) -> None:
    data = tiny_set(tmp_path / "set", spot=9, masks=True)
    asked = {"lesion_loss": 1.0, "batch_size": 4, "ema": 0.9}
    plan = tiny_recipe(phase("crops", crop=32, **asked), phase("all", **asked))
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    fit(plan, data, halves(data), whole)
    for stopped_in in ("crops: epoch 2/2", "all: epoch 1/2"):

        def stop(what: str, done: int, _total: int, wanted: str = stopped_in) -> None:
            if what == wanted and done == 2:
                request_stop(parted)

        with pytest.raises(Stopped):
            fit(plan, data, halves(data), parted, tell=stop, resume=True)
    fit(plan, data, halves(data), parted, resume=True)
    assert curve(read_log(parted)) == curve(read_log(whole))
    assert [event["best"] for event in curve(read_log(whole))][:2] == [False, False], "crops are never the best"


def test_a_stopped_run_is_carried_on_in_mid_epoch(data: PreparedSet, tmp_path: Path) -> None:
    plan = tiny_recipe(phase("all", batch_size=4))
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    fit(plan, data, halves(data), whole)

    def stop_in_second_epoch(what: str, done: int, _total: int) -> None:
        if what == "all: epoch 2/2" and done == 2:
            request_stop(parted)

    with pytest.raises(Stopped, match="file 'stop'"):
        fit(plan, data, halves(data), parted, tell=stop_in_second_epoch)
    status = read_status(parted)
    assert status is not None
    assert (status.state, status.reason) == ("stopped", "asked to by the file 'stop' in the run folder")
    saved = load_state(parted)
    assert saved is not None
    # The file is seen in the batch after the one in which it was made.
    assert (saved[0].phase_epoch, saved[0].batch, saved[0].images) == (1, 3, 12)
    fit(plan, data, halves(data), parted, resume=True)
    assert curve(read_log(parted)) == curve(read_log(whole))
    assert [event["event"] for event in read_log(parted) if event["event"] in ("stopped", "resume")] == ["resume"]


def test_a_signal_ends_a_run_after_the_batch(data: PreparedSet, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, _total: int) -> None:
        if what == "all: epoch 1/2" and done == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped) as stopped:
        fit(tiny_recipe(phase("all")), data, halves(data), tmp_path / "run", tell=interrupt)
    assert stopped.value.signal == signal.SIGTERM
    status = read_status(tmp_path / "run")
    assert status is not None
    assert (status.state, status.reason) == ("stopped", "asked to by SIGTERM")


def test_a_finished_run_is_left_as_it_is(data: PreparedSet, tmp_path: Path) -> None:
    plan, run = tiny_recipe(phase("head", trained=1, epochs=1)), tmp_path / "run"
    checkpoint = fit(plan, data, halves(data), run, resume=True)
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    assert fit(plan, data, halves(data), run, resume=True) == checkpoint
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before
    with pytest.raises(InputError, match="holds a run already"):
        fit(plan, data, halves(data), run)
    status = read_status(run)
    assert status is not None
    assert status.state == "finished"


def test_what_comes_after_training_is_done_again_where_it_was_cut_short(data: PreparedSet, tmp_path: Path) -> None:
    plan, run = tiny_recipe(phase("head", trained=1, epochs=1)), tmp_path / "run"
    seen: list[Path] = []

    def fail(_checkpoint: Path) -> None:
        raise RuntimeError("the light went out")

    with pytest.raises(RuntimeError, match="light"):
        fit(plan, data, halves(data), run, after=fail)
    fit(plan, data, halves(data), run, resume=True, after=seen.append)
    assert seen == [run / "checkpoint.safetensors"]
    assert len(curve(read_log(run))) == 1
    assert read_log(run)[-1]["event"] == "finished"


def test_another_recipe_split_or_set_does_not_carry_on(data: PreparedSet, tmp_path: Path) -> None:
    plan, run = tiny_recipe(phase("head", trained=1, epochs=1)), tmp_path / "run"
    fit(plan, data, halves(data), run)
    longer = tiny_recipe(phase("head", trained=1, epochs=2))
    with pytest.raises(InputError, match=r"begun with 'epochs = 1', now given 'epochs = 2'"):
        fit(longer, data, halves(data), run, resume=True)
    other = type(halves(data))({**halves(data).part_of, "p000": "train", "p001": "train"})
    with pytest.raises(InputError, match=r"split\.csv: the run was begun with"):
        fit(plan, data, other, run, resume=True)
    changed = PreparedSet(data.folder, data.table, data.inputs, "f" * 64, data.bits, data.record)
    (run / "log.jsonl").write_bytes((run / "log.jsonl").read_bytes().rpartition(b'{"event": "finished"')[0])
    with pytest.raises(InputError, match="is another set"):
        fit(plan, changed, halves(data), run, resume=True)


def test_the_recipe_of_the_killed_run_is_what_it_says() -> None:
    assert [stage.trained for stage in recipe().phases] == [1, 2, "all"]
