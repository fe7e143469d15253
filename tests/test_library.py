"""The library: what goes in comes back, twice is once, and what was recorded stays."""

import csv
import gzip
import hashlib
import io
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from made import MODEL_IN_USE, made_header, made_point
from mammo_core.errors import InputError
from mammo_core.library import (
    AiResult,
    BreastCall,
    BreastResult,
    Call,
    HeatRecord,
    Library,
    ModelRecord,
    ViewResult,
    as_study,
    reads_csv,
)
from mammo_core.library.pixels import heat_bytes, unpack
from mammo_core.mammogram import Hanging, Mammogram

MIRRORED = Hanging(transpose=False, flip_horizontal=True, flip_vertical=False, source="test")
SHA = {number: hashlib.sha256(f"{number}.dcm".encode()).hexdigest() for number in range(1, 10)}
RECALL_LEFT = Call(right=BreastCall(recall=False, suspicion=1), left=BreastCall(recall=True, suspicion=4))


def mammogram(number: int = 1, **changes: object) -> Mammogram:
    """A 2 x 3 image from a file whose name is its content."""
    changes = {"sha256": SHA[number], "file": f"{number}.dcm"} | changes
    return Mammogram(made_header(2, 3, **changes), np.array([[1, 2, 3], [4, 5, 65535]], np.uint16))


def result(score: float | None = 0.75, *shas: str) -> AiResult:
    views = tuple(ViewResult(sha, "L", "CC", score, (("Model input", "3 x 2"),), (), ()) for sha in shas)
    breasts = () if score is None else (BreastResult("L", score, flagged=True),)
    model = ModelRecord("made", "1", MODEL_IN_USE, "phantom", made_point(0.5))
    return AiResult(model, score, True, breasts, views, ("A warning.",), ("gradcam", "layercam"))


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as opened:
        opened.set_reader("Dr Test")
        yield opened


def add(library: Library, *mammograms: Mammogram) -> int:
    ids = []
    for each in mammograms:
        file = library.folder.parent / each.header.file
        file.write_bytes(each.header.file.encode())
        ids.append(library.add_image(each, file, phantom=False))
    return ids[-1]


def test_an_image_comes_back_as_it_went_in(library: Library) -> None:
    given = mammogram(1, warnings=("Told.",), padding=(0, 3))
    study = library.study(add(library, given))
    (image,) = study.images
    assert image.header == given.header
    assert (image.rows, image.columns) == (2, 3)
    assert library.original(SHA[1]).read_bytes() == b"1.dcm"
    np.testing.assert_array_equal(unpack(library.pixels(SHA[1]), 2, 3), given.pixels)


def test_a_file_that_is_not_the_decoded_one_is_refused(library: Library, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other content")
    with pytest.raises(InputError, match="changed while it was read"):
        library.add_image(mammogram(1), tmp_path / "other", phantom=False)
    assert library.worklist() == []
    assert not [path for path in library.folder.rglob("*") if path.is_file() and "sqlite3" not in path.name]


def test_pixels_are_gzip_of_hung_little_endian_words(library: Library) -> None:
    add(library, mammogram(1, hanging=MIRRORED))
    assert gzip.decompress(library.pixels(SHA[1])) == bytes([3, 0, 2, 0, 1, 0, 255, 255, 5, 0, 4, 0])


def test_adding_twice_changes_nothing(library: Library) -> None:
    first = add(library, mammogram(1), mammogram(2, view="MLO"))
    events = library.events()
    assert add(library, mammogram(1), mammogram(2, view="MLO")) == first
    assert library.events() == events
    assert [len(library.study(line.id).images) for line in library.worklist()] == [2]


def test_studies_of_one_uid_and_two_patients_stay_apart(library: Library) -> None:
    first = add(library, mammogram(1))
    assert as_study(library.study(first)).other_patients == ()
    second = add(library, mammogram(2, patient_id="p2"))
    assert first != second
    assert as_study(library.study(first)).other_patients == ("p2",)
    assert as_study(library.study(second)).other_patients == ("p1",)


def test_worklist_shows_newest_addition_first_and_what_presses_most(library: Library) -> None:
    done = add(library, mammogram(1))
    add(library, mammogram(2, study_uid="1.9", view=None))
    library.record_ai(library.study(done), result(0.75, SHA[1]), [])
    lines = library.worklist()
    assert [(line.status, line.score, line.flagged) for line in lines] == [
        ("needs answer", None, None),
        ("AI done", 0.75, True),
    ]
    assert lines[0].views == (("L", None),)


def test_a_correction_hangs_the_image_anew_and_asks_for_a_new_reading(library: Library) -> None:
    study = add(library, mammogram(1, laterality="R", hanging=MIRRORED, tissue_side="left", patient_orientation=()))
    library.record_ai(library.study(study), result(0.75, SHA[1]), [])
    assert library.unread_by(MODEL_IN_USE) == []
    library.correct(SHA[1], "L", "MLO")
    after = library.study(study)
    assert (after.images[0].header.laterality, after.images[0].header.view) == ("L", "MLO")
    hanging = after.images[0].header.hanging
    expected = np.array([[1, 2, 3], [4, 5, 65535]], np.uint16)
    assert not hanging.flip_horizontal
    np.testing.assert_array_equal(unpack(library.pixels(SHA[1]), 2, 3), expected)
    assert after.ai is None
    assert library.unread_by(MODEL_IN_USE) == [study]
    assert library.events(study)[-1].detail == {"sha256": SHA[1], "before": "R CC", "after": "L MLO"}


def test_an_ai_result_of_other_images_is_not_kept(library: Library) -> None:
    study = library.study(add(library, mammogram(1)))
    add(library, mammogram(2, view="MLO"))
    assert library.record_ai(study, result(0.75, SHA[1]), []) is False
    assert library.study(study.id).ai is None


def test_ai_result_and_heatmap_come_back(library: Library) -> None:
    study = library.study(add(library, mammogram(1)))
    given = result(0.75, SHA[1])
    data, rows, columns = heat_bytes(np.array([[0.0, 2.0, 4.0]], np.float32), 4.0, MIRRORED)
    assert data == bytes([255, 128, 0])
    heat = HeatRecord("gradcam", hashlib.sha256(data).hexdigest(), rows, columns, 4.0)
    assert library.record_ai(study, given, [(SHA[1], heat, data)])
    ai = library.study(study.id).ai
    assert ai is not None
    assert ai.result == given
    assert ai.heats == {(SHA[1], "gradcam"): heat}
    assert library.heat(heat) == data


def test_blind_mode_hides_ai_until_this_reader_has_read(library: Library) -> None:
    study = add(library, mammogram(1))
    library.record_ai(library.study(study), result(0.75, SHA[1]), [])
    library.set_blind(True)
    assert library.study(study).ai_hidden
    assert (library.worklist()[0].score, library.worklist()[0].flagged) == (None, None)
    read = library.record_read(study, RECALL_LEFT)
    assert (read.blind, read.ai_id) == (True, None)
    assert not library.study(study).ai_hidden
    assert library.worklist()[0].score == 0.75
    library.set_reader("Dr Other")
    assert library.study(study).ai_hidden


def test_a_read_is_not_blind_once_its_reader_has_seen_the_ai(library: Library) -> None:
    study = add(library, mammogram(1))
    library.record_ai(library.study(study), result(0.75, SHA[1]), [])
    library.ai_shown([study, 77])
    library.ai_shown([study])
    library.set_blind(True)
    assert library.study(study).ai_hidden
    assert not library.record_read(study, RECALL_LEFT).blind
    library.set_reader("Dr Other")
    assert library.record_read(study, RECALL_LEFT).blind
    library.remove(study)
    assert library.worklist() == []


def test_a_call_on_one_breast_does_not_uncover_the_ai_of_both(library: Library) -> None:
    study = add(library, mammogram(1, laterality="L"))
    assert add(library, mammogram(2, laterality="R")) == study
    library.set_blind(True)
    with pytest.raises(InputError, match="the right breast is not called; while the AI is hidden"):
        library.record_read(study, Call(None, BreastCall(recall=False)))
    assert library.study(study).ai_hidden
    library.record_read(study, RECALL_LEFT)
    assert not library.study(study).ai_hidden
    library.record_read(study, Call(None, BreastCall(recall=False)))  # nothing is hidden any more


def test_a_read_before_there_is_any_ai_is_blind_and_one_beside_it_is_not(library: Library) -> None:
    study = add(library, mammogram(1))
    assert library.record_read(study, RECALL_LEFT).blind
    library.record_ai(library.study(study), result(0.75, SHA[1]), [])
    assert not library.record_read(study, RECALL_LEFT).blind


def test_the_date_of_a_study_is_the_earliest_of_its_images(library: Library) -> None:
    dates = ["", "20240102", "20240101", "20240103"]
    ids = {add(library, mammogram(number, study_date=date)) for number, date in enumerate(dates, start=1)}
    (study,) = ids
    assert library.study(study).date == as_study(library.study(study)).date == "20240101"
    assert library.worklist()[0].date == "20240101"
    changes = [event.detail for event in library.events(study) if event.what == "study date changed"]
    assert changes == [{"before": "", "after": "20240102"}, {"before": "20240102", "after": "20240101"}]


def test_a_read_comes_back_with_the_ai_that_was_on_screen(library: Library) -> None:
    study = add(library, mammogram(1))
    library.record_ai(library.study(study), result(0.75, SHA[1]), [])
    call = Call(right=None, left=BreastCall(recall=False), agreement="disagree", note="Old scar.")
    read = library.record_read(study, call)
    ai = library.study(study).ai
    assert ai is not None
    assert (read.call, read.reader, read.blind, read.ai_id) == (call, "Dr Test", False, ai.id)
    assert library.study(study).reads == (read,)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Call(None, None), "at least one breast"),
        (Call(BreastCall(recall=True, suspicion=6), None), "between 1 and 5"),
        (Call(BreastCall(recall=True), None, agreement="agree"), "no AI result on screen"),
        (Call(BreastCall(recall=True), None, note="x" * 4001), "4001 characters"),
    ],
)
def test_what_is_no_call_is_refused(library: Library, call: Call, said: str) -> None:
    study = add(library, mammogram(1))
    with pytest.raises(InputError, match=said):
        library.record_read(study, call)
    assert library.study(study).reads == ()


def test_priors_are_earlier_studies_of_the_patient_newest_first(library: Library) -> None:
    dates = ["20250101", "20200101", "20240101", ""]
    ids = [
        add(library, mammogram(number, study_uid=f"1.{number}", study_date=date))
        for number, date in enumerate(dates, start=1)
    ]
    add(library, mammogram(9, study_uid="1.9", study_date="20230101", patient_id="p2"))
    assert [prior.id for prior in library.priors(ids[0])] == [ids[2], ids[1]]
    assert library.priors(ids[3]) == []


def test_csv_has_one_line_per_read_and_no_formula(library: Library) -> None:
    study = add(library, mammogram(1, patient_id="=1+1"))
    library.record_ai(library.study(study), result(0.75, SHA[1]), [])
    library.record_read(study, Call(BreastCall(recall=False, suspicion=2), None, "agree", "@SUM(A1),\nsecond line"))
    (line,) = csv.DictReader(io.StringIO(reads_csv(library), newline=""))
    assert line["patient_id"] == "'=1+1"
    assert line["note"] == "'@SUM(A1),\nsecond line"
    assert (line["right_recall"], line["right_suspicion"], line["left_recall"]) == ("no", "2", "")
    assert (line["agreement"], line["ai_on_screen"]) == ("agree", "yes")
    assert (line["ai_score"], line["ai_left_score"], line["ai_right_score"]) == ("0.750000", "0.750000", "")
    assert (line["ai_flagged"], line["ai_threshold"], line["model"]) == ("yes", "0.500000", "made")


def test_csv_leaves_hidden_ai_out(library: Library) -> None:
    study = add(library, mammogram(1))
    library.record_ai(library.study(study), result(0.75, SHA[1]), [])
    library.record_read(study, RECALL_LEFT)
    library.set_reader("Dr Other")
    library.set_blind(True)
    (line,) = csv.DictReader(io.StringIO(reads_csv(library), newline=""))
    assert (line["ai_score"], line["model"], line["reader"]) == ("", "", "Dr Test")


def test_every_change_is_in_the_trail_and_the_trail_cannot_be_changed(library: Library) -> None:
    study = add(library, mammogram(1))
    library.set_blind(True)
    library.record_read(study, RECALL_LEFT)
    said = [(event.who, event.what) for event in library.events()]
    assert said == [
        ("Dr Test", "setting reader"),
        ("Dr Test", "study added"),
        ("Dr Test", "image added"),
        ("Dr Test", "setting blind"),
        ("Dr Test", "read recorded"),
    ]
    file = sqlite3.connect(library.folder / "library.sqlite3")
    for statement in ("UPDATE events SET who = 'x'", "DELETE FROM events", "UPDATE reads SET note = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|never changed"):
            file.execute(statement)
    file.close()


def test_removing_a_study_leaves_its_trail_and_other_studies(library: Library) -> None:
    first = add(library, mammogram(1))
    second = add(library, mammogram(2, study_uid="1.9"))
    blob = library.study(first).images[0].pixels
    assert library.study(second).images[0].pixels == blob
    library.record_read(first, RECALL_LEFT)
    library.remove(first)
    with pytest.raises(InputError, match="not in the library"):
        library.study(first)
    assert not library.original(SHA[1]).exists()
    assert library.pixels(SHA[2])
    assert library.events(first)[-1].what == "study removed"
    assert add(library, mammogram(1)) not in {first, second}


def test_the_database_is_wal_with_foreign_keys(library: Library) -> None:
    with library._engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous", "user_version")
        ]
    assert pragmas == ["wal", 1, 2, 3]
    orphan = "INSERT INTO reads (study_id, reader, recorded_at, blind, agreement, note) VALUES (77, '', '', 0, '', '')"
    with library._writing.connect() as connection, pytest.raises(IntegrityError):
        connection.exec_driver_sql(orphan)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_nobody_else_reads_exams_and_a_folder_of_others_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir(mode=0o755)
    for folder, mode in ((tmp_path / "new", 0o700), (tmp_path / "ours", 0o755)):
        Library(folder).close()
        assert folder.stat().st_mode & 0o777 == mode
        inside = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert inside == {"originals": 0o700, "pixels": 0o700, "heatmaps": 0o700, "library.sqlite3": 0o600}


def test_a_newer_library_is_refused_in_words(tmp_path: Path) -> None:
    Library(tmp_path).close()
    file = sqlite3.connect(tmp_path / "library.sqlite3")
    file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(InputError, match="newer version"):
        Library(tmp_path)


def test_a_file_that_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "library.sqlite3").write_bytes(b"not a database at all" * 100)
    with pytest.raises(InputError, match="cannot be opened"):
        Library(tmp_path)
