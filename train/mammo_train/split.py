"""Which patients are for learning, which for choosing and which for the test, frozen in a file.

Knows nothing of images. Whole patients are divided: grouping by breast would put a third of the patients with two
breasts on both sides. The same patients, settings and seed give the same split on every machine.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.settings import Settings

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)

_ID_COLUMNS = ("patient_id", "image_id")
_PART_COLUMNS = ("part", "split", "fold", "kfold")
_WORDS: Mapping[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


class SplitSettings(Settings):
    """How patients are divided."""

    validation: float = Field(default=0.15, gt=0, lt=1)
    """Share of the patients for choosing: checkpoint, calibration, threshold. Ignored with folds."""
    test: float = Field(default=0.15, ge=0, lt=1)
    """Share of the patients for the test, touched once; 0: none. Ignored with folds."""
    folds: int | None = Field(default=None, ge=2)
    """Number of folds of equal size to divide into instead."""
    fold: int = Field(default=0, ge=0)
    """Which fold is held out, counted from 0; also of a file that names folds."""
    held_out: Literal["validation", "test"] = "validation"
    """What the fold is held out for: "validation", with no test part; or "test", the next fold being validation."""
    file: str = ""
    """CSV file that divides the patients: patient_id or image_id, and part or fold. Empty: divide at random."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random division."""

    def model_post_init(self, _context: object) -> None:
        """Refuse shares and folds that leave nothing to learn from."""
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave nothing to learn from")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} does not exist among {self.folds}, counted from 0")
        if self.folds == 2 and self.held_out == "test":
            raise ValueError("folds is 2, but test and validation take a fold each: expected at least 3")


@dataclass(frozen=True)
class Split:
    """Every patient's part."""

    part_of: Mapping[str, str]
    """patient_id -> "train", "validation" or "test"."""

    @cached_property
    def text(self) -> str:
        """The split as CSV, patients in order: what `write_split` writes."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("patient_id", "part"))
        writer.writerows(sorted(self.part_of.items()))
        return stream.getvalue()

    @cached_property
    def sha256(self) -> str:
        """Identity of the split: hash of its text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def parts(self) -> tuple[str, ...]:
        """Parts that hold a patient, in the order of learning."""
        held = set(self.part_of.values())
        return tuple(part for part in PARTS if part in held)

    def rows(self, table: pd.DataFrame, part: str) -> NDArray[np.intp]:
        """Rows of the table in this part, rising; InputError naming a patient of the table that has no part."""
        if part not in PARTS:
            raise InputError("part", f"is {part!r}, expected one of {', '.join(PARTS)}")
        parts = table["patient_id"].map(self.part_of)
        if parts.isna().any():
            patient = table["patient_id"][parts.isna()].iat[0]
            missing = table["patient_id"][parts.isna()].nunique()
            raise InputError("split", f"has no part for patient {patient!r} ({missing} such patients in the table)")
        return np.flatnonzero((parts == part).to_numpy())


def make_split(table: pd.DataFrame, settings: SplitSettings) -> Split:
    """Divide the patients of a table as the settings say, by lot within cancer and site, or by a file.

    A file without a validation part gives up that share of its patients for learning. Raises InputError where a
    file is wrong, or a part holds no patient with cancer or none without.
    """
    patients = _patients(table)
    if settings.file:
        read = read_split(Path(settings.file), table, fold=settings.fold, held_out=settings.held_out)
        part_of: dict[str, str] = {patient: read.part_of[patient] for patient in patients.index}
        if "validation" not in part_of.values():
            learning = patients[[part_of[patient] == "train" for patient in patients.index]]
            given_up = _dealt(learning, (1 - settings.validation, settings.validation), settings.seed)
            part_of |= {patient: PARTS[part] for patient, part in given_up.items()}
    elif settings.folds is not None:
        fold_of = _dealt(patients, [1 / settings.folds] * settings.folds, settings.seed)
        part_of = {
            patient: _fold_part(fold, settings.fold, settings.folds, settings.held_out)
            for patient, fold in fold_of.items()
        }
    else:
        shares = (1 - settings.validation - settings.test, settings.validation, settings.test)
        part_of = {patient: PARTS[part] for patient, part in _dealt(patients, shares, settings.seed).items()}
    split = Split(part_of)
    _check_parts(split, patients)
    return split


def read_split(
    path: Path, table: pd.DataFrame, *, fold: int = 0, held_out: Literal["validation", "test"] = "validation"
) -> Split:
    """Read a split: our own, or a published file of folds or parts.

    Columns: ``patient_id`` or ``image_id``, and ``part`` (or ``split``: train, validation, test) or ``fold`` (or
    ``kfold``: numbers, of which ``fold`` is held out); others are ignored, as are patients that the table does not
    have. Raises InputError naming the file and a patient that it puts on two sides, one of the table that it lacks,
    or a value that it should not hold.
    """
    rows = _read_csv(path)
    patients = _file_patients(rows, table, path)
    name = next((name for name in _PART_COLUMNS if name in rows.columns), None)
    if name is None:
        raise InputError(str(path), f"has no column {' or '.join(_PART_COLUMNS)}; it has {', '.join(rows.columns)}")
    # One side per patient, in the file's own words: two folds are two sides even if both are for learning.
    told = pd.DataFrame({"patient": patients, "side": rows[name].str.strip()}).dropna().drop_duplicates()
    twice = told["patient"].duplicated()
    if twice.any():
        patient = told["patient"][twice].iat[0]
        sides = " and ".join(told["side"][told["patient"] == patient])
        shared = told["patient"][twice].nunique()
        raise InputError(str(path), f"shares patient {patient!r} between {name} {sides} ({shared} patients shared)")
    missing = sorted(set(table["patient_id"]) - set(told["patient"]))
    if missing:
        raise InputError(str(path), f"lacks patient {missing[0]!r} ({len(missing)} patients of the table missing)")
    part_of = _parts_of_sides(sorted(set(told["side"])), name, path, fold, held_out)
    return Split({patient: part_of[side] for patient, side in zip(told["patient"], told["side"], strict=True)})


def write_split(path: Path, split: Split) -> None:
    """Write a split as ``patient_id,part``, whole or not at all."""
    write_atomic(path, split.text.encode())


def _patients(table: pd.DataFrame) -> pd.DataFrame:
    """One row per patient, sorted: whether any image shows a cancer, and the (first) site."""
    sites = table["site_id"] if "site_id" in table.columns else pd.Series("", index=table.index)
    per_image = pd.DataFrame({"patient": table["patient_id"], "cancer": table["cancer"], "site": sites.astype(str)})
    return per_image.groupby("patient", sort=True).agg(cancer=("cancer", "max"), site=("site", "min"))


def _dealt(patients: pd.DataFrame, shares: Sequence[float], seed: int) -> dict[str, int]:
    """Deal patients out by lot, so that every stratum (cancer, then site) falls to the parts by their shares.

    Each next patient goes to the part that is the farthest behind its share; strata follow one another, so that
    what does not divide evenly in one is made up for in the next.
    """
    lot = np.random.default_rng(seed).permutation(len(patients))
    order = np.lexsort((lot, patients["site"].to_numpy(str), patients["cancer"].to_numpy(bool)))
    share, owed = np.asarray(shares), np.zeros(len(shares))
    chosen = {}
    for place in order:
        owed += share
        part = int(owed.argmax())
        owed[part] -= 1
        chosen[str(patients.index[place])] = part
    return chosen


def _fold_part(fold: int, chosen: int, folds: int, held_out: str) -> Part:
    if held_out == "validation":
        return "validation" if fold == chosen else "train"
    return "test" if fold == chosen else "validation" if fold == (chosen + 1) % folds else "train"


def _parts_of_sides(sides: Sequence[str], name: str, path: Path, fold: int, held_out: str) -> dict[str, Part]:
    """What a file calls its sides -> parts."""
    if all(side.lower() in _WORDS for side in sides):
        return {side: _WORDS[side.lower()] for side in sides}
    try:
        numbers = {side: float(side) for side in sides}
    except ValueError:
        odd = next(side for side in sides if side.lower() not in _WORDS)
        expected = f"expected one of {', '.join(PARTS)}, or numbers of folds"
        raise InputError(str(path), f"column {name} holds {odd!r}, {expected}") from None
    found = sorted(set(numbers.values()))
    if fold not in found or len(found) < (2 if held_out == "validation" else 3):
        known = ", ".join(f"{number:g}" for number in found)
        raise InputError(str(path), f"holding out fold {fold} for {held_out} is not possible: it has fold {known}")
    place = found.index(fold)
    return {side: _fold_part(found.index(number), place, len(found), held_out) for side, number in numbers.items()}


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(str(path), f"cannot be read as a CSV file of a split ({error})") from None


def _file_patients(rows: pd.DataFrame, table: pd.DataFrame, path: Path) -> pd.Series:
    """Patient of each row of the file; NaN for an image that the table does not have."""
    if "patient_id" in rows.columns:
        return rows["patient_id"].str.strip()
    if "image_id" in rows.columns:
        patient_of = dict(zip(table["image_id"].astype(str), table["patient_id"], strict=True))
        return rows["image_id"].str.strip().map(patient_of)
    raise InputError(str(path), f"has no column {' or '.join(_ID_COLUMNS)}; it has {', '.join(rows.columns)}")


def _check_parts(split: Split, patients: pd.DataFrame) -> None:
    """Refuse a part on which nothing can be learnt or measured."""
    of = pd.Series(dict(split.part_of)).reindex(patients.index)
    for part in ("train", "validation", *(("test",) if "test" in split.parts() else ())):
        cancer = patients["cancer"][of == part]
        with_cancer = int(cancer.sum())
        if not 0 < with_cancer < cancer.size:
            found = f"{with_cancer} patients with cancer and {cancer.size - with_cancer} without"
            total = f"of {int(patients['cancer'].sum())} and {int((~patients['cancer']).sum())} in the table"
            raise InputError("split", f"leaves the {part} part {found}, {total}; it needs both")
