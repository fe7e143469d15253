"""The jobs of one folder, each in a folder of its own: what is asked, where it stands, what it has said.

``job.json`` is what is asked, ``status.json`` how it goes (see `mammo_train.run`), ``output.log`` what the command
printed. Nothing is kept in memory: whoever looks, in whatever process, sees the same. Knows nothing of who starts
them.
"""

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from mammo_core.errors import InputError
from mammo_core.files import private_folder, write_atomic
from mammo_core.settings import Settings
from mammo_train.cluster.session import require_ray
from mammo_train.jobs.asked import RUN, Asked, check_words
from mammo_train.progress_file import PROGRESS
from mammo_train.run import STATUS, STOP, is_live, read_status, request_stop, was_before_boot, write_status

JOB, OUTPUT, SETTINGS = "job.json", "output.log", "settings.json"
TROUBLE = "trouble.txt"
"""In the folder of a job that a cluster does: why nothing is known of it at the moment."""
_TITLE_LIMIT, _TAG_LIMIT = 120, 40
_TAIL_BYTES = 64_000

State = Literal["waiting", "running", "stopping", "finished", "stopped", "failed", "died"]
ENDED: tuple[State, ...] = ("finished", "stopped", "failed", "died")
DIED = "its process ended without a word: it was killed, ran out of memory, or the machine was switched off"
REBOOTED = "the machine was switched off or started anew while it ran"


class Record(Settings):
    """What ``job.json`` holds."""

    title: str = Field(min_length=1, max_length=_TITLE_LIMIT)
    made_at: str
    """ISO 8601 in UTC, to the microsecond: jobs are started in this order."""
    tags: tuple[str, ...] = ()
    asked: Asked
    cluster: str = ""
    """Address of the job server of a Ray cluster that does it, such as http://host:8265; empty: this machine."""
    workers: int = Field(default=1, ge=1)
    """Processes that train together on the cluster."""


class JobSettings(Settings):
    """What ``settings.json`` beside the jobs holds."""

    at_once: int = Field(default=1, ge=0, le=64)
    """How many jobs may run at once on this machine."""
    cluster: str = ""
    """Job server of the Ray cluster that is given new jobs; empty: this machine does them."""
    workers: int = Field(default=1, ge=1, le=1024)
    """Processes that train together on the cluster."""


@dataclass(frozen=True)
class Job:
    """A job as it stands."""

    id: str
    folder: Path
    record: Record
    state: State
    reason: str
    """Why it ended, or why nothing is known of it at the moment, in words."""
    changed: str
    """When the state was written, ISO 8601 in UTC; empty while it waits."""

    @property
    def run(self) -> Path:
        """Folder of what a training or comparison writes."""
        return self.folder / RUN

    @property
    def command(self) -> tuple[str, ...]:
        """The command line that does the same in a terminal, word by word."""
        return ("mammo", *self.record.asked.words(self.folder))

    @property
    def ended(self) -> bool:
        """Whether nothing is done for it any more."""
        return self.state in ENDED


class Jobs:
    """The jobs of one folder. Safe to share between threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Keep jobs in ``folder``, made where there is none."""
        private_folder(folder)
        self.folder = folder

    def all(self) -> tuple[Job, ...]:
        """Every job, oldest first; a folder that holds no whole job is passed over."""
        found = (self._read(path.name) for path in self.folder.iterdir() if path.is_dir())
        return tuple(sorted((job for job in found if job is not None), key=lambda job: (job.record.made_at, job.id)))

    def get(self, job_id: str) -> Job:
        """Return one job; InputError where there is none."""
        found = self._read(job_id) if job_id.isalnum() else None
        if found is None:
            raise InputError(f"job {job_id[:40]!r}", "is not here; it may have been deleted")
        return found

    def add(self, title: str, asked: Asked, tags: tuple[str, ...] = (), *, cluster: str = "", workers: int = 1) -> Job:
        """Keep a job that waits its turn. InputError for a title or words that cannot be."""
        job_id = secrets.token_hex(6)
        folder = self.folder / job_id
        check_words(asked, folder)
        made = _record(title, tags, asked, datetime.now(UTC).isoformat())
        record = made.model_copy(update={"cluster": cluster, "workers": workers})
        folder.mkdir(mode=0o700)
        for name, text in asked.files().items():
            write_atomic(folder / name, text.encode())
        # Last: a job is there when this is.
        self._write(job_id, record)
        return self.get(job_id)

    def settings(self) -> JobSettings:
        """How many run at once, and where; one on this machine where nobody has said."""
        try:
            return JobSettings.model_validate_json((self.folder / SETTINGS).read_bytes())
        except (OSError, ValidationError):
            return JobSettings()

    def at_once(self) -> int:
        """How many jobs may run at once on this machine."""
        return self.settings().at_once

    def run_at_once(self, number: int) -> None:
        """Let so many jobs run at once from now on, 0 to 64; what runs already goes on. InputError for any other."""
        if not 0 <= number <= 64:
            raise InputError("jobs at once", f"{number} is not among 0 to 64")
        self._keep(self.settings().model_copy(update={"at_once": number}))

    def run_on(self, cluster: str, workers: int) -> None:
        """Hand new jobs to the cluster with this job server from now on; empty: to this machine.

        InputError for an address that is none, for more than 1024 ``workers``, and where Ray is not installed.
        """
        if cluster:
            _check_address(cluster)
            require_ray()
        if not 1 <= workers <= 1024:
            raise InputError("processes", f"{workers} is not among 1 to 1024")
        self._keep(self.settings().model_copy(update={"cluster": cluster, "workers": workers}))

    def describe(self, job_id: str, title: str, tags: tuple[str, ...]) -> Job:
        """Give a job another title and other tags."""
        record = self.get(job_id).record
        named = _record(title, tags, record.asked, record.made_at)
        self._write(job_id, record.model_copy(update={"title": named.title, "tags": named.tags}))
        return self.get(job_id)

    def stop(self, job_id: str) -> None:
        """Let a job end after the batch in hand, or take it out of the queue."""
        job = self.get(job_id)
        if job.state == "waiting":
            write_status(job.folder, "stopped", "taken out of the queue")
        elif not job.ended:
            request_stop(job.folder)

    def resume(self, job_id: str) -> None:
        """Let a job that ended before it was done wait for its turn again; InputError for any other."""
        job = self.get(job_id)
        if job.state not in ("stopped", "failed", "died"):
            raise InputError(job.record.title, f"is {job.state}: only what was stopped or failed can be carried on")
        (job.folder / STOP).unlink(missing_ok=True)
        for name in (STATUS, TROUBLE, PROGRESS):
            (job.folder / name).unlink(missing_ok=True)

    def delete(self, job_id: str) -> None:
        """Remove a job with everything that it has written in its folder; InputError while it runs."""
        job = self.get(job_id)
        if job.state in ("running", "stopping"):
            raise InputError(job.record.title, f"is {job.state}: stop it first")
        (job.folder / JOB).unlink()
        shutil.rmtree(job.folder, ignore_errors=True)

    def output(self, job_id: str, lines: int = 200) -> tuple[str, ...]:
        """Return the last lines that the command printed."""
        path = self.get(job_id).folder / OUTPUT
        if not path.exists():
            return ()
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
        return tuple(text.splitlines()[-lines:])

    def _read(self, job_id: str) -> Job | None:
        folder = self.folder / job_id
        try:
            record = Record.model_validate_json((folder / JOB).read_bytes())
        except (OSError, ValidationError):
            return None
        state, reason, changed = _standing(folder, elsewhere=bool(record.cluster))
        return Job(job_id, folder, record, state, reason, changed)

    def _keep(self, settings: JobSettings) -> None:
        write_atomic(self.folder / SETTINGS, settings.model_dump_json().encode())

    def _write(self, job_id: str, record: Record) -> None:
        write_atomic(self.folder / job_id / JOB, record.model_dump_json(indent=1).encode())


def _standing(folder: Path, *, elsewhere: bool) -> tuple[State, str, str]:
    """State, reason and time; a process ``elsewhere`` cannot be looked for here (see `mammo_train.jobs.remote`)."""
    try:
        status = read_status(folder)
    except InputError as error:
        return "failed", str(error), ""
    if status is None:
        return "waiting", "", ""
    if status.state != "running":
        return status.state, status.reason, status.changed
    if not elsewhere and not is_live(status):
        return "died", REBOOTED if was_before_boot(status) else DIED, status.changed
    trouble = (folder / TROUBLE).read_text(encoding="utf-8") if elsewhere and (folder / TROUBLE).exists() else ""
    return ("stopping" if (folder / STOP).exists() else "running"), trouble, status.changed


def _check_address(address: str) -> None:
    """Raise InputError unless it is where a job server may be: http or https, a host, and a port if there is one."""
    try:
        parts = urlsplit(address)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        right = False
    if not right or parts.path.strip("/") or parts.query or parts.username is not None:
        raise InputError("cluster", f"{address[:80]!r}: the job server's address is expected, such as http://host:8265")


def _record(title: str, tags: tuple[str, ...], asked: Asked, made_at: str) -> Record:
    title = " ".join(title.split())
    if not 0 < len(title) <= _TITLE_LIMIT:
        raise InputError("title", f"has {len(title)} characters; 1 to {_TITLE_LIMIT} are expected")
    cleaned = _each(tags, lambda tag: " ".join(tag.split()))
    for tag in cleaned:
        if len(tag) > _TAG_LIMIT:
            raise InputError("tag", f"{tag[:20]!r}... has {len(tag)} characters; at most {_TAG_LIMIT} are kept")
    return Record(title=title, made_at=made_at, tags=cleaned, asked=asked)


def _each(tags: tuple[str, ...], clean: Callable[[str], str]) -> tuple[str, ...]:
    """Cleaned tags, each once, in their order."""
    return tuple(dict.fromkeys(cleaned for tag in tags if (cleaned := clean(tag))))
