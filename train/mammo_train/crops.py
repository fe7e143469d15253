"""Square crops to learn from instead of whole pictures: around a lesion where there is one, else anywhere in tissue.

Knows nothing of networks. After Shen et al., Sci Rep 9:12495 (2019): a network that has learnt what a lesion looks
like in a small patch learns from whole mammograms what it hardly finds in them alone.
"""

import numpy as np
from numpy.typing import NDArray

from mammo_train.augment import Pixels
from mammo_train.marks import LESION, Marks

_BENIGN_SHARE = 0.25
"""Part of the crops of a negative picture with a benign lesion that lie around it."""
_TISSUE = 0.15
"""Least brightness, of the full scale, that counts as tissue."""
_TRIES = 64


def cropped(
    pixels: Pixels, marks: Marks, mask: NDArray[np.bool_] | None, size: int, random: np.random.Generator
) -> tuple[Pixels, Marks]:
    """Cut ``size`` x ``size`` pixels out of a picture ``(H, W)`` and its marks.

    Around a marked lesion if there is one, now and then around another lesion of the ``mask``, else around some
    tissue; its centre lies up to a quarter of the crop's side away. Smaller pictures are kept whole along that side.
    """
    row, column = _centre(pixels, marks, mask, random)
    away = random.integers(-(size // 4), size // 4 + 1, 2)
    rows, columns = (
        slice(start, start + size)
        for start in (
            int(np.clip(at - size // 2 + off, 0, max(side - size, 0)))
            for at, off, side in zip((row, column), away, pixels.shape, strict=True)
        )
    )
    return pixels[rows, columns], marks[rows, columns]


def _centre(
    pixels: Pixels, marks: Marks, mask: NDArray[np.bool_] | None, random: np.random.Generator
) -> tuple[int, int]:
    """Choose the pixel ``(row, column)`` that a crop lies around."""
    chosen = marks == LESION
    if not chosen.any() and mask is not None and random.random() < _BENIGN_SHARE:
        chosen = mask
    places = np.flatnonzero(chosen)
    if not places.size:
        # A handful of tries instead of a search: nearly half of a picture is tissue.
        tried = random.integers(pixels.size, size=_TRIES)
        lit = tried[pixels.reshape(-1)[tried] > _TISSUE * np.iinfo(pixels.dtype).max]
        places = lit if lit.size else tried[pixels.reshape(-1)[tried].argmax()][None]
    row, column = divmod(int(places[random.integers(places.size)]), pixels.shape[1])
    return row, column
