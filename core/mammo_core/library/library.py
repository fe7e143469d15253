"""The library: every exam, AI result, read and change of one reading room, in one folder.

``library.sqlite3`` holds the facts; ``originals``, ``pixels`` and ``heatmaps`` hold files named by their content
hash. A file is whole on the disk before the row that names it, so that a process killed at any moment leaves at
worst a file that no row names. Knows nothing of how files are decoded or scored.
"""

import getpass
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from platformdirs import user_data_path
from sqlalchemy import Column, Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from mammo_core.errors import InputError
from mammo_core.files import Staged, chunks_of, private_folder, staged, store_get, store_path, store_put
from mammo_core.library import rows, tables
from mammo_core.library.calls import check_call
from mammo_core.library.models import Models
from mammo_core.library.outcomes import Outcomes
from mammo_core.library.pixels import pack, unpack
from mammo_core.library.points import Points
from mammo_core.library.values import (
    AiResult,
    Call,
    EventRecord,
    HeatRecord,
    ReadRecord,
    StudyRecord,
    WorklistLine,
)
from mammo_core.library.worklist import worklist
from mammo_core.mammogram import Laterality, Mammogram, hang, unhang
from mammo_core.study import Study, assign, group_studies, priors

_FILE = "library.sqlite3"
_STORES = ("originals", "pixels", "heatmaps")


def default_folder() -> Path:
    """Where the library lives unless told otherwise: the user's data folder of this operating system."""
    return user_data_path("mammo-gui", appauthor=False) / "library"


def holds_library(folder: Path) -> bool:
    """Whether a library was made in this folder."""
    return (folder / _FILE).is_file()


class Library:
    """An open library. Safe to share between threads; several processes may open the same folder."""

    def __init__(self, folder: Path) -> None:
        """Open the library in ``folder``, making it where there is none; InputError where that cannot be done."""
        try:
            for made in (folder, *(folder / store for store in _STORES)):
                private_folder(made)
        except OSError as error:
            raise InputError(str(folder), f"cannot be used as a library folder: {error.strerror}") from error
        self.folder = folder
        self._engine = tables.open_engine(folder / _FILE)
        self._writing = tables.writing(self._engine)
        parts = (self._engine, self._writing, self._record, lambda: (self.reader, _now()))
        self.points, self.outcomes = Points(*parts), Outcomes(*parts)
        self.models = Models(folder / "models", *parts)

    def close(self) -> None:
        """Close every connection to the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Settings -----------------------------------------------------------------------------------------------

    @property
    def reader(self) -> str:
        """Name of the person at the screen; the operating system's user name until somebody says otherwise."""
        return self._setting("reader") or _account_name()

    @property
    def blind(self) -> bool:
        """Whether AI stays hidden until the reader has recorded a call."""
        return self._setting("blind") == "1"

    @property
    def demo_made(self) -> bool:
        """Whether the demo exams were made once, so that they do not come back by themselves."""
        return self._setting("demo_made") == "1"

    def set_reader(self, name: str) -> None:
        """Say who is reading; InputError for an empty name or one longer than 80 characters."""
        cleaned = " ".join(name.split())
        if not 0 < len(cleaned) <= 80:
            raise InputError("reader", "a name of 1 to 80 characters is expected")
        self._set("reader", cleaned)

    def set_blind(self, on: bool) -> None:
        """Switch blind mode."""
        self._set("blind", "1" if on else "0")

    def set_demo_made(self) -> None:
        """Remember that the demo exams were made."""
        self._set("demo_made", "1")

    # Images -------------------------------------------------------------------------------------------------

    def add_image(self, mammogram: Mammogram, file: Path, *, phantom: bool) -> int:
        """Keep a file and what it decodes to at full resolution; return the id of its study.

        Adding the same content again changes nothing. InputError where the file is not the one that was decoded.
        """
        header = mammogram.header
        pixels = hang(mammogram.pixels, header.hanging)
        with self._staged("originals", chunks_of(file)) as original, self._staged("pixels", pack(pixels)) as packed:
            if original.sha256 != header.sha256:
                raise InputError(header.file, "changed while it was read")
            with self._writing.begin() as connection:
                original.keep()
                packed.keep()
                study_id = self._study_for(connection, group_studies([header])[0], phantom)
                columns = rows.image_columns(header, packed.sha256, pixels.shape)
                values = {"sha256": header.sha256, "study_id": study_id, "added_at": _now(), **columns}
                added = connection.execute(upsert(tables.images).values(values).on_conflict_do_nothing())
                if added.rowcount:
                    detail = {"sha256": header.sha256, "file": header.file}
                    self._record(connection, "image added", study_id, detail)
        return study_id

    def study_of(self, sha256: str) -> int | None:
        """The study that the file with this content hash belongs to, or None where it is not held."""
        study_id: int | None = self._image_column(tables.images.c.study_id, sha256)
        return study_id

    def original(self, sha256: str) -> Path:
        """Where the original file of an image is kept; the name tells nothing, the content is untouched."""
        return store_path(self.folder / "originals", sha256)

    def pixels(self, sha256: str) -> bytes:
        """Packed hung pixels of an image: gzip of little-endian uint16; InputError where it is not held."""
        blob = self._image_column(tables.images.c.pixels, sha256)
        if blob is None:
            raise InputError(f"image {sha256}", "is not in the library")
        return store_get(self.folder / "pixels", blob)

    def heat(self, heat: HeatRecord) -> bytes:
        """A stored heatmap: raw uint8 ``(rows, columns)``, hung."""
        return store_get(self.folder / "heatmaps", heat.blob)

    def correct(self, sha256: str, laterality: Laterality, view: str) -> int:
        """Set side and view of an image as the reader says; its hanging follows. Return the id of its study."""
        query = select(tables.images).where(tables.images.c.sha256 == sha256)
        with self._writing.begin() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                raise InputError(f"image {sha256}", "is not in the library")
            image = rows.image_record(row)
            header = assign(image.header, laterality=laterality, view=view)
            stored = unpack(store_get(self.folder / "pixels", image.pixels), image.rows, image.columns)
            pixels = hang(unhang(stored, image.header.hanging), header.hanging)
            with self._staged("pixels", pack(pixels)) as packed:
                packed.keep()
            values = rows.image_columns(header, packed.sha256, pixels.shape)
            connection.execute(update(tables.images).where(tables.images.c.sha256 == sha256).values(values))
            before = f"{image.header.laterality or '?'} {image.header.view or '?'}"
            detail = {"sha256": sha256, "before": before, "after": f"{laterality} {view}"}
            self._record(connection, "side and view corrected", row["study_id"], detail)
        self._sweep("pixels", tables.images.c.pixels, [image.pixels])
        return int(row["study_id"])

    # Studies ------------------------------------------------------------------------------------------------

    def worklist(self) -> list[WorklistLine]:
        """Every study, newest addition first, AI by the model in use."""
        blind_reader = self.reader if self.blind else None
        with self._engine.connect() as connection:
            return worklist(connection, self.models.used(), blind_reader)

    def study(self, study_id: int) -> StudyRecord:
        """A study with everything known of it, AI by the model in use; InputError where there is none."""
        blind_reader = self.reader if self.blind else None
        with self._engine.connect() as connection:
            record = rows.study_record(connection, study_id, self.models.used(), blind_reader)
        if record is None:
            raise InputError(f"study {study_id}", "is not in the library")
        return record

    def priors(self, study_id: int) -> list[StudyRecord]:
        """Earlier studies of the same patient, newest first."""
        current = self.study(study_id)
        query = select(tables.studies.c.id).where(tables.studies.c.patient_id == current.patient_id)
        with self._engine.connect() as connection:
            ids = connection.execute(query).scalars().all()
        records = {record.key: record for record in (self.study(found) for found in ids)}
        studies = {key: as_study(record) for key, record in records.items()}
        return [records[study.key] for study in priors(studies[current.key], list(studies.values()))]

    def remove(self, study_id: int) -> None:
        """Remove a study with its images, AI results and reads. The audit trail keeps that it was there."""
        study = self.study(study_id)
        of_study = select(tables.readings.c.id).where(tables.readings.c.study_id == study_id)
        with self._writing.begin() as connection:
            query = select(tables.heatmaps.c.blob).where(tables.heatmaps.c.reading_id.in_(of_study))
            heats = connection.execute(query).scalars().all()
            detail = {"patient": study.patient_id, "date": study.date, "reads": str(len(study.reads))}
            self._record(connection, "study removed", study_id, detail)
            for table in (tables.outcomes, tables.ai_shown, tables.reads, tables.readings, tables.images):
                connection.execute(delete(table).where(table.c.study_id == study_id))
            connection.execute(delete(tables.studies).where(tables.studies.c.id == study_id))
        self._sweep("originals", tables.images.c.sha256, [image.sha256 for image in study.images])
        self._sweep("pixels", tables.images.c.pixels, [image.pixels for image in study.images])
        self._sweep("heatmaps", tables.heatmaps.c.blob, heats)

    # AI results ---------------------------------------------------------------------------------------------

    def unread_by(self, model_sha256: str) -> list[int]:
        """Studies that this model has not answered for their present images, oldest first."""
        columns = [tables.images.c[name] for name in ("study_id", "sha256", "laterality", "view")]
        done_by_model = tables.readings.c.model_sha256 == model_sha256
        with self._engine.connect() as connection:
            images: dict[int, list[RowMapping]] = defaultdict(list)
            for row in connection.execute(select(*columns)).mappings():
                images[row["study_id"]].append(row)
            query = select(tables.readings.c.study_id, tables.readings.c.inputs).where(done_by_model)
            done = {(row[0], row[1]) for row in connection.execute(query)}
        return [study for study in sorted(images) if (study, rows.inputs_key(images[study])) not in done]

    def waiting(self) -> list[tuple[int, str]]:
        """Studies that the model in use for them has not answered yet, oldest first, each with that model's hash."""
        used = self.models.used()
        unread = {sha256: set(self.unread_by(sha256)) for sha256 in {used.exams, used.phantoms}}
        with self._engine.connect() as connection:
            query = select(tables.studies.c.id, tables.studies.c.phantom).order_by(tables.studies.c.id)
            models = [(row[0], used.of(phantom=row[1])) for row in connection.execute(query)]
        return [(study, sha256) for study, sha256 in models if study in unread[sha256]]

    def usual_model(self) -> str:
        """Hash of the model in use; where all exams are synthetic, of the one that reads those."""
        used = self.models.used()
        with self._engine.connect() as connection:
            kinds = set(connection.execute(select(tables.studies.c.phantom).distinct()).scalars())
        return used.of(phantom=kinds == {True})

    def record_ai(self, study: StudyRecord, result: AiResult, heats: Sequence[tuple[str, HeatRecord, bytes]]) -> bool:
        """Keep an AI result made from the images of ``study``; ``heats`` holds (image hash, record, raw bytes).

        False, keeping nothing, where the study was changed or removed meanwhile: an answer never stands beside
        images that it was not made from.
        """
        key = rows.inputs_key_of(study)
        with self._writing.begin() as connection:
            query = select(tables.images).where(tables.images.c.study_id == study.id)
            if rows.inputs_key(connection.execute(query).mappings().all()) != key:
                return False
            result = self.points.applied(connection, study.id, result)
            values = {"study_id": study.id, "inputs": key, "made_at": _now(), **rows.ai_columns(result)}
            reading_id = _inserted(connection, tables.readings, values)
            for sha256, heat, data in heats:
                store_put(self.folder / "heatmaps", data)
                row = {"reading_id": reading_id, "sha256": sha256, **rows.heat_columns(heat)}
                connection.execute(insert(tables.heatmaps).values(row))
            connection.execute(update(tables.studies).where(tables.studies.c.id == study.id).values(failure=""))
            detail = {
                "model": result.model.name,
                "version": result.model.version,
                "sha256": result.model.sha256,
            }
            self._record(connection, "AI result recorded", study.id, detail | {"score": str(result.score)})
        return True

    def ai_result(self, ai_id: int) -> AiResult:
        """An AI result by its id, also one that newer results have replaced."""
        query = select(tables.readings.c.result).where(tables.readings.c.id == ai_id)
        with self._engine.connect() as connection:
            return rows.ai_result(connection.execute(query).scalar_one())

    def record_failure(self, study_id: int, reason: str) -> None:
        """Keep why the AI could not read a study."""
        with self._writing.begin() as connection:
            connection.execute(update(tables.studies).where(tables.studies.c.id == study_id).values(failure=reason))
            self._record(connection, "AI could not read", study_id, {"reason": reason})

    # Reads --------------------------------------------------------------------------------------------------

    def ai_shown(self, study_ids: Iterable[int]) -> None:
        """Remember that the present reader was shown AI of these studies: no later read of theirs is blind."""
        reader, studies = self.reader, set(study_ids)
        with self._engine.connect() as connection:
            new = studies - rows.shown_to(connection, reader)
        if new:
            with self._writing.begin() as connection:
                there = new & set(connection.execute(select(tables.studies.c.id)).scalars())
                values = [{"study_id": study_id, "reader": reader, "at": _now()} for study_id in sorted(there)]
                if values:
                    connection.execute(upsert(tables.ai_shown).on_conflict_do_nothing(), values)

    def record_read(self, study_id: int, call: Call) -> ReadRecord:
        """Keep the reader's call on a study; InputError where it is no call (see ``check_call``)."""
        study = self.study(study_id)
        shown = None if study.ai_hidden else study.ai
        sides = {image.header.laterality for image in study.images if image.header.laterality is not None}
        check_call(call, ai_shown=shown is not None, owed=sides if study.ai_hidden else frozenset())
        with self._engine.connect() as connection:
            seen_before = study_id in rows.shown_to(connection, self.reader)
        values = {
            "study_id": study_id,
            "reader": self.reader,
            "recorded_at": _now(),
            "blind": shown is None and not seen_before,
            "reading_id": None if shown is None else shown.id,
            **rows.read_columns(call),
        }
        with self._writing.begin() as connection:
            read_id = _inserted(connection, tables.reads, values)
            self._record(connection, "read recorded", study_id, {"read": str(read_id)})
            row = connection.execute(select(tables.reads).where(tables.reads.c.id == read_id)).mappings().one()
        return rows.read_record(row)

    # Audit --------------------------------------------------------------------------------------------------

    def events(self, study_id: int | None = None) -> list[EventRecord]:
        """The audit trail, oldest first, of one study or of everything."""
        query = select(tables.events).order_by(tables.events.c.id)
        if study_id is not None:
            query = query.where(tables.events.c.study_id == study_id)
        with self._engine.connect() as connection:
            return [rows.event_record(row) for row in connection.execute(query).mappings()]

    def revision(self) -> int:
        """A number that grows with every recorded change."""
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.max(tables.events.c.id))).scalar_one() or 0)

    # ------------------------------------------------------------------------------------------------------------

    def _setting(self, name: str) -> str:
        query = select(tables.settings.c.value).where(tables.settings.c.name == name)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none() or ""

    def _set(self, name: str, value: str) -> None:
        before = self._setting(name)
        if before == value:
            return
        row = upsert(tables.settings).values(name=name, value=value)
        who = value if name == "reader" else None
        with self._writing.begin() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
            self._record(connection, f"setting {name}", None, {"before": before, "after": value}, who)

    def _record(
        self,
        connection: Connection,
        what: str,
        study_id: int | None,
        detail: dict[str, str],
        who: str | None = None,
    ) -> None:
        text = json.dumps(detail, ensure_ascii=False)
        values = {"at": _now(), "who": who or self.reader, "what": what, "study_id": study_id, "detail": text}
        connection.execute(insert(tables.events).values(values))

    def _study_for(self, connection: Connection, study: Study, phantom: bool) -> int:
        """The row of a study, made where there is none; its date is the earliest of its images', as in `Study`."""
        query = select(tables.studies.c.id, tables.studies.c.date).where(tables.studies.c.key == study.key)
        found = connection.execute(query).mappings().first()
        if found is not None:
            if study.date and (not found["date"] or study.date < found["date"]):
                row = update(tables.studies).where(tables.studies.c.id == found["id"])
                connection.execute(row.values(date=study.date))
                detail = {"before": found["date"], "after": study.date}
                self._record(connection, "study date changed", found["id"], detail)
            return int(found["id"])
        values: dict[str, Any] = {
            "key": study.key,
            "study_uid": study.uid,
            "patient_id": study.patient_id,
            "date": study.date,
        }
        values |= {"added_at": _now(), "phantom": phantom, "failure": ""}
        study_id = _inserted(connection, tables.studies, values)
        self._record(connection, "study added", study_id, {"patient": study.patient_id, "date": study.date})
        return study_id

    def _staged(self, store: str, chunks: Iterable[bytes]) -> AbstractContextManager[Staged]:
        return staged(self.folder / store, chunks)

    def _image_column(self, column: Column[Any], sha256: str) -> Any:
        query = select(column).where(tables.images.c.sha256 == sha256)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _sweep(self, store: str, column: Column[Any], blobs: Iterable[str]) -> None:
        """Delete stored files that no row names any more; under the write lock, so that nobody is adding them."""
        with self._writing.begin() as connection:
            for blob in blobs:
                if connection.execute(select(column).where(column == blob)).first() is None:
                    store_path(self.folder / store, blob).unlink(missing_ok=True)


def as_study(record: StudyRecord) -> Study:
    """The study of the domain: headers, hanging order, warnings."""
    study = group_studies(image.header for image in record.images)[0]
    return replace(study, other_patients=record.other_patients)


def _account_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a user id that has no name
        return "reader"


def _inserted(connection: Connection, table: Any, values: dict[str, Any]) -> int:
    row = connection.execute(insert(table).values(values).returning(table.c.id)).one()
    return int(row[0])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
