"""Many pieces of work on several processes that may die of one: a crash, a hang or a bomb costs that piece only.

Processes are started afresh, not forked: the same on every system, and no locks are copied from threads. Answers
come back as JSON, so nothing that a broken process says is unpickled. Knows nothing of what the work is.
"""

import json
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from mammo_core.errors import InputError

START_SECONDS = 120.0
"""How long a process may take to import what it needs, on a cold disk."""

_POLL_SECONDS = 0.25
_LONGEST_ANSWER = 16_000_000
_CONTEXT = multiprocessing.get_context("spawn")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPJ_NUM_THREADS": "1"}
"""There are as many processes as cores: threads of OpenMP, BLAS or OpenJPEG would only wait for each other."""


@dataclass(frozen=True)
class Answer:
    """What became of one piece of work."""

    index: int
    reply: Any = None
    """What the work returned, by way of JSON."""
    trouble: str | None = None
    """Why there is no reply: a sentence without its subject."""


def answers(
    work: Callable[[Any], Any], jobs: Sequence[Any], *, workers: int, seconds: float = 120.0, memory_mb: int = 4000
) -> Generator[Answer]:
    """Give every job (a JSON value) to ``work`` in one of ``workers`` processes, and yield answers as they come.

    ``work`` and what it is bound to must be picklable. An `InputError` becomes ``trouble``, and so does a process
    that dies, takes longer than ``seconds`` or (on Linux) asks for more than ``memory_mb``; a new one takes its
    place. Left early, by Ctrl-C too, it lets what is being worked on be finished, for up to ten seconds.
    """
    waiting = deque(range(len(jobs)))
    started = [_Worker(work, seconds, memory_mb) for _ in range(min(workers, len(jobs)))]
    crew = list(started)
    try:
        while crew:
            ready = wait([worker.pipe for worker in crew], timeout=_POLL_SECONDS)
            for worker in [worker for worker in crew if worker.pipe in ready or worker.late]:
                answer = worker.answer()
                if worker.lost or not waiting:
                    worker.dismiss()
                    crew.remove(worker)
                else:
                    index = waiting.popleft()
                    worker.give(index, jobs[index])
                if worker.lost and waiting:
                    crew.append(_Worker(work, seconds, memory_mb))
                    started.append(crew[-1])
                if answer is not None:
                    yield answer
    finally:
        for worker in started:
            worker.dismiss()
        for worker in started:
            worker.end()


class _Worker:
    """One process, seen from the parent."""

    def __init__(self, work: Callable[[Any], Any], seconds: float, memory_mb: int) -> None:
        self.pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, work, seconds, memory_mb), daemon=True)
        with _quiet_start():
            self._process.start()
        theirs.close()
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._index: int | None = None
        self._deadline = time.monotonic() + START_SECONDS
        self.lost = False

    @property
    def late(self) -> bool:
        return time.monotonic() > self._deadline

    def give(self, index: int, job: Any) -> None:
        self._index = index
        self._deadline = time.monotonic() + self._seconds
        with suppress(OSError):  # it has died meanwhile: the next look at the pipe says so
            self.pipe.send_bytes(json.dumps(job).encode())

    def answer(self) -> Answer | None:
        """Take what lies in the pipe; None for the greeting of a process that has started."""
        index, self._index = self._index, None
        try:
            if not self.pipe.poll():
                raise TimeoutError
            said = json.loads(self.pipe.recv_bytes(_LONGEST_ANSWER))
        except (EOFError, OSError, ValueError, TimeoutError) as error:
            self.lost = True
            self._process.kill()
            self._process.join()
            if index is None:
                code = self._process.exitcode
                raise InputError(
                    "worker process", f"did not start (exit code {code}); expected memory for it"
                ) from error
            late = f"took longer than {self._seconds:g} s and was stopped"
            crash = f"made the decoder crash (exit code {self._process.exitcode})"
            return Answer(index, trouble=late if isinstance(error, TimeoutError) else crash)
        if index is None:
            return None
        return Answer(index, said.get("reply"), said.get("trouble"))

    def dismiss(self) -> None:
        """Tell it that no more work comes."""
        self.pipe.close()

    def end(self) -> None:
        """Wait for it; a process that does not come to an end is killed."""
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Let a process inherit one thread per library, and no Ctrl-C: that is for the parent to answer."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ |= _ONE_THREAD
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, work: Callable[[Any], Any], seconds: float, memory_mb: int) -> None:
    """Answer until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(memory_mb)
    jobs: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_receive, args=(pipe, jobs, seconds), daemon=True).start()
    with suppress(BrokenPipeError):
        pipe.send_bytes(b"{}")
        while (job := jobs.get()) is not None:
            pipe.send_bytes(json.dumps(done(work, json.loads(job))).encode())


def done(work: Callable[[Any], Any], job: Any) -> dict[str, Any]:
    """Do one piece of work: its ``reply``, or the ``trouble`` with it in words."""
    try:
        return {"reply": work(job)}
    except InputError as error:
        return {"trouble": error.reason}
    except MemoryError:
        return {"trouble": "needs more memory than is allowed"}
    except Exception as error:  # whatever a decoder raises: the other files are still to be done
        return {"trouble": f"cannot be used ({type(error).__name__}: {str(error)[:200]})"}


def _receive(pipe: Connection, jobs: "queue.Queue[bytes | None]", seconds: float) -> None:
    """Pass jobs on; when the parent is gone, leave even in the middle of work that does not end."""
    try:
        while True:
            jobs.put(pipe.recv_bytes())
    except (EOFError, OSError):
        jobs.put(None)
        time.sleep(seconds)
        os._exit(1)


def _limit_memory(memory_mb: int) -> None:
    """Cap the address space where that means something."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 1_000_000, memory_mb * 1_000_000))
