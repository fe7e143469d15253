"""The worklist: one line per study, from columns alone, so that thousands of studies list at once.

Knows nothing of pixels, of headers in full and of who asks.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select

from mammo_core.library import tables
from mammo_core.library.rows import inputs_key
from mammo_core.library.values import InUse, WorklistLine, status_of


def worklist(connection: Connection, used: InUse, blind_reader: str | None) -> list[WorklistLine]:
    """Every study, newest addition first, with what the model in use for it says.

    AI is left out of studies that ``blind_reader`` has not read yet.
    """
    studies = connection.execute(select(tables.studies).order_by(tables.studies.c.id.desc())).mappings().all()
    images = _by_study(connection, tables.images.c, ("study_id", "sha256", "laterality", "view", "unresolved"))
    reads = _by_study(connection, tables.reads.c, ("study_id", "reader"))
    columns = [tables.readings.c[name] for name in ("study_id", "model_sha256", "inputs", "score", "flagged")]
    by_these = tables.readings.c.model_sha256.in_([used.exams, used.phantoms])
    oldest_first = select(*columns).where(by_these).order_by(tables.readings.c.id)
    ai = {
        (row["study_id"], row["model_sha256"], row["inputs"]): row
        for row in connection.execute(oldest_first).mappings()
    }
    return [
        _line(
            study,
            images[study["id"]],
            ai.get((study["id"], used.of(phantom=study["phantom"]), inputs_key(images[study["id"]]))),
            reads,
            blind_reader,
        )
        for study in studies
    ]


def _by_study(connection: Connection, columns: object, names: tuple[str, ...]) -> dict[int, list[RowMapping]]:
    grouped: dict[int, list[RowMapping]] = defaultdict(list)
    for row in connection.execute(select(*(getattr(columns, name) for name in names))).mappings():
        grouped[row["study_id"]].append(row)
    return grouped


def _line(
    study: RowMapping,
    images: Sequence[RowMapping],
    ai: RowMapping | None,
    reads: dict[int, list[RowMapping]],
    blind_reader: str | None,
) -> WorklistLine:
    mine = reads[study["id"]]
    hidden = blind_reader is not None and all(read["reader"] != blind_reader for read in mine)
    unresolved = any(image["unresolved"] for image in images)
    shown = None if hidden else ai
    return WorklistLine(
        id=study["id"],
        patient_id=study["patient_id"],
        date=study["date"],
        added_at=study["added_at"],
        views=tuple((image["laterality"], image["view"]) for image in images),
        status=status_of(unresolved, bool(mine), ai is not None, bool(study["failure"])),
        score=None if shown is None else shown["score"],
        flagged=None if shown is None else shown["flagged"],
        ai_hidden=hidden,
        phantom=study["phantom"],
    )
