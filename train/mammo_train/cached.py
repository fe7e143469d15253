"""Activations of frozen layers, computed once: the layers that learn then see them instead of pictures.

Knows nothing of losses or phases' order. Frozen layers stay in evaluation mode, so what they give for a picture is
always the same; learning from it is learning from the picture. With the head alone learning, an image is a
vector, and tens of thousands of them a second go through.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.model import Model
from mammo_core.phases import Phase
from mammo_train.cut import Cut
from mammo_train.feed import Given, Source, fixed_copies, in_evaluation, kept_variants
from mammo_train.precision import Network, arithmetic
from mammo_train.sampling import Batch
from mammo_train.scoring import batch_of

Rows = NDArray[np.intp]

MEMORY_SHARE = 0.5
"""Part of the free memory that activations may take."""
_TABLE_BATCH = 4096
"""Cached images in a forward pass of validation, where an image is a vector."""


class Activations:
    """A `mammo_train.feed.Feed` of what the frozen layers gave for every training and validation image."""

    def __init__(self, source: Source, cut: Cut, phase: Phase, half: torch.dtype | None, model: Model) -> None:
        self.network = Network(model, cut.rest, half)
        self._source = source
        self._frozen = cut.frozen
        self._half = half
        self._phase = phase
        self._copies = kept_variants(phase)
        self._slots = np.empty(0, np.intp)
        self._pictures_at_once = batch_of(source.inputs, model.architecture)
        self._kept_on = torch.device("cpu")
        self._training = torch.empty(0)
        self._validation = torch.empty(0)

    def bytes_for(self, rows: Rows) -> int:
        """Work out from one image how much memory all will take, in bytes."""
        one = self._activations(self._source.images.plain(rows[:1]))
        return one.nbytes * (len(rows) * self._copies + len(self._source.validation))

    def keep_on(self, place: torch.device) -> None:
        """Choose the memory: the device's own, or the main memory."""
        self._kept_on = place

    def compute(self, rows: Rows, done: Callable[[int, int], None]) -> None:
        """Run every image of ``rows``, in every variant, and the validation images through the frozen layers."""
        source = self._source
        self._slots = np.zeros(int(rows.max()) + 1, np.intp)
        self._slots[rows] = np.arange(len(rows))
        pairs = np.stack(np.meshgrid(np.arange(self._copies), rows, indexing="ij"), axis=-1).reshape(-1, 2)
        total = len(pairs) + len(source.validation)

        def varied(chosen: Rows) -> Tensor:
            batch = Batch(pairs[chosen, 1], pairs[chosen, 0], len(chosen))
            (_, pictures), *_ = source.images.varied([batch], self._phase.augmentation, seed=source.seed, epoch=0)
            return self._activations(pictures)

        def plain(chosen: Rows) -> Tensor:
            return self._activations(source.images.plain(source.validation[chosen]))

        self._training = self._all(varied, len(pairs), lambda number: done(number, total))
        self._training = self._training.view(self._copies, len(rows), *self._training.shape[1:])
        self._validation = self._all(plain, total - len(pairs), lambda number: done(len(pairs) + number, total))

    def training(self, batches: Sequence[Batch], *, epoch: int) -> Iterator[Given]:
        """Batches with the activations of their images."""
        for batch in batches:
            slots = torch.from_numpy(self._slots[batch.rows]).to(self._kept_on)
            copies = torch.from_numpy(fixed_copies(batch, epoch, self._copies).copies).to(self._kept_on)
            yield batch, self._given(self._training[copies, slots]), None

    def validation(self, done: Callable[[int, int], None]) -> NDArray[np.float64]:
        """Logits of the validation rows, by every process for itself: they are quick."""
        size = _TABLE_BATCH if self._validation[0].numel() < _TABLE_BATCH else self._pictures_at_once
        parts = []
        for start in range(0, len(self._validation), size):
            given = self._given(self._validation[start : start + size])
            parts.append(in_evaluation(self.network, given).cpu().double().numpy())
            done(min(start + size, len(self._validation)), len(self._validation))
        return np.concatenate(parts)

    def _all(self, work: Callable[[Rows], Tensor], number: int, done: Callable[[int], None]) -> Tensor:
        """Do ``work`` on 0 to ``number - 1``, a batch at a time, all processes together; keep what it gives."""
        world, size = self._source.world, self._pictures_at_once * self._source.world.size
        kept = torch.empty(0)
        for start in range(0, number, size):
            chosen = np.arange(start, min(start + size, number))
            found = world.in_shares(work, chosen).to(self._kept_on)
            if start == 0:
                kept = torch.empty((number, *found.shape[1:]), dtype=found.dtype, device=found.device)
            kept[start : start + len(chosen)] = found
            done(start + len(chosen))
        return kept

    def _activations(self, pictures: Tensor) -> Tensor:
        """Pictures ``(n, 1, H, W)`` -> what the frozen layers give, channels last: ``(n, ..., channels)``."""
        shown = self._source.shown(pictures)
        self._frozen.eval()
        with torch.no_grad(), arithmetic(self._frozen, shown.device, self._half):
            found: Tensor = self._frozen(shown)
        return found.movedim(1, -1).contiguous()

    def _given(self, kept: Tensor) -> Tensor:
        """Kept activations ``(n, ..., channels)`` -> what `Cut.rest` takes, on the device, channels last."""
        return kept.to(self._source.world.device, non_blocking=True).movedim(-1, 1)


def place_for(needed: int, device: torch.device) -> torch.device | None:
    """Where so many bytes of activations may be kept: on the device, in the main memory, or nowhere."""
    if device.type == "cuda" and needed <= MEMORY_SHARE * torch.cuda.mem_get_info(device)[0]:
        return device
    return torch.device("cpu") if needed <= MEMORY_SHARE * psutil.virtual_memory().available else None
