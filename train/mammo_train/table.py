"""The one table that every later step reads: which image shows which breast of whom, and what is known of it.

Knows nothing of pictures and of where a row came from. A cell is text in a normal form (`normal_row`); only
`read_table` gives columns their types. Group = breast = ``(patient_id, laterality)``; labels belong to images,
because some sources (INbreast) label images and others (RSNA) breasts.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from mammo_core.errors import InputError
from mammo_core.projection import assigned_laterality, assigned_view

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,149}")
_YES = frozenset({"1", "1.0", "true", "yes"})
_NO = frozenset({"0", "0.0", "false", "no"})


@dataclass(frozen=True)
class Column:
    """One column: what it means, and how its cells are written."""

    name: str
    about: str
    required: bool
    normal: Callable[[str], str]
    """Cell as somebody wrote it -> its normal form; raises `InputError` for what it cannot mean."""


def _image_id(cell: str) -> str:
    if not _ID.fullmatch(cell):
        expected = "up to 150 letters, digits, '.', '_' or '-' (it names a file)"
        raise InputError("image_id", f"is {cell[:160]!r}, expected {expected}")
    return cell


def _filled(name: str) -> Callable[[str], str]:
    def normal(cell: str) -> str:
        if not cell:
            raise InputError(name, "is empty, expected a value")
        return cell

    return normal


def _cancer(cell: str) -> str:
    if cell.lower() not in _YES | _NO:
        raise InputError("cancer", f"is {cell!r}, expected 0 or 1")
    return str(int(cell.lower() in _YES))


def _age(cell: str) -> str:
    try:
        years = float(cell) if cell else None
    except ValueError:
        years = -1.0
    if years is not None and not 0 <= years <= 130:
        raise InputError("age", f"is {cell!r}, expected years from 0 to 130, or nothing")
    return "" if years is None else f"{years:g}"


def _density(cell: str) -> str:
    if cell.upper() not in ("", "A", "B", "C", "D"):
        raise InputError("density", f"is {cell!r}, expected A, B, C or D, or nothing")
    return cell.upper()


def _implant(cell: str) -> str:
    if cell.lower() not in _YES | _NO | {""}:
        raise InputError("implant", f"is {cell!r}, expected 0 or 1, or nothing")
    return cell and str(int(cell.lower() in _YES))


def _inner_file(name: str, *, empty: bool) -> Callable[[str], str]:
    def normal(cell: str) -> str:
        path = PurePosixPath(cell)
        if (not cell and not empty) or path.is_absolute() or ".." in path.parts or "\\" in cell:
            raise InputError(name, f"is {cell!r}, expected a file inside the folder, with forward slashes")
        return cell

    return normal


COLUMNS = (
    Column("image_id", "Names the image, and its file, within the set.", True, _image_id),
    Column("patient_id", "Whose breast it is: no patient may be on two sides of a split.", True, _filled("patient_id")),
    Column("laterality", "L or R, the patient's own side.", True, assigned_laterality),
    Column("view", "As written on a film: CC, MLO, ML, ...", True, assigned_view),
    Column("cancer", "1 or 0, by the source's own standard of truth.", True, _cancer),
    Column("file", "The prepared picture, relative to the folder.", True, _inner_file("file", empty=False)),
    Column("age", "Years at the exam; empty where unknown.", False, _age),
    Column("density", "ACR composition A to D; empty where unknown.", False, _density),
    Column("implant", "1 or 0; empty where unknown.", False, _implant),
    Column("site_id", "Where the image was taken.", False, str),
    Column("machine_id", "The machine that took it.", False, str),
    Column("source", "The data set that it is from.", True, _filled("source")),
    Column(
        "mask",
        "The lesion mask, relative to the folder; empty where there is none.",
        False,
        _inner_file("mask", empty=True),
    ),
)
"""The columns that every set has, in their order; a source may add others behind them."""

_BY_NAME = {column.name: column for column in COLUMNS}


def normal_row(row: Mapping[str, str]) -> dict[str, str]:
    """One row with every known cell in its normal form and the absent ones empty, in the order of `COLUMNS`.

    Raises `InputError` whose subject is the column.
    """
    known = {column.name: _normal(column, row.get(column.name, "")) for column in COLUMNS}
    return known | {name: cell.strip() for name, cell in row.items() if name not in _BY_NAME}


def table_csv(rows: Iterable[Mapping[str, str]]) -> bytes:
    """Rows as CSV in UTF-8: the columns of `COLUMNS`, then the others as they were first met."""
    listed = list(rows)
    names = dict.fromkeys(column.name for column in COLUMNS)
    for row in listed:
        names |= dict.fromkeys(row)
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return stream.getvalue().encode()


def read_table(path: Path) -> pd.DataFrame:
    """Read and check a table.

    Text columns hold ``str`` ("" where unknown), ``cancer`` bool, ``age`` and ``implant`` float64 (NaN where
    unknown). Raises `InputError` that names the file, the line, the column, the value and what was expected.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(str(path), "does not exist; expected the table of a prepared set") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(str(path), f"cannot be read as CSV in UTF-8 ({str(error)[:200]})") from error
    return checked_table(table, str(path))


def checked_table(table: pd.DataFrame, subject: str) -> pd.DataFrame:
    """A table of text cells -> the same with types; `InputError` (of ``subject``) for the first bad cell."""
    missing = [column.name for column in COLUMNS if column.required and column.name not in table.columns]
    if missing:
        raise InputError(subject, f"has no column {', '.join(missing)}; its columns are {', '.join(table.columns)}")
    if table.empty:
        raise InputError(subject, "has no rows, expected at least one image")
    found: dict[str, pd.Series] = {}
    for column in COLUMNS:
        cells = table[column.name] if column.name in table.columns else pd.Series([""] * len(table), dtype=object)
        normal = _normal_cells(column, cells, subject)
        found[column.name] = _typed(column.name, cells.map(normal)).reset_index(drop=True)
    others = {
        str(name): table[name].astype(object).reset_index(drop=True) for name in table.columns if name not in _BY_NAME
    }
    checked = pd.DataFrame(found | others)
    twice = checked["image_id"].str.casefold().duplicated()
    if twice.any():
        row = int(twice.to_numpy().argmax())
        raise InputError(subject, f"line {row + 2} names the image_id {checked['image_id'][row]!r} a second time")
    return checked


def _normal_cells(column: Column, cells: pd.Series, subject: str) -> dict[str, str]:
    """Each different cell and its normal form."""
    normal: dict[str, str] = {}
    for cell in cells.unique():
        try:
            normal[cell] = _normal(column, cell)
        except InputError as error:
            line = int((cells == cell).to_numpy().argmax()) + 2
            raise InputError(subject, f"line {line}: {error.subject} {error.reason}") from error
    return normal


def _normal(column: Column, cell: str) -> str:
    try:
        return column.normal(cell.strip())
    except InputError as error:
        raise InputError(column.name, error.reason) from error


def _typed(name: str, cells: pd.Series) -> pd.Series:
    if name == "cancer":
        return cells == "1"
    if name in ("age", "implant"):
        return pd.to_numeric(cells, errors="coerce").astype("float64")
    return cells.astype(object)


def counts(rows: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """How many images, patients and breasts there are, and how many of each with cancer."""
    sick = [row for row in rows if row["cancer"] == "1"]
    found = {}
    for name, chosen in (("", rows), ("_with_cancer", sick)):
        found[f"images{name}"] = len(chosen)
        found[f"breasts{name}"] = len({(row["patient_id"], row["laterality"]) for row in chosen})
        found[f"patients{name}"] = len({row["patient_id"] for row in chosen})
    return found
