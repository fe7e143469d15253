"""How far a command is, as a file that whoever looks can read: ``progress.json``, replaced whole about once a second.

Knows nothing of bars or commands.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.settings import Settings

PROGRESS = "progress.json"
_SECONDS = 1.0


class Step(Settings):
    """One thing that is going on."""

    what: str
    done: float
    """How much of it is done."""
    total: float | None
    """How much there is; None: not known yet."""


class Progressed(Settings):
    """What ``progress.json`` holds."""

    steps: tuple[Step, ...]


class ProgressFile:
    """Writes how far a command is into a folder, no more often than a person looks."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROGRESS
        self._written = 0.0
        self._said = ""

    def say(self, steps: Sequence[Step]) -> None:
        """Write what is going on, if it is time to or something else has begun."""
        names = "\n".join(step.what for step in steps)
        now = time.monotonic()
        if names == self._said and now - self._written < _SECONDS:
            return
        self._said, self._written = names, now
        write_atomic(self._path, Progressed(steps=tuple(steps)).model_dump_json().encode())


def read_progress(folder: Path) -> tuple[Step, ...]:
    """Read what was going on last; nothing where nothing was said, or it cannot be read."""
    try:
        return Progressed.model_validate_json((folder / PROGRESS).read_bytes()).steps
    except (OSError, ValidationError, InputError):
        return ()
