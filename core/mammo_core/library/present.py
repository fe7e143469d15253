"""Which AI result counts for each study: a model's newest one for exactly the images that the study has now."""

from sqlalchemy import Connection, RowMapping, select

from mammo_core.library import tables
from mammo_core.library.rows import inputs_key

_IMAGE = ("study_id", "sha256", "laterality", "view")
_READING = ("id", "study_id", "inputs", "score")


def present_results(connection: Connection, model_sha256: str, *, whole: bool = True) -> dict[int, RowMapping]:
    """Study -> row of ``readings``; ``whole`` off leaves out the result itself, which is long."""
    images: dict[int, list[RowMapping]] = {}
    for row in connection.execute(select(*(tables.images.c[name] for name in _IMAGE))).mappings():
        images.setdefault(row["study_id"], []).append(row)
    keys = {study_id: inputs_key(found) for study_id, found in images.items()}
    columns = [tables.readings.c[name] for name in (*_READING, *(("result",) if whole else ()))]
    query = select(*columns).where(tables.readings.c.model_sha256 == model_sha256).order_by(tables.readings.c.id)
    newest: dict[int, RowMapping] = {}
    for row in connection.execute(query).mappings():
        if keys.get(row["study_id"]) == row["inputs"]:
            newest[row["study_id"]] = row
    return newest
