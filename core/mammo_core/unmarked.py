"""Pictures without what was laid on the breast or written beside it: nipple markers, side markers, lettering.

Knows nothing of networks. A marker of metal is the brightest and roundest thing in a picture; a network that learnt
from few of them takes it for a finding.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mammo_core.pooling import shows_breast

_LONGER_SIDE = 256
"""Pixels of the longer side of a picture in which the lengths below are counted; larger pictures scale them."""
_NARROW = 7
"""Half the side of the smallest square that lettering is too thin to hold."""
_FOLDS = 4
"""How many times as far a thin fold of skin may stick out of what is wide."""
_NEAR = 4
"""How near the air a nipple marker lies."""
_RINGS = (3, 4, 5)
"""Half the sides of the square rings around a spot: one of them lies just outside a marker of 2 to 4 mm."""
_HALO = 2
"""How far the blur of a marker reaches beyond the part that outshines its ring."""
_CONTRAST = 0.35
"""Part of a picture's range by which a marker outshines everything on such a ring; a line of skin crosses it."""
_BRIGHT = 0.85
"""Least brightness of a marker, as a part of a picture's range."""
_LEAST = 1e-6
"""Smallest weight that a mean divides by."""


def unmarked(images: Tensor) -> Tensor:
    """Images ``(N, C, H, W)`` -> the same with markers and lettering painted over, whatever they are normalised by.

    What is lit but too narrow to be a breast and not joined to one becomes as dark as the air: lettering, side
    markers. A small bright spot at the skin becomes the mean of what surrounds it: nipple markers. The same spot
    further inside is left, because there it may be a calcification. Nothing becomes brighter.
    """
    scale = max(images.shape[2:]) / _LONGER_SIDE
    narrow, near, halo = (max(round(length * scale), 1) for length in (_NARROW, _NEAR, _HALO))
    lit = shows_breast(images)
    breast = _wide(lit, narrow)
    by_the_air = _largest(_air(breast).float(), near) > 0
    rings = sorted({max(round(ring * scale), 2) for ring in _RINGS})
    # A bright dot of lettering is no marker: it lies on no breast.
    spots = _spots(images[:, :1].float(), rings) & by_the_air & breast
    markers = breast & (_largest(spots.float(), halo) > 0)
    painted = torch.where(lit & ~breast, images.amin((2, 3), keepdim=True), images)
    # Most pictures have none, and the mean costs more than all the rest.
    marked = markers.flatten(1).any(1)
    if marked.any():
        around = _surroundings(painted[marked].contiguous(), markers[marked], narrow)
        painted[marked] = torch.where(markers[marked], painted[marked].minimum(around), painted[marked])
    return painted


def _wide(lit: Tensor, reach: int) -> Tensor:
    """Which lit pixels ``(N, 1, H, W)`` belong to something wider than ``2 reach``, or stick out of it a little."""
    found = _opened(lit.float(), reach) > 0
    for _ in range(_FOLDS):
        found = lit & (_largest(found.float(), reach) > 0)
    # A picture of nothing wide keeps what it has.
    return torch.where(found.any(3, keepdim=True).any(2, keepdim=True), found, lit)


def _air(breast: Tensor) -> Tensor:
    """Which pixels ``(N, 1, H, W)`` see the picture's border along their row or column without a breast between."""
    sees, there = torch.zeros_like(breast), breast.int()
    for axis in (2, 3):
        sees |= there.cumsum(axis) == 0
        sees |= there.flip(axis).cumsum(axis).flip(axis) == 0
    return sees


def _spots(grey: Tensor, rings: Sequence[int]) -> Tensor:
    """Which pixels ``(N, 1, H, W)`` are bright and outshine the whole of a square ring around them."""
    darkest, brightest = grey.amin((2, 3), keepdim=True), grey.amax((2, 3), keepdim=True)
    least = torch.stack([_ring(grey, ring) for ring in rings]).amin(0)
    spread = brightest - darkest
    return (grey - least > _CONTRAST * spread) & (grey - darkest > _BRIGHT * spread)


def _ring(grey: Tensor, reach: int) -> Tensor:
    """Largest value on the square ring ``reach`` pixels around each pixel: ``(N, 1, H, W)``."""
    rows = functional.pad(_along(grey, 3, reach), (0, 0, reach, reach), value=-torch.inf)
    columns = functional.pad(_along(grey, 2, reach), (reach, reach, 0, 0), value=-torch.inf)
    whole = 2 * reach
    sides = (rows[:, :, :-whole], rows[:, :, whole:], columns[..., :-whole], columns[..., whole:])
    return torch.stack(sides).amax(0)


def _surroundings(images: Tensor, markers: Tensor, reach: int) -> Tensor:
    """Mean of what is no marker within ``reach`` pixels in both directions: ``(N, C, H, W)``."""
    kept = (~markers).float()
    size = 2 * reach + 1
    weight = functional.avg_pool2d(kept, size, 1, reach).clamp(min=_LEAST)
    return functional.avg_pool2d(images * kept, size, 1, reach) / weight


def _opened(images: Tensor, reach: int) -> Tensor:
    """Grey-scale opening by a square of ``2 reach + 1`` pixels: what is narrower goes. ``(N, C, H, W)``."""
    return _largest(-_largest(-images, reach), reach)


def _largest(images: Tensor, reach: int) -> Tensor:
    """Largest value within ``reach`` pixels in both directions: ``(N, C, H, W)``."""
    return _along(_along(images, 2, reach), 3, reach)


def _along(images: Tensor, axis: int, reach: int) -> Tensor:
    """Largest value within ``reach`` pixels along one axis, 2 or 3: ``(N, C, H, W)``.

    By doubling: torch's own pooling compares every pixel with the whole window and is ten times as slow.
    """
    ends = (0, 0, reach, reach) if axis == 2 else (reach, reach)
    found = functional.pad(images, ends, value=-torch.inf)
    window, covered = 2 * reach + 1, 1
    while covered < window:
        step = min(covered, window - covered)
        length = found.shape[axis] - step
        found = found.narrow(axis, 0, length).maximum(found.narrow(axis, step, length))
        covered += step
    return found
