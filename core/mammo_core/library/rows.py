"""Rows of the database as the library's values and back.

Knows nothing of transactions: every function gets a connection or a row.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, select

from mammo_core.header_json import header_from_json, header_to_json
from mammo_core.library import tables
from mammo_core.library.values import (
    AiRecord,
    AiResult,
    BreastCall,
    Call,
    EventRecord,
    HeatRecord,
    ImageRecord,
    InUse,
    ReadRecord,
    StudyRecord,
)
from mammo_core.mammogram import Header

_RESULT = TypeAdapter(AiResult)


def ai_columns(result: AiResult) -> dict[str, Any]:
    """An AI result as columns of ``readings``."""
    return {
        "model_sha256": result.model.sha256,
        "score": result.score,
        "flagged": result.flagged,
        "result": _RESULT.dump_json(result).decode(),
    }


def ai_result(text: str) -> AiResult:
    """An AI result from JSON."""
    return _RESULT.validate_json(text)


def heat_columns(heat: HeatRecord) -> dict[str, Any]:
    """A heatmap as columns of ``heatmaps``."""
    return {
        "method": heat.method,
        "blob": heat.blob,
        "rows": heat.rows,
        "columns": heat.columns,
        "peak": heat.peak,
    }


def image_columns(header: Header, pixels: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """An image as columns of ``images``; ``pixels`` is the hash of its packed hung pixels of this shape."""
    return {
        "header": header_to_json(header),
        "laterality": header.laterality,
        "view": header.view,
        "unresolved": header.laterality is None or header.view is None,
        "pixels": pixels,
        "rows": shape[0],
        "columns": shape[1],
    }


def shown_to(connection: Connection, reader: str) -> set[int]:
    """Studies whose AI this reader has been shown."""
    query = select(tables.ai_shown.c.study_id).where(tables.ai_shown.c.reader == reader)
    return set(connection.execute(query).scalars())


def inputs_key(images: Iterable[RowMapping]) -> str:
    """Hash of what the AI is given: the images with their laterality and view. It changes when any of them does."""
    return _hash_of((row["sha256"], row["laterality"] or "", row["view"] or "") for row in images)


def inputs_key_of(study: StudyRecord) -> str:
    """The same hash for a study that was read earlier."""
    headers = (image.header for image in study.images)
    return _hash_of((header.sha256, header.laterality or "", header.view or "") for header in headers)


def _hash_of(given: Iterable[tuple[str, str, str]]) -> str:
    return hashlib.sha256(json.dumps(sorted(given)).encode()).hexdigest()


def study_record(connection: Connection, study_id: int, used: InUse, blind_reader: str | None) -> StudyRecord | None:
    """A row of ``studies`` with its images, the newest result of the model for it, its reads; None if there is none."""
    row = connection.execute(select(tables.studies).where(tables.studies.c.id == study_id)).mappings().first()
    if row is None:
        return None
    query = select(tables.images).where(tables.images.c.study_id == study_id).order_by(tables.images.c.sha256)
    images = connection.execute(query).mappings().all()
    ai = _newest(connection, study_id, used.of(phantom=row["phantom"]), inputs_key(images))
    query = select(tables.reads).where(tables.reads.c.study_id == study_id).order_by(tables.reads.c.id)
    reads = tuple(read_record(read) for read in connection.execute(query).mappings())
    query = select(tables.studies.c.patient_id).where(tables.studies.c.study_uid == row["study_uid"])
    others = connection.execute(query.where(tables.studies.c.patient_id != row["patient_id"])).scalars().all()
    return StudyRecord(
        id=row["id"],
        key=row["key"],
        study_uid=row["study_uid"],
        patient_id=row["patient_id"],
        date=row["date"],
        added_at=row["added_at"],
        phantom=row["phantom"],
        failure=row["failure"],
        images=tuple(image_record(image) for image in images),
        ai=None if ai is None else ai_record(connection, ai),
        reads=reads,
        ai_hidden=blind_reader is not None and all(read.reader != blind_reader for read in reads),
        unresolved=frozenset(image["sha256"] for image in images if image["unresolved"]),
        other_patients=tuple(sorted(set(others))) if row["study_uid"] else (),
    )


def _newest(connection: Connection, study_id: int, model_sha256: str, inputs: str) -> RowMapping | None:
    """Row of a model's newest result for these images of a study."""
    column = tables.readings.c
    of_study = select(tables.readings).where(column.study_id == study_id, column.model_sha256 == model_sha256)
    query = of_study.where(column.inputs == inputs).order_by(column.id.desc()).limit(1)
    return connection.execute(query).mappings().first()


def image_record(row: RowMapping) -> ImageRecord:
    """A row of ``images``."""
    return ImageRecord(
        header=header_from_json(row["header"]),
        pixels=row["pixels"],
        rows=row["rows"],
        columns=row["columns"],
        added_at=row["added_at"],
    )


def read_record(row: RowMapping) -> ReadRecord:
    """A row of ``reads``."""
    call = Call(
        right=_breast_call(row, "right"),
        left=_breast_call(row, "left"),
        agreement=row["agreement"],
        note=row["note"],
    )
    return ReadRecord(
        id=row["id"],
        study_id=row["study_id"],
        reader=row["reader"],
        recorded_at=row["recorded_at"],
        blind=row["blind"],
        ai_id=row["reading_id"],
        call=call,
    )


def read_columns(call: Call) -> dict[str, Any]:
    """A call as columns of ``reads``."""
    columns: dict[str, Any] = {"agreement": call.agreement, "note": call.note}
    for side, breast in (("right", call.right), ("left", call.left)):
        columns[f"{side}_recall"] = None if breast is None else breast.recall
        columns[f"{side}_suspicion"] = None if breast is None else breast.suspicion
    return columns


def event_record(row: RowMapping) -> EventRecord:
    """A row of ``events``."""
    detail = json.loads(row["detail"])
    return EventRecord(row["id"], row["at"], row["who"], row["what"], row["study_id"], detail)


def ai_record(connection: Connection, row: RowMapping) -> AiRecord:
    """A row of ``readings`` with its heatmaps."""
    found = connection.execute(select(tables.heatmaps).where(tables.heatmaps.c.reading_id == row["id"]))
    heats = {
        (heat["sha256"], heat["method"]): HeatRecord(
            heat["method"], heat["blob"], heat["rows"], heat["columns"], heat["peak"]
        )
        for heat in found.mappings()
    }
    return AiRecord(row["id"], row["made_at"], ai_result(row["result"]), heats)


def _breast_call(row: RowMapping, side: str) -> BreastCall | None:
    recall = row[f"{side}_recall"]
    return None if recall is None else BreastCall(recall, row[f"{side}_suspicion"])
