"""Grouping, hanging order, priors and what a reader is told about a study."""

import pytest

from mammo_core.errors import InputError
from mammo_core.mammogram import Header
from mammo_core.study import Study, assign, group_studies, hanging_order, priors, unsuitable
from tiny_dicom import header


def image(label: str, number: int = 0, **changes: object) -> Header:
    """Header of one view, ``label`` such as "LCC" or "R?"; the number makes its content unique."""
    view = label[1:]
    fields: dict[str, object] = {
        "laterality": None if label[0] == "?" else label[0],
        "view": None if view == "?" else view,
        "file": f"{label}{number}.dcm",
        "sha256": f"{label}{number}{changes.get('study_uid', '')}{changes.get('patient_id', '')}",
    }
    return header(**(fields | changes))


def labels(study: Study) -> list[list[str]]:
    return [[found.file.removesuffix(".dcm") for found in row] for row in hanging_order(study)]


def exam(**changes: object) -> list[Header]:
    return [image(label, **changes) for label in ("LMLO", "RCC", "LCC", "RMLO")]


def test_four_views_hang_with_the_right_breast_first() -> None:
    (study,) = group_studies(exam())
    assert labels(study) == [["RCC0", "LCC0"], ["RMLO0", "LMLO0"]]
    assert study.warnings == ()
    assert study.missing == ()
    assert (study.uid, study.patient_id, study.date) == ("1.2", "P", "20240101")


def test_several_images_of_a_view_and_other_views() -> None:
    images = [*exam(), image("RCC", 1), image("LML"), image("R?"), image("RXCCL"), image("?CC")]
    (study,) = group_studies(images)
    assert labels(study) == [["RCC0", "RCC1", "LCC0"], ["RMLO0", "LMLO0"], ["R?0"], ["?CC0"], ["LML0"], ["RXCCL0"]]
    assert [found.file for found in study.unresolved] == ["?CC0.dcm", "R?0.dcm"]
    assert study.warnings == ("Laterality or view is not known: ?CC0.dcm, R?0.dcm.",)


def test_missing_and_unsuitable_views_are_said() -> None:
    spot = image("LMLO", view_modifiers=("Spot Compression", "Nipple in Profile"))
    (study,) = group_studies([image("RCC"), image("LCC"), spot])
    assert study.missing == ("RMLO", "LMLO")
    assert study.warnings == ("Missing views: RMLO, LMLO.", "LMLO0.dcm is not scored: Spot Compression.")
    assert unsuitable(image("RCC")) == ""
    assert unsuitable(image("RCC", view_modifiers=("Implant Displaced",))) == ""
    assert unsuitable(image("RCC", view_modifiers=("Magnification",))) == "Magnification"
    assert unsuitable(image("RSPECIMEN")) == "tissue specimen"


def test_studies_by_uid_and_patient() -> None:
    mixed = [*exam(), *exam(study_uid="1.3"), *exam(patient_id="Q"), image("RCC")]
    studies = group_studies(mixed)
    assert [(study.uid, study.patient_id, len(study.headers)) for study in studies] == [
        ("1.2", "P", 4),
        ("1.3", "P", 4),
        ("1.2", "Q", 4),
    ]
    assert len({study.key for study in studies}) == 3
    assert [study.other_patients for study in studies] == [("Q",), (), ("P",)]
    assert "also came with another patient ID (Q)" in studies[0].warnings[-1]
    assert "also came with another patient ID (P)" in studies[2].warnings[-1]


def test_studies_without_uid_by_patient_and_date_else_by_folder() -> None:
    dates = [*exam(study_uid=""), *exam(study_uid="", study_date="20230101", sha256="x")]
    assert [study.date for study in group_studies(dates)] == ["20230101", "20240101"]
    assert "no Study Instance UID" in group_studies(dates)[0].warnings[-1]
    nameless = [image("RCC", study_uid="", patient_id="", file=f"{folder}/a.dcm", sha256=folder) for folder in "ab"]
    assert len(group_studies(nameless)) == 2


def test_the_key_does_not_depend_on_order_or_file_names() -> None:
    (study,) = group_studies(exam())
    (other,) = group_studies([image(label, file=f"elsewhere/{label}") for label in ("RCC", "LCC")])
    assert study.key == other.key
    assert study.key.isalnum()
    assert study.key.isascii()


def test_priors_are_earlier_studies_of_the_same_patient() -> None:
    made = group_studies(
        [
            image("RCC", study_uid=uid, study_date=date, patient_id=patient)
            for uid, date, patient in (
                ("1", "20200101", "P"),
                ("2", "20220101", "P"),
                ("3", "20240101", "P"),
                ("4", "20210101", "Q"),
                ("5", "", "P"),
                ("6", "20190101", ""),
                ("7", "20200101", ""),
            )
        ]
    )
    by_uid = {study.uid: study for study in made}
    assert [study.uid for study in priors(by_uid["3"], made)] == ["2", "1"]
    assert priors(by_uid["1"], made) == []
    assert priors(by_uid["5"], made) == []
    assert priors(by_uid["7"], made) == []


def test_a_reader_assigns_what_is_missing() -> None:
    asked = image(
        "??",
        tissue_side="left",
        warnings=(
            "The laterality is missing: please enter it.",
            "The view is contradictory: x. Please enter it.",
            "Breast Implant Present (0028,1300) is YES.",
        ),
    )
    resolved = assign(asked, laterality="right", view="mlo")
    assert (resolved.laterality, resolved.view) == ("R", "MLO")
    assert (resolved.laterality_source, resolved.view_source) == ("entered by the reader", "entered by the reader")
    assert resolved.hanging.flip_horizontal
    assert resolved.hanging.source == "side of the tissue; upside-down cannot be known"
    assert resolved.warnings == ("Breast Implant Present (0028,1300) is YES.",)
    oriented = assign(image("?CC", patient_orientation=("A", "R"), tissue_side="left"), laterality="L", source="csv")
    assert not oriented.hanging.flip_horizontal
    assert oriented.hanging.source == "Patient Orientation (0020,0020) A\\R"
    assert oriented.laterality_source == "csv"
    assert assign(asked) == asked


def test_unknown_values_are_refused() -> None:
    with pytest.raises(InputError, match="view: is 'front', expected one of"):
        assign(image("R?"), view="front")
    with pytest.raises(InputError, match="laterality: is '', expected L or R"):
        assign(image("?CC"), laterality="")
