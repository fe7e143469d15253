"""Activations of frozen layers, computed once: the layers that learn then see them instead of pictures.

Knows nothing of losses or phases' order. Frozen layers stay in evaluation mode, so what they give for a picture is
always the same; learning from it is learning from the picture. With the head alone learning, an image is a
vector, and tens of thousands of them a second go through.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mammo_core.phases import Phase
from mammo_train.feed import Given, Source, fixed_copies, in_evaluation, kept_variants
from mammo_train.precision import Network, arithmetic
from mammo_train.sampling import Batch
from mammo_train.scoring import batch_of
from mammo_train.shelf import Page, Pairs

Rows = NDArray[np.intp]
Pages = tuple[Page | None, Page | None]
"""Where activations of training pictures lie for other runs, and those of validation pictures."""
NOWHERE: Pages = (None, None)
Done = Callable[[int, int], None]
"""Called with how many images are done, and how many there are."""

MEMORY_SHARE = 0.5
"""Part of the free memory that activations may take."""
_TABLE_BATCH = 4096
"""Cached images in a forward pass of validation, where an image is a vector."""
_PAGE_BATCH = 4096
"""Images after which a page gets what was computed: so many are lost where a run is killed."""


@dataclass(frozen=True)
class Kept:
    """What frozen layers gave for all that a phase shows, channels last."""

    training: Tensor
    """``(variants, rows, ..., channels)``."""
    validation: Tensor
    """``(validation rows, ..., channels)``."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        return self.training.nbytes + self.validation.nbytes

    @property
    def place(self) -> torch.device:
        """Memory that it lies in."""
        return self.training.device


class Passage:
    """All that a phase shows, every image in every variant and the validation images, through frozen layers."""

    def __init__(self, source: Source, phase: Phase, rows: Rows, at_once: int, half: torch.dtype | None) -> None:
        """``at_once`` is the number of pictures in one forward pass."""
        self._source = source
        self._augmentation = phase.augmentation
        self._rows = rows
        self._copies = kept_variants(phase)
        self._at_once = at_once
        self._half = half
        self.spared = 0.0
        """Seconds that were not spent on what lay on pages."""

    def bytes_behind(self, layers: nn.Module) -> int:
        """Work out from one image how much memory all that ``layers`` give of pictures will take, in bytes."""
        one = self._activations(layers, self._source.shown(self._source.images.plain(self._rows[:1])))
        return one.nbytes * (len(self._rows) * self._copies + len(self._source.validation))

    def of_pictures(self, layers: nn.Module, place: torch.device, done: Done, pages: Pages = NOWHERE) -> Kept:
        """Run all pictures through ``layers``, the first of the network, and keep in ``place`` what they give.

        What lies on ``pages`` is taken from there, and the rest put there.
        """
        source = self._source
        pairs = np.stack(np.meshgrid(np.arange(self._copies), self._rows, indexing="ij"), axis=-1).reshape(-1, 2)
        looked_at = np.stack([np.zeros_like(source.validation), source.validation], axis=-1)
        total = len(pairs) + len(looked_at)

        def varied(chosen: Rows) -> Tensor:
            batch = Batch(pairs[chosen, 1], pairs[chosen, 0], len(chosen))
            (_, pictures), *_ = source.images.varied([batch], self._augmentation, seed=source.seed, epoch=0)
            return self._activations(layers, source.shown(pictures))

        def plain(chosen: Rows) -> Tensor:
            return self._activations(layers, source.shown(source.images.plain(source.validation[chosen])))

        training = self._looked_up(varied, pairs, pages[0], place, lambda ready: done(ready, total))
        validation = self._looked_up(plain, looked_at, pages[1], place, lambda ready: done(len(pairs) + ready, total))
        return self._kept(training, validation)

    def of_kept(self, kept: Kept, layers: nn.Module, place: torch.device, done: Done) -> Kept:
        """Run what is ``kept`` of layers in front through ``layers``; in the batches that pictures come in."""
        training = kept.training.flatten(0, 1)

        def given(part: Tensor, chosen: Rows) -> Tensor:
            return channels_first(part[torch.from_numpy(chosen).to(kept.place)], self._source.world.device)

        number, total = len(training), len(training) + len(kept.validation)
        return self._kept(
            self._each(
                lambda chosen: self._activations(layers, given(training, chosen)),
                np.arange(number),
                place,
                lambda ready: done(ready, total),
            ),
            self._each(
                lambda chosen: self._activations(layers, given(kept.validation, chosen)),
                np.arange(total - number),
                place,
                lambda ready: done(number + ready, total),
            ),
        )

    def _kept(self, training: Tensor, validation: Tensor) -> Kept:
        """Put training activations ``(variants * rows, ...)`` into the order of their variants."""
        return Kept(training.view(self._copies, len(self._rows), *training.shape[1:]), validation)

    def _looked_up(
        self,
        work: Callable[[Rows], Tensor],
        pairs: Pairs,
        page: Page | None,
        place: torch.device,
        done: Callable[[int], None],
    ) -> Tensor:
        """Take from a page what it has of ``pairs``, do ``work`` for the numbers of the others, and add that to it."""
        if page is None:
            return self._each(work, np.arange(len(pairs)), place, done)
        found = page.look_up(pairs)
        self.spared += found.seconds
        values, missing = found.values, np.flatnonzero(~found.known)
        known = len(pairs) - missing.size
        done(known)

        def after(start: int) -> Callable[[int], None]:
            return lambda ready: done(known + start + ready)

        for start in range(0, missing.size, _PAGE_BATCH):
            chosen, began = missing[start : start + _PAGE_BATCH], time.monotonic()
            made = self._each(work, chosen, torch.device("cpu"), after(start))
            page.add(pairs[chosen], made, time.monotonic() - began)
            if values is None:
                values = made.new_empty((len(pairs), *made.shape[1:]))
            values[torch.from_numpy(chosen)] = made
        return torch.empty(0) if values is None else values.to(place)

    def _each(
        self, work: Callable[[Rows], Tensor], numbers: Rows, place: torch.device, done: Callable[[int], None]
    ) -> Tensor:
        """Do ``work`` on ``numbers``, a batch at a time, all processes together; keep what it gives."""
        world, size = self._source.world, self._at_once * self._source.world.size
        kept = torch.empty(0)
        for start in range(0, len(numbers), size):
            chosen = numbers[start : start + size]
            found = world.in_shares(work, chosen).to(place)
            if start == 0:
                kept = torch.empty((len(numbers), *found.shape[1:]), dtype=found.dtype, device=found.device)
            kept[start : start + len(chosen)] = found
            done(start + len(chosen))
        return kept

    def _activations(self, layers: nn.Module, given: Tensor) -> Tensor:
        """What ``layers`` give of ``(n, channels, ...)``, channels last: ``(n, ..., channels)``."""
        layers.eval()
        with torch.no_grad(), arithmetic(layers, given.device, self._half):
            found: Tensor = layers(given)
        return found.movedim(1, -1).contiguous()


class Activations:
    """A `mammo_train.feed.Feed` of what is kept of the frozen layers, for a network of those behind them."""

    def __init__(self, source: Source, network: Network, phase: Phase, rows: Rows, kept: Kept) -> None:
        """``kept`` is of all that ``phase`` shows of ``rows``."""
        self.network = network
        self._kept = kept
        self._copies = kept_variants(phase)
        self._slots = np.zeros(int(rows.max()) + 1, np.intp)
        self._slots[rows] = np.arange(len(rows))
        self._pictures_at_once = batch_of(source.inputs, network.model.architecture)
        self._device = source.world.device

    def training(self, batches: Sequence[Batch], *, epoch: int) -> Iterator[Given]:
        """Batches with the activations of their images."""
        for batch in batches:
            slots = torch.from_numpy(self._slots[batch.rows]).to(self._kept.place)
            copies = torch.from_numpy(fixed_copies(batch, epoch, self._copies).copies).to(self._kept.place)
            yield batch, channels_first(self._kept.training[copies, slots], self._device), None

    def validation(self, done: Done) -> NDArray[np.float64]:
        """Logits of the validation rows, by every process for itself: they are quick."""
        kept = self._kept.validation
        size = _TABLE_BATCH if kept[0].numel() < _TABLE_BATCH else self._pictures_at_once
        parts = []
        for start in range(0, len(kept), size):
            given = channels_first(kept[start : start + size], self._device)
            parts.append(in_evaluation(self.network, given).cpu().double().numpy())
            done(min(start + size, len(kept)), len(kept))
        return np.concatenate(parts)


def channels_first(kept: Tensor, device: torch.device) -> Tensor:
    """Kept activations ``(n, ..., channels)`` -> what layers take ``(n, channels, ...)``, as they lie in memory."""
    return kept.to(device, non_blocking=True).movedim(-1, 1)


def place_for(needed: int, device: torch.device, held: Kept | None = None) -> torch.device | None:
    """Where so many bytes of activations may be kept, beside those ``held``: on the device, in main memory, or nowhere.

    All of them together may take `MEMORY_SHARE` of the memory that would be free without them.
    """
    places = {torch.device("cpu"): int(psutil.virtual_memory().available)}
    if device.type == "cuda":
        places = {device: torch.cuda.mem_get_info(device)[0], **places}
    for place, free in places.items():
        taken = held.nbytes if held is not None and held.place == place else 0
        if needed + taken <= MEMORY_SHARE * (free + taken):
            return place
    return None
