"""What a process says of the memory it holds."""

import mmap
import sys

import psutil
import pytest
import torch

from mammo_train.distributed import World
from mammo_train.memory import GpuMemory, memory_of

BALLAST = 64 << 20


def taken() -> mmap.mmap:
    """Memory straight from the system: what a process had and freed before is not used again for it."""
    ballast = mmap.mmap(-1, BALLAST)
    for page in range(0, BALLAST, mmap.PAGESIZE):
        ballast[page] = 1
    return ballast


def test_a_process_says_what_it_holds() -> None:
    before = memory_of(World())
    ballast = taken()
    after = memory_of(World(size=3))
    ballast.close()
    assert after.resident - before.resident > BALLAST // 2
    assert BALLAST < after.resident < after.total == psutil.virtual_memory().total
    assert (after.gpu, after.processes) == (None, 3)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says it")
def test_the_most_that_was_ever_held_stays_when_it_is_given_back() -> None:
    ballast = taken()
    full = memory_of(World()).resident
    ballast.close()
    found = memory_of(World())
    assert found.peak is not None
    # Linux keeps the most in steps of some pages for each processor: it may lag behind by less than a MiB.
    assert found.peak > full - (1 << 20)
    assert found.resident < full - BALLAST // 2


def test_on_a_gpu_the_whole_card_and_the_own_tensors_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: asked.append(device) or (60 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: asked.append(device) or 5 << 30)
    device = torch.device("cuda", 1)
    assert memory_of(World(device=device)).gpu == GpuMemory(used=20 << 30, peak=5 << 30, total=80 << 30)
    assert asked == [device, device]
