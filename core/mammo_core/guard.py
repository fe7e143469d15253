"""Opens a DICOM file no further than is safe, and says which layouts of pixels the product decodes.

Nothing is decoded here. Everything that a later step allocates is bounded by what this module has let
through.
"""

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info

from mammo_core import attributes
from mammo_core.codec import JPEG2000, JPEG_FRAMES, NATIVE, RLE, Frame, checked_frame
from mammo_core.errors import InputError
from mammo_core.grayscale import PixelRule
from mammo_core.limits import Limits

ALLOWED = NATIVE | frozenset(JPEG_FRAMES) | JPEG2000 | {RLE}
"""Transfer syntaxes that are decoded. Deflated is not: what it inflates to cannot be bounded beforehand."""


@dataclass(frozen=True)
class OpenedFile:
    """A file whose header has been read."""

    dataset: Dataset
    transfer_syntax: str
    sop_class: str
    sha256: str


def open_file(path: Path, limits: Limits | None = None) -> OpenedFile:
    """Header, transfer syntax and content hash of a file; `InputError` for what is no readable DICOM file.

    The transfer syntax is looked at before the data set, because pydicom inflates a deflated data set while
    reading it.
    """
    content = _content(path, limits or Limits())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta = read_file_meta_info(path)
            syntax = str(meta.get("TransferSyntaxUID", "")).strip()
            _check_transfer_syntax(syntax)
            dataset = pydicom.dcmread(io.BytesIO(content))
            sop_class = attributes.text(dataset, "SOPClassUID") or str(meta.get("MediaStorageSOPClassUID", ""))
    except InputError:
        raise
    except RecursionError as error:
        raise InputError("DICOM header", "nests sequences too deeply: no real header does") from error
    except MemoryError as error:
        raise InputError("DICOM header", "needs more memory than is allowed") from error
    except Exception as error:  # pydicom raises whatever its parsing code runs into
        message = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError("DICOM header", f"cannot be read, it is damaged ({message})") from error
    return OpenedFile(dataset, syntax, sop_class, hashlib.sha256(content).hexdigest())


def _content(path: Path, limits: Limits) -> bytes:
    """The whole file, if it is of bearable size and begins as PS3.10 7.1 says."""
    try:
        size = path.stat().st_size
        if size > limits.file_mb * 1_000_000:
            raise InputError("file size", f"is {size / 1e6:,.0f} MB, expected at most {limits.file_mb:,} MB")
        content = path.read_bytes()
    except OSError as error:
        raise InputError("file", f"cannot be opened ({error.strerror or type(error).__name__})") from error
    if not content:
        raise InputError("file", "is empty")
    if content[128:132] != b"DICM":
        raise InputError("file", "is not DICOM: the mark DICM is missing at byte 128")
    return content


def _check_transfer_syntax(syntax: str) -> None:
    subject = attributes.label("TransferSyntaxUID")
    if not syntax:
        raise InputError(subject, "is missing, expected it in the file's meta information")
    if syntax not in ALLOWED:
        name = attributes.uid_name(syntax)
        named = f" ({name})" if name != syntax else ""
        raise InputError(
            subject,
            f"is {syntax[:64]}{named}, which is not read: only little endian, plain, JPEG, JPEG-LS, JPEG 2000 or RLE",
        )


def open_frame(opened: OpenedFile, limits: Limits | None = None) -> Frame:
    """The file's one frame, its layout checked; `InputError` says which attribute is not as expected."""
    dataset, bound = opened.dataset, limits or Limits()
    rows, columns = _size(dataset, bound)
    rule = _rule(dataset)
    pixels = attributes.raw(dataset, "PixelData")
    if not pixels:
        raise InputError(attributes.label("PixelData"), "is missing: the file holds no picture")
    if opened.transfer_syntax not in NATIVE:
        pixels = _joined_fragments(pixels, dataset)
    return checked_frame(pixels, opened.transfer_syntax, rows, columns, rule)


def _size(dataset: Dataset, limits: Limits) -> tuple[int, int]:
    rows, columns = attributes.integer(dataset, "Rows") or 0, attributes.integer(dataset, "Columns") or 0
    if rows < 1 or columns < 1:
        raise InputError("Rows x Columns (0028,0010)", f"is {rows} x {columns}, expected at least one of each")
    if rows * columns > limits.megapixels * 1e6:
        found = f"is {rows} x {columns}"
        raise InputError(
            "Rows x Columns (0028,0010)", f"{found}, expected at most {limits.megapixels:g} million pixels"
        )
    return rows, columns


def _rule(dataset: Dataset) -> PixelRule:
    """Bits of a pixel (PS3.3 C.7.6.3.1, C.8.11.3): 8 to 16 bits in 8 or 16, right-aligned."""
    allocated = attributes.integer(dataset, "BitsAllocated")
    stored = attributes.integer(dataset, "BitsStored")
    high = attributes.integer(dataset, "HighBit")
    representation = attributes.integer(dataset, "PixelRepresentation") or 0
    if allocated not in (8, 16):
        raise InputError(attributes.label("BitsAllocated"), f"is {allocated}, expected 8 or 16")
    stored = allocated if stored is None else stored
    if not 8 <= stored <= allocated:
        raise InputError(attributes.label("BitsStored"), f"is {stored}, expected 8 to {allocated}")
    if high not in (None, stored - 1):
        raise InputError(attributes.label("HighBit"), f"is {high}, expected {stored - 1}, one less than Bits Stored")
    if representation not in (0, 1):
        raise InputError(attributes.label("PixelRepresentation"), f"is {representation}, expected 0 or 1")
    return PixelRule(allocated, stored, representation == 1)


def _joined_fragments(encapsulated: bytes, dataset: Dataset) -> bytes:
    """The one frame of encapsulated pixel data: every fragment after the offset table, joined (PS3.5 A.4)."""
    subject = attributes.label("PixelData")
    fragments = []
    position = 0
    while position + 8 <= len(encapsulated):
        group, element, length = struct.unpack_from("<HHI", encapsulated, position)
        if (group, element) == (0xFFFE, 0xE0DD):
            break
        if (group, element) != (0xFFFE, 0xE000) or position + 8 + length > len(encapsulated):
            raise InputError(subject, f"has no whole fragment at byte {position}: the file is truncated or damaged")
        fragments.append(encapsulated[position + 8 : position + 8 + length])
        position += 8 + length
    if len(fragments) < 2:
        raise InputError(subject, "holds no fragment: the file is truncated or damaged")
    table, frame = fragments[0], b"".join(fragments[1:])
    if table not in (b"", bytes(4)):
        raise InputError(subject, f"has an offset table of {len(table) // 4} entries, expected none or 0 for one frame")
    extended = attributes.raw(dataset, "ExtendedOffsetTable")
    lengths = attributes.raw(dataset, "ExtendedOffsetTableLengths")
    if extended not in (None, b"", bytes(8)):
        raise InputError(
            attributes.label("ExtendedOffsetTable"), "does not hold the one offset 0, expected for one frame"
        )
    if lengths and len(lengths) == 8 and extended:
        declared = int.from_bytes(lengths, "little")
        if declared not in (len(frame), len(frame) - 1):
            found = f"says {declared:,} bytes, the fragments hold {len(frame):,}"
            raise InputError(attributes.label("ExtendedOffsetTableLengths"), found)
        frame = frame[:declared]
    return frame
