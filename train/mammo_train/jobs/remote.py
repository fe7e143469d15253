"""Jobs that a Ray cluster does: handed to its job server, and asked after there. The cluster sees the same folders.

The job server starts a command through a shell: in it there is nothing but our own interpreter and the job's folder,
whose name is made of hex digits.
"""

import logging
import secrets
import shlex
import sys
import time
from collections.abc import Callable

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_train.cluster.session import require_ray
from mammo_train.jobs.store import TROUBLE, Job
from mammo_train.run import read_status, write_status

logger = logging.getLogger(__name__)

SUBMITTED = "submitted"
"""In a job's folder: the name under which the job server knows it."""
ELSEWHERE = "--elsewhere"
GIVEN_UP = "the job server did not answer: it was given up here, and may still run there"
LOOK_SECONDS = 3.0
_looked: dict[str, float] = {}


def look_after(job: Job) -> None:
    """Hand a job over that waits; see how one does that runs. What goes wrong is written as the job's end.

    A job server that is away for a while ends nothing that runs: the trouble is written down, and goes with it.
    """
    if job.state == "waiting":
        _with_words(job, _submit, lambda reason: write_status(job.folder, "failed", reason))
    elif job.state in ("running", "stopping") and time.monotonic() - _looked.get(job.id, -LOOK_SECONDS) >= LOOK_SECONDS:
        _looked[job.id] = time.monotonic()
        if _with_words(job, _check, lambda reason: _away(job, reason)):
            (job.folder / TROUBLE).unlink(missing_ok=True)


def _away(job: Job, reason: str) -> None:
    if job.state == "stopping":
        write_status(job.folder, "stopped", GIVEN_UP)
    else:
        write_atomic(job.folder / TROUBLE, reason.encode())


def _with_words(job: Job, what: Callable[[Job], None], otherwise: Callable[[str], None]) -> bool:
    """Do something with the job server; say in words what went wrong, and return whether nothing did."""
    try:
        require_ray()
        what(job)
    except InputError as error:
        otherwise(str(error))
    except Exception as error:  # whatever a library for HTTP raises
        logger.info("job server %s", job.record.cluster, exc_info=True)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        otherwise(f"the job server {job.record.cluster} cannot be reached ({reason})")
    else:
        return True
    return False


def _submit(job: Job) -> None:
    from ray.job_submission import JobSubmissionClient

    client = JobSubmissionClient(job.record.cluster)
    name = f"mammo-{job.id}-{secrets.token_hex(4)}"
    command = shlex.join([sys.executable, "-m", "mammo_train.jobs.work", str(job.folder), ELSEWHERE])
    # Both before it is handed over: whatever happens now, it is asked after under its name.
    write_atomic(job.folder / SUBMITTED, name.encode())
    write_status(job.folder, "running", "")
    environment = {"PYTHONUNBUFFERED": "1", "COLUMNS": "120", "TERM": "dumb"}
    client.submit_job(entrypoint=command, submission_id=name, runtime_env={"env_vars": environment})


def _check(job: Job) -> None:
    """Write how it ended, where the cluster says that it did and it could not say so itself."""
    from ray.job_submission import JobStatus, JobSubmissionClient

    client = JobSubmissionClient(job.record.cluster)
    name = (job.folder / SUBMITTED).read_text(encoding="utf-8")
    found = {info.submission_id: info for info in client.list_jobs()}.get(name)
    if found is not None and found.status not in (JobStatus.FAILED, JobStatus.STOPPED, JobStatus.SUCCEEDED):
        return
    status = read_status(job.folder)
    if status is None or status.state != "running":
        return
    if found is None:
        write_status(
            job.folder,
            "failed",
            f"the job server {job.record.cluster} knows nothing of it: the cluster was started anew",
        )
        return
    said = (found.message or "").strip().splitlines()
    write_status(
        job.folder, "failed", f"the cluster ended it ({found.status}): {said[-1][:200] if said else 'no word'}"
    )
