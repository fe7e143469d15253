"""Many phantom exams: the same on any number of workers, carried on, refused where they do not belong."""

from pathlib import Path

import numpy as np
import pytest

from mammo_core.dicom import read_mammogram
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings, model_input
from mammo_core.phantom import PhantomExam, PhantomSettings, make_exam
from mammo_train import phantom_set
from mammo_train.console import followed
from mammo_train.phantom_set import phantom_command, write_set
from mammo_train.prepared_set import open_prepared
from mammo_train.progress_file import read_progress

TINY = PhantomSettings(height=128, prevalence=0.5)
SMALL = InputSettings(height=128, width=96)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_exams_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    write_set(TINY, tmp_path / "one", studies=3, seed=7, form="exams", workers=1)
    write_set(TINY, tmp_path / "two", studies=3, seed=7, form="exams", workers=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    assert len([name for name in one if name.endswith(".dcm")]) == 12


def test_prepared_set_keeps_the_contract(tmp_path: Path) -> None:
    write_set(TINY, tmp_path / "set", studies=4, seed=7, form="prepared", inputs=SMALL, workers=1)
    found = open_prepared(tmp_path / "set")
    table = found.table
    assert (table["laterality"] + table["view"]).tolist() == ["RCC", "LCC", "RMLO", "LMLO"] * 4
    assert table["patient_id"].nunique() == 4
    assert table["implant"].tolist() == [0.0] * 16
    assert set(table["source"]) == {"phantom"}
    assert found.inputs == SMALL
    assert found.record.counts is not None
    assert (found.record.counts["images"], found.record.counts["patients_with_cancer"]) == (16, 2)
    assert table.loc[table["cancer"], "patient_id"].nunique() == 2
    for row in range(16):
        mask = found.mask(row)
        assert mask is not None
        assert mask.any() == bool(table["lesion_type"][row])
        assert (found.image(row)[32:96, :4] > 60).mean() > 0.5


def test_prepared_pictures_are_those_of_the_exams_files(tmp_path: Path) -> None:
    settings = PhantomSettings(height=256, prevalence=1.0)
    write_set(settings, tmp_path / "exams", studies=1, seed=3, form="exams", workers=1)
    write_set(settings, tmp_path / "set", studies=1, seed=3, form="prepared", inputs=SMALL, workers=1)
    found = open_prepared(tmp_path / "set")
    for row in range(4):
        name = found.table["laterality"][row] + found.table["view"][row]
        mammogram = read_mammogram(tmp_path / "exams" / "phantom-3-00000" / f"{name}.dcm", target=SMALL.target)
        assert np.array_equal(found.image(row), np.rint(model_input(mammogram, SMALL)[0][0] * 255))


def test_lesion_columns_point_at_the_mask(tmp_path: Path) -> None:
    settings = PhantomSettings(height=192, prevalence=1.0, benign_share=0.0)
    write_set(settings, tmp_path / "set", studies=3, seed=2, form="prepared", inputs=SMALL, workers=1)
    found = open_prepared(tmp_path / "set")
    rows = np.flatnonzero(found.table["lesion_type"] == "spiculated mass")
    assert len(rows)
    for row in rows:
        mask = found.mask(int(row))
        assert mask is not None
        assert found.table["lesion_malignant"][row] == "1"
        assert mask[int(float(found.table["lesion_y"][row])), int(float(found.table["lesion_x"][row]))]


def test_another_size_needs_another_folder(tmp_path: Path) -> None:
    write_set(TINY, tmp_path / "set", studies=1, seed=7, form="prepared", inputs=SMALL, workers=1)
    with pytest.raises(InputError, match="was made with inputs"):
        write_set(TINY, tmp_path / "set", studies=1, seed=7, form="prepared", workers=1)
    with pytest.raises(InputError, match="was made with made_from"):
        write_set(TINY, tmp_path / "set", studies=1, seed=8, form="prepared", inputs=SMALL, workers=1)


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
    out, size = tmp_path / "set", "128x96"
    with followed(tmp_path):
        phantom_command(out, studies=1, seed=3, prevalence=1.0, form="prepared", height=128, size=size, workers=1)
    # Whoever waits for it, as the Train tab does, sees how far it is.
    assert [(step.what, step.total) for step in read_progress(tmp_path)] == [("phantom exams", 1)]
    assert "phantom exams" in capfd.readouterr().err
    found = open_prepared(out)
    made_from = found.record.made_from
    assert (made_from["seed"], made_from["phantom"]["prevalence"], made_from["phantom"]["height"]) == (3, 1.0, 128)
    assert found.image(3).shape == (128, 96)
