"""From a score per image to a score per image, breast or patient, with its truth and its patient.

Knows nothing of models: scores may be logits or probabilities. A reader averages the probabilities of a breast's
views, so probabilities are what breasts are to be made of where they are compared with what is read.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_core.errors import InputError
from mammo_core.metrics import roc_auc

How = Literal["mean", "max", "one_view"]
"""How a breast's views make one score. "one_view" takes one of them, drawn by its image's name: the only fair way
where positive breasts have more views than negative ones, of which means spread less and maxima are higher."""

_TELLING = 0.1
"""Difference of a ROC-AUC from 0.5 above which the number of views tells the classes apart."""


@dataclass(frozen=True)
class Units:
    """One entry per unit, in the order of their keys."""

    scores: NDArray[np.float64]
    """(N,)."""
    labels: NDArray[np.bool_]
    """(N,): whether any image of the unit shows a cancer."""
    patients: tuple[str, ...]
    """Whose it is: what a bootstrap draws."""
    keys: tuple[str, ...]
    """What it is: image_id, ``patient_id/laterality``, or patient_id."""
    unit: str
    """ "image", "breast" or "patient"."""


def by_image(table: pd.DataFrame, rows: NDArray[np.intp], scores: NDArray[np.float64]) -> Units:
    """One unit per image; ``scores`` ``(len(rows),)`` belong to ``rows`` of the table."""
    chosen = _chosen(table, rows, scores)
    return _units(chosen, chosen["image_id"], "max", "image")


def by_breast(table: pd.DataFrame, rows: NDArray[np.intp], scores: NDArray[np.float64], how: How = "mean") -> Units:
    """One unit per breast (patient and laterality): the mean over its images, their maximum, or one of them."""
    chosen = _chosen(table, rows, scores)
    keys = chosen["patient_id"] + "/" + chosen["laterality"]
    if how == "one_view":
        # The breast has the cancer whichever of its images is drawn.
        chosen["cancer"] = chosen.groupby(keys)["cancer"].transform("any")
        drawn = chosen["image_id"].map(_lot).groupby(keys).idxmin()
        chosen, keys, how = chosen.loc[drawn], keys.loc[drawn], "mean"
    return _units(chosen, keys, how, "breast")


def breasts_of(table: pd.DataFrame, rows: NDArray[np.intp]) -> pd.DataFrame:
    """One line per breast of these rows, in the order of `by_breast`.

    ``cancer`` is whether any of its images shows one, ``views`` is how many there are; of the other columns the first
    stated value counts.
    """
    part = table.iloc[rows].replace({"": None})
    keys = (part["patient_id"] + "/" + part["laterality"]).to_numpy()
    found = part.groupby(keys, sort=True).first()
    images = part.groupby(keys, sort=True)["cancer"]
    return found.assign(cancer=images.any().to_numpy(bool), views=images.size().to_numpy())


def views_tell(breasts: pd.DataFrame) -> str:
    """Warn where the number of views alone tells positive breasts from negative ones, as in a set that was picked so.

    Empty where it does not. ``breasts`` are of `breasts_of`.
    """
    cancer = breasts["cancer"].to_numpy(bool)
    if cancer.all() or not cancer.any():
        return ""
    found = roc_auc(breasts["views"].to_numpy(np.float64), cancer)
    if abs(found - 0.5) <= _TELLING:
        return ""
    return (
        f"The number of views alone tells positive breasts from negative ones here (ROC-AUC {found:.3f}): figures of "
        "the mean or the maximum over views hold that difference too; one view of each breast does not."
    )


def by_patient(table: pd.DataFrame, rows: NDArray[np.intp], scores: NDArray[np.float64], how: How = "mean") -> Units:
    """One unit per patient: the higher of her breasts, each made of its images as `by_breast` makes it."""
    breasts = by_breast(table, rows, scores, how)
    listed = pd.DataFrame({"patient_id": breasts.patients, "score": breasts.scores, "cancer": breasts.labels})
    return _units(listed, listed["patient_id"], "max", "patient")


def stacked(runs: Sequence[Units]) -> tuple[Units, NDArray[np.float64]]:
    """Scores of several models on the same units: the units as the first has them, and all scores ``(R, N)``.

    Raises InputError where they are not the same units with the same truth.
    """
    first = runs[0]
    for number, other in enumerate(runs[1:], start=2):
        if other.keys != first.keys or not np.array_equal(other.labels, first.labels):
            sizes = f"{len(first.keys)} and {len(other.keys)} {first.unit} units"
            raise InputError(f"scores of run {number}", f"are not of the same units as those of run 1 ({sizes})")
    return first, np.stack([run.scores for run in runs])


def _lot(image_id: str) -> str:
    """Draw for an image: by its name alone, so that every model is measured on the same ones."""
    return hashlib.sha256(image_id.encode()).hexdigest()


def _chosen(table: pd.DataFrame, rows: NDArray[np.intp], scores: NDArray[np.float64]) -> pd.DataFrame:
    if scores.shape != rows.shape:
        raise InputError("scores", f"are {scores.shape}, the rows of the table {rows.shape}; expected one each")
    columns = ["image_id", "patient_id", "laterality", "cancer"]
    return table[columns].iloc[rows].reset_index(drop=True).assign(score=scores.astype(np.float64))


def _units(listed: pd.DataFrame, keys: pd.Series, how: str, unit: str) -> Units:
    grouped = listed.groupby(keys.to_numpy(), sort=True)
    return Units(
        scores=grouped["score"].agg(how).to_numpy(np.float64),
        labels=grouped["cancer"].any().to_numpy(np.bool_),
        patients=tuple(grouped["patient_id"].first()),
        keys=tuple(grouped["score"].first().index),
        unit=unit,
    )
