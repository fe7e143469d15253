"""Which images are mammograms for reading, and what is said about the odd ones."""

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_core.errors import InputError
from mammo_core.projection import Projection
from mammo_core.suitability import reading_warnings, refuse_other_images, view_modifiers
from tiny_dicom import MG_FOR_PRESENTATION, breast, code, mammogram_dataset

DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def dataset(**fields: Any) -> Dataset:
    return mammogram_dataset(breast(), **fields)


def projection(*modifiers: str) -> Projection:
    return Projection("L", "", "CC", "", modifiers, ())


def test_plain_and_stripped_headers_are_accepted() -> None:
    assert refuse_other_images(dataset(), MG_FOR_PRESENTATION) == ()
    stripped = dataset(SOPClassUID=None, Modality=None, PresentationIntentType=None)
    assert refuse_other_images(stripped, DX_FOR_PRESENTATION) == ()


@pytest.mark.parametrize(
    ("fields", "sop_class", "reason"),
    [
        ({"PresentationIntentType": "FOR PROCESSING"}, MG_FOR_PRESENTATION, "FOR PROCESSING: raw detector data"),
        ({}, "1.2.840.10008.5.1.4.1.1.1.2.1", "FOR PROCESSING: raw detector data"),
        ({"NumberOfFrames": 4}, "1.2.840.10008.5.1.4.1.1.13.1.3", "is a tomosynthesis of 4 frames"),
        ({"NumberOfFrames": 2}, MG_FOR_PRESENTATION, r"Number of Frames \(0028,0008\): is 2, expected 1"),
        ({"NumberOfFrames": 0}, MG_FOR_PRESENTATION, "is 0, expected 1"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "TOMO_PROJ", "LEFT"]}, MG_FOR_PRESENTATION, "is a tomosynthesis"),
        ({"QualityControlImage": "YES"}, MG_FOR_PRESENTATION, "a test object, expected a breast"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, MG_FOR_PRESENTATION, "is RGB with 3 sample"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, MG_FOR_PRESENTATION, "is PALETTE COLOR with 1 sample"),
        ({"Modality": "CT"}, "1.2.840.10008.5.1.4.1.1.2", r"Modality \(0008,0060\): is CT, expected MG"),
        ({"Modality": "DX", "ViewPosition": "PA"}, DX_FOR_PRESENTATION, "is DX, expected MG"),
        ({"Modality": None}, "1.2.840.10008.5.1.4.1.1.2", "is CT Image Storage, expected a digital mammogram"),
    ],
)
def test_other_images_are_refused(fields: dict[str, Any], sop_class: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        refuse_other_images(dataset(**fields), sop_class)


def test_a_file_without_a_picture_is_refused() -> None:
    empty = dataset()
    del empty.PixelData
    with pytest.raises(InputError, match="the file holds no picture"):
        refuse_other_images(empty, MG_FOR_PRESENTATION)


@pytest.mark.parametrize(
    "fields",
    [
        {"BodyPartExamined": "BREAST", "ViewPosition": None},
        {"OrganExposed": "BREAST", "ViewPosition": None},
        {"AnatomicRegionSequence": Sequence([code("T-04000", "SRT", "Breast")]), "ViewPosition": None},
        {"ViewPosition": "MLO"},
    ],
)
def test_other_radiographs_of_a_breast_are_read_with_a_warning(fields: dict[str, Any]) -> None:
    (warning,) = refuse_other_images(dataset(Modality="RG", **fields), SECONDARY_CAPTURE)
    assert warning == "Modality (0008,0060) is RG, not MG; it is read because its header says breast."


def test_what_a_reader_is_told() -> None:
    assert reading_warnings(dataset(), ()) == ()
    said = reading_warnings(
        dataset(
            BreastImplantPresent="YES",
            PartialView="YES",
            ImageType=["DERIVED", "PRIMARY", "TOMO", "GENERATED_2D"],
            LossyImageCompression="01",
            LossyImageCompressionRatio="10",
        ),
        ("Spot Compression", "Magnification"),
    )
    assert said == (
        "Not a plain view: Spot Compression, Magnification.",
        "Breast Implant Present (0028,1300) is YES.",
        "Partial View (0028,1350) is YES: not all of the breast is in this image.",
        "Synthesised from tomosynthesis (Image Type GENERATED_2D), not acquired as a mammogram.",
        "Lossy compression 10:1: fine detail may be missing.",
    )


@pytest.mark.parametrize(
    ("factor", "coded", "expected"),
    [
        (None, (), ()),
        ("1.07", (), ()),
        ("1.8", (), ("Magnification",)),
        ("1.8", ("Magnification",), ("Magnification",)),
        ("1.8", ("Spot Compression",), ("Spot Compression", "Magnification")),
    ],
)
def test_geometric_magnification_is_a_modifier(
    factor: str | None, coded: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert view_modifiers(dataset(EstimatedRadiographicMagnificationFactor=factor), projection(*coded)) == expected
