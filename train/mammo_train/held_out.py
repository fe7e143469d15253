"""A trained network over pictures that it was not shown: their scores, kept as CSV in its run's folder.

Knows nothing of arms, or of what is told apart by the scores.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mammo_core.checkpoint import Checkpoint, model_of
from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_train.plan import HeldOut
from mammo_train.prepared_set import PreparedSet
from mammo_train.sampling import Rows
from mammo_train.scoring import image_logits, view_scores

HELD_OUT = "held_out.csv"
"""In a run's folder: image_id and score of every held-out picture as it is."""


def files_of(wanted: HeldOut) -> tuple[str, ...]:
    """Names of the files that hold the scores: one, or one for each varied copy, named by how these are varied."""
    if not wanted.copies:
        return (HELD_OUT,)
    identity = hashlib.sha256(wanted.augmentation.model_dump_json().encode()).hexdigest()[:8]
    return tuple(f"held_out-varied-{identity}-{copy}.csv" for copy in range(wanted.copies))


def is_scored(run: Path, wanted: HeldOut) -> bool:
    """Whether the run's folder has all scores."""
    return all((run / name).exists() for name in files_of(wanted))


def write_scores(
    run: Path,
    checkpoint: Checkpoint,
    data: PreparedSet,
    rows: Rows,
    wanted: HeldOut,
    tell: Callable[[int, int], None],
) -> None:
    """Score what the folder has no scores of yet; ``tell`` hears how many pictures are done and their number."""
    names = data.table["image_id"].iloc[rows].tolist()
    missing = [(copy, run / name) for copy, name in enumerate(files_of(wanted)) if not (run / name).exists()]
    total = len(missing) * len(rows)
    for number, (copy, path) in enumerate(missing):

        def show(done: int, _of_this: int, before: int = number * len(rows)) -> None:
            tell(before + done, total)

        logits = image_logits(
            model_of(checkpoint),
            checkpoint.header.inputs,
            data,
            rows,
            device="cuda" if torch.cuda.is_available() else "cpu",
            varied=wanted.augmentation if wanted.copies else None,
            copy=copy,
            tell=show,
        )
        scores = view_scores(checkpoint.header.calibration, logits)
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image_id", "score"))
        writer.writerows(zip(names, scores.tolist(), strict=True))
        write_atomic(path, stream.getvalue().encode())


def read_scores(run: Path, names: Sequence[str], wanted: HeldOut) -> NDArray[np.float64]:
    """Scores ``(copies, N)`` of the pictures ``names``; ``(1, N)`` of pictures as they are.

    Raises InputError naming the file that is not what was written.
    """
    return np.stack([_read(run / name, names) for name in files_of(wanted)])


def _read(path: Path, names: Sequence[str]) -> NDArray[np.float64]:
    with path.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    try:
        scores = np.array([float(line["score"]) for line in lines])
        same = [line["image_id"] for line in lines] == list(names)
    except (KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise InputError(str(path), "is not what this comparison wrote; delete the run's folder to make it again")
    return scores
