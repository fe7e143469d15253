"""Many phantom exams: the same on any number of workers, carried on, refused where they do not belong."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.phantom import PhantomExam, PhantomSettings, make_exam
from mammo_train import phantom_set
from mammo_train.phantom_set import COLUMNS, phantom_command, write_set

TINY = PhantomSettings(height=128, prevalence=0.5)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_exams_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    write_set(TINY, tmp_path / "one", studies=3, seed=7, form="exams", workers=1)
    write_set(TINY, tmp_path / "two", studies=3, seed=7, form="exams", workers=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    assert len([name for name in one if name.endswith(".dcm")]) == 12


def test_prepared_set_keeps_the_contract(tmp_path: Path) -> None:
    write_set(TINY, tmp_path / "set", studies=4, seed=7, form="prepared", workers=1)
    with (tmp_path / "set" / "table.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert [row["laterality"] + row["view"] for row in rows] == ["RCC", "LCC", "RMLO", "LMLO"] * 4
    assert len({row["patient_id"] for row in rows}) == 4
    assert {row["implant"] for row in rows} == {"0"}
    prepared = json.loads((tmp_path / "set" / "prepared.json").read_text(encoding="utf-8"))
    assert prepared["counts"] == {"exams": 4, "images": 16, "exams_with_cancer": 2}
    sick = {row["patient_id"] for row in rows if row["cancer"] == "1"}
    assert len(sick) == 2
    for row in rows:
        picture, mask = (
            cv2.imread(str(tmp_path / "set" / row[name]), cv2.IMREAD_UNCHANGED) for name in ("file", "mask")
        )
        assert picture is not None
        assert mask is not None
        assert picture.dtype == np.uint8
        assert picture.shape == mask.shape
        chest = picture[:, -4:] if row["laterality"] == "R" else picture[:, :4]
        assert (chest > 60).mean() > 0.5


def test_lesion_columns_point_at_the_mask(tmp_path: Path) -> None:
    settings = PhantomSettings(height=192, prevalence=1.0, benign_share=0.0)
    write_set(settings, tmp_path / "set", studies=3, seed=2, form="prepared", workers=1)
    with (tmp_path / "set" / "table.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["lesion_type"] == "spiculated mass"]
    assert rows
    for row in rows:
        mask = cv2.imread(str(tmp_path / "set" / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        assert row["lesion_malignant"] == "1"
        assert mask[int(float(row["lesion_y"])), int(float(row["lesion_x"]))] == 1


def test_an_interrupted_set_is_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole"
    write_set(TINY, whole, studies=3, seed=7, form="prepared", workers=1)

    drawn: list[int] = []

    def interrupted(settings: PhantomSettings, seed: int, index: int) -> PhantomExam:
        if index == 2 and 2 not in drawn:
            drawn.append(index)
            raise KeyboardInterrupt
        drawn.append(index)
        return make_exam(settings, seed, index)

    monkeypatch.setattr(phantom_set, "make_exam", interrupted)
    begun = tmp_path / "begun"
    with pytest.raises(KeyboardInterrupt):
        write_set(TINY, begun, studies=3, seed=7, form="prepared", workers=1)
    assert not (begun / "table.csv").exists()
    write_set(TINY, begun, studies=3, seed=7, form="prepared", workers=1)
    assert drawn == [0, 1, 2, 2]
    assert contents(begun) == contents(whole)


def test_more_studies_keep_the_first_ones(tmp_path: Path) -> None:
    write_set(TINY, tmp_path / "set", studies=1, seed=7, form="exams", workers=1)
    before = contents(tmp_path / "set")
    calls: list[tuple[int, int]] = []
    write_set(TINY, tmp_path / "set", studies=2, seed=7, form="exams", workers=1, progress=lambda *c: calls.append(c))
    assert calls == [(1, 2), (2, 2)]
    after = contents(tmp_path / "set")
    assert {name: after[name] for name in before} == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    write_set(TINY, tmp_path / "set", studies=1, seed=7, form="exams", workers=1)
    with pytest.raises(InputError, match="the same seed, form and settings, or another folder"):
        write_set(TINY, tmp_path / "set", studies=1, seed=8, form="exams", workers=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="holds something else"):
        write_set(TINY, tmp_path / "mine", studies=1, seed=7, form="exams", workers=1)
    with pytest.raises(InputError, match="is a file"):
        write_set(TINY, tmp_path / "mine" / "letter.txt", studies=1, seed=7, form="exams", workers=1)
    (tmp_path / "set" / "phantoms.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is not JSON"):
        write_set(TINY, tmp_path / "set", studies=1, seed=7, form="exams", workers=1)
    with pytest.raises(InputError, match="expected 1 or more"):
        write_set(TINY, tmp_path / "new", studies=0, seed=7, form="exams", workers=1)


def test_the_command_shows_progress_and_makes_what_was_asked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    phantom_command(tmp_path / "set", studies=1, seed=3, prevalence=1.0, form="prepared", height=128, workers=1)
    assert "phantom exams" in capfd.readouterr().err
    record = json.loads((tmp_path / "set" / "phantoms.json").read_text(encoding="utf-8"))
    assert (record["seed"], record["settings"]["prevalence"], record["settings"]["height"]) == (3, 1.0, 128)
    assert len(list((tmp_path / "set" / "images").glob("*.png"))) == 4
