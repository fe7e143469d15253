"""Pixels and heatmaps as the viewer receives them: hung, raw, packed once.

Knows nothing of the database and of where the bytes are kept.
"""

import gzip

import numpy as np
from numpy.typing import NDArray

from mammo_core.mammogram import Hanging, Mammogram, hang, unhang

_LEVEL = 1
"""gzip level: higher ones cost seconds per view and save a tenth of the size."""


def pack(pixels: NDArray[np.uint16]) -> bytes:
    """Gzip of uint16 ``(H, W)`` pixels, little-endian, row by row; the same pixels give the same bytes."""
    return gzip.compress(np.ascontiguousarray(pixels, dtype="<u2").tobytes(), _LEVEL, mtime=0)


def unpack(blob: bytes, rows: int, columns: int) -> NDArray[np.uint16]:
    """The uint16 ``(rows, columns)`` array that ``pack`` was given."""
    return np.frombuffer(gzip.decompress(blob), dtype="<u2").reshape(rows, columns)


def hung_blob(mammogram: Mammogram) -> tuple[bytes, int, int]:
    """Packed pixels as hung, with the rows and columns they have then."""
    pixels = hang(mammogram.pixels, mammogram.header.hanging)
    return pack(pixels), pixels.shape[0], pixels.shape[1]


def rehung_blob(blob: bytes, rows: int, columns: int, before: Hanging, after: Hanging) -> tuple[bytes, int, int]:
    """The same pixels hung another way, without decoding the file again."""
    pixels = hang(unhang(unpack(blob, rows, columns), before), after)
    return pack(pixels), pixels.shape[0], pixels.shape[1]


def heat_bytes(values: NDArray[np.float32], peak: float, hanging: Hanging) -> tuple[bytes, int, int]:
    """A heatmap in file orientation, float32 ``(h, w) >= 0``, as hung uint8 where 255 is ``peak`` (> 0)."""
    scaled = np.rint(np.clip(values / peak, 0.0, 1.0) * 255.0).astype(np.uint8)
    hung = np.ascontiguousarray(hang(scaled, hanging))
    return hung.tobytes(), hung.shape[0], hung.shape[1]
