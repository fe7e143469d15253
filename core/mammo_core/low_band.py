"""Unsigned pixels -> the same at a power of two below full size, exactly as JPEG 2000 halves an image.

A model input is made from this band whatever the file's transfer syntax, so that the same pixels get the same
score; JPEG 2000 decoders hand the band out without decoding the rest. Knows nothing of files or mammograms.
"""

import numpy as np
from numpy.typing import NDArray

_STRIPE = 1 << 17
"""Pixels that are worked on at a time: what the second-level cache holds as int32."""


def low_band(pixels: NDArray[np.uint16], halvings: int, highest: int = 65535) -> NDArray[np.uint16]:
    """Halve an image ``(H, W)`` ``halvings`` times: uint16 ``(ceil(H / 2**n), ceil(W / 2**n))``.

    Sample ``(i, j)`` is centred on pixel ``(i * 2**n, j * 2**n)``. This is the LL band of the reversible 5/3
    transform of ISO/IEC 15444-1 Annex F (columns first, then rows, symmetric at the borders), its overshoot
    clipped to ``[0, highest]`` at the end as a decoder does.
    """
    if not halvings:
        return pixels
    band = _halved(pixels)
    for _ in range(halvings - 1):
        band = _halved(band)
    return np.clip(band, 0, highest).astype(np.uint16)


def halvings_within(longer: int, target: int) -> int:
    """How often ``longer`` samples can be halved so that twice ``target`` of them are left."""
    return max((longer // (2 * target)).bit_length() - 1, 0)


def _halved(band: NDArray[np.uint16] | NDArray[np.int32]) -> NDArray[np.int32]:
    """One level: ``(H, W)`` -> ``(ceil(H / 2), ceil(W / 2))``, stripe by stripe."""
    height, width = band.shape
    low = np.empty((-(-height // 2), -(-width // 2)), np.int32)
    rows = max(_STRIPE // width, 1)
    for first in range(0, len(low), rows):
        last = min(first + rows, len(low))
        # row i of the result needs rows 2 i - 2 to 2 i + 2
        chosen = _mirrored(2 * first - 2, 2 * last + 1, height)
        part = band[chosen].astype(np.int32)
        columns = _lifted(part)
        edges = _mirrored(-2, 0, width), _mirrored(width, 2 * low.shape[1] + 1, width)
        wide = np.concatenate([columns[:, edges[0]], columns, columns[:, edges[1]]], axis=1)
        low[first:last] = _lifted(wide.T).T
    return low


def _mirrored(start: int, stop: int, size: int) -> NDArray[np.intp]:
    """Indices ``start .. stop - 1`` folded back into ``0 .. size - 1`` about the end samples (F.3.6)."""
    period = max(2 * (size - 1), 1)
    index = np.abs(np.arange(start, stop)) % period
    return np.minimum(index, period - index) if size > 1 else np.zeros_like(index)


def _lifted(x: NDArray[np.int32]) -> NDArray[np.int32]:
    """Rows ``-2 .. 2 n`` of a signal ``(2 n + 3, W)`` -> its low half ``(n, W)``: F-5 and F-6 of the standard."""
    even, odd = x[0::2], x[1::2]
    detail = odd - ((even[:-1] + even[1:]) >> 1)
    return even[1:-1] + ((detail[:-1] + detail[1:] + 2) >> 2)
