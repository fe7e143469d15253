"""Work on processes that may die: one bad piece costs that piece only."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mammo_core.errors import InputError
from mammo_train.crew import answers


def worked(job: str) -> str:
    """Do what the job says; runs in a worker."""
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "hang":
        time.sleep(600)
    if job == "refuse":
        raise InputError("x", "is no good")
    if job == "swallow":
        return str(len(bytearray(8_000_000_000)))
    if job == "fail":
        raise KeyError("surprise")
    return job.upper()


def test_every_job_is_answered_whatever_happens_to_the_others() -> None:
    jobs = ["a", "die", "b", "refuse", "fail", "c", "die", "d"]
    found = sorted(answers(worked, jobs, workers=2), key=lambda answer: answer.index)
    assert [answer.index for answer in found] == list(range(8))
    assert [answer.reply for answer in found] == ["A", None, "B", None, None, "C", None, "D"]
    assert [answer.trouble for answer in found] == [
        None,
        "made the decoder crash (exit code -9)",
        None,
        "is no good",
        "cannot be used (KeyError: 'surprise')",
        None,
        "made the decoder crash (exit code -9)",
        None,
    ]


def test_a_job_that_does_not_end_is_stopped() -> None:
    found = list(answers(worked, ["hang", "a"], workers=1, seconds=1.0))
    assert [(answer.index, answer.reply, answer.trouble) for answer in found] == [
        (0, None, "took longer than 1 s and was stopped"),
        (1, "A", None),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux caps the address space")
def test_a_job_that_wants_all_memory_is_refused() -> None:
    found = list(answers(worked, ["swallow", "a"], workers=1))
    assert [answer.trouble for answer in found] == ["needs more memory than is allowed", None]


def test_no_jobs_start_no_process() -> None:
    assert list(answers(worked, [], workers=4)) == []


def test_leaving_early_ends_the_processes() -> None:
    found = answers(worked, ["a"] * 50, workers=2)
    assert next(found).reply == "A"
    started = time.monotonic()
    found.close()
    assert time.monotonic() - started < 15


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from mammo_train.crew import answers\n"
        "def work(job):\n"
        "    Path(job).write_text(str(os.getpid())); time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    list(answers(work, ['pid'], workers=1, seconds=1))\n",
        encoding="utf-8",
    )
    parent = subprocess.Popen([sys.executable, "slow.py"], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker = int((tmp_path / "pid").read_text(encoding="utf-8"))
    parent.kill()
    parent.wait()
    while Path(f"/proc/{worker}").exists() and "Z" not in Path(f"/proc/{worker}/stat").read_text().split(")")[1][:3]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
