"""One training by several processes: who they are, what each computes, how they tell one another.

Knows nothing of models. ``torchrun`` starts the processes and says in the environment which is which; without it
there is one, and every function here is as good as absent. The run folder must be visible to all of them.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class World:
    """The processes that train together, seen from one of them."""

    rank: int = 0
    """This process, counted from 0 over all machines."""
    size: int = 1
    """Number of processes."""
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (a value that never changes)
    """What this process computes on."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run folder."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            dist.barrier()

    def everywhere(self, values: list[float]) -> NDArray[np.float64]:
        """Tell the others a few numbers and hear theirs: float64 ``(size, n)``."""
        if self.size == 1:
            return np.array([values])
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        return torch.stack(self._gathered(mine)).cpu().numpy()

    def like_first(self, tensors: Iterable[Tensor]) -> None:
        """Give everyone the first process's values, in place: batch-norm statistics are each one's own."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def in_shares(self, work: Callable[[Rows], Tensor], rows: Rows) -> Tensor:
        """Do ``work`` on ``rows`` ``(n,)`` together: each process on its share, all of them get ``(n, ...)``.

        ``work`` returns one entry per row it is given. Shares are of one size: where they do not divide evenly, the
        last row is done more than once.
        """
        if self.size == 1:
            return work(rows)
        each = -(-len(rows) // self.size)
        share = np.minimum(np.arange(each) * self.size + self.rank, len(rows) - 1)
        parts = self._gathered(work(rows[share]).contiguous())
        # Process r has rows r, r + size, ...: side by side, then one after the other.
        return torch.stack(parts, dim=1).flatten(0, 1)[: len(rows)]

    def _gathered(self, mine: Tensor) -> list[Tensor]:
        found = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(found, mine)
        return found


def speaks() -> bool:
    """Whether this is the process that talks to the terminal: the first, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that ``torchrun`` started, if it did: NCCL between GPUs, Gloo between CPUs."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or dist.is_initialized():
        yield World(device=_device(0))
        return
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    device = _device(local)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=size)
    try:
        yield World(rank, size, device)
    finally:
        dist.destroy_process_group()


def joined_already() -> World:
    """See the processes that somebody else has joined, from this one; alone where nobody has."""
    if not dist.is_initialized():
        return World(device=_device(0))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    # Where each process sees its own GPU alone, that is number 0 to it.
    return World(dist.get_rank(), dist.get_world_size(), _device(local if local < torch.cuda.device_count() else 0))


def _device(local: int) -> torch.device:
    """Choose a GPU of this machine by the process's number on it, Apple's, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", local)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
