"""A prepared set that fits into a test: 64 x 64 pictures, cancer a bright spot, two views of a breast."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammo_core.files import write_atomic
from mammo_core.inputs import InputSettings
from mammo_core.phases import Phase
from mammo_train.prepared_picture import picture_png
from mammo_train.prepared_set import PreparedSet, Record, open_prepared, write_record
from mammo_train.recipe import Recipe
from mammo_train.split import Split, SplitSettings, make_split
from mammo_train.table import table_csv

INPUTS = InputSettings(height=64, width=64)


def tiny_set(folder: Path, *, patients: int = 16, spot: int = 60, masks: bool = False) -> PreparedSet:
    """Write and open a set of ``patients`` with two views of one breast each; every other one has a cancer.

    ``masks`` adds a mask of every cancer, but for the first, whose place nobody tells.
    """
    random = np.random.default_rng(0)
    rows = []
    for number in range(patients):
        cancer = number % 2
        for view in ("CC", "MLO"):
            picture = random.integers(40, 120, (64, 64), np.uint8)
            if cancer:
                top, left = random.integers(0, 48, 2)
                picture[top : top + 16, left : left + 16] += np.uint8(spot)
            name, mask = f"p{number}-{view}", ""
            if cancer and masks and number > 1:
                mask = f"masks/{name}.png"
                write_atomic(folder / mask, picture_png(_spot_mask(top, left)))
            write_atomic(folder / f"images/{name}.png", picture_png(picture))
            rows.append(
                {
                    "image_id": name,
                    "patient_id": f"p{number:03d}",
                    "laterality": "L",
                    "view": view,
                    "cancer": str(cancer),
                    "file": f"images/{name}.png",
                    "source": "made",
                    "mask": mask,
                }
            )
    write_atomic(folder / "table.csv", table_csv(rows))
    counts = {"images": len(rows), "breasts": patients, "patients": patients}
    write_record(folder, Record(source="made", inputs=INPUTS, counts=counts))
    return open_prepared(folder)


def _spot_mask(top: int, left: int) -> NDArray[np.uint8]:
    mask = np.zeros((64, 64), np.uint8)
    mask[top : top + 16, left : left + 16] = 1
    return mask


def halves(data: PreparedSet) -> Split:
    """Half of the patients for learning, half for validation."""
    return make_split(data.table, SplitSettings(validation=0.5, test=0.0))


def tiny_recipe(*phases: Phase, **changes: object) -> Recipe:
    """Return a recipe of a small network with random weights, in float32 so that results can be compared."""
    fields: dict[str, object] = {
        "name": "tiny",
        "architecture": {"backbone": "resnet10t", "in_channels": 1},
        "weights": "none",
        "normalisation": "breast",
        "precision": "float32",
        "seed": 3,
        "phases": phases,
    }
    return Recipe.model_validate(fields | changes)


def phase(name: str, **changes: object) -> Phase:
    """Return a short phase."""
    fields: dict[str, object] = {"name": name, "epochs": 2, "batch_size": 8, "learning_rate": 1e-2}
    return Phase.model_validate(fields | changes)


def curve(events: list[dict[str, object]]) -> list[dict[str, object]]:
    """Epochs of a log without what the machine made of them: time and memory."""
    machine = {"time", "seconds", "epoch_seconds", "images_per_s", "memory"}
    return [{k: v for k, v in event.items() if k not in machine} for event in events if event["event"] == "epoch"]
