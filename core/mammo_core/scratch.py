"""Folders for files on their way, each belonging to one running process.

What a killed process leaves behind is deleted by the next one, what another running process keeps is left alone.
"""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil

from mammo_core.files import private_folder

_NAME = re.compile(r"(\d+)-(\d+)")
_SAME_START_SECONDS = 2
"""Between two answers to when a process started: the system's clock may have been set meanwhile."""


def scratch_folder(parent: Path, adopt: Callable[[Path, Path], None] | None = None) -> Path:
    """Give this process's own folder below ``parent``; those of processes that are gone are deleted.

    Named by process id and start time, as ids are given out again. Only this user can look inside. Everything else
    in ``parent`` is left alone. ``adopt(folder, own)`` is called before a folder is deleted, and may move into this
    process's own what is still wanted of it.
    """
    parent.mkdir(parents=True, exist_ok=True)
    own = parent / f"{os.getpid()}-{int(psutil.Process().create_time())}"
    own.mkdir(mode=0o700, exist_ok=True)
    for folder in parent.iterdir():
        named = _NAME.fullmatch(folder.name)
        if named and folder != own and not _runs(int(named[1]), int(named[2])):
            if adopt is not None:
                adopt(folder, own)
            shutil.rmtree(folder, ignore_errors=True)
    private_folder(own)
    return own


def _runs(pid: int, started: int) -> bool:
    """Whether the process of this id is still the one that started then."""
    try:
        return abs(float(psutil.Process(pid).create_time()) - started) <= _SAME_START_SECONDS
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # it runs, but may not be asked
        return True
