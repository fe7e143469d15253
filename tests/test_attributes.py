"""Header attributes as plain values, and malformed ones named."""

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from mammo_core import attributes
from mammo_core.errors import InputError


def raw_element(keyword: str, vr: str, value: bytes) -> Dataset:
    """A data set with one element as it comes from a file, not yet converted."""
    tag = Tag(keyword)
    return Dataset({tag: RawDataElement(tag, vr, len(value), value, 0, False, True)})


def test_label() -> None:
    assert attributes.label("WindowWidth") == "Window Width (0028,1051)"
    assert attributes.label("PixelData") == "Pixel Data (7FE0,0010)"


def test_text_is_one_printable_line() -> None:
    dataset = Dataset()
    dataset.Manufacturer = "A\x00B\nC "
    assert attributes.text(dataset, "Manufacturer") == "ABC"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    assert attributes.text(dataset, "ImageType") == "DERIVED\\PRIMARY"
    assert attributes.texts(dataset, "ImageType") == ("DERIVED", "PRIMARY")
    assert attributes.text(dataset, "PatientID") == ""
    assert attributes.texts(dataset, "PatientID") == ()


def test_numbers() -> None:
    assert attributes.numbers(raw_element("WindowCenter", "DS", b"1.5\\2"), "WindowCenter") == (1.5, 2.0)
    assert attributes.numbers(raw_element("Rows", "US", b"\x02\x01"), "Rows") == (258.0,)
    assert attributes.numbers(Dataset(), "Rows") == ()
    assert attributes.number(raw_element("WindowCenter", "DS", b""), "WindowCenter") is None
    assert attributes.integer(raw_element("NumberOfFrames", "IS", b"4"), "NumberOfFrames") == 4


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "message"),
    [
        ("WindowCenter", "DS", b"1e999", r"Window Center \(0028,1050\): is 1e999, expected finite numbers"),
        ("WindowCenter", "DS", b"nan ", "finite"),
        ("WindowCenter", "DS", b"abc ", r"Window Center \(0028,1050\): is abc, expected numbers"),
        ("Rows", "US", b"\x02", r"Rows \(0028,0010\): cannot be read"),
    ],
)
def test_malformed_numbers_are_named(keyword: str, vr: str, value: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        attributes.number(raw_element(keyword, vr, value), keyword)
    assert attributes.lenient_number(raw_element(keyword, vr, value), keyword) is None


def test_one_whole_number_is_expected() -> None:
    with pytest.raises(InputError, match="has 2 values, expected one"):
        attributes.number(raw_element("RescaleSlope", "DS", b"1\\2"), "RescaleSlope")
    with pytest.raises(InputError, match=r"is 1\.5, expected a whole number"):
        attributes.integer(raw_element("RescaleSlope", "DS", b"1.5"), "RescaleSlope")


def test_sequences_and_bytes() -> None:
    dataset = Dataset()
    item = Dataset()
    dataset.ViewCodeSequence = [item]
    assert attributes.items(dataset, "ViewCodeSequence") == (item,)
    assert attributes.items(dataset, "SharedFunctionalGroupsSequence") == ()
    assert attributes.items(raw_element("ViewCodeSequence", "LO", b"text"), "ViewCodeSequence") == ()
    assert attributes.raw(raw_element("LUTData", "OW", b"ab"), "LUTData") == b"ab"
    assert attributes.raw(raw_element("LUTData", "US", b"ab"), "LUTData") is None
