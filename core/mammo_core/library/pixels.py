"""Pixels and heatmaps as the viewer receives them: hung, raw, packed once.

Knows nothing of the database and of where the bytes are kept.
"""

import gzip
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mammo_core.mammogram import Hanging, hang

_LEVEL = 1
"""gzip level: higher ones cost seconds per view and save a tenth of the size."""

_STRIPE = 1 << 21
"""Pixels that are packed at a time, so that no second copy of a large image is in memory."""


def pack(pixels: NDArray[np.uint16]) -> Iterator[bytes]:
    """Gzip of uint16 ``(H, W)`` pixels, little-endian, row by row; the same pixels give the same bytes."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    rows = max(_STRIPE // pixels.shape[1], 1)
    for first in range(0, pixels.shape[0], rows):
        yield packer.compress(np.ascontiguousarray(pixels[first : first + rows], dtype="<u2").data)
    yield packer.flush()


def unpack(blob: bytes, rows: int, columns: int) -> NDArray[np.uint16]:
    """The uint16 ``(rows, columns)`` array that ``pack`` was given."""
    return np.frombuffer(gzip.decompress(blob), dtype="<u2").reshape(rows, columns)


def heat_bytes(values: NDArray[np.float32], peak: float, hanging: Hanging) -> tuple[bytes, int, int]:
    """A heatmap in file orientation, float32 ``(h, w) >= 0``, as hung uint8 where 255 is ``peak`` (> 0)."""
    scaled = np.rint(np.clip(values / peak, 0.0, 1.0) * 255.0).astype(np.uint8)
    hung = np.ascontiguousarray(hang(scaled, hanging))
    return hung.tobytes(), hung.shape[0], hung.shape[1]
