"""Finished runs that another run may begin with: their backbones, and what those are known to be worth.

Knows nothing of HTML.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammo_core.errors import InputError
from mammo_gui.draft import Draft
from mammo_gui.evidence import evidence_of
from mammo_gui.runs import best_of
from mammo_train.jobs.asked import RUN, CompareAsked, TrainAsked
from mammo_train.jobs.store import Job
from mammo_train.run import CHECKPOINT, RECIPE, read_status


@dataclass(frozen=True)
class Start:
    """A checkpoint whose backbone fits."""

    file: Path
    title: str
    roc_auc: float | None
    """Of its epoch, on its own validation breasts."""


def starts_for(draft: Draft, jobs: Sequence[Job]) -> tuple[Start, ...]:
    """Finished runs with the backbone of a recipe, the newest first; the recipe need not be right yet."""
    found = []
    for title, folder in _finished(jobs):
        if (folder / CHECKPOINT).is_file() and _fits(_network(folder), draft.fields.get("architecture")):
            best = best_of(evidence_of(folder, "").epochs)
            found.append(Start(folder / CHECKPOINT, title, None if best is None else best.roc_auc))
    return tuple(reversed(found))


def is_own(text: str, jobs: Path) -> bool:
    """Whether a path is that of a checkpoint in the folder of ``jobs``, whose backbone another run may begin with."""
    checkpoints = {path.resolve() for path in jobs.glob(f"*/{RUN}/**/{CHECKPOINT}")}
    return "\0" not in text and Path(text).resolve() in checkpoints


def _finished(jobs: Sequence[Job]) -> Iterator[tuple[str, Path]]:
    """Name and folder of every run that came to its end: trainings, and the runs of comparisons."""
    for job in jobs:
        if isinstance(job.record.asked, TrainAsked) and job.state == "finished":
            yield job.record.title, job.run
        if isinstance(job.record.asked, CompareAsked):
            for folder in sorted((job.run / "runs").glob("*")):
                if _has_ended_well(folder):
                    yield f"{job.record.title}: {folder.name}", folder


def _has_ended_well(folder: Path) -> bool:
    try:
        status = read_status(folder)
    except InputError:
        return False
    return status is not None and status.state == "finished"


def _network(folder: Path) -> Any:
    try:
        return tomllib.loads((folder / RECIPE).read_text(encoding="utf-8")).get("architecture")
    except (OSError, ValueError):
        return None


def _fits(there: Any, wanted: Any) -> bool:
    """Whether a backbone can be taken over: of the same kind; colour is summed to gray, but not the other way."""
    if not isinstance(there, Mapping) or not isinstance(wanted, Mapping):
        return False
    channels = str(there.get("in_channels")), str(wanted.get("in_channels"))
    return there.get("backbone") == wanted.get("backbone") and (channels[0] == channels[1] or channels[0] == "3")
