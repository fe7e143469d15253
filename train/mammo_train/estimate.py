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
        tried = recipe.model_copy(update={"phases": _tried(recipe, world.device)})
        Training(Job(tried, data, few, Path(folder), world, log, stop, tell, state_minutes=0), None).run()
        events = read_log(Path(folder))
        begun, ended = ([event for event in events if event["event"] == name] for name in ("phase", "epoch"))
        validation = len(split.rows(data.table, "validation")), len(few.rows(data.table, "validation"))
        found, spent = [], 0.0
        for phase, first, last in zip(recipe.phases, begun, ended, strict=True):
            before = float(first["seconds"]) - spent  # type: ignore[arg-type]
            spent = float(last["seconds"])  # type: ignore[arg-type]
            beside = spent - float(first["seconds"])  # type: ignore[arg-type]
            found.append(_time(phase, last, (before, beside), len(whole.rows(phase)), validation))
        return Estimate(device=str(world.device), phases=tuple(found))


def _tried(recipe: Recipe, device: torch.device) -> tuple[Phase, ...]:
    """Phases cut to one short epoch on whatever is there to try them on."""
    found = []
    subsets = [phase.subset for phase in recipe.phases]
    for phase in recipe.phases:
        size = phase.batch_size if device.type == "cuda" else min(phase.batch_size, _CPU_BATCH)
        accumulate = phase.accumulate if size % phase.accumulate == 0 else 1
        # "all" has no use for a seed: it tells apart what has nothing to share, because other images are learnt from.
        subset = {"kind": "all", "seed": subsets.index(phase.subset)}
        changes = {"epochs": 1, "patience": 0, "batch_size": size, "accumulate": accumulate, "subset": subset}
        found.append(Phase.model_validate(phase.model_dump() | changes))
    return tuple(found)


def _few(data: PreparedSet, split: Split, recipe: Recipe, device: torch.device) -> Split:
    """A split of the same shape with few patients in it, those with a cancer and without taking turns."""
    largest = max(phase.batch_size for phase in _tried(recipe, device))
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


def _time(
    phase: Phase, event: dict[str, Any], seconds: tuple[float, float], images: int, validation: tuple[int, int]
) -> PhaseTime:
    """Work out a phase's time from its trial's ``event``: ``seconds`` are those before its epoch, and of it.

    ``validation`` is the number of images that the run validates on, and that the trial did.
    """
    tried, learning, variants = int(event["images"]), float(event["epoch_seconds"]), kept_variants(phase)
    # What frozen layers give is computed for training and validation images alike; there is nothing else of size.
    before = seconds[0] * (images * variants + validation[0]) / (tried * variants + validation[1]) if variants else 0.0
    validating = max(seconds[1] - learning, 0.0) * validation[0] / validation[1]
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
