"""Unsigned pixels -> the same at a power of two below full size, exactly as JPEG 2000 halves an image.

A model input is made from this band whatever the file's transfer syntax, so that the same pixels get the same
score; JPEG 2000 decoders hand the band out without decoding the rest. Knows nothing of files or mammograms.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_STRIPE = 1 << 17
"""Pixels that are worked on at a time: what the second-level cache holds as int32."""

_SHORT = 8192
"""Pixels below this are halved as int16: every sum on the way fits, at half the memory traffic."""

_Band = NDArray[np.uint16] | NDArray[np.int16] | NDArray[np.int32]


def low_band(pixels: NDArray[np.uint16], halvings: int, highest: int = 65535) -> NDArray[np.uint16]:
    """Halve an image ``(H, W)`` ``halvings`` times: uint16 ``(ceil(H / 2**n), ceil(W / 2**n))``.

    Sample ``(i, j)`` is centred on pixel ``(i * 2**n, j * 2**n)``. This is the LL band of the reversible 5/3
    transform of ISO/IEC 15444-1 Annex F (columns first, then rows, symmetric at the borders), its overshoot
    clipped to ``[0, highest]`` at the end as a decoder does.
    """
    if not halvings:
        return pixels
    kind: type[np.int16] | type[np.int32] = np.int16 if int(pixels.max()) < _SHORT else np.int32
    band: _Band = pixels
    for _ in range(halvings):
        band = _halved(band, kind)
    return np.clip(band, 0, highest).astype(np.uint16)


def halvings_within(longer: int, target: int) -> int:
    """How often ``longer`` samples can be halved so that twice ``target`` of them are left."""
    return max((longer // (2 * target)).bit_length() - 1, 0)


def _halved(band: _Band, kind: type[np.int16] | type[np.int32]) -> _Band:
    """One level: ``(H, W)`` -> ``(ceil(H / 2), ceil(W / 2))`` of ``kind``, stripe by stripe."""
    height, width = band.shape
    low = np.empty((-(-height // 2), -(-width // 2)), kind)
    rows = max(_STRIPE // width, 1)
    edges = _mirrored(-2, 0, width), _mirrored(width, 2 * low.shape[1] + 1, width)
    for first in range(0, len(low), rows):
        last = min(first + rows, len(low))
        # row i of the result needs rows 2 i - 2 to 2 i + 2
        start, stop = 2 * first - 2, 2 * last + 1
        inside = start >= 0 and stop <= height
        part = band[start:stop] if inside else band[_mirrored(start, stop, height)]
        columns = _lifted(part.astype(kind))
        wide = np.concatenate([columns[:, edges[0]], columns, columns[:, edges[1]]], axis=1)
        # transposed and back, so that the arithmetic runs along rows of memory
        low[first:last] = cv2.transpose(_lifted(np.asarray(cv2.transpose(wide))))
    return low


def _mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices ``start .. stop - 1`` folded back into ``0 .. size - 1`` about the end samples (F.3.6)."""
    period = max(2 * (size - 1), 1)
    index = np.abs(np.arange(start, stop)) % period
    return np.minimum(index, period - index) if size > 1 else np.zeros_like(index)


def _lifted(x: NDArray[Any]) -> NDArray[Any]:
    """Rows ``-2 .. 2 n`` of a signal ``(2 n + 3, W)`` -> its low half ``(n, W)``: F-5 and F-6 of the standard."""
    even, odd = x[0::2], x[1::2]
    detail = even[:-1] + even[1:]
    detail >>= 1
    np.subtract(odd, detail, out=detail)
    low = detail[:-1] + detail[1:]
    low += 2
    low >>= 2
    low += even[1:-1]
    return np.asarray(low)
