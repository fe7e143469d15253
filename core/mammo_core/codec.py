"""One compressed or plain frame -> unsigned pixels, for JPEG 2000 also at a power of two below full size.

Knows transfer syntaxes and bits, nothing of mammograms. Every frame is checked to be complete and to have the
size and depth that the header declares before a decoder sees it.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from mammo_core import codestream
from mammo_core.codestream import SUBJECT, Codestream
from mammo_core.errors import InputError
from mammo_core.grayscale import PixelRule

NATIVE = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})
"""Implicit and Explicit VR Little Endian."""

JPEG_FRAMES = {
    "1.2.840.10008.1.2.4.50": frozenset({0xC0}),
    "1.2.840.10008.1.2.4.51": frozenset({0xC0, 0xC1}),
    "1.2.840.10008.1.2.4.57": frozenset({0xC3}),
    "1.2.840.10008.1.2.4.70": frozenset({0xC3}),
    "1.2.840.10008.1.2.4.80": frozenset({0xF7}),
    "1.2.840.10008.1.2.4.81": frozenset({0xF7}),
}
"""JPEG baseline, extended, lossless and JPEG-LS, with the frame headers that each may have (PS3.5 8.2.1,
8.2.3)."""

JPEG2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class Frame:
    """One frame as the file has it, checked against the header, not yet decoded."""

    data: bytes
    transfer_syntax: str
    rows: int
    columns: int
    rule: PixelRule
    stream: Codestream | None
    """What the compressed data says of itself; None for plain pixels and RLE."""

    @property
    def levels(self) -> int:
        """How often `decode` can halve the size: 0 for everything but unsigned JPEG 2000."""
        if self.stream is None or self.stream.signed or self.rule.signed:
            return 0
        return self.stream.levels


def checked_frame(data: bytes, transfer_syntax: str, rows: int, columns: int, rule: PixelRule) -> Frame:
    """The frame, once its codestream is complete and agrees with the header; `InputError` otherwise."""
    stream = None
    if transfer_syntax in NATIVE:
        expected = rows * columns * (rule.bits_allocated // 8)
        if len(data) not in (expected, expected + expected % 2):
            what = f"is {len(data):,} bytes long, expected {expected:,}"
            raise InputError(
                "Pixel Data (7FE0,0010)",
                f"{what} for {rows} x {columns} pixels of {rule.bits_allocated} bits",
            )
    elif transfer_syntax in JPEG_FRAMES:
        stream = codestream.jpeg(data, JPEG_FRAMES[transfer_syntax])
    elif transfer_syntax in JPEG2000:
        stream = codestream.jpeg2000(data)
    elif transfer_syntax == RLE:
        codestream.rle_segments(data, rule.bits_allocated // 8)
    else:
        raise InputError("Transfer Syntax UID (0002,0010)", f"is {transfer_syntax}, which is not decoded")
    if stream is not None:
        _agree(stream, rows, columns, rule)
    return Frame(data, transfer_syntax, rows, columns, rule, stream)


def _agree(stream: Codestream, rows: int, columns: int, rule: PixelRule) -> None:
    """PS3.5 8.2: header and codestream describe the same image."""
    if (stream.rows, stream.columns) != (rows, columns):
        found = f"hold {stream.rows} x {stream.columns} pixels"
        raise InputError(SUBJECT, f"{found}, but the header says {rows} x {columns}")
    if stream.components != 1:
        raise InputError(SUBJECT, f"have {stream.components} components, expected 1 (gray)")
    lowest = rule.bits_stored if rule.signed and not stream.signed else 2
    if not lowest <= stream.bits <= rule.bits_allocated:
        found = f"have {stream.bits} bits per pixel"
        raise InputError(SUBJECT, f"{found}, but the header says {rule.bits_stored} of {rule.bits_allocated}")


def decode(frame: Frame, reduction: int = 1) -> NDArray[np.uint16]:
    """Unsigned pixels: stored values minus the rule's offset.

    The shape is ``(ceil(rows / reduction), ceil(columns / reduction))``. ``reduction`` is a power of two of
    at most ``2 ** frame.levels``; sample ``(i, j)`` then sits on full-resolution pixel ``(i * reduction, j *
    reduction)``.
    """
    if reduction > 1:
        return _decode_reduced(frame, reduction)
    if frame.transfer_syntax in NATIVE:
        dtype = np.dtype("<u2") if frame.rule.bits_allocated == 16 else np.dtype(np.uint8)
        values = np.frombuffer(frame.data, dtype=dtype, count=frame.rows * frame.columns)
        return _unsigned(values.reshape(frame.rows, frame.columns), frame.rule, plain=True)
    if frame.stream is None:
        return _unsigned(_decode_rle(frame), frame.rule, plain=True)
    return _unsigned(_decode_stream(frame, frame.stream), frame.rule, plain=False)


def _decode_stream(frame: Frame, stream: Codestream) -> NDArray[Any]:
    """Integers ``(rows, columns)`` by imagecodecs, by GDCM where imagecodecs gives up."""
    try:
        if frame.transfer_syntax in JPEG2000:
            values = imagecodecs.jpeg2k_decode(stream.data, numthreads=2)
        elif 0xF7 in JPEG_FRAMES[frame.transfer_syntax]:
            values = imagecodecs.jpegls_decode(stream.data)
        else:
            values = imagecodecs.jpeg8_decode(stream.data)
    except (RuntimeError, ValueError, TypeError) as first:
        values = decode_with_gdcm(frame, stream, first)
    if values.shape != (frame.rows, frame.columns) or values.dtype.kind not in "ui":
        found = f"decode to {values.shape} of {values.dtype}"
        raise InputError(SUBJECT, f"{found}, expected {frame.rows} x {frame.columns} integers")
    return np.asarray(values)


def decode_with_gdcm(frame: Frame, stream: Codestream, first: Exception) -> NDArray[Any]:
    """The same by GDCM: slower, other quirks. ``first`` is what the first decoder raised, for the message."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(frame.transfer_syntax)
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = frame.rows, frame.columns, 1
    dataset.BitsAllocated, dataset.BitsStored = frame.rule.bits_allocated, frame.rule.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = frame.rule.bits_stored - 1, int(frame.rule.signed)
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = encapsulate([stream.data])
    dataset["PixelData"].is_undefined_length = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
            values, _ = decoder.as_array(dataset, raw=True, decoding_plugin="gdcm")
    except Exception as second:
        raise InputError(SUBJECT, f"cannot be decoded ({str(first)[:100]})") from second
    return np.asarray(values)


def _decode_rle(frame: Frame) -> NDArray[Any]:
    """PS3.5 Annex G: one PackBits stream for each byte of a pixel, most significant first."""
    size = frame.rows * frame.columns
    planes: list[NDArray[np.uint8]] = []
    for packed in codestream.rle_segments(frame.data, frame.rule.bits_allocated // 8):
        if len(packed) > size + size // 64 + 1024:
            raise InputError(SUBJECT, f"have an RLE segment of {len(packed):,} bytes for {size:,} pixels")
        try:
            plane = imagecodecs.packbits_decode(packed)
        except (RuntimeError, ValueError) as error:
            raise InputError(SUBJECT, f"cannot be decoded ({str(error)[:100]})") from error
        if not size <= len(plane) <= size + 2:
            raise InputError(
                SUBJECT,
                f"unpack to {len(plane):,} bytes, expected {size:,}: the file is truncated or damaged",
            )
        planes.append(np.frombuffer(plane, dtype=np.uint8, count=size).reshape(frame.rows, frame.columns))
    values: NDArray[Any] = planes[0]
    for lower in planes[1:]:
        values = (values.astype(np.uint16) << 8) | lower
    return values


def _unsigned(values: NDArray[Any], rule: PixelRule, *, plain: bool) -> NDArray[np.uint16]:
    """Bits as stored -> unsigned pixels; in plain data bits above Bits Stored are masked.

    Such bits hold overlays in old files (PS3.5 8.1.2). In compressed data they are a header that lies.
    """
    mask = (1 << rule.bits_stored) - 1
    if not plain:
        lowest, highest = int(values.min()), int(values.max())
        least, most = rule.stored_range if values.dtype.kind == "i" else (0, mask)
        if (not rule.signed and lowest < 0) or (lowest < least and rule.signed) or highest > most:
            found = f"hold values from {lowest} to {highest}"
            raise InputError(SUBJECT, f"{found}, but the header says {rule.bits_stored} bits per pixel")
    bits = values.astype(np.uint16, copy=False)
    if plain or rule.signed:  # otherwise there is nothing to mask: the values have just been checked
        bits = bits & np.uint16(mask)
    if rule.signed:
        sign = 1 << (rule.bits_stored - 1)
        bits = (bits ^ np.uint16(sign)) + np.uint16((1 << (rule.bits_allocated - 1)) - sign)
    return np.ascontiguousarray(bits)


def _decode_reduced(frame: Frame, reduction: int) -> NDArray[np.uint16]:
    """JPEG 2000 at ``1 / reduction``: the low band of the wavelet transform, its overshoot clipped."""
    stream, halvings = frame.stream, reduction.bit_length() - 1
    if stream is None or reduction != 1 << halvings or halvings > frame.levels:
        raise ValueError(f"reduction {reduction} is not offered: this frame has {frame.levels} levels")
    size = (-(-frame.columns // reduction), -(-frame.rows // reduction))
    try:
        values = np.asarray(_ReducedJpeg2000(stream, size, halvings))
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(SUBJECT, f"cannot be decoded at 1/{reduction} ({str(error)[:100]})") from error
    # Pillow hands out depths of 9 to 15 bits left-justified in 16
    justified = values.astype(np.uint16) >> np.uint16(16 - stream.bits if stream.bits > 8 else 0)
    return np.asarray(np.minimum(justified, np.uint16((1 << frame.rule.bits_stored) - 1)))


class _ReducedJpeg2000(ImageFile.ImageFile):
    """Pillow's JPEG 2000 decoder with the size rounded up, as the standard has it.

    Pillow's own ``reduce`` rounds to nearest and fails where that differs (seen in 12.3 with 5355 rows at
    1/8).
    """

    format = "JPEG2000"

    def __init__(self, stream: Codestream, size: tuple[int, int], halvings: int) -> None:
        self._wanted = ("L" if stream.bits <= 8 else "I;16", size, halvings, len(stream.data))
        super().__init__(io.BytesIO(stream.data))

    def _open(self) -> None:
        mode, size, halvings, length = self._wanted
        self._mode, self._size = mode, size
        self.tile = [ImageFile._Tile("jpeg2k", (0, 0, *size), 0, ("j2k", halvings, 0, -1, length))]
