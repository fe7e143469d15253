"""What a header says of gray: modality line, padding, windows and tables."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_core.errors import InputError
from mammo_core.grayscale import (
    MOST_TABLES,
    MOST_WINDOWS,
    PixelRule,
    full_range,
    modality_line,
    padding_range,
    voi_choices,
)
from mammo_core.mammogram import VoiLut, Window

UNSIGNED = PixelRule(16, 12, False)
SIGNED = PixelRule(16, 12, True)


def dataset(**fields: Any) -> Dataset:
    made = Dataset()
    for keyword, value in fields.items():
        setattr(made, keyword, value)
    return made


def lut_item(descriptor: list[int], data: Any, vr: str = "US", explanation: str = "NORMAL") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if any(value < 0 for value in descriptor) else "US", descriptor)
    item.add_new("LUTData", vr, data)
    item.LUTExplanation = explanation
    return item


def test_modality_line_folds_the_offset_of_signed_pixels_in() -> None:
    assert modality_line(dataset(), UNSIGNED) == (1.0, 0.0)
    assert modality_line(dataset(RescaleSlope="2", RescaleIntercept="-10"), UNSIGNED) == (2.0, -10.0)
    # pixel 32768 is stored value 0
    slope, intercept = modality_line(dataset(RescaleSlope="2", RescaleIntercept="-10"), SIGNED)
    assert slope * 32768 + intercept == -10.0
    assert PixelRule(8, 8, True).offset == -128


@pytest.mark.parametrize("slope", ["0", "1e-9", "1e12"])
def test_a_slope_that_leaves_no_gray_is_refused(slope: str) -> None:
    with pytest.raises(InputError, match=r"Rescale Slope \(0028,1053\)"):
        modality_line(dataset(RescaleSlope=slope), UNSIGNED)


def test_a_modality_lut_is_refused() -> None:
    with pytest.raises(InputError, match="Modality LUT Sequence"):
        modality_line(dataset(ModalityLUTSequence=Sequence([lut_item([1, 0, 8], [0])])), UNSIGNED)


def test_padding_range_is_in_unsigned_pixels() -> None:
    assert padding_range(dataset(), UNSIGNED) is None
    assert padding_range(dataset(PixelPaddingValue=3076), UNSIGNED) == (3076, 3076)
    assert padding_range(dataset(PixelPaddingValue=4095, PixelPaddingRangeLimit=4000), UNSIGNED) == (4000, 4095)


@pytest.mark.parametrize(("vr", "written"), [("SS", -2000), ("US", 63536)])
def test_padding_of_signed_pixels_in_either_representation(vr: str, written: int) -> None:
    padded = Dataset()
    padded.add_new("PixelPaddingValue", vr, written)
    assert padding_range(padded, SIGNED) == (30768, 30768)


def test_windows_in_the_order_of_the_file_without_repetitions() -> None:
    choices, warnings = voi_choices(
        dataset(
            WindowCenter=["1802.31", "1802.31", "2020.704"],
            WindowWidth=["1091.97", "1091.97", "1091.97"],
            WindowCenterWidthExplanation=["NORMAL", "NORMAL", "HARDER"],
            VOILUTFunction="SIGMOID",
        )
    )
    assert choices == (
        Window(1802.31, 1091.97, "SIGMOID", "NORMAL"),
        Window(2020.704, 1091.97, "SIGMOID", "HARDER"),
    )
    assert warnings == ()
    assert voi_choices(dataset())[0] == ()


def test_window_functions() -> None:
    plain = voi_choices(dataset(WindowCenter="5", WindowWidth="1"))[0]
    assert plain == (Window(5.0, 1.0, "LINEAR", "window 1"),)
    exact = voi_choices(dataset(WindowCenter="0.5", WindowWidth="0.5", VOILUTFunction="LINEAR_EXACT"))[0]
    assert exact == (Window(0.5, 0.5, "LINEAR_EXACT", "window 1"),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"WindowCenter": "5", "WindowWidth": "0.5"}, "is 0.5, expected at least 1 for LINEAR"),
        (
            {"WindowCenter": "5", "WindowWidth": "0", "VOILUTFunction": "SIGMOID"},
            "is 0, expected more than 0 for SIGMOID",
        ),
        ({"WindowCenter": ["5", "6"], "WindowWidth": "10"}, "has 2 values and Window Width 1"),
        ({"WindowCenter": "5", "WindowWidth": "10", "VOILUTFunction": "CUBIC"}, "'CUBIC', expected LINEAR"),
    ],
)
def test_no_usable_window_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        voi_choices(dataset(**fields))


def test_a_bad_window_beside_a_good_one_is_left_out_with_a_warning() -> None:
    choices, warnings = voi_choices(dataset(WindowCenter=["5", "6"], WindowWidth=["0", "10"]))
    assert [choice.explanation for choice in choices] == ["window 2"]
    assert "Window Width (0028,1051) is 0, expected at least 1 for LINEAR" in warnings[0]


def test_a_table_is_offered_after_the_windows() -> None:
    table = lut_item([3, 100, 12], [0, 2000, 4095])
    choices, _ = voi_choices(dataset(WindowCenter="5", WindowWidth="10", VOILUTSequence=Sequence([table])))
    assert choices == (Window(5.0, 10.0, "LINEAR", "window 1"), VoiLut.of(100, (0, 2000, 4095), 12, "NORMAL"))


def test_tables_of_words_and_packed_bytes() -> None:
    words = lut_item([3, 0, 16], np.array([0, 40000, 65535], dtype="<u2").tobytes(), "OW")
    packed = lut_item([4, 0, 8], bytes([0, 100, 200, 255]), "OW")
    wide = lut_item([3, 0, 8], np.array([0, 128, 255], dtype="<u2").tobytes(), "OW")
    choices, _ = voi_choices(dataset(VOILUTSequence=Sequence([words, packed, wide])))
    assert [choice.values.tolist() for choice in choices if isinstance(choice, VoiLut)] == [
        [0, 40000, 65535],
        [0, 100, 200, 255],
        [0, 128, 255],
    ]


def test_what_a_file_offers_beyond_any_reason_is_left_out_with_a_warning() -> None:
    tables = [lut_item([2, first, 12], [0, 4095]) for first in range(100)]
    centers = [str(number) for number in range(1000)]
    many = dataset(WindowCenter=centers, WindowWidth=["10"] * 1000, VOILUTSequence=Sequence(tables))
    choices, warnings = voi_choices(many)
    assert [type(choice) for choice in choices] == [Window] * MOST_WINDOWS + [VoiLut] * MOST_TABLES
    assert [choice.first for choice in choices if isinstance(choice, VoiLut)] == list(range(MOST_TABLES))
    assert warnings == (
        "A VOI window of the file was left out: only the first 16 of 1000 are looked at.",
        "The file offers 100 VOI tables: the first 8 are kept.",
    )


def test_a_table_with_a_negative_first_value() -> None:
    choices, _ = voi_choices(dataset(VOILUTSequence=Sequence([lut_item([2, -1024, 12], [0, 4095])])))
    assert choices == (VoiLut.of(-1024, (0, 4095), 12, "NORMAL"),)
    # the same value written unsigned, where the pixels only reach 4095 - 1024
    choices, _ = voi_choices(
        dataset(BitsStored=12, RescaleIntercept="-1024", VOILUTSequence=Sequence([lut_item([2, 64512, 12], [0, 4095])]))
    )
    assert choices == (VoiLut.of(-1024, (0, 4095), 12, "NORMAL"),)


def test_a_descriptor_of_zero_entries_means_65536() -> None:
    data = np.arange(65536, dtype="<u2").tobytes()
    (table,), _ = voi_choices(dataset(VOILUTSequence=Sequence([lut_item([0, 0, 16], data, "OW")])))
    assert isinstance(table, VoiLut)
    assert len(table.values) == 65536
    assert table.values[-1] == 65535


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (lut_item([4, 0, 12], [0, 1]), "has 4 bytes, expected 4 entries of 12 bits"),
        (lut_item([2, 0, 12], [0, 5000]), "holds 5000, expected at most 4095"),
        (lut_item([2, 0, 40], [0, 1]), "expected entries, first value and 8 to 16 bits"),
        (lut_item([2, 0], [0, 1]), "expected entries, first value and 8 to 16 bits"),
    ],
)
def test_a_table_that_contradicts_its_descriptor_is_refused(item: Dataset, message: str) -> None:
    with pytest.raises(InputError, match=message):
        voi_choices(dataset(VOILUTSequence=Sequence([item])))


def test_full_range_shows_the_ends_black_and_white() -> None:
    window = full_range(100, 300, 2.0, -10.0)
    assert window == Window(390.0, 400.0, "LINEAR_EXACT", "full range")  # 190 .. 590
