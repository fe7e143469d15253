"""What the layers that learn are given: pictures, varied anew in every epoch.

Knows nothing of losses. `mammo_train.cached` has the other feed: activations of frozen layers, computed once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.inputs import InputSettings
from mammo_core.phases import Augmentation, Phase
from mammo_train.dataset import Images, as_input
from mammo_train.distributed import World
from mammo_train.precision import Network
from mammo_train.sampling import Batch, Rows
from mammo_train.scoring import batch_of

Given = tuple[Batch, Tensor, Tensor | None]
"""A batch, what the network takes, and marks ``(n, H, W)`` of its lesions where they are asked for."""


class Feed(Protocol):
    """Where a phase's batches come from, and the network that takes them."""

    network: Network

    def training(self, batches: Sequence[Batch], *, epoch: int) -> Iterator[Given]:
        """Batches with what ``network`` takes, on the device, and marks where the phase asks for lesions."""
        ...

    def validation(self, done: Callable[[int, int], None]) -> NDArray[np.float64]:
        """Logits of the validation rows, computed by all processes together."""
        ...


@dataclass(frozen=True)
class Source:
    """Pictures on their way to one process."""

    images: Images
    """Of the training and validation rows."""
    inputs: InputSettings
    validation: Rows
    seed: int
    world: World

    def shown(self, pictures: Tensor) -> Tensor:
        """Pictures ``(n, 1, H, W)`` -> model input on the device."""
        return as_input(pictures.to(self.world.device, non_blocking=True), self.inputs)


class PictureFeed:
    """Pictures for a network that begins with the first layer."""

    def __init__(self, source: Source, network: Network, phase: Phase, *, fixed: int = 0) -> None:
        """``fixed`` is a number of variants that each image keeps; 0: a new one every time."""
        self.network = network
        self._source = source
        self._phase = phase
        self._fixed = fixed

    def training(self, batches: Sequence[Batch], *, epoch: int) -> Iterator[Given]:
        """See `Feed`."""
        source = self._source
        if self._phase.crop or self._phase.lesion_loss:
            going = source.images.marked(batches, self._phase, seed=source.seed, epoch=epoch)
            for batch, pictures, marks in going:
                yield batch, source.shown(pictures), marks.to(source.world.device)
            return
        if self._fixed:
            batches, epoch = [fixed_copies(batch, epoch, self._fixed) for batch in batches], 0
        for batch, pictures in source.images.varied(batches, self._phase.augmentation, seed=source.seed, epoch=epoch):
            yield batch, source.shown(pictures), None

    def validation(self, done: Callable[[int, int], None]) -> NDArray[np.float64]:
        """See `Feed`."""
        source = self._source
        rows, size = source.validation, batch_of(source.inputs, self.network.model.architecture) * source.world.size

        def work(share: Rows) -> Tensor:
            return in_evaluation(self.network, source.shown(source.images.plain(share)))

        parts = []
        for start in range(0, len(rows), size):
            parts.append(source.world.in_shares(work, rows[start : start + size]).cpu().double().numpy())
            done(min(start + size, len(rows)), len(rows))
        return np.concatenate(parts)


def in_evaluation(network: Network, given: Tensor) -> Tensor:
    """Logits ``(n,)`` as the finished model would give them."""
    network.eval()
    with torch.inference_mode():
        found: Tensor = network(given)[0]
    return found


def fixed_copies(batch: Batch, epoch: int, copies: int) -> Batch:
    """Say which of its kept variants each image of a batch shows in an epoch: the next one each time it comes."""
    return replace(batch, copies=(epoch + batch.copies) % copies)


def kept_variants(phase: Phase) -> int:
    """Return in how many variants a phase shows each image for good, lest frozen layers work twice; 0: ever new.

    Frozen layers give the same for the same picture. A phase of the head alone keeps ``feature_copies`` of each,
    one that trains more does so where several are asked for; without augmentation there is one anyway. Crops
    are ever new, and cells are asked about pictures.
    """
    if phase.trained == "all" or phase.crop or phase.lesion_loss:
        return 0
    if phase.augmentation == Augmentation():
        return 1
    return phase.feature_copies if phase.trained == 1 or phase.feature_copies > 1 else 0
