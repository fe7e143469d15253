"""Figures of merit of scores against truth, with bootstrap intervals over patients.

Knows nothing of models or images: arrays in, numbers out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_core.errors import InputError

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]
Statistic = Callable[[Scores, Labels], float]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def roc_auc(scores: Scores, labels: Labels) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Mann-Whitney form (Hanley and McNeil 1982). NaN where one of the classes is missing.
    """
    positives = int(labels.sum())
    negatives = labels.size - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    _, rank_of, count = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean_rank = (last - (count - 1) / 2)[rank_of]
    return float((mean_rank[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def sensitivity(scores: Scores, labels: Labels, threshold: float) -> float:
    """Part of the positives with ``score >= threshold``; NaN without positives."""
    return float((scores[labels] >= threshold).mean()) if labels.any() else float("nan")


def specificity(scores: Scores, labels: Labels, threshold: float) -> float:
    """Part of the negatives with ``score < threshold``; NaN without negatives."""
    return float((scores[~labels] < threshold).mean()) if not labels.all() else float("nan")


def bootstrap(
    statistic: Statistic,
    scores: Scores,
    labels: Labels,
    patients: Sequence[str],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Measure a statistic with its 95 % percentile interval, resampling whole patients.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    ``scores``, ``labels`` and ``patients`` have one entry per unit (breast, view); all units of a drawn
    patient come along. Draws in which the statistic does not exist (NaN, one class missing) are left out.
    Raises InputError where lengths differ, the set is empty or the statistic never exists.
    """
    if not scores.size == labels.size == len(patients) > 0:
        sizes = f"{scores.size} scores, {labels.size} labels, {len(patients)} patients"
        raise InputError("bootstrap", f"needs as many of each and at least one; got {sizes}")
    _, patient_of = np.unique(np.asarray(patients), return_inverse=True)
    units = [np.flatnonzero(patient_of == patient) for patient in range(int(patient_of.max()) + 1)]
    generator = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        drawn = np.concatenate([units[patient] for patient in generator.integers(0, len(units), len(units))])
        values[draw] = statistic(scores[drawn], labels[drawn])
    values = values[~np.isnan(values)]
    if values.size == 0:
        raise InputError("bootstrap", "the statistic does not exist in any draw: is one class missing?")
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(statistic(scores, labels), float(low), float(high))
