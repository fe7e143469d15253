"""A model over many prepared pictures: one logit each.

Knows nothing of labels, or of training.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mammo_core.calibration import Calibration, probability, sigmoid
from mammo_core.inputs import InputSettings
from mammo_core.model import Architecture, Model
from mammo_core.phases import Augmentation
from mammo_train.dataset import Images, as_input
from mammo_train.prepared_set import PreparedSet
from mammo_train.sampling import Batch, Rows

_PIXELS = 64 * 256 * 256
"""Pixels in one forward pass: 64 of the study's pictures, without filling the memory with larger ones."""


def input_batch(inputs: InputSettings, data: PreparedSet, rows: Rows) -> Tensor:
    """Pictures in ``rows`` ``(N,)`` as the model sees them: float32 ``(N, C, H, W)``, normalised, channels last."""
    images = Images(data, rows)
    try:
        return as_input(images.plain(rows), inputs)
    finally:
        images.close()


def image_logits(
    model: Model,
    inputs: InputSettings,
    data: PreparedSet,
    rows: Rows,
    *,
    device: torch.device | str = "cpu",
    batch: int | None = None,
    varied: Augmentation | None = None,
    copy: int = 0,
    tell: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Logits float64 ``(N,)`` of the pictures in ``rows``, in float32 as `mammo_core.reader` computes them.

    ``batch`` is the number of pictures in a forward pass, by default as many as have 4 megapixels. ``varied`` varies
    the pictures first: by the picture and the number of the ``copy`` alone, so that every model sees the same ones.
    ``tell`` is called with how many are done and their number.
    """
    images = Images(data, rows)
    size = batch or batch_of(inputs, model.architecture)
    model.to(device).to(memory_format=torch.channels_last).eval()
    parts, done = [np.empty(0)], 0
    try:
        for pictures in _pictures(images, [rows[at : at + size] for at in range(0, len(rows), size)], varied, copy):
            parts.append(_logits(model, as_input(pictures.to(device), inputs)).cpu().double().numpy())
            done += len(pictures)
            if tell is not None:
                tell(done, len(rows))
    finally:
        images.close()
    return np.concatenate(parts)


def _pictures(images: Images, batches: Sequence[Rows], varied: Augmentation | None, copy: int) -> Iterator[Tensor]:
    """Pictures of one batch after the other: float32 ``(n, 1, H, W)`` in [0, 1]."""
    if varied is None:
        yield from map(images.plain, batches)
        return
    asked = [Batch(rows, np.full(len(rows), copy, np.intp), len(rows)) for rows in batches]
    for _, pictures in images.varied(asked, varied, seed=0, epoch=0):
        yield pictures


def _logits(network: nn.Module, given: Tensor) -> Tensor:
    """Logits float32 ``(n,)`` of one batch, on its device, by a network in evaluation mode."""
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        found: Tensor = network(given)
    return found


def batch_of(inputs: InputSettings, architecture: Architecture) -> int:
    """Return how many pictures of this size, as large as they are looked at, go into one forward pass."""
    return max(int(_PIXELS / (inputs.height * inputs.width * architecture.enlarge**2)), 1)


def view_scores(calibration: Calibration | None, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores in [0, 1] of views, as `mammo_core.reader` gives them: calibrated where the model is."""
    return sigmoid(logits) if calibration is None else probability(calibration, logits)
