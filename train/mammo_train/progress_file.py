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


class Pace(Settings):
    """How fast a process gets on with one thing. What was done before it began says nothing of that."""

    begun: float
    """How much was done when it began."""
    seconds: float
    """From then until more was done for the last time."""
    changed: float
    """When that was, in seconds since 1970."""


class Step(Settings):
    """One thing that is going on."""

    what: str
    done: float
    """How much of it is done."""
    total: float | None
    """How much there is; None: not known yet."""
    pace: Pace | None = None
    """Kept by `ProgressFile`."""

    def time_left(self, now: float) -> float | None:
        """Seconds from ``now`` (since 1970) until all is done, at this pace; None before anything was done at it."""
        if self.pace is None or self.total is None or self.done <= self.pace.begun:
            return None
        each = self.pace.seconds / (self.done - self.pace.begun)
        # What is under way is partly done, how much nobody knows: as much as time has passed.
        under_way = min(max(now - self.pace.changed, 0.0), each)
        return max((self.total - self.done) * each - under_way, 0.0)


class Progressed(Settings):
    """What ``progress.json`` holds."""

    steps: tuple[Step, ...]


class ProgressFile:
    """Writes how far a command is into a folder, no more often than a person looks."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / PROGRESS
        self._written = 0.0
        self._said = ""
        self._begun: dict[str, float] = {}
        self._known: dict[str, Step] = {}

    def say(self, steps: Sequence[Step]) -> None:
        """Write what is going on, if it is time to or something else has begun."""
        names = "\n".join(step.what for step in steps)
        now = time.monotonic()
        self._known = {step.what: self._paced(step, now) for step in steps}
        if names == self._said and now - self._written < _SECONDS:
            return
        self._said, self._written = names, now
        steps = tuple(self._known[step.what] for step in steps)
        write_atomic(self._path, Progressed(steps=steps).model_dump_json().encode())

    def _paced(self, step: Step, now: float) -> Step:
        """Add the pace of what goes on as before; what is new, or done again, begins now."""
        known = self._known.get(step.what)
        if known is None or known.pace is None or step.done < known.done:
            self._begun[step.what] = now
            pace = Pace(begun=step.done, seconds=0.0, changed=time.time())
        elif step.done == known.done:
            pace = known.pace
        else:
            seconds = now - self._begun[step.what]
            pace = known.pace.model_copy(update={"seconds": seconds, "changed": time.time()})
        return step.model_copy(update={"pace": pace})


def read_progress(folder: Path) -> tuple[Step, ...]:
    """Read what was going on last; nothing where nothing was said, or it cannot be read."""
    try:
        return Progressed.model_validate_json((folder / PROGRESS).read_bytes()).steps
    except (OSError, ValidationError, InputError):
        return ()
