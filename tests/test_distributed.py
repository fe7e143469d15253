"""Two processes train what one trains."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from distributed_run import recipe
from mammo_core.checkpoint import load_checkpoint
from mammo_train.distributed import World, joined
from mammo_train.fit import fit
from mammo_train.run import read_log
from tiny_set import curve, halves, tiny_set


def by_two_processes(*arguments: str) -> None:
    here = Path(__file__).parent
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, str(here / "distributed_run.py"), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(here)}
    two = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert two.returncode == 0, two.stderr[:8000]


def test_two_processes_hear_one_another_and_share_work() -> None:
    by_two_processes()


def test_two_processes_have_the_curve_of_one_with_the_same_batches(tmp_path: Path) -> None:
    data = tiny_set(tmp_path / "set", spot=9)
    by_two_processes(str(data.folder), str(tmp_path / "two"))
    fit(recipe(), data, halves(data), tmp_path / "one")
    curves = [curve(read_log(tmp_path / name)) for name in ("two", "one")]
    assert len(curves[0]) == len(curves[1]) == 6
    for together, alone in zip(*curves, strict=True):
        assert together["images"] == alone["images"] == 16
        assert together["learning_rates"] == alone["learning_rates"]
        assert together["train_loss"] == pytest.approx(alone["train_loss"], abs=1e-4)
        assert together["validation_loss"] == pytest.approx(alone["validation_loss"], abs=1e-4)
    first, second = (load_checkpoint(tmp_path / name / "checkpoint.safetensors") for name in ("two", "one"))
    for name, tensor in first.weights.items():
        torch.testing.assert_close(tensor, second.weights[name], rtol=1e-3, atol=1e-3)


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as world:
        assert (world.rank, world.size, world.first) == (0, 1, True)
        assert world.everywhere([1.0, 2.0]).tolist() == [[1.0, 2.0]]
        rows = np.array([4, 2])
        assert world.in_shares(torch.from_numpy, rows).tolist() == [4, 2]


def test_a_share_is_the_same_size_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []

    def work(share: np.ndarray) -> torch.Tensor:
        asked.append(share.tolist())
        return torch.from_numpy(share)

    for rank in (0, 1):
        world = World(rank=rank, size=2)
        monkeypatch.setattr(World, "_gathered", lambda _self, mine: [mine, mine])
        world.in_shares(work, np.array([10, 11, 12]))
    assert asked == [[10, 12], [11, 12]]
