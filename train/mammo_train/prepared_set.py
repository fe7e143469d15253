"""A prepared set on disk: ``table.csv``, ``images/*.png``, ``masks/*.png``, ``prepared.json``.

A picture is what `mammo_core.inputs.model_input` makes of a mammogram, times 255 (or 65535) and rounded: the
breast with its chest wall to the left, first VOI, MONOCHROME2, its aspect kept, padded with black. So a model
that learns from the set sees in training what it will see when it reads. Knows nothing of training.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from mammo_core.errors import InputError
from mammo_core.files import sha256_of, write_atomic
from mammo_core.inputs import InputSettings
from mammo_core.settings import Settings
from mammo_train.table import read_table

RECORD = "prepared.json"
TABLE = "table.csv"
SCHEMA = 1
"""Of the folder: another number means that pictures were made in another way and do not mix with these."""


class Refused(Settings):
    """A file that is not in the set."""

    file: str
    reason: str


class Warned(Settings):
    """A file that is in the set, and what is odd about it."""

    file: str
    warnings: tuple[str, ...]


class Record(Settings):
    """``prepared.json``: how the pictures were made, and what became of every file."""

    schema_: int = Field(default=SCHEMA, alias="schema")
    source: str
    """Name of the data set."""
    inputs: InputSettings
    """Size and margin of the pictures; mean 0 and std 1, because a model brings its own."""
    bits: Literal[8, 16] = 8
    """Bits of each pixel: 8, or 16 for narrow windows that are to be stretched further."""
    orientation: str = "chest wall left"
    made_from: dict[str, Any] = Field(default_factory=dict)
    """What else the pictures depend on, such as the seed and settings of phantoms."""
    notes: tuple[str, ...] = ()
    """What everyone who uses the set must know of it."""
    counts: dict[str, int] | None = None
    """Images, breasts, patients, each with cancer among them; None while the set is being made."""
    warned: tuple[Warned, ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class PreparedSet:
    """A set that has been checked to be whole."""

    folder: Path
    table: pd.DataFrame
    """One row per image, as `mammo_train.table` describes it, and the source's further columns as text."""
    inputs: InputSettings
    """Size and margin of the pictures; mean 0 and std 1."""
    sha256: str
    """Of ``table.csv``: the identity of the set."""
    bits: int
    record: Record

    def image(self, row: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """The picture of a row of the table: uint8 ``(H, W)``, uint16 in a set of 16 bits."""
        dtype = np.uint8 if self.bits == 8 else np.uint16
        picture: NDArray[np.uint8] | NDArray[np.uint16] = self._picture(str(self.table["file"].iat[row]), dtype)
        return picture

    def mask(self, row: int) -> NDArray[np.bool_] | None:
        """Where the lesions of a row's picture are: bool ``(H, W)``; None where the source marks none."""
        name = str(self.table["mask"].iat[row])
        return self._picture(name, np.uint8) > 0 if name else None

    def _picture(self, name: str, dtype: type[np.uint8] | type[np.uint16]) -> Any:
        path, wanted = self.folder / name, (self.inputs.height, self.inputs.width)
        try:
            picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        except (OSError, cv2.error) as error:
            raise InputError(str(path), f"cannot be read ({error})") from error
        if picture is None or picture.shape != wanted or picture.dtype != dtype:
            found = "is no picture" if picture is None else f"is {picture.shape} of {picture.dtype}"
            raise InputError(str(path), f"{found}, expected {wanted} of {np.dtype(dtype)}")
        return picture


def open_prepared(folder: Path) -> PreparedSet:
    """Check a prepared set and open it; pictures are read when they are asked for.

    Raises `InputError` where the folder is no prepared set, is not finished, or lacks a picture.
    """
    record = read_record(folder)
    if record is None:
        raise InputError(str(folder), f"is no prepared set: it has no {RECORD}; mammo prepare makes one")
    if record.counts is None:
        raise InputError(str(folder), "is not finished: give the command that prepares it again, and it carries on")
    path = folder / TABLE
    table = read_table(path)
    for name in ("file", "mask"):
        _refuse_missing(folder, table[name], path)
    return PreparedSet(folder, table, record.inputs, sha256_of(path), record.bits, record)


def read_record(folder: Path) -> Record | None:
    """``prepared.json`` of a folder; None where there is none; `InputError` where it is something else."""
    path = folder / RECORD
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise InputError(str(path), f"is not the record of a prepared set ({str(error)[:300]})") from error


def write_record(folder: Path, record: Record) -> None:
    """Write ``prepared.json``."""
    text = json.dumps(record.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
    write_atomic(folder / RECORD, (text + "\n").encode())


def claim(folder: Path, record: Record) -> None:
    """Make ``folder`` the place of a set, or check that it already is of one made in the same way.

    Raises `InputError` for a folder of something else, or of other settings.
    """
    found = read_record(folder) if folder.is_dir() else None
    if found is None:
        if folder.exists() and not folder.is_dir():
            raise InputError(str(folder), "is a file; expected a folder")
        if folder.is_dir() and any(folder.iterdir()):
            raise InputError(str(folder), f"holds something else; expected an empty folder or one with {RECORD}")
        write_record(folder, record)
        return
    was, now = (value.model_dump(mode="json", by_alias=True) for value in (found, record))
    for name in ("schema", "source", "inputs", "bits", "made_from"):
        if was[name] != now[name]:
            expected = "the same settings, or another folder"
            raise InputError(str(folder), f"was made with {name} {was[name]}, not {now[name]}; expected {expected}")


def size_of(text: str) -> InputSettings:
    """Settings of pictures of a size as a person writes it, rows x columns, such as "1024x512"."""
    found = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if found is None:
        raise InputError("size", f"is {text!r}, expected rows x columns such as 1024x512")
    try:
        return InputSettings(height=int(found[1]), width=int(found[2]))
    except ValidationError as error:
        field = error.errors()[0]
        raise InputError("size", f"is {text}: {field['loc'][0]} {field['msg'].lower()}") from None


def _refuse_missing(folder: Path, names: pd.Series, table: Path) -> None:
    """Refuse a table that names a picture which is not there; one listing per folder, not one call per file."""
    listings: dict[Path, set[str]] = {}
    for row, name in enumerate(names):
        if not name:
            continue
        path = folder / name
        if path.parent not in listings:
            listings[path.parent] = {inner.name for inner in path.parent.iterdir()} if path.parent.is_dir() else set()
        if path.name not in listings[path.parent]:
            raise InputError(str(table), f"line {row + 2} names the {names.name} {name!r}, which is not in the folder")
