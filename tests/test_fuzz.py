"""Mutated files: whatever is done to one, only the project's own error escapes."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_core.dicom import read_mammogram
from mammo_core.errors import InputError
from mammo_core.mammogram import Mammogram, display_pixels, hang
from tiny_dicom import (
    COMPRESSED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    breast,
    code,
    mammogram_dataset,
)

QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def voi_lut() -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [4, 0, 12]
    item.add_new("LUTData", "US", [0, 100, 2000, 4095])
    item.LUTExplanation = "NORMAL"
    return item


def file_bytes(syntax: str) -> bytes:
    """A small mammogram that uses every part of the header that the reader looks at."""
    bits = 8 if syntax == JPEG_BASELINE else 12
    dataset = mammogram_dataset(
        breast(48, 32, high=200 if bits == 8 else 3000),
        syntax=syntax,
        bits=bits,
        ViewCodeSequence=[
            code("399162004", "SCT", "CC", ViewModifierCodeSequence=Sequence([code("R-102D6", "SRT", "M")]))
        ],
        VOILUTSequence=[voi_lut()],
        WindowCenter=["100", "200"],
        WindowWidth=["50", "400"],
        PixelPaddingValue=0,
        ImagerPixelSpacing=["0.07", "0.07"],
        RescaleSlope="1",
        RescaleIntercept="0",
        NumberOfFrames="1",
        EstimatedRadiographicMagnificationFactor="1.07",
    )
    dataset["PixelData"].is_undefined_length = syntax in COMPRESSED or syntax == JPEG_BASELINE
    saved = io.BytesIO()
    dataset.save_as(saved, enforce_file_format=True)
    return saved.getvalue()


FILES = [file_bytes(syntax) for syntax in (EXPLICIT, IMPLICIT, JPEG_BASELINE, *COMPRESSED)]


def read_or_refuse(path: Path, content: bytes) -> None:
    """Read; a file that is let through must be displayable too. Anything but `InputError` fails the test."""
    path.write_bytes(content)
    try:
        mammogram = read_mammogram(path, name="fuzz")
    except InputError as error:
        refusal = error
    else:
        displayable(mammogram)
        return
    assert refusal.subject == "fuzz"
    assert str(refusal).isprintable()


def displayable(mammogram: Mammogram) -> None:
    """What is let through can be shown and cropped."""
    shown = hang(display_pixels(mammogram), mammogram.header.hanging)
    assert np.isfinite(shown).all()
    assert shown.min() >= 0.0
    assert shown.max() <= 1.0
    y0, x0, y1, x1 = mammogram.header.breast_box
    assert 0 <= y0 < y1 <= mammogram.header.rows
    assert 0 <= x0 < x1 <= mammogram.header.columns


def test_the_files_to_be_mutated_are_good(tmp_path: Path) -> None:
    for content in FILES:
        (tmp_path / "good").write_bytes(content)
        assert read_mammogram(tmp_path / "good").header.view == "CC"


@QUICK
@given(
    content=st.sampled_from(FILES),
    flips=st.lists(st.tuples(st.integers(128, 2500), st.integers(1, 255)), min_size=1, max_size=6),
)
def test_flipped_bytes(tmp_path: Path, content: bytes, flips: list[tuple[int, int]]) -> None:
    mutated = bytearray(content)
    for at, change in flips:
        mutated[at % len(mutated)] ^= change
    read_or_refuse(tmp_path / "a", bytes(mutated))


@QUICK
@given(content=st.sampled_from(FILES), fraction=st.floats(0, 1))
def test_truncation(tmp_path: Path, content: bytes, fraction: float) -> None:
    path = tmp_path / "a"
    path.write_bytes(content[: int(fraction * (len(content) - 9))])
    with pytest.raises(InputError):
        read_mammogram(path)


@QUICK
@given(
    content=st.sampled_from(FILES),
    at=st.integers(132, 2500),
    length=st.integers(0, 40),
    replacement=st.binary(max_size=40),
)
def test_replaced_stretches(tmp_path: Path, content: bytes, at: int, length: int, replacement: bytes) -> None:
    at %= len(content)
    read_or_refuse(tmp_path / "a", content[:at] + replacement + content[at + length :])


TAGS = (
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "Rows", "Columns", "Modality",
    "PhotometricInterpretation", "NumberOfFrames", "WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleSlope",
    "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit", "ImagerPixelSpacing", "PixelSpacing",
    "ImageLaterality", "PatientOrientation", "ViewPosition", "ViewCodeSequence", "VOILUTSequence", "StudyInstanceUID",
    "StudyDate", "PresentationIntentType", "EstimatedRadiographicMagnificationFactor", "ImageType", "PixelData",
    "LUTDescriptor", "LUTData", "ExtendedOffsetTable", "ModalityLUTSequence", "SharedFunctionalGroupsSequence",
)  # fmt: skip
REPRESENTATIONS = ("US", "SS", "DS", "IS", "CS", "LO", "OW", "UN", "UI", "FD", "DA", "AT", "PN")


@QUICK
@given(
    base=st.sampled_from([EXPLICIT, *COMPRESSED]),
    tags=st.lists(st.sampled_from(TAGS), min_size=1, max_size=4, unique=True),
    representation=st.sampled_from(REPRESENTATIONS),
    value=st.one_of(st.none(), st.binary(max_size=24), st.sampled_from([b"1e999 ", b"-1", b"nan ", b"0\\0 ", b"\\\\"])),
)
def test_dropped_and_replaced_attributes(
    tmp_path: Path, base: str, tags: list[str], representation: str, value: bytes | None
) -> None:
    """Explicit little endian elements written by hand, so that nothing stands between the value and the reader."""
    content = FILES[0] if base == EXPLICIT else FILES[3 + COMPRESSED.index(base)]
    for keyword in tags:
        content = without_or_with(content, keyword, representation, value)
    read_or_refuse(tmp_path / "a", content)


def without_or_with(content: bytes, keyword: str, representation: str, value: bytes | None) -> bytes:
    """The file with the first element of this keyword removed, or its value and representation replaced."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    written = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    at = content.find(written, 132)
    long = {b"OB", b"OW", b"SQ", b"UN", b"OV"}
    if at < 0:
        end = at = content.index(b"\x10\x00\x20\x00")  # before Patient ID: the order does not matter to a reader
    elif content[at + 4 : at + 6] in long:
        size = int.from_bytes(content[at + 8 : at + 12], "little")
        end = at + 12 + size if size != 0xFFFFFFFF else len(content)
    else:
        end = at + 8 + int.from_bytes(content[at + 6 : at + 8], "little")
    if value is None:
        return content[:at] + content[end:]
    padded = value + b" " * (len(value) % 2)
    if representation.encode() in long:
        header = representation.encode() + bytes(2) + len(padded).to_bytes(4, "little")
    else:
        header = representation.encode() + len(padded).to_bytes(2, "little")
    return content[:at] + written + header + padded + content[end:]


@settings(QUICK, max_examples=40)
@given(
    number=st.integers(0, 100),
    flips=st.lists(st.tuples(st.integers(132, 1400), st.integers(1, 255)), min_size=1, max_size=5),
)
def test_flipped_bytes_in_real_headers(shared: Path, tmp_path: Path, number: int, flips: list[tuple[int, int]]) -> None:
    files = sorted((shared / "dicom").rglob("*.dcm")) + sorted((shared / "exams" / "inbreast05").glob("*.dcm"))
    small = [path for path in files if path.stat().st_size < 700_000]
    mutated = bytearray(small[number % len(small)].read_bytes())
    for at, change in flips:
        mutated[at] ^= change
    read_or_refuse(tmp_path / "a", bytes(mutated))
