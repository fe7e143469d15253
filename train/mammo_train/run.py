"""A run folder: who works in it, how far the work is, what happened, and how to ask it to stop.

Knows nothing of what is learnt. The folder is the only contract between a training process and whoever looks
at it: ``status.json`` is replaced whole, ``log.jsonl`` grows by one JSON object per event, and a file named
``stop`` asks the process to end after the batch in hand.
"""

import json
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import IO, Literal

import psutil
from pydantic import ValidationError

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.settings import Settings

STATUS = "status.json"
LOG = "log.jsonl"
STOP = "stop"
LOCK = "run.lock"
RECIPE = "recipe.toml"
SPLIT = "split.csv"
CHECKPOINT = "checkpoint.safetensors"
VALIDATION = "validation.csv"
VALIDATION_IMAGES = "validation_images.csv"

State = Literal["running", "finished", "stopped", "failed"]
_BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Linux: a name that is made at every start of the machine."""
_SAME_START = 1.0
"""Seconds by which two readings of one process's start may differ (the clock's rounding)."""


class Status(Settings):
    """What ``status.json`` holds."""

    state: State
    """"running" is true only while `is_live`: a killed process could not write another word."""
    pid: int
    """Process that works, or worked, in the folder."""
    process_started: float
    """Its start in seconds since 1970: a pid alone may belong to another process by now."""
    boot: str = ""
    """The machine's name of the boot that the process belongs to; empty where it gives none.

    A clock that begins anew with the machine may give another process the same start.
    """
    reason: str = ""
    """Why it ended, in words; empty while it runs."""
    changed: str
    """When this was written, ISO 8601 in UTC."""


class Stopped(Exception):  # noqa: N818 (an outcome that was asked for, not an error)
    """The run was asked to end before it was done; its state is on the disk and it can be carried on.

    ``reason`` says who asked, in words; ``signal`` is the signal's number, 0 for the file ``stop``.
    """

    def __init__(self, reason: str, number: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.signal = number


def read_status(folder: Path) -> Status | None:
    """Read ``status.json``; None where there is none. Raises InputError for anything else in its place."""
    path = folder / STATUS
    try:
        return Status.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise InputError(str(path), f"is not a run's status: {error.errors()[0]['msg']}") from None


def is_live(status: Status) -> bool:
    """Whether the process that wrote "running" still exists: boot, pid and start time all match."""
    if status.state != "running" or was_before_boot(status):
        return False
    try:
        process = psutil.Process(status.pid)
        started = float(process.create_time())
        return abs(started - status.process_started) <= _SAME_START and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def was_before_boot(status: Status) -> bool:
    """Whether the machine was started anew since a status was written, as far as it is known."""
    return bool(status.boot) and status.boot != _boot()


def request_stop(folder: Path) -> None:
    """Ask the process in ``folder`` to end after the batch in hand."""
    write_atomic(folder / STOP, b"")


def refuse_live(folder: Path) -> None:
    """Raise InputError, naming the process, where one is at work in ``folder``."""
    status = read_status(folder)
    if status is not None and is_live(status):
        raise _in_use(folder)


def write_status(folder: Path, state: State, reason: str, pid: int | None = None) -> None:
    """Replace the status on behalf of process ``pid``, by default this one."""
    process = psutil.Process(pid)
    status = Status(
        state=state,
        pid=process.pid,
        process_started=process.create_time(),
        boot=_boot(),
        reason=reason,
        changed=_now(),
    )
    write_atomic(folder / STATUS, (status.model_dump_json(indent=1) + "\n").encode())


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Be the only process that works in ``folder``, and leave a status that says how it ended.

    The folder is locked by the operating system, so a killed process leaves no lock behind. Leaving the block
    writes "finished", "stopped" after `Stopped` or Ctrl-C, else "failed" with the error's words. Raises
    InputError naming the process that is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+b") as lock:
        if not locked(lock):
            raise _in_use(folder)
        (folder / STOP).unlink(missing_ok=True)
        write_status(folder, "running", "")
        try:
            yield
        except Stopped as stopped:
            write_status(folder, "stopped", stopped.reason)
            raise
        except KeyboardInterrupt:
            write_status(folder, "stopped", "interrupted at the keyboard")
            raise
        except BaseException as error:
            write_status(
                folder, "failed", str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            )
            raise
        write_status(folder, "finished", "every phase is done")


class Log:
    """``log.jsonl`` open for appending: every event is on the disk before the next line of the program runs."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG

    @property
    def size(self) -> int:
        """Length in bytes: what a saved state remembers, so that the log can be cut back to it."""
        return self._path.stat().st_size if self._path.exists() else 0

    def append(self, event: str, values: Mapping[str, object]) -> None:
        """Write one event with the time of day; a number that is not finite is written as null."""
        line = {"event": event, **values, "time": _now()}
        text = json.dumps({name: _finite(value) for name, value in line.items()}, allow_nan=False)
        with self._path.open("ab") as stream:
            stream.write(text.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def cut(self, size: int) -> None:
        """Forget what was written after a state was saved. Raises InputError where the log is shorter than that."""
        if self.size < size:
            raise InputError(str(self._path), f"has {self.size} bytes, the saved state expects at least {size}")
        if self.size > size:
            with self._path.open("r+b") as stream:
                stream.truncate(size)
                os.fsync(stream.fileno())


def read_log(folder: Path) -> list[dict[str, object]]:
    """All whole events of a run, oldest first; a last line torn by a crash is left out.

    Raises InputError naming the line for damage anywhere else.
    """
    path = folder / LOG
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    events: list[dict[str, object]] = []
    # What follows the last line feed is empty, or a line whose writing was cut short.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            found = json.loads(line)
        except ValueError:
            raise InputError(str(path), f"line {number} is not JSON") from None
        if not isinstance(found, dict) or "event" not in found:
            raise InputError(str(path), f"line {number} is not an event")
        events.append(found)
    return events


class StopRequest:
    """Whether somebody wants the run to end: a file ``stop`` in its folder, SIGTERM, or Ctrl-C."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / STOP
        self._signal = 0

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal; a second Ctrl-C does not wait for the batch."""
        if self._signal == number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number

    @property
    def code(self) -> int:
        """0: go on; a signal's number; -1: the file. A number, so that processes can agree on the largest."""
        return self._signal or (-1 if self._file.exists() else 0)


def stopped_by(code: int) -> Stopped:
    """Say in words who asked, given `StopRequest.code`."""
    if code == -1:
        return Stopped(f"asked to by the file {STOP!r} in the run folder", 0)
    return Stopped(f"asked to by {signal.Signals(code).name}", code)


@contextmanager
def listening(folder: Path) -> Iterator[StopRequest]:
    """Take SIGTERM and SIGINT as requests to stop while the block runs (signals reach the main thread only)."""
    request = StopRequest(folder)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _in_use(folder: Path) -> InputError:
    status = read_status(folder)
    who = "another process"
    if status is not None and is_live(status):
        since = datetime.fromtimestamp(status.process_started, UTC).strftime("%Y-%m-%d %H:%M:%S")
        who = f"process {status.pid}, started {since} UTC,"
    return InputError(str(folder), f"is in use: {who} is training in it; wait, stop it, or name another folder")


def locked(stream: IO[bytes]) -> bool:
    """Take the operating system's lock on a file if it is free; it goes with the stream, or the process."""
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
