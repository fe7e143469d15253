"""Outcomes of breasts that were read: by hand and from CSV, what is refused, and the cases that come of them."""

from pathlib import Path

import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.library import Library, OutcomeImport
from test_library_points import MODEL, add_study


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as opened:
        opened.set_reader("Dr Test")
        yield opened


def test_an_outcome_by_hand_counts_until_it_is_replaced_or_taken_back(library: Library) -> None:
    study = add_study(library, 1, 0.6)
    library.outcomes.record(study, "L", True, source="by hand")
    found = library.outcomes.of_study(study)
    assert set(found) == {"L"}
    assert (found["L"].cancer, found["L"].who, found["L"].source) == (True, "Dr Test", "by hand")
    library.outcomes.record(study, "L", False, source="by hand")
    assert library.outcomes.of_study(study)["L"].cancer is False
    library.outcomes.record(study, "L", None, source="by hand")
    assert library.outcomes.of_study(study) == {}
    said = [event.detail["outcome"] for event in library.events(study) if event.what == "outcome recorded"]
    assert said == ["cancer", "no cancer", "taken back"]


def test_what_is_not_there_has_no_outcome(library: Library) -> None:
    study = add_study(library, 1, 0.6)
    with pytest.raises(InputError, match="has no image of the breast R"):
        library.outcomes.record(study, "R", True, source="by hand")
    with pytest.raises(InputError, match="study 99"):
        library.outcomes.record(99, "L", True, source="by hand")


def test_a_csv_by_uid_or_number(library: Library) -> None:
    first, second = add_study(library, 1, 0.6), add_study(library, 2, 0.3)
    text = f"\ufeffstudy,laterality,cancer,more\r\n1.2.1,L,1,x\r\n{second}, left ,no,y\r\n"
    assert library.outcomes.import_csv(text, "list.csv") == OutcomeImport(2, ())
    assert library.outcomes.of_study(first)["L"].cancer is True
    assert library.outcomes.of_study(second)["L"].cancer is False
    assert library.outcomes.of_study(second)["L"].source == "list.csv"


def test_bad_lines_are_told_and_the_good_ones_count(library: Library) -> None:
    study = add_study(library, 1, 0.6)
    add_study(library, 2, 0.6)
    text = "study,laterality,cancer\n9.9,L,1\n1.2.1,L,1\n1.2.1,L,0\n1.2.2,X,1\n1.2.2,L,maybe\n1.2.2,R,0\n1.2.2\n"
    found = library.outcomes.import_csv(text, "list.csv")
    assert found.recorded == 1
    assert [line for line, _ in found.refused] == [2, 4, 5, 6, 7, 8]
    told = [reason for _, reason in found.refused]
    for reason, words in zip(
        told,
        (
            "study: '9.9' is not in the library",
            "study: '1.2.1' L is in line 3 already",
            "laterality: 'X' is neither R nor L",
            "cancer: 'maybe' is neither 1 nor 0",
            "laterality: the study has no image of the breast R",
            "laterality: '' is neither R nor L",
        ),
        strict=True,
    ):
        assert reason == words
    assert library.outcomes.of_study(study)["L"].cancer is True


def test_a_csv_without_its_columns_is_refused_as_a_whole(library: Library) -> None:
    for text in ("", "study;laterality;cancer\n", "study,side,cancer\n"):
        with pytest.raises(InputError, match="expected a first line study,laterality,cancer"):
            library.outcomes.import_csv(text, "list.csv")


def test_cases_are_breasts_that_the_model_read_and_whose_outcome_is_known(library: Library) -> None:
    studies = [add_study(library, number, score) for number, score in ((1, 0.6), (2, 0.3), (3, 0.9))]
    library.outcomes.record(studies[0], "L", True, source="by hand")
    library.outcomes.record(studies[1], "L", False, source="by hand")
    cases = library.outcomes.cases(MODEL)
    assert cases.scores.tolist() == [0.6, 0.3]
    assert cases.labels.tolist() == [True, False]
    assert cases.patients == ("p1", "p2")
    assert dict(cases.groups) == {"laterality": ("L", "L"), "views": ("CC", "CC"), "manufacturer": ("Vendor A",) * 2}
    assert len(library.outcomes.cases("e" * 64)) == 0
    assert np.isfinite(cases.scores).all()


def test_a_removed_study_takes_its_outcomes_along(library: Library) -> None:
    study = add_study(library, 1, 0.6)
    library.outcomes.record(study, "L", True, source="by hand")
    library.remove(study)
    assert len(library.outcomes.cases(MODEL)) == 0
