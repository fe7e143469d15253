"""Whole trips from a file to a mammogram with every decision recorded."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.dataelem import DataElement

from mammo_core.dicom import read_mammogram
from mammo_core.errors import InputError
from mammo_core.mammogram import Header, Spacing, Window, display_pixels, hang
from tiny_dicom import (
    COMPRESSED,
    EXPLICIT,
    IMPLICIT,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    breast,
    code,
    mammogram_dataset,
    write,
    write_mammogram,
)


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_mammogram(path, name="shown.dcm")
    assert caught.value.subject == "shown.dcm"
    return caught.value.reason


def read_header(path: Path, **options: Any) -> Header:
    return read_mammogram(write_mammogram(path, **options), name="IM1").header


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, *COMPRESSED])
def test_the_header_records_what_was_read(tmp_path: Path, syntax: str) -> None:
    path = write_mammogram(
        tmp_path / "a.dcm",
        syntax=syntax,
        ViewCodeSequence=[code("399162004", "SCT", "cranio-caudal")],
        ImagerPixelSpacing=["0.07", "0.08"],
        RescaleSlope="2",
        RescaleIntercept="5",
    )
    mammogram = read_mammogram(path)
    header = mammogram.header
    assert_array_equal(mammogram.pixels, breast())
    assert mammogram.pixels.dtype == np.uint16
    assert mammogram.reduction == 1
    assert header.file == str(path)
    assert header.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (header.study_uid, header.series_uid, header.sop_uid) == ("1.2.3", "1.2.3.1", "1.2.3.4")
    assert header.study_uid_source == "Study Instance UID (0020,000D)"
    assert (header.patient_id, header.study_date, header.patient_age) == ("P1", "20240102", "055Y")
    assert (header.manufacturer, header.manufacturer_model) == ("Tiny", "One")
    assert (header.laterality, header.laterality_source) == ("L", "Image Laterality (0020,0062)")
    assert (header.view, header.view_source) == ("CC", "View Code Sequence (0054,0220)")
    assert (header.rows, header.columns, header.bits_stored) == (96, 64, 12)
    assert header.transfer_syntax == syntax
    assert (header.photometric, header.padding, header.stored_offset) == ("MONOCHROME2", None, 0)
    assert (header.slope, header.intercept) == (2.0, 5.0)
    assert header.vois == (Window(2048.0, 4096.0, "LINEAR", "window 1"),)
    assert header.spacing == Spacing(0.07, 0.08, "Imager Pixel Spacing (0018,1164), at the detector")
    assert header.hanging.source == "Patient Orientation (0020,0020) A\\R"
    assert (header.patient_orientation, header.tissue_side) == (("A", "R"), "left")
    assert header.warnings == ()
    y0, x0, y1, x1 = header.breast_box
    assert_allclose((y0, x0, y1, x1), (8, 0, 89, 44), atol=2)


def test_signed_pixels_are_offset_and_the_intercept_with_them(tmp_path: Path) -> None:
    stored = breast() - 1000
    path = write_mammogram(
        tmp_path / "a", stored, signed=True, RescaleIntercept="24", WindowCenter="500", WindowWidth="1000"
    )
    mammogram = read_mammogram(path)
    header = mammogram.header
    assert header.stored_offset == -32768
    assert_array_equal(mammogram.pixels.astype(int) + header.stored_offset, stored)
    modality = header.slope * mammogram.pixels + header.intercept
    assert_allclose(modality, stored + 24)
    # PS3.3 C.11.2.1.2.1: (x - 499.5) / 999 + 0.5
    assert_allclose(display_pixels(mammogram), np.clip((stored + 24 - 499.5) / 999 + 0.5, 0, 1), atol=1e-6)


def test_monochrome1_looks_like_monochrome2(tmp_path: Path) -> None:
    plain = read_mammogram(write_mammogram(tmp_path / "a"))
    inverted = read_mammogram(write_mammogram(tmp_path / "b", 4095 - breast(), PhotometricInterpretation="MONOCHROME1"))
    assert_allclose(display_pixels(inverted), display_pixels(plain), atol=1e-6)
    assert inverted.header.breast_box == plain.header.breast_box


def test_without_voi_the_full_range_of_what_is_not_padding(tmp_path: Path) -> None:
    picture = breast() + 100
    picture[:4] = 4000  # padding above everything else
    mammogram = read_mammogram(
        write_mammogram(tmp_path / "a", picture, WindowCenter=None, WindowWidth=None, PixelPaddingValue=4000)
    )
    highest = int(breast().max()) + 100
    assert mammogram.header.padding == (4000, 4000)
    assert mammogram.header.vois == (Window((100 + highest) / 2, float(highest - 100), "LINEAR_EXACT", "full range"),)
    shown = display_pixels(mammogram)
    assert shown[picture == highest].min() == 1.0
    assert shown[picture == 100].max() == 0.0
    assert shown[:4].max() == 0.0


def test_padding_that_names_a_gray_value_of_the_breast_is_not_used(tmp_path: Path) -> None:
    picture = breast()
    value = int(picture[48, 20])
    header = read_header(tmp_path / "a", pixels=picture, PixelPaddingValue=value)
    assert header.padding is None
    assert header.warnings == (
        f"Pixel Padding Value (0028,0120) names gray values {value} to {value}, which occur in the breast:"
        " it is not used.",
    )
    assert read_header(tmp_path / "b", PixelPaddingValue=0).padding == (0, 0)


@pytest.mark.parametrize("orientation", [("A", "R"), ("P", "R"), ("A", "L"), ("P", "L"), ("R", "A"), ("L", "P")])
def test_every_orientation_hangs_alike(tmp_path: Path, orientation: tuple[str, str]) -> None:
    hung = breast()
    hung[20, 10] = 4000  # lateral: above the middle
    stored = hung.T if orientation[1] in "AP" else hung
    rows, columns = orientation[::-1] if orientation[1] in "AP" else orientation
    across, down = (1, 0) if stored is hung else (0, 1)
    stored = np.flip(stored, across) if rows == "P" else stored
    stored = np.flip(stored, down) if columns == "L" else stored
    mammogram = read_mammogram(
        write_mammogram(tmp_path / "a", np.ascontiguousarray(stored), PatientOrientation=list(orientation))
    )
    assert_array_equal(hang(mammogram.pixels, mammogram.header.hanging), hung)
    assert len(mammogram.header.warnings) == (orientation in (("P", "L"), ("L", "P")))  # upside down: doubted


def test_a_stripped_header_is_read_and_asked_about(tmp_path: Path) -> None:
    stripped = dict.fromkeys(
        [
            "SOPClassUID", "Modality", "PresentationIntentType", "ViewPosition", "PatientOrientation",
            "StudyDate", "PatientAge", "Manufacturer", "ManufacturerModelName",
        ]
    )  # fmt: skip
    header = read_header(tmp_path / "a", pixels=breast(side="right"), **stripped)
    assert (header.laterality, header.view) == ("L", None)
    assert header.hanging.flip_horizontal
    assert header.hanging.source == "side of the tissue; upside-down cannot be known"
    assert header.warnings == ("The view is missing: please enter it.",)
    assert (header.study_date, header.spacing) == ("", None)


def test_a_study_without_uid_says_so(tmp_path: Path) -> None:
    header = read_header(tmp_path / "a", StudyInstanceUID=None)
    assert header.study_uid == ""
    assert header.study_uid_source == "absent: grouped by patient and date"


@pytest.mark.parametrize(
    ("written", "date"), [("2024.01.02", "20240102"), ("today", ""), ("2024010", ""), ("２０２４０１０２", "")]
)
def test_an_old_date_is_understood_and_an_odd_one_is_no_date(tmp_path: Path, written: str, date: str) -> None:
    dataset = mammogram_dataset(breast(), SpecificCharacterSet="ISO_IR 192")
    dataset.add(DataElement("StudyDate", "LO", written))
    assert read_mammogram(write(tmp_path / "a", dataset)).header.study_date == date


def test_special_views_are_warned_about(tmp_path: Path) -> None:
    spot = code("399162004", "SCT", "", ViewModifierCodeSequence=[code("399055006", "SCT", "Spot Compression")])
    header = read_header(
        tmp_path / "a",
        ViewCodeSequence=[spot],
        EstimatedRadiographicMagnificationFactor="1.8",
        BreastImplantPresent="YES",
    )
    assert header.view_modifiers == ("Spot Compression", "Magnification")
    assert header.warnings == (
        "Not a plain view: Spot Compression, Magnification.",
        "Breast Implant Present (0028,1300) is YES.",
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, "Presentation Intent Type (0008,0068) is FOR PROCESSING"),
        ({"NumberOfFrames": 3}, "Number of Frames (0028,0008) is 3, expected 1"),
        ({"Modality": "US"}, "Modality (0008,0060) is US, expected MG"),
        ({"WindowWidth": 0}, "VOI cannot be applied: Window Width (0028,1051) is 0, expected at least 1"),
        ({"RescaleSlope": 0}, "Rescale Slope (0028,1053) is 0"),
        ({"pixels": np.full((96, 64), 9)}, "picture shows no breast"),
        ({"Rows": 1000}, "Pixel Data (7FE0,0010) is 12,288 bytes long"),
    ],
)
def test_refusals_name_the_file_the_attribute_and_the_expectation(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    assert refusal(write_mammogram(tmp_path / "a", **options)).startswith(reason)


def test_a_uid_that_could_name_a_path_is_refused(tmp_path: Path) -> None:
    path = write_mammogram(tmp_path / "a", SeriesInstanceUID="1.22.333.4444.55555")
    path.write_bytes(path.read_bytes().replace(b"1.22.333.4444.55555", b"../../../../etc/foo"))
    reason = refusal(path)
    assert reason == "Series Instance UID (0020,000E) is '../../../../etc/foo', expected at most 64 digits and dots"


def test_a_test_pattern_of_thin_lines_is_no_breast(tmp_path: Path) -> None:
    pattern = np.zeros((256, 256), dtype=np.int64)
    pattern[::16] = 3000
    assert refusal(write_mammogram(tmp_path / "a", pattern)).startswith("picture shows no breast")


def smooth_breast() -> Any:
    return np.kron(breast(96, 64), np.ones((8, 8), dtype=np.int64))[:763, :509]


@pytest.mark.parametrize("target", [40, 100, 200, 300, 400])
def test_reduced_jpeg_2000_keeps_twice_the_target_along_the_breast(tmp_path: Path, target: int) -> None:
    path = write_mammogram(tmp_path / "a", smooth_breast(), syntax=JPEG_2000)
    full = read_mammogram(path)
    reduced = read_mammogram(path, target=target)
    assert full.reduction == 1
    assert reduced.header == full.header
    y0, x0, y1, x1 = full.header.breast_box
    longer = max(y1 - y0, x1 - x0)
    reduction = reduced.reduction
    assert reduction == 1 or longer / reduction >= 2 * target
    assert reduction == 16 or longer / (2 * reduction) < 2 * target
    assert reduced.pixels.shape == (-(-763 // reduction), -(-509 // reduction))
    expected = full.pixels[::reduction, ::reduction].astype(int)
    assert np.abs(reduced.pixels - expected).mean() < 60  # the same picture, to the blur of the low band


@pytest.mark.parametrize("options", [{}, {"WindowCenter": None, "WindowWidth": None}])
def test_the_same_pixels_are_reduced_alike_whatever_they_were_compressed_with(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    noise = np.random.default_rng(0).integers(-40, 41, (763, 509))
    pixels = np.clip(smooth_breast() + noise, 0, 4095)
    wanted = read_mammogram(write_mammogram(tmp_path / "a", pixels, syntax=JPEG_2000, **options), target=40)
    assert wanted.reduction == 8
    for syntax in (EXPLICIT, JPEG_LOSSLESS, JPEG_LS, RLE):
        path = write_mammogram(tmp_path / "b", pixels, syntax=syntax, **options)
        found = read_mammogram(path, target=40)
        assert found.reduction == 8
        assert np.array_equal(found.pixels, wanted.pixels)
        assert found.header.breast_box == wanted.header.breast_box
        assert found.header == read_mammogram(path).header


def test_the_exams_hang_with_their_chest_walls_in_the_middle(shared: Path) -> None:
    files = sorted((shared / "exams").glob("*/*.dcm"))
    assert len(files) == 28
    for path in files:
        mammogram = read_mammogram(path, target=128)
        header = mammogram.header
        assert f"{header.laterality}{header.view}" == path.stem
        assert header.warnings == ()
        assert header.spacing is not None
        shown = hang(display_pixels(mammogram), header.hanging)
        third = shown.shape[1] // 3
        inner = shown[:, -third:] if header.laterality == "R" else shown[:, :third]
        outer = shown[:, :third] if header.laterality == "R" else shown[:, -third:]
        assert inner.mean() > 1.5 * outer.mean()


def test_original_rsna_files(shared: Path) -> None:
    files = [*sorted((shared / "dicom" / "rsna_10006").glob("*.dcm")), shared / "dicom" / "rsna_record.dcm"]
    for path in files:
        header = read_mammogram(path, target=256).header
        assert header.laterality in ("L", "R")
        assert header.view is None
        assert header.padding is not None
    first = read_mammogram(files[0], target=256).header
    assert (first.rows, first.columns, first.photometric, first.padding) == (5355, 4915, "MONOCHROME1", (3076, 3076))
    assert [voi.center for voi in first.vois if isinstance(voi, Window)] == [1802.31, 2020.704, 1583.916]
    assert {voi.function for voi in first.vois if isinstance(voi, Window)} == {"SIGMOID"}


def test_the_odd_files(shared: Path) -> None:
    other = shared / "dicom" / "other"
    assert refusal(other / "tomosynthesis_4_frames.dcm") == (
        "image is a tomosynthesis of 4 frames, expected a two-dimensional mammogram"
    )
    assert refusal(other / "mg_calibration_profile.dcm").startswith("picture shows no breast")
    film = read_mammogram(other / "wg04_mg1_j2ki.dcm", target=256).header
    assert (film.laterality, film.view) == ("L", "MLO")
    assert film.warnings[0].startswith("Modality (0008,0060) is RG, not MG; it is read because")
    assert film.breast_box[3] < 0.75 * film.columns  # its label and edges are left out
