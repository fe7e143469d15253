"""The library's SQLite schema and how a connection to it is set up.

Knows nothing of mammograms: only tables, pragmas and the schema version.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from mammo_core.errors import InputError

SCHEMA_VERSION = 3
BUSY_SECONDS = 15

metadata = MetaData()

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("study_uid", String, nullable=False),
    Column("patient_id", String, nullable=False, index=True),
    Column("date", String, nullable=False),
    Column("added_at", String, nullable=False),
    Column("phantom", Boolean, nullable=False),
    Column("failure", Text, nullable=False, default=""),
    sqlite_autoincrement=True,
)

images = Table(
    "images",
    metadata,
    Column("sha256", String(64), CheckConstraint("length(sha256) = 64"), primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False, index=True),
    Column("header", Text, nullable=False),
    Column("laterality", String),
    Column("view", String),
    Column("unresolved", Boolean, nullable=False),
    Column("pixels", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("added_at", String, nullable=False),
)

readings = Table(
    "readings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False, index=True),
    Column("model_sha256", String(64), nullable=False),
    Column("inputs", String(64), nullable=False),
    Column("score", Float),
    Column("flagged", Boolean),
    Column("result", Text, nullable=False),
    Column("made_at", String, nullable=False),
    sqlite_autoincrement=True,
)

heatmaps = Table(
    "heatmaps",
    metadata,
    Column("reading_id", ForeignKey("readings.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", ForeignKey("images.sha256"), primary_key=True),
    Column("method", String, primary_key=True),
    Column("blob", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("peak", Float, nullable=False),
)

reads = Table(
    "reads",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False, index=True),
    Column("reader", String, nullable=False),
    Column("recorded_at", String, nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("reading_id", ForeignKey("readings.id")),
    Column("right_recall", Boolean),
    Column("right_suspicion", Integer, CheckConstraint("right_suspicion BETWEEN 1 AND 5")),
    Column("left_recall", Boolean),
    Column("left_suspicion", Integer, CheckConstraint("left_suspicion BETWEEN 1 AND 5")),
    Column("agreement", String, CheckConstraint("agreement IN ('', 'agree', 'disagree')"), nullable=False),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)

ai_shown = Table(
    "ai_shown",
    metadata,
    Column("study_id", ForeignKey("studies.id"), primary_key=True),
    Column("reader", String, primary_key=True),
    Column("at", String, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    # No foreign key: the trail outlives a study that was removed.
    Column("study_id", Integer, index=True),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)

operating_points = Table(
    "operating_points",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_sha256", String(64), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("name", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("thresholds", Text, nullable=False),
    Column("who", String, nullable=False),
    Column("at", String, nullable=False),
    UniqueConstraint("model_sha256", "version"),
    sqlite_autoincrement=True,
)

point_uses = Table(
    "point_uses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_sha256", String(64), nullable=False, index=True),
    # NULL: the checkpoint's own.
    Column("point_id", ForeignKey("operating_points.id")),
    Column("reason", Text, nullable=False),
    Column("who", String, nullable=False),
    Column("at", String, nullable=False),
    sqlite_autoincrement=True,
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("studies.id"), nullable=False, index=True),
    Column("laterality", String, CheckConstraint("laterality IN ('R', 'L')"), nullable=False),
    # NULL: taken back.
    Column("cancer", Boolean),
    Column("source", String, nullable=False),
    Column("who", String, nullable=False),
    Column("at", String, nullable=False),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    Column("sha256", String(64), CheckConstraint("length(sha256) = 64"), primary_key=True),
    Column("name", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("who", String, nullable=False),
    Column("added_at", String, nullable=False),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", ForeignKey("models.sha256"), nullable=False),
    Column("name", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("who", String, nullable=False),
    Column("at", String, nullable=False),
    sqlite_autoincrement=True,
)

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

_APPEND_ONLY = (
    *(
        f"CREATE TRIGGER IF NOT EXISTS {table}_{verb.lower()} BEFORE {verb} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'what was decided is kept as it was'); END"
        for table in ("operating_points", "point_uses", "promotions")
        for verb in ("UPDATE", "DELETE")
    ),
    "CREATE TRIGGER IF NOT EXISTS events_fixed BEFORE UPDATE ON events "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS events_kept BEFORE DELETE ON events "
    "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS reads_fixed BEFORE UPDATE ON reads "
    "BEGIN SELECT RAISE(ABORT, 'a recorded read is never changed'); END",
)


def open_engine(file: Path) -> Engine:
    """Connect to the library file, creating its tables where it is new.

    Raises:
        InputError: the file is no SQLite database, cannot be written, or was made by a newer version.
    """
    with suppress(OSError):  # whoever cannot make the file is told by SQLite; its companions inherit the mode
        file.touch(mode=0o600)
    engine = create_engine(
        URL.create("sqlite", database=str(file)), connect_args={"timeout": BUSY_SECONDS}, pool_size=5
    )
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    try:
        _create_tables(engine, file)
    except DBAPIError as error:
        engine.dispose()
        raise InputError(str(file), f"the library cannot be opened: {error.orig}") from error
    except InputError:
        engine.dispose()
        raise
    return engine


def writing(engine: Engine) -> Engine:
    """The same engine for transactions that write: they take the write lock at once.

    A transaction that starts by reading and then writes fails with SQLITE_BUSY without waiting when another
    connection wrote in between (sqlite.org/wal.html, "Concurrency"); BEGIN IMMEDIATE waits its turn.
    """
    return engine.execution_options(immediate=True)


def _prepare_connection(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # The driver's own implicit BEGIN would defeat _begin.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # In WAL mode NORMAL may lose the last transactions at a power cut; a recorded read must not be lost, and
    # FULL costs one fsync per recorded change, not per image viewed.
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _create_tables(engine: Engine, file: Path) -> None:
    with writing(engine).begin() as connection:
        found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if found > SCHEMA_VERSION:
            reason = f"was written by a newer version (schema {found}, this version reads up to {SCHEMA_VERSION})"
            raise InputError(str(file), reason)
        metadata.create_all(connection)
        for trigger in _APPEND_ONLY:
            connection.exec_driver_sql(trigger)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
