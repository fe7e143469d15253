"""How long a recipe would take on this machine: every phase tried on a few images, and the rest worked out from that.

The trial is training itself, on a small part of the patients: caching, precision and devices are what they would be.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from mammo_core.phases import Phase
from mammo_core.settings import Settings
from mammo_train.distributed import joined
from mammo_train.feed import kept_variants
from mammo_train.prepared_set import PreparedSet
from mammo_train.recipe import Recipe
from mammo_train.run import Log, StopRequest, read_log
from mammo_train.split import Split
from mammo_train.training import Job, Training

ESTIMATE = "estimate.json"
"""File that a job writes it to."""
_BATCHES = 3
"""Batches that each phase is tried on; the first is slower than any that follows, which makes the estimate careful."""
_CPU_BATCH = 8
"""Images in a batch where there is no GPU: a core is busy with one image, and larger batches would only last longer."""
_VALIDATION = 16
"""Images that validation is tried on."""


class PhaseTime(Settings):
    """How long a phase would take."""

    name: str
    epochs: int
    images: int
    """Images of each epoch."""
    images_per_s: float
    """While it learns."""
    before: float
    """Seconds before the first epoch: what frozen layers give is computed once."""
    epoch: float
    """Seconds of one epoch with its validation."""

    @property
    def seconds(self) -> float:
        """Seconds of the whole phase."""
        return self.before + self.epochs * self.epoch


class Estimate(Settings):
    """How long a recipe would take."""

    device: str
    phases: tuple[PhaseTime, ...]

    @property
    def seconds(self) -> float:
        """Seconds of all phases."""
        return sum(phase.seconds for phase in self.phases)


def estimate(recipe: Recipe, data: PreparedSet, split: Split, tell: Callable[[str, int, int], None]) -> Estimate:
    """Try every phase on a few batches, and work out how long each would take on the whole training part.

    ``tell`` hears what is done and how much there is. Raises InputError where the recipe cannot be trained on the set.
    """
    with joined() as world, TemporaryDirectory(prefix="mammo-estimate-") as folder:
        log, stop = Log(Path(folder)), StopRequest(Path(folder))
        whole = Job(recipe, data, split, Path(folder), world, log, stop, tell)
        few = _few(data, split, recipe, world.device)
        tried = recipe.model_copy(update={"phases": tuple(_tried(phase, world.device) for phase in recipe.phases)})
        Training(Job(tried, data, few, Path(folder), world, log, stop, tell, state_minutes=0), None).run()
        events = [event for event in read_log(Path(folder)) if event["event"] == "epoch"]
        validation = len(split.rows(data.table, "validation")), len(few.rows(data.table, "validation"))
        found, spent = [], 0.0
        for phase, event in zip(recipe.phases, events, strict=True):
            found.append(_time(phase, event, spent, len(whole.rows(phase)), validation))
            spent = float(event["seconds"])  # type: ignore[arg-type]
        return Estimate(device=str(world.device), phases=tuple(found))


def _tried(phase: Phase, device: torch.device) -> Phase:
    """A phase cut to one short epoch on whatever is there to try it on."""
    size = phase.batch_size if device.type == "cuda" else min(phase.batch_size, _CPU_BATCH)
    accumulate = phase.accumulate if size % phase.accumulate == 0 else 1
    changes = {"epochs": 1, "patience": 0, "batch_size": size, "accumulate": accumulate, "subset": {"kind": "all"}}
    return Phase.model_validate(phase.model_dump() | changes)


def _few(data: PreparedSet, split: Split, recipe: Recipe, device: torch.device) -> Split:
    """A split of the same shape with few patients in it, those with a cancer and without taking turns."""
    largest = max(_tried(phase, device).batch_size for phase in recipe.phases)
    wanted = {"train": _BATCHES * largest, "validation": _VALIDATION}
    part_of = dict.fromkeys(split.part_of, "test")
    for part, count in wanted.items():
        rows = split.rows(data.table, part)
        table = data.table.iloc[rows]
        patients = table.groupby("patient_id", sort=False).agg(cancer=("cancer", "any"), images=("cancer", "size"))
        order = np.argsort(patients.groupby("cancer").cumcount().to_numpy(), kind="stable")
        enough = int(np.searchsorted(patients["images"].to_numpy()[order].cumsum(), count)) + 1
        part_of |= dict.fromkeys(patients.index[order[: max(enough, 2)]], part)
    return Split(part_of)


def _time(phase: Phase, event: dict[str, Any], spent: float, images: int, validation: tuple[int, int]) -> PhaseTime:
    """Work out a phase's time from its trial's ``event``, ``spent`` seconds having passed before it."""
    tried, learning = int(event["images"]), float(event["epoch_seconds"])
    beside = max(float(event["seconds"]) - spent - learning, 0.0)
    variants = kept_variants(phase)
    if variants:
        # Beside learning there is little but what frozen layers give: for training and validation images alike.
        before, validating = beside * (images * variants + validation[0]) / (tried * variants + validation[1]), 0.0
    else:
        before, validating = 0.0, beside * validation[0] / validation[1]
    per_image = learning / tried
    return PhaseTime(
        name=phase.name,
        epochs=phase.epochs,
        images=images,
        images_per_s=round(1 / max(per_image, 1e-9), 2),
        before=round(before, 2),
        epoch=round(images * per_image + validating, 3),
    )


def read_estimate(folder: Path) -> Estimate | None:
    """Read what was written into a job's folder; None where there is nothing."""
    try:
        return Estimate.model_validate_json((folder / ESTIMATE).read_bytes())
    except (OSError, ValidationError):
        return None
