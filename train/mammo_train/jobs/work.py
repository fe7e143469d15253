"""The process of one job: ``python -m mammo_train.jobs.work FOLDER``. Does what the folder asks and says how it ended.

It belongs to nobody: the app that started it may end, and another may ask it to stop by a file in the folder.
"""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import typer

from mammo_core.errors import InputError
from mammo_train.jobs.asked import RUN
from mammo_train.jobs.remote import ELSEWHERE
from mammo_train.jobs.store import JOB, OUTPUT, Record
from mammo_train.run import STOP, Stopped, claimed, is_live, read_status, request_stop

_POLL_SECONDS = 0.5
_SAID = "mammo: "
"""How a command begins the line that says what was wrong."""
ASKED = "asked to by a person"
_MEMORY_WORDS = ("out of memory", "can't allocate memory")


def work(folder: Path, *, elsewhere: bool = False) -> None:
    """Do the job in ``folder``, ``elsewhere`` on a cluster; its ``status.json`` says in the end how it went."""
    record = Record.model_validate_json((folder / JOB).read_bytes())
    with claimed(folder), _told():
        started = (folder / OUTPUT).stat().st_size if (folder / OUTPUT).exists() else 0
        with _stopping(folder, record, elsewhere=elsewhere) as asked:
            code = _run((*record.asked.words(folder), *(_cluster_words(record) if elsewhere else ())), folder)
        if asked.is_set():
            raise Stopped(ASKED, 0)
        if code:
            raise InputError("mammo", _last_word(folder / OUTPUT, started) or f"ended with code {code}")


def _cluster_words(record: Record) -> tuple[str, ...]:
    """Let the command use the cluster on one of whose machines it runs, where it can."""
    if record.asked.kind not in ("train", "compare", "prepare"):
        return ()
    workers = ("--workers", str(record.workers)) if record.asked.kind == "train" else ()
    return ("--cluster", "auto", *workers)


def _run(words: tuple[str, ...], folder: Path) -> int:
    """Run a command of ``mammo`` in this process, how far it is being said in ``folder``; return its exit code."""
    from mammo_train.cli import app
    from mammo_train.console import followed

    try:
        with followed(folder):
            found = typer.main.get_command(app).main(list(words), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    return found if isinstance(found, int) else 0


@contextmanager
def _stopping(folder: Path, record: Record, *, elsewhere: bool) -> Iterator[threading.Event]:
    """Watch for the file ``stop`` while the block runs; the event says whether it came."""
    asked, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(_POLL_SECONDS):
            if (folder / STOP).exists() and not asked.is_set():
                asked.set()
                _pass_on(folder, record, elsewhere=elsewhere)

    thread = threading.Thread(target=watch, name="stop-watch", daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join()


def _pass_on(folder: Path, record: Record, *, elsewhere: bool) -> None:
    """Ask whatever is at work: a training ends after its batch, anything else at once, with all it wrote whole."""
    # A process on another machine cannot be looked for from here: its word is taken for it.
    runs = [folder / RUN, *(folder / RUN).glob("*"), *(folder / RUN).glob("*/*")]
    live = [run for run in runs if run.is_dir() and _is_at_work(run, elsewhere=elsewhere)]
    for run in live:
        request_stop(run)
    if not live or record.asked.kind not in ("train", "compare"):
        import _thread

        _thread.interrupt_main()


def _is_at_work(run: Path, *, elsewhere: bool) -> bool:
    status = read_status(run)
    return status is not None and (is_live(status) or (elsewhere and status.state == "running"))


@contextmanager
def _told() -> Iterator[None]:
    """Say in words what a machine's limits have ended."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError("disk", "is full: free some space, then carry the job on") from error
        raise
    except (MemoryError, RuntimeError) as error:
        # torch says the same of a GPU and of the main memory in errors of its own.
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in _MEMORY_WORDS):
            raise
        raise InputError("memory", "was not enough; smaller batches or pictures need less") from error


def _last_word(output: Path, start: int) -> str:
    """What the command said last about what was wrong."""
    sys.stdout.flush()
    sys.stderr.flush()
    if not output.exists():
        return ""
    with output.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().decode(errors="replace").splitlines()
    said = [line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)]
    return said[-1] if said else ""


if __name__ == "__main__":
    if sys.argv[2:] == [ELSEWHERE]:
        # The job server would keep what is printed to itself.
        with (Path(sys.argv[1]) / OUTPUT).open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
    # How it ended is in its status and, said by the command, in its log: no trace of calls tells it better.
    try:
        work(Path(sys.argv[1]), elsewhere=sys.argv[2:] == [ELSEWHERE])
    except Stopped:
        sys.exit(130)
    except InputError as error:
        sys.exit(f"mammo: {error}" if error.__cause__ else 2)
