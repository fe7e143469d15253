"""Where a model looks, against where the lesions are: pointing game, heat inside the mask, peak and spread.

Knows nothing of scores or thresholds. Everything is measured on the prepared picture, in its pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.checkpoint import Checkpoint, model_of
from mammo_core.heatmap import Heatmap, counted_pixels, heatmap, methods, on_file, peak_point, raw_maps
from mammo_core.inputs import Placement
from mammo_core.mammogram import breast_mask
from mammo_train.scoring import input_batch

if TYPE_CHECKING:
    from mammo_train.prepared_set import PreparedSet

_BATCH = 16
"""Pictures in one forward pass."""


@dataclass(frozen=True)
class HeatFacts:
    """What was measured of one picture's heatmap."""

    row: int
    """Of the prepared set's table."""
    localised: bool
    """False where no place speaks for a finding: peak 0, nothing to measure."""
    peak: float
    """Highest value of the map: for Grad-CAM behind average pooling, the logits that one cell adds."""
    spread: float
    """Smallest share of the breast that holds half of the heat: small is focal. NaN where nothing is localised."""
    pointed: bool | None
    """Whether the strongest place lies in a lesion or within half a cell of one; None without a mask."""
    pointed_share: float
    """Share of the breast where such a hit would be counted: what pointing at random achieves. NaN without a mask."""
    heat_in_lesion: float
    """Share of the heat over the breast that lies in the mask; NaN without a mask or where nothing is localised."""
    lesion_share: float
    """Share of the breast that the mask covers: what even heat would achieve. NaN without a mask."""


def heatmaps(
    checkpoint: Checkpoint,
    data: "PreparedSet",
    rows: Sequence[int],
    *,
    device: torch.device,
    tell: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Heatmap]]:
    """Give every row's heatmap by the model's first method; ``tell`` gets the number of rows done so far."""
    header = checkpoint.header
    model = model_of(checkpoint).to(device)
    method = methods(checkpoint)[0].method
    done = 0
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        images = input_batch(header.inputs, data, np.asarray(part)).to(device)
        with torch.inference_mode():
            grids = raw_maps(model, model.features(images), method)
        for row, grid, image in zip(part, grids, images.cpu().numpy(), strict=True):
            placement = whole(images.shape[2], images.shape[3])
            yield row, heatmap(grid, method, placement, header.cell_shift, counted_pixels(model, image))
        done += len(part)
        if tell is not None:
            tell(done)


def shuffled(checkpoint: Checkpoint, seed: int) -> Checkpoint:
    """Return the checkpoint with the values of every weight tensor in random order: nothing learnt is left in it.

    A map that stays as it was shows the picture and not the model (Adebayo et al., Sanity Checks for Saliency Maps,
    NeurIPS 2018). Biases, norms and statistics stay, so that activations keep their size.
    """
    random = torch.Generator().manual_seed(seed)

    def mixed(tensor: Tensor) -> Tensor:
        if tensor.ndim < 2:
            return tensor
        return tensor.flatten()[torch.randperm(tensor.numel(), generator=random)].view_as(tensor)

    return replace(checkpoint, weights={name: mixed(tensor) for name, tensor in checkpoint.weights.items()})


def whole(rows: int, columns: int) -> Placement:
    """Return the placement of a picture that is the model's input already, padding included."""
    return Placement(
        crop=(0, 0, rows, columns),
        transpose=False,
        flip_horizontal=False,
        flip_vertical=False,
        size=(rows, columns),
        offset=(0, 0),
        input_size=(rows, columns),
    )


def breast_of(picture: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Where the breast is in a prepared picture ``(H, W)``: bool, never empty."""
    found = breast_mask(picture.astype(np.uint16))
    if found.any():
        return found
    lit = picture > 0
    return lit if lit.any() else np.ones(picture.shape, np.bool_)


def measured_heat(row: int, heat: Heatmap, breast: NDArray[np.bool_], lesion: NDArray[np.bool_] | None) -> HeatFacts:
    """Measure one heatmap against the breast ``(H, W)`` and its lesion mask ``(H, W)``, if it has one.

    Pointing game after Zhang et al., IJCV 126:1084 (2018); heat inside the mask is the energy-based pointing game
    of Wang et al., Score-CAM, CVPRW 2020, taken over the breast.
    """
    nan = float("nan")
    shares = (nan, nan)
    near: NDArray[np.bool_] | None = None
    if lesion is not None and lesion.any():
        near = _within(lesion, _half_cell(heat))
        # A mask may reach a pixel beyond what counts as breast: the breast is never smaller than its lesion.
        breast = breast | lesion
        shares = float(lesion.sum() / breast.sum()), float((near & breast).sum() / breast.sum())
    peak = peak_point(heat)
    if peak is None:
        pointed = None if near is None else False
        return HeatFacts(row, False, 0.0, nan, pointed, shares[1], nan, shares[0])
    rows, columns = breast.shape
    shown = np.where(breast, on_file(heat, rows, columns), 0.0).astype(np.float64)
    total = float(shown.sum())
    hit, inside = None, nan
    if near is not None and lesion is not None:
        at = int(np.clip(peak[1], 0, rows - 1)), int(np.clip(peak[0], 0, columns - 1))
        hit = bool(near[at])
        inside = float(shown[lesion].sum() / total) if total > 0 else nan
    return HeatFacts(row, True, heat.peak, _spread(shown[breast]), hit, shares[1], inside, shares[0])


def _spread(heat: NDArray[np.float64]) -> float:
    """Smallest share of the values ``(N,)`` whose sum is half of all; NaN where all are 0."""
    falling = np.cumsum(np.sort(heat)[::-1])
    if not falling[-1] > 0:
        return float("nan")
    return float((np.searchsorted(falling, falling[-1] / 2) + 1) / heat.size)


def _half_cell(heat: Heatmap) -> float:
    """Half a cell of the map in pixels: a map says no more precisely than that where its strongest place is."""
    rows, columns = heat.placement.input_size
    return float(max(rows / heat.grid.shape[0], columns / heat.grid.shape[1])) / 2


def _within(lesion: NDArray[np.bool_], pixels: float) -> NDArray[np.bool_]:
    """Everywhere at most ``pixels`` from the mask."""
    away = cv2.distanceTransform(np.where(lesion, 0, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away <= pixels)
