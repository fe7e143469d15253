"""What is let through to the decoders, and the sentence for what is not."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_array_equal
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from mammo_core.codec import decode
from mammo_core.errors import InputError
from mammo_core.guard import _joined_fragments, open_file, open_frame
from mammo_core.limits import Limits
from tiny_dicom import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_LS,
    breast,
    encoded,
    mammogram_dataset,
    write,
    write_mammogram,
)


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_frame(open_file(path, limits), limits)
    return str(caught.value)


def test_an_ordinary_file(tmp_path: Path) -> None:
    for syntax in (IMPLICIT, EXPLICIT):
        path = write_mammogram(tmp_path / "a", syntax=syntax)
        opened = open_file(path)
        assert opened.transfer_syntax == syntax
        assert opened.sop_class == "1.2.840.10008.5.1.4.1.1.1.2"
        assert_array_equal(decode(open_frame(opened)), breast())


def test_the_content_hash_is_sha256(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a")
    assert open_file(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_sop_class_of_the_meta_information_stands_in(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a", SOPClassUID=None, SOPInstanceUID=None)
    assert open_file(path).sop_class == "1.2.840.10008.5.1.4.1.1.1.2"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file: is empty"),
        (b"%PDF-1.4" * 100, "file: is not DICOM: the mark DICM is missing at byte 128"),
        (bytes(128) + b"DICM", "Transfer Syntax UID (0002,0010): is missing"),
    ],
)
def test_files_that_are_not_dicom(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    assert refusal(path).startswith(reason)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").startswith("file: cannot be opened (No such file")
    assert refusal(tmp_path).startswith("file: cannot be opened (")


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        (DEFLATED, "Deflated Explicit VR Little Endian"),
        (BIG_ENDIAN, "Explicit VR Big Endian"),
        ("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000"),
        ("1.2.840.10008.1.2.4.100", "MPEG2"),
        ("1.2.3.4.5", "1.2.3.4.5"),
    ],
)
def test_other_transfer_syntaxes_are_refused_before_anything_is_inflated(
    tmp_path: Path, syntax: str, name: str
) -> None:
    path = tmp_path / "a"
    if syntax in (DEFLATED, BIG_ENDIAN):
        write_mammogram(path, syntax=syntax)
    else:
        dataset = mammogram_dataset(breast())
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        if syntax.startswith("1.2.840.10008.1.2.4"):
            dataset.PixelData = encapsulate([dataset.PixelData])
        dataset.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)
    message = refusal(path)
    assert message.startswith(f"Transfer Syntax UID (0002,0010): is {syntax}")
    assert name in message


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Rows": 0}, "Rows x Columns (0028,0010): is 0 x 64, expected at least one of each"),
        ({"Rows": 65535, "Columns": 65535}, "is 65535 x 65535, expected at most 80 million pixels"),
        ({"Rows": 95}, "Pixel Data (7FE0,0010): is 12,288 bytes long, expected 12,160 for 95 x 64 pixels"),
        ({"BitsAllocated": 32}, "Bits Allocated (0028,0100): is 32, expected 8 or 16"),
        ({"BitsStored": 7}, "Bits Stored (0028,0101): is 7, expected 8 to 16"),
        ({"BitsStored": 17}, "Bits Stored (0028,0101): is 17, expected 8 to 16"),
        ({"HighBit": 15}, "High Bit (0028,0102): is 15, expected 11"),
        ({"PixelRepresentation": 2}, "Pixel Representation (0028,0103): is 2, expected 0 or 1"),
    ],
)
def test_layouts_that_are_refused(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    assert reason in refusal(write_mammogram(tmp_path / "a", **fields))


def test_limits(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a")
    assert "is 0 MB, expected at most 0 MB" in refusal(path, Limits(file_mb=0))
    assert "is 96 x 64, expected at most 0.006 million pixels" in refusal(path, Limits(megapixels=0.006))
    open_frame(open_file(path, Limits(megapixels=0.0062)), Limits(megapixels=0.0062))


def nested(depth: int) -> Dataset:
    outer = mammogram_dataset(breast())
    inner = outer
    for _ in range(depth):
        item = Dataset()
        inner.RequestAttributesSequence = [item]
        inner["RequestAttributesSequence"].is_undefined_length = True
        inner = item
    return outer


def test_deep_nesting_is_refused_and_some_is_not(tmp_path: Path) -> None:
    open_file(write(tmp_path / "a", nested(5)))
    path = write_mammogram(tmp_path / "b")
    # an undefined-length sequence in an undefined-length item, ten thousand times, before the pixels
    opening = bytes.fromhex("4000300a5351" + "0000" + "ffffffff" + "feff00e0" + "ffffffff")
    content = path.read_bytes()
    at = content.index(bytes.fromhex("e07f1000"))
    path.write_bytes(content[:at] + opening * 10_000)
    assert "nests sequences too deeply" in refusal(path)


def write_fragments(path: Path, value: bytes, **fields: Any) -> Path:
    dataset = mammogram_dataset(breast(), syntax=JPEG_LS, **fields)
    dataset.PixelData = value
    return write(path, dataset)


FRAME = encoded(breast(), JPEG_LS, bits=12)


def item(data: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data


def test_several_fragments_are_one_frame(tmp_path: Path) -> None:
    half = len(FRAME) // 2 * 2 // 4 * 2
    frame = FRAME + b"\0" * (len(FRAME) % 2)
    for value in (
        encapsulate([frame]),
        encapsulate([frame], has_bot=False),
        item(b"") + item(frame[:half]) + item(frame[half:]),
        item(bytes(4)) + item(frame[:half]) + item(b"") + item(frame[half:]),
    ):
        opened = open_file(write_fragments(tmp_path / "a", value))
        assert_array_equal(decode(open_frame(opened)), breast())


def test_extended_offset_table(tmp_path: Path) -> None:
    frame = FRAME + b"\0" * (len(FRAME) % 2)
    value = item(b"") + item(frame)
    fields = {"ExtendedOffsetTable": bytes(8), "ExtendedOffsetTableLengths": len(frame).to_bytes(8, "little")}
    opened = open_file(write_fragments(tmp_path / "a", value, **fields))
    assert_array_equal(decode(open_frame(opened)), breast())
    fields["ExtendedOffsetTableLengths"] = (len(frame) + 100).to_bytes(8, "little")
    assert "the fragments hold" in refusal(write_fragments(tmp_path / "b", value, **fields))
    fields["ExtendedOffsetTable"] = (8).to_bytes(8, "little")
    assert "does not hold the one offset 0" in refusal(write_fragments(tmp_path / "c", value, **fields))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (item(b""), "holds no fragment"),
        (item((8).to_bytes(4, "little")) + item(FRAME), "has an offset table of 1 entries, expected none or 0"),
        (item(bytes(8)) + item(FRAME), "has an offset table of 2 entries"),
        (item(b"") + b"\xfe\xff\x00\xe0\xff\xff\x00\x00abcd", "has no whole fragment at byte 8"),
        (item(b"") + b"\x00\x01\x02\x03\x04\x05\x06\x07", "has no whole fragment at byte 8"),
    ],
)
def test_broken_encapsulation_is_refused(value: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason.replace("(", r"\(")):
        _joined_fragments(value, Dataset())
