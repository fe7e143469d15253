"""Training images varied at random, so that an image of one epoch is never quite that of another.

Knows nothing of tables or models. What is drawn depends on nothing but the seed, the epoch and the image, so that
a resumed run, and one on several machines, see the same pictures. One image at a time through OpenCV, which
leaves Python's other threads alone: on a CPU a tenth of what the same takes through torch's sampling grid.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mammo_core.phases import Augmentation

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
Shown = NDArray[np.float32]
Marks = NDArray[np.uint8]
Picture = TypeVar("Picture", NDArray[np.float32], NDArray[np.uint8])

_ERASED_LEAST = 0.02
_ERASED_ASPECT = 3.3
"""Smallest part that is erased and most that a rectangle is longer than wide, as Zhong et al. have them."""


def shown(pixels: Pixels) -> Shown:
    """Stored pixels ``(H, W)`` -> float32 in [0, 1], as they are."""
    return np.divide(pixels, np.iinfo(pixels.dtype).max, dtype=np.float32)


def varied(pixels: Pixels, augmentation: Augmentation, *, key: tuple[int, ...]) -> Shown:
    """Stored pixels ``(H, W)`` -> float32 ``(H, W)`` in [0, 1], varied at random as ``key`` draws it.

    ``key`` is whatever must make a difference, all >= 0: seed, epoch, image, and how often it came before.
    """
    return _varied(pixels, augmentation, key)[0]


def varied_with_marks(
    pixels: Pixels, marks: Marks, augmentation: Augmentation, *, key: tuple[int, ...]
) -> tuple[Shown, Marks]:
    """Vary a picture as `varied` does and move its marks ``(H, W)`` (whole numbers, 0 outside) along with it."""
    image, along = _varied(pixels, augmentation, key)
    return image, along(marks)


def _varied(pixels: Pixels, augmentation: Augmentation, key: tuple[int, ...]) -> tuple[Shown, Callable[[Marks], Marks]]:
    """Vary a picture, and say how what lies on it moves along."""
    random = np.random.default_rng(key)
    image = np.take(_tone_curve(augmentation, pixels.dtype, random), pixels)
    flips = _drawn_flips(augmentation, random)
    matrix = _drawn_motion(image.shape, augmentation, random)
    image = _moved(image[flips], matrix, cv2.INTER_LINEAR)
    image = _blurred(image, augmentation, random)
    image = _noisy(image, augmentation, random)
    return _erased(image, augmentation, random), lambda marks: _moved(marks[flips], matrix, cv2.INTER_NEAREST)


def _tone_curve(
    augmentation: Augmentation, dtype: np.dtype[np.uint8 | np.uint16], random: np.random.Generator
) -> Shown:
    """Draw brightness, contrast and gamma as one table: for each stored value what is shown, in [0, 1].

    It begins at 0 and never falls: black stays black, and no edge comes about.
    """
    power = (1 + augmentation.gamma) ** random.uniform(-1, 1)
    steeper = 2 * augmentation.contrast * random.uniform(-1, 1)
    factor = 1 + augmentation.brightness * random.uniform(-1, 1)
    stored = np.linspace(0, 1, np.iinfo(dtype).max + 1, dtype=np.float32)
    curve = stored**power
    curve = curve + steeper * (curve * curve * (3 - 2 * curve) - curve)
    return np.asarray(np.clip(factor * curve, 0, 1), np.float32)


def _drawn_flips(augmentation: Augmentation, random: np.random.Generator) -> tuple[slice, slice]:
    down, across = random.random(2) < (augmentation.flip_vertical, augmentation.flip_horizontal)
    return slice(None, None, -1 if down else 1), slice(None, None, -1 if across else 1)


def _drawn_motion(
    shape: tuple[int, ...], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.float64] | None:
    """Draw a turn and scale about the middle and a shift, as one affine map ``(2, 3)``; None where nothing moves."""
    turn = augmentation.rotation * random.uniform(-1, 1)
    scale = 1 + augmentation.scale * random.uniform(-1, 1)
    shift = augmentation.translation * random.uniform(-1, 1, 2) * shape[::-1]
    if turn == 0 and scale == 1 and not shift.any():
        return None
    height, width = shape
    # OpenCV's coordinates are of pixel centres: the middle is half a pixel before half the size.
    matrix = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn, scale), np.float64)
    matrix[:, 2] += shift
    return matrix


def _moved(image: Picture, matrix: NDArray[np.float64] | None, interpolation: int) -> Picture:
    """Move a picture in one interpolation; black comes in from outside."""
    if matrix is None:
        return image
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, size, flags=interpolation, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(moved, image.dtype)


def _blurred(image: Shown, augmentation: Augmentation, random: np.random.Generator) -> Shown:
    chosen, sigma = random.random() < augmentation.blur, augmentation.blur_sigma * (1 - random.random())
    if not chosen:
        return image
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), sigma), np.float32)


def _noisy(image: Shown, augmentation: Augmentation, random: np.random.Generator) -> Shown:
    deviation, seed = augmentation.noise * random.random(), int(random.integers(2**63))
    if deviation == 0:
        return image
    # Of the generators at hand torch's is the quickest by three times.
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).numpy()
    return np.asarray(np.where(image > 0, np.clip(image + deviation * noise, 0, 1), 0), np.float32)


def _erased(image: Shown, augmentation: Augmentation, random: np.random.Generator) -> Shown:
    """Blacken a rectangle of random size, shape and place."""
    chosen, (size, shape, down, across) = random.random() < augmentation.erase, random.random(4)
    if not chosen:
        return image
    least = min(_ERASED_LEAST, augmentation.erase_area)
    area = (least + (augmentation.erase_area - least) * size) * image.size
    aspect = _ERASED_ASPECT ** (2 * shape - 1)
    height = min(max(round(math.sqrt(area * aspect)), 1), image.shape[0])
    width = min(max(round(math.sqrt(area / aspect)), 1), image.shape[1])
    top, left = round(down * (image.shape[0] - height)), round(across * (image.shape[1] - width))
    image = image.copy()
    image[top : top + height, left : left + width] = 0
    return image
