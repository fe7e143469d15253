"""Jobs and runs as they lie on the disk, without a second of training."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mammo_train.jobs.asked import TrainAsked
from mammo_train.jobs.store import Job, Jobs
from mammo_train.recipe import Recipe, dump_recipe
from mammo_train.run import CHECKPOINT, LOG, RECIPE, STATUS, Stopped, claimed
from tiny_set import phase, tiny_recipe

GRAY = tiny_recipe(phase("all"))
"""A recipe of a network that looks at gray pictures."""


def epoch(number: int, *, best: bool = True, **figures: object) -> dict[str, object]:
    """One epoch of a log."""
    return {"event": "epoch", "phase": "all", "epoch": number, "best": best, **figures}


def made_run(
    folder: Path, recipe: Recipe = GRAY, events: Sequence[Mapping[str, object]] = (), *, stopped: str = ""
) -> None:
    """What a run leaves behind that came to its end, or was ``stopped`` for a reason."""
    try:
        with claimed(folder):
            (folder / RECIPE).write_text(dump_recipe(recipe), encoding="utf-8")
            (folder / LOG).write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
            if stopped:
                raise Stopped(stopped, 0)
            (folder / CHECKPOINT).write_bytes(b"weights")
    except Stopped:
        pass


def made_training(
    jobs: Jobs,
    title: str,
    recipe: Recipe = GRAY,
    events: Sequence[Mapping[str, object]] = (),
    *,
    data: str = "/sets/tiny",
    stopped: str = "",
) -> Job:
    """A training job with what its run left behind."""
    job = jobs.add(title, TrainAsked(data=data, recipe=dump_recipe(recipe)))
    made_run(job.run, recipe, events, stopped=stopped)
    (job.folder / STATUS).write_bytes((job.run / STATUS).read_bytes())
    return jobs.get(job.id)
