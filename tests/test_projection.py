"""Laterality and view from header and file name, and their contradictions."""

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mammo_core.errors import InputError
from mammo_core.projection import assigned_laterality, assigned_view, projection_in_name, projection_of
from tiny_dicom import code


def dataset(**fields: Any) -> Dataset:
    made = Dataset()
    for keyword, value in fields.items():
        setattr(made, keyword, Sequence(value) if keyword.endswith("Sequence") else value)
    return made


@pytest.mark.parametrize(
    ("value", "scheme", "view"),
    [
        ("399162004", "SCT", "CC"),
        ("399368009", "SCT", "MLO"),
        ("R-10242", "SRT", "CC"),
        ("R-10226", "SNM3", "MLO"),
        ("R-10224", "SRT", "ML"),
        ("399352003", "SCT", "LM"),
        ("R-1024A", "SRT", "XCCL"),
        ("Y-X1770", "SNM3", "XCCL"),
        ("399196006", "SCT", "FB"),
    ],
)
def test_view_from_its_code_before_view_position(value: str, scheme: str, view: str) -> None:
    coded = dataset(ViewCodeSequence=[code(value, scheme, "")], ImageLaterality="R")
    found = projection_of(coded, "x.dcm")
    assert (found.view, found.view_source) == (view, "View Code Sequence (0054,0220)")
    assert found.warnings == ()


def test_axillary_tail_is_an_mlo_with_a_modifier() -> None:
    tail = code("R-10226", "SRT", "", ViewModifierCodeSequence=Sequence([code("R-102D1", "SRT", "")]))
    found = projection_of(dataset(ViewCodeSequence=[tail], ViewPosition="MLO", ImageLaterality="R"), "x")
    assert (found.view, found.modifiers, found.warnings) == ("AT", ("Axillary Tail",), ())


def test_modifiers_in_their_order() -> None:
    modifiers = [
        code("399055006", "SCT", "spot"),
        code("R-102D6", "SRT", ""),
        code("R-102D5", "SNM3", ""),
        code("99", "LOCAL", "Something else"),
    ]
    view = code("399162004", "SCT", "", ViewModifierCodeSequence=Sequence(modifiers))
    found = projection_of(dataset(ViewCodeSequence=[view], ImageLaterality="R"), "x")
    assert found.modifiers == ("Spot Compression", "Magnification", "Implant Displaced", "Something else")


def test_sources_of_laterality() -> None:
    anatomy = dataset(FrameLaterality="R")
    shared = dataset(FrameAnatomySequence=[anatomy])
    for fields, source in (
        ({"ImageLaterality": "R", "Laterality": "R"}, "Image Laterality (0020,0062)"),
        ({"Laterality": "R"}, "Laterality (0020,0060)"),
        ({"SharedFunctionalGroupsSequence": [shared]}, "Frame Laterality (0020,9072)"),
        ({"PatientOrientation": ["A", "FL"]}, "Patient Orientation (0020,0020)"),
        ({"PatientOrientation": ["P", "HR"]}, "Patient Orientation (0020,0020)"),
    ):
        found = projection_of(dataset(ViewPosition="MLO", **fields), "x")
        assert (found.laterality, found.laterality_source) == ("R", source)
    found = projection_of(dataset(), "exam/RMLO.dcm")
    assert (found.laterality, found.laterality_source) == ("R", "file name")
    assert (found.view, found.view_source) == ("MLO", "file name")


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize(
    ("view", "feet_and_left"),
    [("MLO", "R"), ("LMO", "R"), ("AT", "R"), ("SIO", "L"), ("ISO", "L"), ("CC", None), ("ML", None), (None, None)],
)
def test_the_plane_of_an_oblique_view_tells_the_breast(view: str | None, feet_and_left: str, upside_down: bool) -> None:
    """The beam of MLO enters a right breast near the midline above; that of SIO at the outer side above."""
    other = {"L": "R", "R": "L", None: None}[feet_and_left]
    fields = {} if view is None else {"ViewPosition": view}
    for down, expected in (("HR" if upside_down else "FL", feet_and_left), ("HL" if upside_down else "FR", other)):
        found = projection_of(dataset(PatientOrientation=["P", down], **fields), "x")
        assert found.laterality == expected
        agreeing = projection_of(dataset(PatientOrientation=["P", down], ImageLaterality="R", **fields), "x")
        assert agreeing.laterality == (None if expected == "L" else "R")


def test_more_modifiers_than_any_view_has_are_left_out() -> None:
    modifiers = Sequence([code(f"{number}", "LOCAL", f"{number}") for number in range(1000)])
    view = code("399162004", "SCT", "", ViewModifierCodeSequence=modifiers)
    found = projection_of(dataset(ViewCodeSequence=[view], ImageLaterality="R"), "x")
    assert found.modifiers == tuple(f"{number}" for number in range(14))


@pytest.mark.parametrize(
    ("fields", "name", "what"),
    [
        ({"ImageLaterality": "R"}, "LCC.dcm", "laterality"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "x", "laterality"),
        ({"ImageLaterality": "L", "PatientOrientation": ["P", "FL"], "ViewPosition": "MLO"}, "x", "laterality"),
        ({"ViewPosition": "CC"}, "LMLO.dcm", "view"),
        ({"ViewCodeSequence": [code("399162004", "SCT", "")], "ViewPosition": "MLO"}, "x", "view"),
    ],
)
def test_contradictions_are_asked_about_and_not_guessed(fields: dict[str, Any], name: str, what: str) -> None:
    found = projection_of(dataset(**fields), name)
    assert getattr(found, what) is None
    assert any(warning.startswith(f"The {what} is contradictory: ") for warning in found.warnings)
    assert getattr(found, f"{what}_source").startswith("contradictory: ")


def test_what_is_missing_is_asked_about() -> None:
    found = projection_of(dataset(ImageLaterality="B", ViewPosition="AP"), "IM0001")
    assert (found.laterality, found.view) == (None, None)
    assert found.warnings == (
        "The laterality is missing: please enter it.",
        "The view is missing: please enter it.",
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LCC.dcm", ("L", "CC")),
        ("a/b/RMLO", ("R", "MLO")),
        ("P1_L_CC_2.dcm", ("L", "CC")),
        ("patient-right-mlo.dcm", ("R", "MLO")),
        ("R XCCL.dcm", ("R", "XCCL")),
        ("LCC2.dcm", ("L", "CC")),
        ("20587810_81cd83d2f4d78528_MG_L_ML_ANON.dcm", ("L", "MLO")),
        ("20587836_81cd83d2f4d78528_MG_R_CC_ANON.dcm", ("R", "CC")),
        ("P1_L_ML_2.dcm", ("L", "ML")),
        ("C:\\exams\\LCC\\RMLO.dcm", ("R", "MLO")),
        ("IM_0001.dcm", (None, None)),
        ("L.dcm", (None, None)),
        ("MLO.dcm", (None, None)),
        ("LCC_RMLO.dcm", (None, None)),
        ("ALCC.dcm", (None, None)),
        ("LCC/IM1.dcm", (None, None)),
    ],
)
def test_names_that_spell_out_both(name: str, expected: tuple[str | None, str | None]) -> None:
    assert projection_in_name(name) == expected


def test_what_a_person_enters() -> None:
    assert assigned_view(" mlo ") == "MLO"
    assert assigned_laterality("left") == "L"
    with pytest.raises(InputError, match="view: is 'XX', expected one of ML, MLO"):
        assigned_view("XX")
    with pytest.raises(InputError, match="laterality: is 'B', expected L or R"):
        assigned_laterality("B")
