"""The table: what each cell may hold, told by line and column, and the types that later steps rely on."""

from pathlib import Path

import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_train.table import COLUMNS, counts, normal_row, read_table, table_csv

ROW = {
    "image_id": "a1",
    "patient_id": "p1",
    "laterality": "L",
    "view": "CC",
    "cancer": "1",
    "file": "images/a1.png",
    "age": "61.0",
    "density": "b",
    "implant": "0",
    "site_id": "2",
    "machine_id": "49",
    "source": "rsna",
    "mask": "",
}


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_takes_its_normal_form() -> None:
    row = normal_row(ROW | {"laterality": " left", "view": "mlo ", "cancer": "True", "birads": " 4a "})
    assert row == ROW | {"laterality": "L", "view": "MLO", "age": "61", "density": "B", "birads": "4a"}
    assert list(row)[:-1] == [column.name for column in COLUMNS]
    unknown = normal_row(
        {name: ROW[name] for name in ("image_id", "patient_id", "laterality", "view", "cancer")}
        | {"file": "x.png", "source": "folder"}
    )
    assert [unknown[name] for name in ("age", "density", "implant", "mask")] == ["", "", "", ""]


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("image_id", "../x", "expected up to 150 letters"),
        ("image_id", ".hidden", "expected up to 150 letters"),
        ("patient_id", "", "is empty"),
        ("laterality", "B", "expected L or R"),
        ("view", "XYZ", "expected one of"),
        ("cancer", "", "expected 0 or 1"),
        ("cancer", "2", "expected 0 or 1"),
        ("age", "old", "expected years"),
        ("age", "161", "expected years"),
        ("age", "nan", "expected years"),
        ("density", "E", "expected A, B, C or D"),
        ("implant", "maybe", "expected 0 or 1"),
        ("file", "/etc/passwd", "inside the folder"),
        ("mask", "../m.png", "inside the folder"),
    ],
)
def test_a_bad_cell_is_refused_by_its_column(column: str, cell: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as told:
        normal_row(ROW | {column: cell})
    assert told.value.subject == column


def test_what_is_written_is_read_with_types(tmp_path: Path) -> None:
    rows = [
        normal_row(ROW),
        normal_row(ROW | {"image_id": "a2", "age": "", "implant": "", "cancer": "0", "extra": "7"}),
    ]
    path = tmp_path / "table.csv"
    path.write_bytes(table_csv(rows))
    table = read_table(path)
    assert table["cancer"].dtype == np.bool_
    assert table["cancer"].tolist() == [True, False]
    assert table["age"].tolist()[0] == 61.0
    assert np.isnan(table["age"][1])
    assert np.isnan(table["implant"][1])
    assert table["extra"].tolist() == ["", "7"]
    assert table["patient_id"].tolist() == ["p1", "p1"]
    assert table_csv(rows) == table_csv(rows)


def test_ids_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(table_csv([normal_row(ROW | {"image_id": "007", "patient_id": "0010", "site_id": "NA"})]))
    table = read_table(path)
    assert (table["image_id"][0], table["patient_id"][0], table["site_id"][0]) == ("007", "0010", "NA")


def test_a_bad_table_is_told_by_line(tmp_path: Path) -> None:
    head = ",".join(ROW)
    good, bad = ",".join(ROW.values()), ",".join((ROW | {"image_id": "a2", "cancer": "yess"}).values())
    with pytest.raises(InputError, match=r"table\.csv: line 3: cancer is 'yess', expected 0 or 1"):
        read_table(written(tmp_path, f"{head}\n{good}\n{bad}\n"))
    again = ",".join((ROW | {"image_id": "A1"}).values())
    with pytest.raises(InputError, match="line 3 names the image_id 'A1' a second time"):
        read_table(written(tmp_path, f"{head}\n{good}\n{again}\n"))
    with pytest.raises(InputError, match="has no column patient_id, view"):
        read_table(written(tmp_path, "image_id,laterality,cancer,file,source\na,L,1,f,s\n"))
    with pytest.raises(InputError, match="has no rows"):
        read_table(written(tmp_path, head + "\n"))
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_table(written(tmp_path, ""))
    with pytest.raises(InputError, match="does not exist"):
        read_table(tmp_path / "none.csv")


def test_counts_are_of_images_breasts_and_patients() -> None:
    rows = [
        normal_row(ROW | {"image_id": name, "patient_id": patient, "laterality": side, "cancer": cancer})
        for name, patient, side, cancer in (
            ("1", "p", "L", "1"),
            ("2", "p", "L", "1"),
            ("3", "p", "R", "0"),
            ("4", "q", "R", "0"),
        )
    ]
    assert counts(rows) == {
        "images": 4,
        "breasts": 3,
        "patients": 2,
        "images_with_cancer": 2,
        "breasts_with_cancer": 1,
        "patients_with_cancer": 1,
    }
