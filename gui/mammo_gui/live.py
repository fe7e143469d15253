"""A job while it runs: how far it is, how fast, how long it will still take, on what, and how its sub-runs stand.

Knows nothing of HTML.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
from pydantic import ValidationError

from mammo_core.errors import InputError
from mammo_gui.evidence import Epoch, evidence_of
from mammo_train.jobs.asked import CompareAsked, PhantomAsked, PrepareAsked, TrainAsked
from mammo_train.jobs.store import Job
from mammo_train.memory import Memory
from mammo_train.progress_file import Step, read_progress
from mammo_train.run import is_live, read_log, read_status


@dataclass(frozen=True)
class Live:
    """What is known of a job at this moment."""

    steps: tuple[Step, ...]
    """What is going on; none once it has ended."""
    memory: Memory | None
    """What its processes hold, and what a training said last of a GPU; None where nobody knows."""
    device: str
    """What it computes on; empty while nobody has said."""
    phases: tuple[tuple[str, int, int], ...]
    """Of a training: name, epochs done and epochs of each phase."""
    left: float | None
    """Seconds that are still to come at the speed so far, of a training those of training; None before it has one."""


@dataclass(frozen=True)
class SubRun:
    """One run of a comparison."""

    name: str
    state: str
    epochs: tuple[Epoch, ...]
    memory: Memory | None
    """What it said last, while it runs."""


def live(job: Job, epochs: Sequence[Epoch]) -> Live:
    """Look at a job and its processes."""
    phases = _phases(job, epochs)
    device, said = _said(job.run)
    steps = () if job.ended or job.state == "waiting" else read_progress(job.folder)
    counted = isinstance(job.record.asked, CompareAsked | PrepareAsked | PhantomAsked)
    return Live(
        steps=steps,
        memory=None if job.ended or job.state == "waiting" else _memory(job, said),
        device=device,
        phases=phases,
        left=_left_of_all(steps) if counted else None if job.ended else _left(phases, epochs),
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
        held = _said(folder)[1] if state == "running" else None
        found.append(SubRun(folder.name, state, evidence_of(folder, "").epochs, held))
    return tuple(found)


def _phases(job: Job, epochs: Sequence[Epoch]) -> tuple[tuple[str, int, int], ...]:
    if not isinstance(job.record.asked, TrainAsked):
        return ()
    import tomllib

    named = [(str(phase["name"]), int(phase["epochs"])) for phase in tomllib.loads(job.record.asked.recipe)["phases"]]
    return tuple((name, sum(epoch.phase == name for epoch in epochs), total) for name, total in named)


def _left_of_all(steps: Sequence[Step]) -> float | None:
    """Time left of the first thing that goes on: the others are parts of it."""
    return steps[0].time_left(time.time()) if steps else None


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


def _memory(job: Job, said: Memory | None) -> Memory | None:
    """What its processes hold now; of what cannot be seen from outside, or here, the last that was said."""
    status = read_status(job.folder)
    if status is None or job.record.cluster or not is_live(status):
        return said
    try:
        process = psutil.Process(status.pid)
        now = sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return said
    if said is None:
        return Memory(resident=now, peak=None, total=int(psutil.virtual_memory().total), gpu=None)
    return said.model_copy(update={"resident": now, "peak": None if said.peak is None else max(said.peak, now)})


def _said(run: Path) -> tuple[str, Memory | None]:
    """What a run said last of its device and of the memory it holds; empty and None where it said nothing."""
    try:
        events = read_log(run)
    except InputError:
        return "", None
    devices = (str(event["device"]) for event in reversed(events) if "device" in event)
    held = next((event["memory"] for event in reversed(events) if "memory" in event), None)
    try:
        memory = None if held is None else Memory.model_validate(held)
    except ValidationError:
        memory = None
    return next(devices, ""), memory
