"""``folder.csv``: which breast and view a person says that the files beside it, or below, show.

Knows files by the names that they are shown under, wherever they lie: on disk, in an archive, sent by a browser.
"""

import csv
import io
import posixpath
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO

from mammo_core.errors import InputError
from mammo_core.mammogram import Laterality
from mammo_core.projection import assigned_laterality, assigned_view

CORRECTIONS = "folder.csv"

_COLUMNS = ("file", "laterality", "view")
_MOST_BYTES = 4_000_000
"""Of one table: some 100,000 lines."""


@dataclass(frozen=True)
class Assignment:
    """Laterality and view of one file as ``folder.csv`` gives them; None leaves what the file says."""

    laterality: Laterality | None
    view: str | None


@dataclass(frozen=True)
class Table:
    """One ``folder.csv``, under the name that it is shown under."""

    name: str
    text: str


def key_of(name: str) -> str:
    """A name as tables and files are matched by: forward slashes, composed letters (macOS sends them decomposed)."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def read_table(name: str, stream: IO[bytes]) -> Table:
    """Read a table; InputError where it is no text in UTF-8 or far too long."""
    content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InputError(name, f"is longer than {_MOST_BYTES // 1_000_000} MB")
    try:
        return Table(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(name, f"cannot be read as CSV in UTF-8 ({error})") from error


def assignments(
    tables: Iterable[Table], known: Callable[[str], bool]
) -> tuple[dict[str, Assignment], list[InputError]]:
    """What tables say of files, by `key_of` their names, and an error for every line that cannot be followed.

    The table nearest to a file counts. ``known`` says whether there is a file of this name.
    """
    said: dict[str, Assignment] = {}
    errors: list[InputError] = []
    for table in sorted(tables, key=lambda table: key_of(table.name).count("/")):
        found, wrong = _lines(table, known)
        said |= found
        errors += wrong
    return said, errors


def _lines(table: Table, known: Callable[[str], bool]) -> tuple[dict[str, Assignment], list[InputError]]:
    """Columns: ``file``, and ``laterality`` (L or R) or ``view`` or both; an empty cell leaves what the file says."""
    rows = csv.DictReader(io.StringIO(table.text, newline=""), strict=True)
    found: dict[str, Assignment] = {}
    errors: list[InputError] = []
    folder = posixpath.dirname(key_of(table.name))
    try:
        columns = rows.fieldnames or ()
        if "file" not in columns or not {"laterality", "view"} & set(columns) or set(columns) - set(_COLUMNS):
            raise InputError(table.name, f"has the columns {', '.join(columns)}; expected {', '.join(_COLUMNS)}")
        for row in rows:
            try:
                name, assignment = _line(row, folder, known)
                if name in found:
                    raise InputError("", f"names {row['file']!r} a second time")
                found[name] = assignment
            except InputError as error:
                reason = f"{error.subject} {error.reason}".strip()
                errors.append(InputError(table.name, f"line {rows.line_num}: {reason}"))
    except csv.Error as error:
        errors.append(InputError(table.name, f"line {rows.line_num + 1}: is no CSV ({error})"))
    except InputError as error:
        errors.append(error)
    return found, errors


def _line(row: dict[str, str], folder: str, known: Callable[[str], bool]) -> tuple[str, Assignment]:
    """One line; InputError for a file that is not there, a value that is none, or too many cells."""
    if None in row:
        raise InputError("", f"has more cells than there are columns, expected {', '.join(_COLUMNS)}")
    file = key_of((row["file"] or "").strip())
    name = posixpath.join(folder, posixpath.normpath(file))
    if not file or ".." in file.split("/") or posixpath.isabs(file) or not known(name):
        raise InputError("", f"names the file {row['file']!r}, which is not in the folder")
    side, view = ((row.get(column) or "").strip() for column in ("laterality", "view"))
    return name, Assignment(assigned_laterality(side) if side else None, assigned_view(view) if view else None)
