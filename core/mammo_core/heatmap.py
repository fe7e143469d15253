"""Class-activation maps: which places raised the logit, on the file's own pixels.

Knows nothing of colours or screens, nor of what a mammogram is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.checkpoint import Checkpoint
from mammo_core.errors import InputError
from mammo_core.inputs import Placement
from mammo_core.model import Model
from mammo_core.pooling import shows_breast

Method = Literal["gradcam", "hirescam", "layercam"]

_TITLES: dict[Method, str] = {"gradcam": "Grad-CAM", "hirescam": "HiResCAM", "layercam": "LayerCAM"}


@dataclass(frozen=True)
class MethodChoice:
    """A way to draw heatmaps that is worth offering for a model."""

    method: Method
    title: str
    note: str
    """What it coincides with, or empty."""


@dataclass(frozen=True)
class Heatmap:
    """Evidence for the finding, cell by cell of the feature map."""

    method: Method
    grid: NDArray[np.float32]
    """``(h, w)``, >= 0, in logits: for Grad-CAM behind average pooling, what each cell adds to the logit."""
    placement: Placement
    cell_shift: tuple[float, float]
    """Where a cell looks, as pixels ``(down, right)`` of the middle of its block of the input."""
    counted: NDArray[np.bool_] | None
    """Pixels ``(H, W)`` of the input that the model counts, of which alone a cell speaks; None: all."""
    peak: float
    """Largest value of the grid; 0 where nothing is localised."""
    localised: bool
    reason: str
    """Why there is "no localisation: ...", or empty."""


def methods(checkpoint: Checkpoint) -> tuple[MethodChoice, ...]:
    """List the methods that differ for this model; the first is the default.

    Behind average pooling and a linear head the gradient is the same in every cell, so that averaging it
    (Grad-CAM) or not (HiResCAM) gives the same map.
    """
    if checkpoint.header.architecture.averages:
        note = "HiResCAM gives the same map for this model: its head is linear after average pooling"
        return (MethodChoice("gradcam", _TITLES["gradcam"], note), MethodChoice("layercam", "LayerCAM", ""))
    return tuple(MethodChoice(method, _TITLES[method], "") for method in get_args(Method))


def closed_form(model: Model, features: Tensor, method: Method) -> NDArray[np.float32]:
    """Raw maps ``(N, h, w)`` >= 0 from a feature map ``(N, K, h, w)``, without a backward pass.

    The gradient of the logit at channel ``k`` is ``w_k / (h w)`` in every cell, hence with ``A`` the feature
    map Grad-CAM (Selvaraju et al. 2017) and HiResCAM (Draelos and Carin 2020) are ``relu(sum_k w_k A_k) / (h
    w)`` and LayerCAM (Jiang et al. 2021) is ``relu(sum_k relu(w_k) A_k) / (h w)``. Average pooling only; over the
    breast alone, ``A`` is weighed already (`mammo_core.model.Model.features`) and 0 outside it.
    """
    if not model.architecture.averages:
        raise InputError("heatmap", f"no closed form behind {model.architecture.pooling} pooling")
    weights = model.head.weight[0].relu() if method == "layercam" else model.head.weight[0]
    maps = torch.einsum("k,nkhw->nhw", weights, features).relu() / features[0, 0].numel()
    return np.asarray(maps.detach().float().cpu().numpy(), np.float32)


def raw_maps(model: Model, features: Tensor, method: Method) -> NDArray[np.float32]:
    """Raw maps ``(N, h, w)`` >= 0 from a feature map ``(N, K, h, w)``, whatever the pooling.

    Behind anything but average pooling the gradient is taken at the feature map, so that the backbone is not run
    again. pytorch-grad-cam's own call stretches every map to [0, 1] twice over, by which a quiet view looks as loud
    as any: only its weighting of activations and gradients is used.
    """
    if model.architecture.averages:
        return closed_form(model, features, method)
    # Imports matplotlib and scikit-learn: only where it is needed.
    from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM

    kinds = {"gradcam": GradCAM, "hirescam": HiResCAM, "layercam": LayerCAM}
    with torch.inference_mode(False), torch.enable_grad():
        given = features.clone().detach().requires_grad_()
        (slopes,) = torch.autograd.grad(model.logits(given).sum(), given)
    activations, gradients = given.detach().float().cpu().numpy(), slopes.float().cpu().numpy()
    with kinds[method](model, []) as cam:
        maps = cam.get_cam_image(None, model.backbone, None, activations, gradients, False)
    return np.asarray(np.maximum(maps, 0), np.float32)


def counted_pixels(model: Model, shown: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Pixels ``(H, W)`` of an input ``(C, H, W)`` that the model's pooling counts; None: all, air as well."""
    if model.architecture.pooling != "breast":
        return None
    seen = model.glass.cleared(torch.from_numpy(shown[None]))
    breast = np.asarray(shows_breast(seen)[0, 0].numpy(), np.bool_)
    # Of a picture without a breast the model counts all (`mammo_core.pooling.on_breast`).
    return breast if breast.any() else None


def heatmap(
    grid: NDArray[np.float32],
    method: Method,
    placement: Placement,
    cell_shift: tuple[float, float] = (0.0, 0.0),
    counted: NDArray[np.bool_] | None = None,
) -> Heatmap:
    """Judge one raw map ``(h, w)``: a map that is empty or not finite says "no localisation" and why.

    ``counted`` are the pixels of the input that the model counts, as `counted_pixels` gives them.
    """
    if not np.isfinite(grid).all():
        reason = "no localisation: the map holds values that are not numbers"
    elif not (grid > 0).any():
        reason = "no localisation: no place in this view speaks for a finding"
    else:
        return Heatmap(method, grid, placement, cell_shift, counted, float(grid.max()), localised=True, reason="")
    return Heatmap(method, np.zeros_like(grid), placement, cell_shift, counted, 0.0, localised=False, reason=reason)


def on_file(heatmap: Heatmap, rows: int, columns: int, *, step: int = 1) -> NDArray[np.float32]:
    """Draw a heatmap over the file's pixels: float32 ``(ceil(rows / step), ceil(columns / step))``.

    In the file's orientation and in the grid's own units (not normalised), bilinear between the places where
    the cells look, and 0 outside the crop that the model saw and off the pixels that it counts: a cell at the skin
    speaks of the breast in it, not of the air. ``rows`` and ``columns`` are the file's. With ``step`` > 1 the samples
    divide the image evenly, as a texture stretched over it expects.
    """
    height, width = -(-rows // step), -(-columns // step)
    ys = (np.arange(height) + 0.5) * rows / height
    xs = (np.arange(width) + 0.5) * columns / width
    placement = heatmap.placement
    # Turns are by right angles, so that each axis of the file runs along one axis of the input.
    along_x = placement.to_input(np.stack([xs, np.zeros_like(xs)], axis=1))[:, 1 if placement.transpose else 0]
    along_y = placement.to_input(np.stack([np.zeros_like(ys), ys], axis=1))[:, 0 if placement.transpose else 1]
    sizes = placement.input_size[::-1] if placement.transpose else placement.input_size
    shifts = heatmap.cell_shift[::-1] if placement.transpose else heatmap.cell_shift

    def stretched(cells: NDArray[np.float32], shift: tuple[float, float]) -> NDArray[np.float32]:
        turned = cells.T if placement.transpose else cells
        down = _interpolation(along_y, turned.shape[0], sizes[0], shift[0])
        right = _interpolation(along_x, turned.shape[1], sizes[1], shift[1])
        return np.asarray(down @ turned @ right.T, np.float32)

    drawn = stretched(heatmap.grid, shifts)
    if heatmap.counted is not None:
        drawn *= stretched(heatmap.counted.astype(np.float32), (0.0, 0.0))
    y0, x0, y1, x1 = placement.crop
    drawn[(ys < y0) | (ys > y1)] = 0
    drawn[:, (xs < x0) | (xs > x1)] = 0
    return drawn


def normalise(heatmaps: Sequence[Heatmap | None], *, common: bool = True) -> list[float]:
    """Give the factor that brings each map into [0, 1].

    One for all, so that a quiet view looks quiet, or each its own; 0 where there is no map or nothing
    localised.
    """
    peaks = [h.peak if h is not None and h.localised else 0.0 for h in heatmaps]
    loudest = max(peaks, default=0.0)
    scales = [loudest if common else peak for peak in peaks]
    return [1.0 / scale if peak > 0 else 0.0 for peak, scale in zip(peaks, scales, strict=True)]


def peak_point(heatmap: Heatmap) -> tuple[float, float] | None:
    """Where the map is highest, as ``(x, y)`` in the file's pixels; None where nothing is localised."""
    if not heatmap.localised:
        return None
    row, column = np.unravel_index(int(heatmap.grid.argmax()), heatmap.grid.shape)
    height, width = heatmap.placement.input_size
    x = (int(column) + 0.5) * width / heatmap.grid.shape[1] + heatmap.cell_shift[1]
    y = (int(row) + 0.5) * height / heatmap.grid.shape[0] + heatmap.cell_shift[0]
    found = heatmap.placement.to_file(np.array([[x, y]]))[0]
    return float(found[0]), float(found[1])


def _interpolation(positions: NDArray[np.float64], cells: int, size: int, shift: float) -> NDArray[np.float32]:
    """Weights ``(positions, cells)`` of linear interpolation at positions in pixels of an input of ``size``.

    Cell ``j`` looks at ``(j + 0.5) size / cells + shift``; beyond the outermost cells their value goes on.
    """
    at = np.clip((positions - shift) * cells / size - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(at[:, None] - np.arange(cells)), 0), np.float32)
