"""What became of the breasts that were read: a known outcome for each, so that a model can be measured on them.

Nothing is ever changed: the newest entry counts, and taking one back is another entry. Knows nothing of thresholds.
"""

import csv
import io
from collections.abc import Callable, Mapping
from typing import Literal, cast

import numpy as np
from sqlalchemy import Connection, Engine, insert, select

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.library import rows, tables
from mammo_core.library.present import present_results
from mammo_core.library.values import InUse, Outcome, OutcomeImport

Record = Callable[[Connection, str, int | None, dict[str, str]], None]
"""Writes a line of the audit trail."""
Side = Literal["R", "L"]

COLUMNS = ("study", "laterality", "cancer")
_YES, _NO = ("1", "yes", "true"), ("0", "no", "false")
_SIDES: Mapping[str, Side] = {"r": "R", "right": "R", "l": "L", "left": "L"}
_LINES = 100_000


class Outcomes:
    """The outcomes of one library."""

    def __init__(self, engine: Engine, writing: Engine, record: Record, stamp: Callable[[], tuple[str, str]]) -> None:
        """``stamp`` gives who is at work and the time."""
        self._engine = engine
        self._writing = writing
        self._record = record
        self._stamp = stamp

    def record(self, study_id: int, laterality: Side, cancer: bool | None, *, source: str) -> None:
        """Keep the outcome of a breast; None takes it back. InputError where there is no such study or breast."""
        with self._writing.begin() as connection:
            sides = _sides(connection, study_id)
            if laterality not in sides:
                raise InputError(f"study {study_id}", f"has no image of the breast {laterality}")
            self._keep(connection, study_id, laterality, cancer, source)

    def import_csv(self, text: str, source: str) -> OutcomeImport:
        """Keep the outcomes of a CSV file (columns ``study,laterality,cancer``); bad lines are told, good ones count.

        ``study`` is a Study Instance UID or the library's number of the study, ``laterality`` R or L, ``cancer`` 1 or
        0. InputError where the columns are not there.
        """
        lines = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), skipinitialspace=True)
        missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
        if missing:
            raise InputError("outcomes", f"lack the column {missing[0]!r}; expected a first line {','.join(COLUMNS)}")
        recorded, refused = 0, list[tuple[int, str]]()
        seen: dict[tuple[int, Side], int] = {}
        with self._writing.begin() as connection:
            known = _known(connection)
            for row in lines:
                number = lines.line_num
                if number > _LINES:
                    refused.append((number, f"and everything after it was left out: at most {_LINES} lines are taken"))
                    break
                try:
                    study_id, side, cancer = _parsed(row, known)
                    if (study_id, side) in seen:
                        raise InputError("study", f"{row['study']!r} {side} is in line {seen[study_id, side]} already")
                    if side not in _sides(connection, study_id):
                        raise InputError("laterality", f"the study has no image of the breast {side}")
                except InputError as error:
                    refused.append((number, str(error)))
                    continue
                self._keep(connection, study_id, side, cancer, source)
                seen[study_id, side] = number
                recorded += 1
        return OutcomeImport(recorded, tuple(refused))

    def of_study(self, study_id: int) -> Mapping[Side, Outcome]:
        """The outcome of each breast of a study that has one."""
        with self._engine.connect() as connection:
            return {side: found for (study, side), found in _newest(connection).items() if study == study_id}

    def studies(self) -> set[int]:
        """Studies of which at least one breast has an outcome."""
        with self._engine.connect() as connection:
            return {study for study, _ in _newest(connection)}

    def cases(self, model_sha256: str) -> Cases:
        """Breasts that this model has read and whose outcome is known, as they are flagged by: one score per breast."""
        listed: list[tuple[float, bool, str, dict[str, str]]] = []
        with self._engine.connect() as connection:
            known = _newest(connection)
            # In the same order for every model: they are compared case by case.
            for study_id, reading in sorted(present_results(connection, model_sha256).items()):
                sides: list[Side] = [side for side in ("R", "L") if (study_id, side) in known]
                if not sides:
                    continue
                record = rows.study_record(connection, study_id, InUse(model_sha256, model_sha256), None)
                scores = {breast.laterality: breast.score for breast in rows.ai_result(reading["result"]).breasts}
                for side in sides:
                    if record is None or side not in scores:
                        continue
                    images = [image.header for image in record.images if image.header.laterality == side]
                    groups = {
                        "laterality": side,
                        "views": "+".join(sorted({header.view or "" for header in images} - {""})),
                        "manufacturer": images[0].manufacturer if images else "",
                    }
                    patient = record.patient_id or f"study {study_id}"
                    listed.append((scores[side], known[study_id, side].cancer, patient, groups))
        return _as_cases(listed)

    def _keep(self, connection: Connection, study_id: int, side: Side, cancer: bool | None, source: str) -> None:
        who, at = self._stamp()
        values = {"study_id": study_id, "laterality": side, "cancer": cancer, "source": source, "who": who, "at": at}
        connection.execute(insert(tables.outcomes).values(values))
        said = {True: "cancer", False: "no cancer", None: "taken back"}[cancer]
        self._record(connection, "outcome recorded", study_id, {"breast": side, "outcome": said, "source": source})


def _parsed(row: Mapping[str, str | None], known: Mapping[str, list[int]]) -> tuple[int, Side, bool]:
    study, laterality, cancer = ((row.get(name) or "").strip() for name in COLUMNS)
    found = known.get(study, [])
    if not found:
        raise InputError("study", f"{study[:80]!r} is not in the library")
    if len(found) > 1:
        raise InputError("study", f"{study[:80]!r} is that of {len(found)} patients: give the library's number instead")
    side = _SIDES.get(laterality.lower())
    if side is None:
        raise InputError("laterality", f"{laterality[:20]!r} is neither R nor L")
    if cancer.lower() not in (*_YES, *_NO):
        raise InputError("cancer", f"{cancer[:20]!r} is neither 1 nor 0")
    return found[0], side, cancer.lower() in _YES


def _known(connection: Connection) -> dict[str, list[int]]:
    """Study Instance UIDs and numbers of all studies."""
    found: dict[str, list[int]] = {}
    for study_id, uid in connection.execute(select(tables.studies.c.id, tables.studies.c.study_uid)):
        found.setdefault(str(study_id), []).append(study_id)
        if uid:
            found.setdefault(uid, []).append(study_id)
    return found


def _sides(connection: Connection, study_id: int) -> set[str]:
    query = select(tables.images.c.laterality).where(tables.images.c.study_id == study_id)
    return {side for side in connection.execute(query).scalars() if side}


def _newest(connection: Connection) -> dict[tuple[int, Side], Outcome]:
    """The outcome that counts, of every breast that has one."""
    found: dict[tuple[int, Side], Outcome] = {}
    for row in connection.execute(select(tables.outcomes).order_by(tables.outcomes.c.id)).mappings():
        key = (row["study_id"], cast(Side, row["laterality"]))
        if row["cancer"] is None:
            found.pop(key, None)
        else:
            found[key] = Outcome(row["study_id"], key[1], row["cancer"], row["source"], row["who"], row["at"])
    return found


def _as_cases(listed: list[tuple[float, bool, str, dict[str, str]]]) -> Cases:
    names = listed[0][3] if listed else {}
    return Cases(
        scores=np.array([score for score, *_ in listed], np.float64),
        labels=np.array([cancer for _, cancer, *_ in listed], np.bool_),
        patients=tuple(patient for *_, patient, _ in listed),
        unit="breast",
        source="Measured on exams of this library whose outcome is known.",
        groups={name: tuple(groups[name] for *_, groups in listed) for name in names},
    )
