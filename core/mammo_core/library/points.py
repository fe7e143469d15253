"""Operating points that were saved in a library: every version, who chose it and why, and which is in use.

Nothing is ever changed: going back to an earlier one is another entry. Knows nothing of models beyond their hash.
"""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection, Engine, RowMapping, func, insert, select

from mammo_core.errors import InputError
from mammo_core.library import rows, tables
from mammo_core.library.present import present_results
from mammo_core.library.values import AiResult, FlipLine, InUse, SavedPoint
from mammo_core.operating_point import OperatingPoint
from mammo_core.thresholds import Thresholds

Record = Callable[[Connection, str, int | None, dict[str, str]], None]
"""Writes a line of the audit trail."""

NAME_LIMIT, REASON_LIMIT = 80, 1000


class Points:
    """The operating points of one library."""

    def __init__(self, engine: Engine, writing: Engine, record: Record, stamp: Callable[[], tuple[str, str]]) -> None:
        """``stamp`` gives who is at work and the time."""
        self._engine = engine
        self._writing = writing
        self._record = record
        self._stamp = stamp

    def save(self, model_sha256: str, name: str, reason: str, chosen: Thresholds) -> SavedPoint:
        """Keep a new version and use it from now on, on exams that were read before too.

        Raises InputError without a name or a reason.
        """
        name, reason = sentence("name", name, NAME_LIMIT), sentence("reason", reason, REASON_LIMIT)
        who, at = self._stamp()
        with self._writing.begin() as connection:
            version = self._versions(connection, model_sha256) + 1
            named = _named(chosen, name, version, reason)
            values = {
                "model_sha256": model_sha256,
                "version": version,
                "name": name,
                "reason": reason,
                "thresholds": named.model_dump_json(),
                "who": who,
                "at": at,
            }
            point_id = int(
                connection.execute(
                    insert(tables.operating_points).values(values).returning(tables.operating_points.c.id)
                ).scalar_one()
            )
            self._use(connection, model_sha256, point_id, reason)
            detail = {"model": model_sha256, "name": name, "version": str(version), "reason": reason}
            self._record(connection, "operating point saved", None, detail | _described(named))
            self._flag_anew(connection, model_sha256, named)
        return next(point for point in self.history(model_sha256) if point.id == point_id)

    def use(self, model_sha256: str, point_id: int | None, reason: str, own: OperatingPoint | None) -> None:
        """Use a version that was saved before, or the checkpoint's ``own`` (None), from now on.

        Raises InputError where there is no such version, it is in use already, or no reason is given.
        """
        reason = sentence("reason", reason, REASON_LIMIT)
        known = {point.id: point for point in self.history(model_sha256)}
        if point_id is not None and point_id not in known:
            raise InputError(f"operating point {point_id}", "is not one that was saved for this model")
        now = self.in_use(model_sha256)
        if (None if now is None else now.id) == point_id:
            raise InputError("operating point", "is in use already")
        chosen = None if point_id is None else known[point_id]
        with self._writing.begin() as connection:
            self._use(connection, model_sha256, point_id, reason)
            name = "the checkpoint's own" if chosen is None else f"{chosen.name} (version {chosen.version})"
            detail = {"model": model_sha256, "name": name, "reason": reason}
            self._record(connection, "operating point changed back", None, detail)
            if chosen is not None:
                self._flag_anew(connection, model_sha256, chosen.thresholds)
            else:
                self._flag_anew(connection, model_sha256, None if own is None else Thresholds(general=own))

    def in_use(self, model_sha256: str) -> SavedPoint | None:
        """Return the version in use; None for the checkpoint's own."""
        return next((point for point in self.history(model_sha256) if point.in_use), None)

    def history(self, model_sha256: str) -> tuple[SavedPoint, ...]:
        """Every version, newest first."""
        points = tables.operating_points
        with self._engine.connect() as connection:
            used = self._used(connection, model_sha256)
            query = select(points).where(points.c.model_sha256 == model_sha256).order_by(points.c.version.desc())
            return tuple(
                _saved(row, None if used is None else used["id"]) for row in connection.execute(query).mappings()
            )

    def flips(
        self, model_sha256: str, before: Thresholds | None, after: Thresholds | None, blind_reader: str | None
    ) -> tuple[FlipLine, ...]:
        """Studies whose flag would change, newest addition first.

        Left out are those that the blind reader, if there is one, must not know of yet.
        """
        if before is None or after is None:
            return ()
        points = [*before.vendors.values(), *after.vendors.values(), before.general, after.general]
        lowest, highest = min(p.threshold for p in points), max(p.threshold for p in points)
        found = []
        with self._engine.connect() as connection:
            for study_id, reading in present_results(connection, model_sha256, whole=False).items():
                # Between the thresholds alone can anything change: the others need not be looked at.
                if reading["score"] is None or not lowest <= reading["score"] < highest:
                    continue
                record = rows.study_record(connection, study_id, InUse(model_sha256, model_sha256), blind_reader)
                if record is None or record.ai_hidden:
                    continue
                vendor, score = record.images[0].header.manufacturer, reading["score"]
                now, then = (score >= chosen.of(vendor).threshold for chosen in (before, after))
                if now != then:
                    found.append(FlipLine(study_id, record.patient_id, record.date, score, then, record.phantom))
        return tuple(sorted(found, key=lambda line: -line.study_id))

    def applied(self, connection: Connection, study_id: int, result: AiResult) -> AiResult:
        """Flag a new result by the version in use; as it came where there is none."""
        row = self._used(connection, result.model.sha256)
        if row is None:
            return result
        thresholds = Thresholds.model_validate_json(row["thresholds"])
        return flagged_anew(result, thresholds.of(_vendor(connection, study_id)))

    def _used(self, connection: Connection, model_sha256: str) -> RowMapping | None:
        """Row of the version in use; None for the checkpoint's own."""
        points, uses = tables.operating_points, tables.point_uses
        query = select(uses.c.point_id).where(uses.c.model_sha256 == model_sha256).order_by(uses.c.id.desc())
        used = connection.execute(query.limit(1)).scalar_one_or_none()
        return connection.execute(select(points).where(points.c.id == used)).mappings().first()

    def _versions(self, connection: Connection, model_sha256: str) -> int:
        points = tables.operating_points
        query = select(func.max(points.c.version)).where(points.c.model_sha256 == model_sha256)
        return int(connection.execute(query).scalar_one() or 0)

    def _use(self, connection: Connection, model_sha256: str, point_id: int | None, reason: str) -> None:
        who, at = self._stamp()
        values = {"model_sha256": model_sha256, "point_id": point_id, "reason": reason, "who": who, "at": at}
        connection.execute(insert(tables.point_uses).values(values))

    def _flag_anew(self, connection: Connection, model_sha256: str, chosen: Thresholds | None) -> None:
        """Record every present result of the model once more, with the new flags: what was shown stays on record."""
        _, at = self._stamp()
        for study_id, reading in present_results(connection, model_sha256).items():
            vendor = _vendor(connection, study_id)
            result = flagged_anew(rows.ai_result(reading["result"]), None if chosen is None else chosen.of(vendor))
            values = {"study_id": study_id, "inputs": reading["inputs"], "made_at": at, **rows.ai_columns(result)}
            new_id = int(
                connection.execute(insert(tables.readings).values(values).returning(tables.readings.c.id)).scalar_one()
            )
            heats = connection.execute(select(tables.heatmaps).where(tables.heatmaps.c.reading_id == reading["id"]))
            for heat in heats.mappings().all():
                connection.execute(insert(tables.heatmaps).values({**heat, "reading_id": new_id}))


def flagged_anew(result: AiResult, point: OperatingPoint | None) -> AiResult:
    """The same scores at another operating point."""

    def flag(score: float | None) -> bool | None:
        return None if point is None or score is None else score >= point.threshold

    return replace(
        result,
        model=replace(result.model, operating_point=point),
        flagged=flag(result.score),
        breasts=tuple(replace(breast, flagged=flag(breast.score)) for breast in result.breasts),
    )


def _vendor(connection: Connection, study_id: int) -> str:
    """Manufacturer of a study, as its first image states it."""
    query = select(tables.images).where(tables.images.c.study_id == study_id).order_by(tables.images.c.sha256)
    return rows.image_record(connection.execute(query).mappings().all()[0]).header.manufacturer


def _named(chosen: Thresholds, name: str, version: int, reason: str) -> Thresholds:
    """Let every operating point say under which name it was saved, so that each result can."""
    words = f"saved as {name!r}, version {version}: "

    def told(point: OperatingPoint) -> OperatingPoint:
        return point.model_copy(update={"rule": f"{words}{point.rule}. Reason: {reason}"})

    return Thresholds(
        general=told(chosen.general), vendors={vendor: told(point) for vendor, point in chosen.vendors.items()}
    )


def _described(chosen: Thresholds) -> dict[str, str]:
    found = {"threshold": repr(chosen.general.threshold)}
    return found | {f"threshold {vendor}": repr(point.threshold) for vendor, point in chosen.vendors.items()}


def _saved(row: RowMapping, used: int | None) -> SavedPoint:
    return SavedPoint(
        id=row["id"],
        model_sha256=row["model_sha256"],
        version=row["version"],
        name=row["name"],
        reason=row["reason"],
        who=row["who"],
        at=row["at"],
        thresholds=Thresholds.model_validate_json(row["thresholds"]),
        in_use=row["id"] == used,
    )


def sentence(field: str, text: str, limit: int) -> str:
    """Text in one line, as it is kept; InputError where there is none, or more than ``limit`` characters."""
    cleaned = " ".join(text.split())
    if not cleaned:
        raise InputError(field, "is empty; who looks back at this later has to know")
    if len(cleaned) > limit:
        raise InputError(field, f"has {len(cleaned)} characters; at most {limit} are kept")
    return cleaned
