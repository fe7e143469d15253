"""A job while it runs: how far it is, how fast, how long it will still take, on what, and how its sub-runs stand.

Knows nothing of HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import psutil

from mammo_core.errors import InputError
from mammo_gui.evidence import Epoch, evidence_of
from mammo_train.jobs.asked import CompareAsked, TrainAsked
from mammo_train.jobs.store import Job
from mammo_train.progress_file import Step, read_progress
from mammo_train.run import is_live, read_log, read_status


@dataclass(frozen=True)
class Live:
    """What is known of a job at this moment."""

    steps: tuple[Step, ...]
    """What is going on; none once it has ended."""
    memory: int | None
    """Bytes that its processes hold; None where they cannot be asked."""
    device: str
    """What it computes on; empty while nobody has said."""
    phases: tuple[tuple[str, int, int], ...]
    """Of a training: name, epochs done and epochs of each phase."""
    left: float | None
    """Seconds of training that are still to come at the speed so far; None where a phase has no speed yet."""


@dataclass(frozen=True)
class SubRun:
    """One run of a comparison."""

    name: str
    state: str
    epochs: tuple[Epoch, ...]


def live(job: Job, epochs: Sequence[Epoch]) -> Live:
    """Look at a job and its processes."""
    phases = _phases(job, epochs)
    return Live(
        steps=() if job.ended or job.state == "waiting" else read_progress(job.folder),
        memory=None if job.ended else _memory(job),
        device=_device(job),
        phases=phases,
        left=None if job.ended else _left(phases, epochs),
    )


def sub_runs(job: Job) -> tuple[SubRun, ...]:
    """The runs of a comparison that were begun, in the order of their names."""
    if not isinstance(job.record.asked, CompareAsked):
        return ()
    found = []
    for folder in sorted((job.run / "runs").glob("*")):
        try:
            status = read_status(folder)
        except InputError:
            status = None
        state: str = "waiting" if status is None else status.state
        # A process of another machine cannot be looked for here.
        if status is not None and state == "running" and not job.record.cluster and not is_live(status):
            state = "died"
        found.append(SubRun(folder.name, state, evidence_of(folder, "").epochs))
    return tuple(found)


def _phases(job: Job, epochs: Sequence[Epoch]) -> tuple[tuple[str, int, int], ...]:
    if not isinstance(job.record.asked, TrainAsked):
        return ()
    import tomllib

    named = [(str(phase["name"]), int(phase["epochs"])) for phase in tomllib.loads(job.record.asked.recipe)["phases"]]
    return tuple((name, sum(epoch.phase == name for epoch in epochs), total) for name, total in named)


def _left(phases: Sequence[tuple[str, int, int]], epochs: Sequence[Epoch]) -> float | None:
    """Sum what is left of each phase at its own speed; unknown where an unfinished phase has no epoch yet."""
    # The first epoch of a phase is not its speed: what frozen layers give was computed in it.
    times: dict[str, list[float]] = {}
    for one, two in pairwise(epochs):
        if one.phase == two.phase and one.seconds is not None and two.seconds is not None:
            times.setdefault(two.phase, []).append(two.seconds - one.seconds)
    left = 0.0
    # A phase whose patience ended it is behind us.
    now = max((number for number, (_, done, _) in enumerate(phases) if done), default=0)
    for name, done, total in phases[now:]:
        if done < total and name not in times:
            return None
        left += (total - done) * (sum(times[name]) / len(times[name]) if name in times else 0.0)
    return left if phases else None


def _memory(job: Job) -> int | None:
    status = read_status(job.folder)
    if status is None or job.record.cluster or not is_live(status):
        return None
    try:
        process = psutil.Process(status.pid)
        return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None


def _device(job: Job) -> str:
    try:
        started = [event for event in read_log(job.run) if event["event"] == "start"]
    except InputError:
        return ""
    return str(started[-1].get("device", "")) if started else ""
