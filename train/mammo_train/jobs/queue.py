"""Who is next: starts waiting jobs, oldest first, as processes of their own, so many at once as is allowed.

Knows nothing of what a job does. Several servers on one folder take turns by a lock of the operating system.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from mammo_core.errors import InputError
from mammo_train.jobs.remote import look_after
from mammo_train.jobs.store import OUTPUT, Job, Jobs
from mammo_train.run import locked, write_status

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_LOCK = "queue.lock"


class Queue:
    """Starts the jobs of one folder."""

    def __init__(self, jobs: Jobs, at_once: Callable[[], int]) -> None:
        """``at_once`` says how many may run beside one another; 0 starts none."""
        self._jobs = jobs
        self._at_once = at_once
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mammo-queue", daemon=True)

    def start(self) -> None:
        """Look after the queue until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Start nothing any more; what runs goes on."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def step(self) -> None:
        """Start what may start now."""
        with (self._jobs.folder / _LOCK).open("a+b") as lock:
            if not locked(lock):
                return  # another server is at it
            everywhere = self._jobs.all()
            for job in [job for job in everywhere if job.record.cluster]:
                look_after(job)  # the cluster has a queue of its own
            jobs = [job for job in everywhere if not job.record.cluster]
            free = self._at_once() - sum(job.state in ("running", "stopping") for job in jobs)
            for job in [job for job in jobs if job.state == "waiting"][: max(free, 0)]:
                self._begin(job)

    def _begin(self, job: Job) -> None:
        try:
            _start(job)
        except OSError as error:
            logger.exception("job %s could not be started", job.id)
            write_status(job.folder, "failed", f"its process could not be started: {error.strerror}")

    def _run(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            try:
                self.step()
            except (OSError, InputError):
                logger.exception("the queue of jobs cannot be looked after")


def _start(job: Job) -> None:
    """Start a job's process, which belongs to nobody: neither Ctrl-C here nor our end reaches it."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120", "TERM": "dumb"}
    command = [sys.executable, "-m", "mammo_train.jobs.work", str(job.folder)]
    with (job.folder / OUTPUT).open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=job.folder,
            env=environment,
            start_new_session=True,
            creationflags=flags,
        )
    # At once, and not when it has imported all it needs: nobody else may start it meanwhile.
    write_status(job.folder, "running", "", child.pid)
    # Somebody must take its end in as long as we are here, or it stays in the list of processes.
    threading.Thread(target=child.wait, name=f"job-{job.id}", daemon=True).start()
