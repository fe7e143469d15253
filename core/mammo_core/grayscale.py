"""From a header to gray: how stored values become modality values, which are padding, which VOI there are.

Knows nothing of pixels but their range. Sources: DICOM PS3.3 C.7.5.1.1.2 (padding), C.11.1 (modality), C.11.2
(VOI).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from mammo_core import attributes
from mammo_core.errors import InputError
from mammo_core.mammogram import Voi, VoiFunction, VoiLut, Window

FUNCTIONS: tuple[VoiFunction, ...] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

MOST_WINDOWS = 16
MOST_TABLES = 8
"""VOI choices of one file that are kept: more than any modality offers, few enough to travel with every header."""


@dataclass(frozen=True)
class PixelRule:
    """How one stored pixel is laid out (PS3.3 C.7.6.3.1, PS3.5 8.1.1)."""

    bits_allocated: int
    bits_stored: int
    signed: bool

    @property
    def offset(self) -> int:
        """``stored value = unsigned pixel + offset``."""
        return -(1 << (self.bits_allocated - 1)) if self.signed else 0

    @property
    def stored_range(self) -> tuple[int, int]:
        """Smallest and largest stored value that the bits stored can hold."""
        if self.signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1


def modality_line(dataset: Dataset, rule: PixelRule) -> tuple[float, float]:
    """Slope and intercept from *unsigned pixels* to modality values (C.11.1), the pixels' offset included.

    A Modality LUT Sequence is refused: no mammography object carries one (PS3.3 C.8.11.3 allows identity
    only).
    """
    if attributes.items(dataset, "ModalityLUTSequence"):
        raise InputError(
            attributes.label("ModalityLUTSequence"), "is present, expected Rescale Slope and Intercept only"
        )
    slope = attributes.number(dataset, "RescaleSlope")
    intercept = attributes.number(dataset, "RescaleIntercept") or 0.0
    slope = 1.0 if slope is None else slope
    if slope == 0.0 or abs(slope) > 1e6 or abs(slope) < 1e-6 or abs(intercept) > 1e9:
        raise InputError(
            attributes.label("RescaleSlope"),
            f"is {slope:g} (with intercept {intercept:g}), expected a slope that keeps the gray values apart",
        )
    return slope, slope * rule.offset + intercept


def padding_range(dataset: Dataset, rule: PixelRule) -> tuple[int, int] | None:
    """Inclusive range of unsigned pixels that are padding (C.7.5.1.1.2), or None.

    The attributes are in stored values; some writers give a signed value in an unsigned attribute or the
    reverse, so both are read as the bits that they are.
    """
    value = attributes.integer(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = attributes.integer(dataset, "PixelPaddingRangeLimit")
    first = _as_pixel(value, rule)
    last = first if limit is None else _as_pixel(limit, rule)
    return min(first, last), max(first, last)


def _as_pixel(stored: int, rule: PixelRule) -> int:
    size = 1 << rule.bits_allocated
    bits = stored % size
    if rule.signed and bits >= size // 2:
        bits -= size
    return bits - rule.offset


def voi_choices(dataset: Dataset) -> tuple[tuple[Voi, ...], tuple[str, ...]]:
    """Every VOI that the file offers, and warnings; () where the file offers none at all.

    Windows come first, then the items of VOI LUT Sequence: C.11.2 leaves the choice between them to the
    reader, and a window is what can be adjusted by hand. Windows that break the rules of C.11.2.1.2, and
    choices beyond `MOST_WINDOWS` and `MOST_TABLES`, are left out with a warning; where a file offers windows or
    tables and none can be used, that is an `InputError`.
    """
    windows, reasons = _windows(dataset)
    items = attributes.items(dataset, "VOILUTSequence")
    tables = tuple(_table(item, dataset) for item in items[:MOST_TABLES])
    if reasons and not windows and not tables:
        raise InputError("VOI", f"cannot be applied: {'; '.join(reasons)}")
    warnings = [f"A VOI window of the file was left out: {reason}." for reason in reasons]
    if len(items) > MOST_TABLES:
        warnings.append(f"The file offers {len(items)} VOI tables: the first {MOST_TABLES} are kept.")
    return (*windows, *tables), tuple(warnings)


def _windows(dataset: Dataset) -> tuple[tuple[Window, ...], tuple[str, ...]]:
    """Usable windows and the reasons why others are not (C.11.2.1.2, C.11.2.1.3)."""
    try:
        centers = attributes.numbers(dataset, "WindowCenter")
        widths = attributes.numbers(dataset, "WindowWidth")
    except InputError as error:
        return (), (f"{error.subject} {error.reason}",)
    if len(centers) != len(widths):
        return (), (f"Window Center has {len(centers)} values and Window Width {len(widths)}, expected as many",)
    said = attributes.text(dataset, "VOILUTFunction").upper() or "LINEAR"
    function = next((known for known in FUNCTIONS if known == said), None)
    if function is None and centers:
        return (), (f"{attributes.label('VOILUTFunction')} is {said[:20]!r}, expected {', '.join(FUNCTIONS)}",)
    names = attributes.texts(dataset, "WindowCenterWidthExplanation")
    windows: list[Window] = []
    reasons = []
    if len(centers) > MOST_WINDOWS:
        reasons.append(f"only the first {MOST_WINDOWS} of {len(centers)} are looked at")
    for index, (center, width) in enumerate(zip(centers[:MOST_WINDOWS], widths, strict=False)):
        least = "at least 1" if function == "LINEAR" else "more than 0"
        if width < 1.0 if function == "LINEAR" else width <= 0.0:
            reasons.append(f"{attributes.label('WindowWidth')} is {width:g}, expected {least} for {function}")
            continue
        name = names[index] if index < len(names) and names[index] else f"window {index + 1}"
        window = Window(center, width, function or "LINEAR", name)
        if all((center, width) != (other.center, other.width) for other in windows):
            windows.append(window)
    return tuple(windows), tuple(reasons)


def _table(item: Dataset, dataset: Dataset) -> VoiLut:
    """One item of VOI LUT Sequence (C.11.2.1.1); its descriptor gives entries, first value and bits."""
    descriptor = attributes.numbers(item, "LUTDescriptor")
    subject = attributes.label("LUTDescriptor")
    if len(descriptor) != 3 or not 1 <= int(descriptor[2]) <= 16:
        raise InputError(subject, f"is {descriptor}, expected entries, first value and 8 to 16 bits")
    count = int(descriptor[0]) % 65536 or 65536  # 0 stands for 65,536
    first = int(descriptor[1])
    lowest, highest = _modality_range(dataset)
    if first > highest and first - 65536 >= min(lowest, -32768):
        first -= 65536  # a negative first value written as unsigned
    bits = int(descriptor[2])
    values = _entries(item, count, bits)
    if int(values.max()) >= 2**bits:
        raise InputError(attributes.label("LUTData"), f"holds {int(values.max())}, expected at most {2**bits - 1}")
    name = attributes.text(item, "LUTExplanation") or "table"
    return VoiLut.of(first, values, bits, name)


def _entries(item: Dataset, count: int, bits: int) -> NDArray[np.uint16]:
    """LUT Data as ``count`` unsigned entries: words, or bytes packed two to a word."""
    packed = attributes.raw(item, "LUTData")
    if packed is None:
        given = np.asarray(attributes.numbers(item, "LUTData"), dtype=np.int64) % 65536
        packed = given.astype("<u2").tobytes()
    if len(packed) >= 2 * count:
        return np.frombuffer(packed, dtype="<u2", count=count).astype(np.uint16)
    if bits == 8 and len(packed) >= count:
        return np.frombuffer(packed, dtype=np.uint8, count=count).astype(np.uint16)
    raise InputError(attributes.label("LUTData"), f"has {len(packed)} bytes, expected {count} entries of {bits} bits")


def _modality_range(dataset: Dataset) -> tuple[float, float]:
    """Smallest and largest modality value that the file's pixels can take."""
    rule = PixelRule(
        attributes.integer(dataset, "BitsAllocated") or 16,
        attributes.integer(dataset, "BitsStored") or 16,
        attributes.integer(dataset, "PixelRepresentation") == 1,
    )
    slope, intercept = modality_line(dataset, rule)
    ends = [slope * (stored - rule.offset) + intercept for stored in rule.stored_range]
    return min(ends), max(ends)


def full_range(lowest: int, highest: int, slope: float, intercept: float) -> Window:
    """The window that shows pixel ``lowest`` black and ``highest`` white, for a file without any VOI."""
    ends = (slope * lowest + intercept, slope * highest + intercept)
    width = abs(ends[1] - ends[0])
    return Window((ends[0] + ends[1]) / 2.0, width if width > 0 else math.ulp(1.0), "LINEAR_EXACT", "full range")
