"""What a process holds of its machine's memory and of its GPU's, in bytes, as a run's log says it.

Knows nothing of training. A process asks this of itself: whoever looks at its run may do so on another machine.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from mammo_core.settings import Settings

if TYPE_CHECKING:
    import torch

    from mammo_train.distributed import World

_STATUS = Path("/proc/self/status")


class GpuMemory(Settings):
    """What is held of one GPU."""

    used: int
    """By whoever computes on it."""
    peak: int
    """The most that this process's tensors ever took."""
    total: int


class Memory(Settings):
    """What one process holds."""

    resident: int
    """Of its machine's memory, now."""
    peak: int | None
    """The most it ever held; None where the system does not say."""
    total: int
    """What its machine has."""
    gpu: GpuMemory | None
    """None where it computes on none."""
    processes: int = 1
    """So many train together; this is what the first of them holds, and its own GPU."""


def memory_of(world: "World") -> Memory:
    """Ask what this process holds."""
    return Memory(
        resident=psutil.Process().memory_info().rss,
        peak=_peak(),
        total=psutil.virtual_memory().total,
        gpu=_gpu(world.device) if world.device.type == "cuda" else None,
        processes=world.size,
    )


def _gpu(device: "torch.device") -> GpuMemory:
    # Whoever only reads what was said needs no torch.
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return GpuMemory(used=total - free, peak=torch.cuda.max_memory_allocated(device), total=total)


def _peak() -> int | None:
    # Linux only. What getrusage() calls the maximum is begun with that of the process which started this one.
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else None
