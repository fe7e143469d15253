"""Operating points saved in a library: versions, use, going back, and what becomes of exams read before."""

import hashlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError

from made import MODEL_IN_USE as MODEL
from made import made_header, made_point
from mammo_core.errors import InputError
from mammo_core.library import AiResult, BreastResult, HeatRecord, Library, ModelRecord, ViewResult, tables
from mammo_core.library.pixels import heat_bytes
from mammo_core.mammogram import Mammogram
from mammo_core.thresholds import Thresholds


def sha_of(number: int) -> str:
    return hashlib.sha256(f"{number}.dcm".encode()).hexdigest()


def result(number: int, score: float, model: str = MODEL) -> AiResult:
    views = (ViewResult(sha_of(number), "L", "CC", score, (), (), ()),)
    record = ModelRecord("made", "1", model, "phantom", made_point(0.5))
    return AiResult(record, score, score >= 0.5, (BreastResult("L", score, score >= 0.5),), views, (), ("gradcam",))


def add_study(
    library: Library,
    number: int,
    score: float,
    manufacturer: str = "Vendor A",
    model: str = MODEL,
    *,
    phantom: bool = False,
) -> int:
    """A study of one image, read by the model with a heatmap."""
    header = made_header(
        2,
        3,
        sha256=sha_of(number),
        file=f"{number}.dcm",
        study_uid=f"1.2.{number}",
        patient_id=f"p{number}",
        manufacturer=manufacturer,
    )
    file = library.folder.parent / header.file
    file.write_text(header.file)
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    study_id = library.add_image(Mammogram(header, pixels), file, phantom=phantom)
    data, rows, columns = heat_bytes(np.ones((2, 3), np.float32), 1.0, header.hanging)
    heat = HeatRecord("gradcam", hashlib.sha256(data).hexdigest(), rows, columns, 1.0)
    assert library.record_ai(library.study(study_id), result(number, score, model), [(header.sha256, heat, data)])
    return study_id


def chosen(threshold: float, **vendors: float) -> Thresholds:
    return Thresholds(
        general=made_point(threshold), vendors={name: made_point(value) for name, value in vendors.items()}
    )


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as opened:
        opened.set_reader("Dr Test")
        yield opened


def test_without_a_saved_point_the_checkpoints_own_counts(library: Library) -> None:
    study = add_study(library, 1, 0.6)
    assert library.points.in_use(MODEL) is None
    assert library.points.history(MODEL) == ()
    assert library.study(study).ai.result.model.operating_point == made_point(0.5)


def test_a_saved_point_is_a_version_with_a_name_a_reason_and_somebody(library: Library) -> None:
    first = library.points.save(MODEL, "Fewer recalls", "The clinic is full", chosen(0.7))
    second = library.points.save(MODEL, "More\n recalls", "It is empty", chosen(0.3))
    assert (first.version, second.version) == (1, 2)
    assert (second.name, second.reason, second.who) == ("More recalls", "It is empty", "Dr Test")
    assert library.points.in_use(MODEL) == second
    assert [(point.version, point.in_use) for point in library.points.history(MODEL)] == [(2, True), (1, False)]
    assert second.thresholds.general.threshold == 0.3
    assert second.thresholds.general.rule == "saved as 'More recalls', version 2: given. Reason: It is empty"
    assert library.points.in_use("e" * 64) is None, "another model has its own"


def test_it_is_in_the_audit_trail(library: Library) -> None:
    library.points.save(MODEL, "Fewer recalls", "The clinic is full", chosen(0.7, Acme=0.8))
    event = library.events()[-1]
    assert (event.what, event.who, event.study_id) == ("operating point saved", "Dr Test", None)
    assert event.detail == {
        "model": MODEL,
        "name": "Fewer recalls",
        "version": "1",
        "reason": "The clinic is full",
        "threshold": "0.7",
        "threshold Acme": "0.8",
    }


def test_exams_read_before_are_flagged_anew_and_what_was_shown_stays(library: Library) -> None:
    studies = [add_study(library, number, score) for number, score in ((1, 0.6), (2, 0.8))]
    before = library.study(studies[0]).ai
    library.points.save(MODEL, "Fewer recalls", "why", chosen(0.7))
    after = [library.study(study).ai for study in studies]
    assert [ai.result.flagged for ai in after] == [False, True]
    assert [ai.result.breasts[0].flagged for ai in after] == [False, True]
    assert after[0].result.model.operating_point.threshold == 0.7
    assert after[0].heats == before.heats
    assert {line.id: line.flagged for line in library.worklist()} == dict(zip(studies, [False, True], strict=True))
    # The answer as it was given stays, for the reads that refer to it.
    assert after[0].id != before.id
    assert library.ai_result(before.id) == before.result
    # Nothing is to be read again.
    assert library.unread_by(MODEL) == []


def test_a_new_result_is_flagged_by_the_point_in_use(library: Library) -> None:
    library.points.save(MODEL, "Fewer recalls", "why", chosen(0.7))
    study = add_study(library, 1, 0.6)
    found = library.study(study).ai.result
    assert found.flagged is False
    assert found.model.operating_point.threshold == 0.7


def test_a_vendor_may_have_its_own(library: Library) -> None:
    ours, theirs = add_study(library, 1, 0.6), add_study(library, 2, 0.6, manufacturer="Acme")
    library.points.save(MODEL, "By vendor", "why", chosen(0.5, Acme=0.7))
    assert library.study(ours).ai.result.flagged is True
    assert library.study(theirs).ai.result.flagged is False
    assert library.study(theirs).ai.result.model.operating_point.threshold == 0.7


def test_back_to_an_earlier_one_and_to_the_checkpoints_own(library: Library) -> None:
    study = add_study(library, 1, 0.6)
    first = library.points.save(MODEL, "Fewer", "why", chosen(0.7))
    library.points.save(MODEL, "More", "why", chosen(0.2))
    assert library.study(study).ai.result.flagged is True
    library.points.use(MODEL, first.id, "more was too many", made_point(0.5))
    assert library.points.in_use(MODEL).id == first.id
    assert library.study(study).ai.result.flagged is False
    library.points.use(MODEL, None, "as published", made_point(0.5))
    assert library.points.in_use(MODEL) is None
    assert library.study(study).ai.result.model.operating_point == made_point(0.5)
    assert library.study(study).ai.result.flagged is True
    event = library.events()[-1]
    assert event.what == "operating point changed back"
    assert event.detail == {"model": MODEL, "name": "the checkpoint's own", "reason": "as published"}


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        (" ", "why", "name: is empty"),
        ("x", "\n", "reason: is empty"),
        ("x" * 81, "why", "name: has 81 characters; at most 80"),
    ],
)
def test_a_name_and_a_reason_are_asked_for(library: Library, name: str, reason: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        library.points.save(MODEL, name, reason, chosen(0.7))
    assert library.points.history(MODEL) == ()


def test_what_cannot_be_used_is_said(library: Library) -> None:
    other = library.points.save("e" * 64, "Other", "why", chosen(0.7))
    with pytest.raises(InputError, match="is not one that was saved for this model"):
        library.points.use(MODEL, other.id, "why", None)
    with pytest.raises(InputError, match="is in use already"):
        library.points.use(MODEL, None, "why", None)


def test_worklist_entries_that_would_change(library: Library) -> None:
    studies = [add_study(library, number, score) for number, score in ((1, 0.2), (2, 0.6), (3, 0.65), (4, 0.9))]
    found = library.points.flips(MODEL, chosen(0.5), chosen(0.7), None)
    assert [(line.study_id, line.flagged) for line in found] == [(studies[2], False), (studies[1], False)]
    assert library.points.flips(MODEL, chosen(0.5), chosen(0.5), None) == ()
    assert library.points.flips(MODEL, chosen(0.5), chosen(0.7), "Dr Blind") == (), "nothing is given away"


def test_saved_points_cannot_be_changed_in_the_database(library: Library) -> None:
    library.points.save(MODEL, "Fewer", "why", chosen(0.7))
    engine = create_engine(f"sqlite:///{library.folder / 'library.sqlite3'}")
    for statement in ("UPDATE operating_points SET name = 'x'", "DELETE FROM point_uses"):
        with pytest.raises(IntegrityError, match="kept as it was"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_library_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    with Library(tmp_path / "library") as library:
        study = add_study(library, 1, 0.6)
    with sqlite3.connect(tmp_path / "library" / "library.sqlite3") as old:
        for table in ("point_uses", "operating_points", "promotions", "models"):
            old.execute(f"DROP TABLE {table}")
        old.execute("PRAGMA user_version = 1")
    old.close()
    with Library(tmp_path / "library") as library:
        assert library.study(study).ai.result.score == 0.6
        library.points.save(MODEL, "Fewer", "why", chosen(0.7))
        assert library.study(study).ai.result.flagged is False
    with sqlite3.connect(tmp_path / "library" / "library.sqlite3") as now:
        assert now.execute("PRAGMA user_version").fetchone() == (tables.SCHEMA_VERSION,) == (3,)
    now.close()
