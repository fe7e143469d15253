"""The images of a prepared set on their way to the model: kept in memory where they fit, decoded ahead otherwise.

Knows nothing of labels, or of what the model does with them.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.inputs import InputSettings
from mammo_core.phases import Augmentation, Phase
from mammo_train.augment import Pixels, Shown, shown, varied, varied_with_marks
from mammo_train.crops import cropped
from mammo_train.marks import Marks, marks
from mammo_train.prepared_set import PreparedSet
from mammo_train.sampling import Batch, Rows

Made = TypeVar("Made")

_AHEAD = 2
"""Batches that are got ready while the model works on one."""


class Images:
    """The pictures in some rows of a prepared set, decoded by threads, each kept once decoded if all would fit."""

    def __init__(self, data: PreparedSet, rows: Rows, *, memory_share: float = 0.3, threads: int | None = None) -> None:
        """Look at the first picture to know how much they take; at most ``memory_share`` of the free memory is used.

        ``threads`` is by default one for each core that this process may use.
        """
        self._data = data
        self._slots = {int(row): slot for slot, row in enumerate(rows)}
        self._pool = ThreadPoolExecutor(threads or _cores(), thread_name_prefix="images")
        self._kept: Pixels | None = None
        self._decoded = np.zeros(len(rows), np.bool_)
        if len(rows):
            first = data.image(int(rows[0]))
            if first.nbytes * len(rows) <= memory_share * psutil.virtual_memory().available:
                # Memory is taken page by page as pictures come in, not here.
                self._kept = np.empty((len(rows), *first.shape), first.dtype)

    @property
    def in_memory(self) -> bool:
        """Whether pictures are kept once they are decoded."""
        return self._kept is not None

    def plain(self, rows: Rows) -> Tensor:
        """Pictures of ``rows`` ``(n,)`` as they are: float32 ``(n, 1, H, W)`` in [0, 1]."""
        return _stacked(list(self._pool.map(lambda row: shown(self._pixels(int(row))), rows)))

    def varied(
        self, batches: Iterable[Batch], augmentation: Augmentation, *, seed: int, epoch: int
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Go through batches with their pictures varied at random: float32 ``(n, 1, H, W)`` in [0, 1].

        The next ones are made ready meanwhile. The pictures depend on the seed, the epoch and the image alone.
        """

        def one(row: int, copy: int) -> Shown:
            return varied(self._pixels(row), augmentation, key=(seed, epoch, row, copy))

        for batch, pictures in self._ahead(batches, one):
            yield batch, _stacked(pictures)

    def marked(
        self, batches: Iterable[Batch], phase: Phase, *, seed: int, epoch: int
    ) -> Iterator[tuple[Batch, Tensor, Tensor]]:
        """Go through batches as `varied` does, cropped where the phase has crops, with marks uint8 ``(n, H, W)``."""

        def one(row: int, copy: int) -> tuple[Shown, Marks]:
            key = (seed, epoch, row, copy)
            pixels, where = self._pixels(row), marks(self._data, row)
            if phase.crop:
                random = np.random.default_rng([*key, phase.crop])
                pixels, where = cropped(pixels, where, self._data.mask(row), phase.crop, random)
            return varied_with_marks(pixels, where, phase.augmentation, key=key)

        for batch, found in self._ahead(batches, one):
            yield batch, _stacked([picture for picture, _ in found]), _marks_stacked([where for _, where in found])

    def close(self) -> None:
        """Let the threads go; pictures that are under way are dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _pixels(self, row: int) -> Pixels:
        slot = self._slots[row]
        if self._kept is None:
            return self._data.image(row)
        if not self._decoded[slot]:
            # Two threads may decode the same picture at the same time: they write the same bytes.
            self._kept[slot] = self._data.image(row)
            self._decoded[slot] = True
        picture: Pixels = self._kept[slot]
        return picture

    def _ahead(self, batches: Iterable[Batch], one: Callable[[int, int], Made]) -> Iterator[tuple[Batch, list[Made]]]:
        """Do ``one`` for every image, the images of a few batches in advance."""
        rest = iter(batches)
        waiting: deque[tuple[Batch, list[Future[Made]]]] = deque()
        try:
            while True:
                for batch in islice(rest, 1 + _AHEAD - len(waiting)):
                    pairs = zip(batch.rows.tolist(), batch.copies.tolist(), strict=True)
                    waiting.append((batch, [self._pool.submit(one, *pair) for pair in pairs]))
                if not waiting:
                    return
                batch, futures = waiting.popleft()
                yield batch, [future.result() for future in futures]
        finally:
            for _, futures in waiting:
                for future in futures:
                    future.cancel()


def as_input(pictures: Tensor, inputs: InputSettings) -> Tensor:
    """Pictures ``(N, 1, H, W)`` in [0, 1] -> what the model takes: ``(N, C, H, W)``, normalised, channels last.

    On whatever device the pictures are; the same numbers as `mammo_core.inputs.model_input` gives.
    """
    mean = torch.tensor(inputs.mean, device=pictures.device)[:, None, None]
    std = torch.tensor(inputs.std, device=pictures.device)[:, None, None]
    return ((pictures - mean) / std).contiguous(memory_format=torch.channels_last)


def _stacked(pictures: list[Shown]) -> Tensor:
    """``n`` pictures ``(H, W)`` -> ``(n, 1, H, W)``."""
    stacked: NDArray[np.float32] = np.stack(pictures)
    return torch.from_numpy(stacked)[:, None]


def _marks_stacked(found: list[Marks]) -> Tensor:
    """``n`` marks ``(H, W)`` -> ``(n, H, W)``."""
    return torch.from_numpy(np.stack(found))


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
