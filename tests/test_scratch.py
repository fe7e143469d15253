"""Folders for files on their way: a dead process's goes, a running one's stays."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from mammo_core.scratch import scratch_folder

HOLD = """
import sys
from pathlib import Path
from mammo_core.scratch import scratch_folder
print(scratch_folder(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_goes_and_a_running_ones_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        (theirs / "exam").write_bytes(b"on its way")
        mine = scratch_folder(tmp_path)
        assert mine != theirs
        assert (theirs / "exam").exists()
        other.kill()
        other.wait()
        (mine / "kept").write_bytes(b"")
        assert scratch_folder(tmp_path) == mine
    assert list(tmp_path.iterdir()) == [mine]
    assert (mine / "kept").exists()


def test_a_process_id_that_was_given_out_again_is_another_process(tmp_path: Path) -> None:
    started = int(psutil.Process(os.getppid()).create_time())
    for name in (f"{os.getppid()}-{started - 1000}", f"{os.getppid()}-{started}", "not mine"):
        (tmp_path / name).mkdir()
    mine = scratch_folder(tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == {f"{os.getppid()}-{started}", "not mine", mine.name}


def test_nobody_else_looks_inside(tmp_path: Path) -> None:
    if os.name == "posix":
        assert scratch_folder(tmp_path).stat().st_mode & 0o777 == 0o700
