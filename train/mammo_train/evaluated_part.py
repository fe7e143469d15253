"""What of a prepared set a checkpoint may be measured on: pictures as it sees them, of patients that it does not know.

Knows nothing of scores.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammo_core.checkpoint import Checkpoint
from mammo_core.errors import InputError
from mammo_train.prepared_set import PreparedSet
from mammo_train.run import SPLIT
from mammo_train.split import PARTS, Split, read_split

ALL = "all"
"""Part that is the whole set, whatever a split says."""

_ALIKE = ("height", "width", "margin")


def check_inputs(checkpoint: Checkpoint, data: PreparedSet) -> None:
    """Refuse pictures that are not what the model would see when it reads."""
    wanted, found = checkpoint.header.inputs, data.inputs
    for name in _ALIKE:
        if getattr(wanted, name) != getattr(found, name):
            size = f"--size {wanted.height}x{wanted.width}"
            reason = f"was prepared with {name} {getattr(found, name)}, the model reads {getattr(wanted, name)}"
            raise InputError(str(data.folder), f"{reason}: prepare it again with {size}")


def own_split(checkpoint: Path, loaded: Checkpoint, data: PreparedSet) -> Split | None:
    """Find the split of the run that made the checkpoint, if it learnt from this very set; it lies beside it."""
    training = loaded.header.training
    if training is None or training.data_sha256 != data.sha256:
        return None
    path = checkpoint.parent / SPLIT
    found = read_split(path, data.table) if path.is_file() else None
    if found is None or found.sha256 != training.split_sha256:
        raise InputError(
            str(checkpoint),
            f"learnt from this very set, and the split of its run is not beside it ({SPLIT}): give the split, so that "
            f"patients that it learnt from are left out, or ask for the part {ALL!r}",
        )
    return found


def part_rows(data: PreparedSet, split: Split | None, part: str | None) -> tuple[str, NDArray[np.intp]]:
    """Which part is evaluated, and its rows of the table."""
    if part not in (None, ALL, *PARTS):
        raise InputError("part", f"is {part!r}, expected {', '.join(PARTS)} or {ALL}")
    if part == ALL or (split is None and part is None):
        return ALL, np.arange(len(data.table))
    if split is None:
        raise InputError("part", f"{part!r} needs a split that says which patients it holds")
    part = part or ("test" if "test" in split.parts() else "validation")
    rows = split.rows(data.table, part)
    if not rows.size:
        raise InputError("part", f"{part!r} of the split holds no image of this set")
    return part, rows
