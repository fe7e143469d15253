"""Fixtures that several tests share: where the real mammograms are, if this machine has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

SHARED = Path(__file__).resolve().parents[2] / "shared"


class _Files(LoadFileScheduling):
    """A file's tests in one process, and all that drive a browser in one: drawing without a GPU takes every core."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Files:
    """Say how tests are given to processes."""
    return _Files(config, log)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Let torch compute with one thread, here and in what is started.

    Tests of other files go on beside, and the threads of a tiny network wait for one another.
    """
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every test, and what it starts, away from the library of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real mammograms beside the repository; a user's machine does not have it."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real mammograms (../shared/data) is not on this machine")
    return folder


@pytest.fixture
def cells_look_at_their_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a run's end the measuring of where cells look, which takes longer than training on a tiny set."""
    monkeypatch.setattr("mammo_train.outcome.cell_shift", lambda _model: (0.0, 0.0))
