"""The same model on parts of a set: by density, age, view, machine, site and source, with counts.

Knows nothing of models. A small group is measured like any other and said to be small.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_core.intervals import Estimate
from mammo_core.metrics import Labels, Scores, Weights, average_precision, roc_auc, sensitivity, specificity
from mammo_core.threshold_groups import NOT_STATED, SEVERAL, age_band, group_order
from mammo_train.measures import Resampling
from mammo_train.units import Units


@dataclass(frozen=True)
class Subgroup:
    """One group of units and the model's figures on it."""

    by: str
    """"density", "age", "view", "machine", "site" or "source"."""
    value: str
    unit: str
    """"breast", or "image" for groups by view."""
    n: int
    positives: int
    patients: int
    roc_auc: Estimate
    pr_auc: Estimate
    sensitivity: Estimate
    """At the checkpoint's operating point; NaN where it has none or on images."""
    specificity: Estimate
    warning: str
    """Why little can be said of this group, or empty."""


def groups_of_breasts(table: pd.DataFrame, rows: NDArray[np.intp], age_bands: Sequence[float]) -> dict[str, list[str]]:
    """Give every breast's group, by name of the grouping, in the order of `mammo_train.units.by_breast`.

    ``age_bands`` are the ages at which a new band begins.
    """
    part = table.iloc[rows]
    columns = {
        "density": part["density"].astype(str),
        "age": pd.Series([age_band(age, age_bands) for age in part["age"]], index=part.index),
        "machine": part["machine_id"].astype(str),
        "site": part["site_id"].astype(str),
        "source": part["source"].astype(str),
    }
    keys = (part["patient_id"] + "/" + part["laterality"]).to_numpy()
    return {name: column.groupby(keys, sort=True).agg(_one).tolist() for name, column in columns.items()}


def groups_of_images(table: pd.DataFrame, rows: NDArray[np.intp]) -> dict[str, list[str]]:
    """Give every image's view, in the order of `mammo_train.units.by_image`."""
    part = table.iloc[rows].sort_values("image_id")
    return {"view": [view or NOT_STATED for view in part["view"].astype(str)]}


def subgroups(
    units: Units, groups: dict[str, list[str]], threshold: float | None, few: int, resampling: Resampling
) -> list[Subgroup]:
    """Measure every group; groupings in which all units are alike are left out.

    ``few`` is the number of positives or negatives below which a group is warned about.
    """
    found = []
    for by, values in groups.items():
        column = np.asarray(values, dtype=object)
        kinds = sorted(set(values), key=group_order)
        if len(kinds) > 1:
            found += [_measured(by, kind, _chosen(units, column == kind), threshold, few, resampling) for kind in kinds]
    return found


def _measured(by: str, value: str, units: Units, threshold: float | None, few: int, resampling: Resampling) -> Subgroup:
    def figures(scores: Scores, labels: Labels, weights: Weights) -> NDArray[np.float64]:
        at = np.nan if threshold is None else threshold
        found = [roc_auc(scores, labels, weights), average_precision(scores, labels, weights)]
        if threshold is None:
            return np.array([*found, np.nan, np.nan])
        return np.array([*found, sensitivity(scores, labels, at, weights), specificity(scores, labels, at, weights)])

    ranked, precise, sensitive, specific = resampling.estimates(figures, units)
    positives = int(units.labels.sum())
    return Subgroup(
        by=by,
        value=value,
        unit=units.unit,
        n=units.labels.size,
        positives=positives,
        patients=len(set(units.patients)),
        roc_auc=ranked,
        pr_auc=precise,
        sensitivity=sensitive,
        specificity=specific,
        warning=_warning(positives, units.labels.size - positives, few),
    )


def _warning(positives: int, negatives: int, few: int) -> str:
    short = [f"{n} {name}" for n, name in ((positives, "positive"), (negatives, "negative")) if n < few]
    return f"only {' and '.join(short)}" if short else ""


def _chosen(units: Units, inside: NDArray[np.bool_]) -> Units:
    places = np.flatnonzero(inside)
    return Units(
        scores=units.scores[places],
        labels=units.labels[places],
        patients=tuple(units.patients[i] for i in places),
        keys=tuple(units.keys[i] for i in places),
        unit=units.unit,
    )


def _one(values: "pd.Series[str]") -> str:
    """The one value that a breast's images state, whatever is left empty."""
    stated = {value for value in values if value}
    return NOT_STATED if not stated else SEVERAL if len(stated) > 1 else stated.pop()
