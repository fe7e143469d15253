"""The figures of an evaluation: all that one set of scores is measured by, with intervals over patients.

Knows nothing of models or tables: units in, figures out. Ranking figures are of the scores as the checkpoint gives
them; probability figures at a stated prevalence are of probabilities shifted to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_core.calibration import calibration_line
from mammo_core.intervals import Estimate, bootstrap_many
from mammo_core.metrics import (
    Labels,
    Scores,
    Weights,
    accuracy,
    all_negative_accuracy,
    average_precision,
    brier,
    f1,
    npv,
    ppv,
    probabilistic_f1,
    recall_rate,
    roc_auc,
    roc_curve,
    sensitivity,
    sensitivity_at_specificity,
    specificity,
    specificity_at_sensitivity,
)
from mammo_core.prevalence import weights_at
from mammo_train.units import Units

Vector = NDArray[np.float64]
Statistics = Callable[[Scores, Labels, Weights], Vector]

RANKING = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC (average precision)",
    "sensitivity_at_specificity_90": "sensitivity at 90 % specificity, read off this curve",
    "specificity_at_sensitivity_90": "specificity at 90 % sensitivity, read off this curve",
}
PROBABILITY = {
    "probabilistic_f1": "probabilistic F1",
    "brier": "Brier score (lower is better)",
    "calibration_slope": "calibration slope (1 is right)",
    "calibration_intercept": "calibration intercept (0 is right)",
}
AT_THRESHOLD = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "recall_rate": "recall rate",
    "ppv": "PPV",
    "npv": "NPV",
    "accuracy": "accuracy",
    "all_negative_accuracy": "accuracy of calling everything negative",
    "f1": "F1",
}


@dataclass(frozen=True)
class Figure:
    """One figure at the set's own prevalence and, re-weighted, at the stated one."""

    name: str
    title: str
    own: Estimate
    stated: Estimate | None
    """None where no prevalence is stated or no probability can be given at it."""


@dataclass(frozen=True)
class Level:
    """Everything measured without a threshold on one kind of unit."""

    unit: str
    """"image", "breast" or "patient"."""
    how: str
    """How images became units, in words."""
    n: int
    positives: int
    patients: int
    prevalence: float
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class AtThreshold:
    """What a threshold costs on one kind of unit."""

    unit: str
    n: int
    positives: int
    patients: int
    threshold: float
    figures: tuple[Figure, ...]
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


@dataclass(frozen=True)
class Resampling:
    """How intervals are found, and at which prevalence figures are stated besides the set's own."""

    draws: int
    seed: int
    prevalence: float | None

    def estimates(self, statistics: Statistics, units: Units, *, stated: bool = False) -> list[Estimate]:
        """Measure several figures on the same draws of patients, with units re-weighted if ``stated``."""
        measured = _reweighted(statistics, self.prevalence) if stated and self.prevalence else statistics
        return bootstrap_many(measured, units.scores, units.labels, units.patients, draws=self.draws, seed=self.seed)

    def both(self, statistics: Statistics, names: dict[str, str], units: Units) -> tuple[Figure, ...]:
        """Measure figures of the same scores at both prevalences."""
        own = self.estimates(statistics, units)
        stated = self.estimates(statistics, units, stated=True) if self.prevalence and both_classes(units) else None
        return tuple(
            Figure(name, title, own[i], stated[i] if stated else None) for i, (name, title) in enumerate(names.items())
        )


def level(units: Units, shifted: Units | None, how: str, resampling: Resampling) -> Level:
    """Measure scores without a threshold; ``shifted`` are the same units' probabilities at the stated prevalence."""
    ranked = resampling.both(ranking, RANKING, units)
    own = resampling.estimates(probabilities, units)
    usable = shifted is not None and resampling.prevalence is not None and both_classes(units)
    stated = resampling.estimates(probabilities, shifted, stated=True) if usable and shifted is not None else None
    judged = tuple(
        Figure(name, title, own[i], stated[i] if stated else None)
        for i, (name, title) in enumerate(PROBABILITY.items())
    )
    positives = int(units.labels.sum())
    return Level(
        unit=units.unit,
        how=how,
        n=units.labels.size,
        positives=positives,
        patients=len(set(units.patients)),
        prevalence=positives / units.labels.size,
        figures=(*ranked, *judged),
    )


def at_threshold(units: Units, threshold: float, resampling: Resampling) -> AtThreshold:
    """Measure what flagging ``score >= threshold`` costs."""

    def measured(scores: Scores, labels: Labels, weights: Weights) -> Vector:
        kinds = (sensitivity, specificity, recall_rate, ppv, npv, accuracy)
        found = [kind(scores, labels, threshold, weights) for kind in kinds]
        return np.array(
            [*found, all_negative_accuracy(scores, labels, weights), f1(scores, labels, threshold, weights)]
        )

    flagged = units.scores >= threshold
    return AtThreshold(
        unit=units.unit,
        n=units.labels.size,
        positives=int(units.labels.sum()),
        patients=len(set(units.patients)),
        threshold=threshold,
        figures=resampling.both(measured, AT_THRESHOLD, units),
        true_positives=int((flagged & units.labels).sum()),
        false_positives=int((flagged & ~units.labels).sum()),
        true_negatives=int((~flagged & ~units.labels).sum()),
        false_negatives=int((~flagged & units.labels).sum()),
    )


def ranking(scores: Scores, labels: Labels, weights: Weights) -> Vector:
    """Figures that depend on the order of the scores alone, as in `RANKING`."""
    kinds = (roc_auc, average_precision, sensitivity_at_specificity, specificity_at_sensitivity)
    return np.array([kind(scores, labels, weights) for kind in kinds])


def probabilities(scores: Scores, labels: Labels, weights: Weights) -> Vector:
    """Figures of scores as probabilities, as in `PROBABILITY`."""
    line = calibration_line(scores, labels, weights)
    return np.array(
        [probabilistic_f1(scores, labels, weights), brier(scores, labels, weights), line.slope, line.intercept]
    )


@dataclass(frozen=True)
class RocBand:
    """A ROC curve with the interval of its height at each false positive rate; float64 (K,) each."""

    false_positive_rate: Vector
    sensitivity: Vector
    low: Vector
    high: Vector


def roc_band(units: Units, resampling: Resampling, points: int = 101) -> RocBand:
    """Sensitivity at evenly spaced false positive rates with its pointwise 95 % band (vertical averaging)."""
    rates = np.linspace(0, 1, points)

    def heights(scores: Scores, labels: Labels, weights: Weights) -> Vector:
        curve = roc_curve(scores, labels, weights)
        return np.interp(rates, 1 - curve.specificity, curve.sensitivity)

    found = resampling.estimates(heights, units)
    return RocBand(rates, *(np.array([getattr(e, part) for e in found]) for part in ("value", "low", "high")))


@dataclass(frozen=True)
class CalibrationBin:
    """Units whose probability lies in one range."""

    low: float
    high: float
    n: int
    positives: int
    mean_probability: float
    observed: Estimate
    """Part of them that is positive."""


def calibration_bins(units: Units, resampling: Resampling, count: int, *, stated: bool = False) -> list[CalibrationBin]:
    """Split units into ``count`` ranges of probability that hold equally many, and compare with the truth."""
    edges = np.unique(np.quantile(units.scores, np.linspace(0, 1, count + 1)[1:-1]))

    def observed(scores: Scores, labels: Labels, weights: Weights) -> Vector:
        place = np.digitize(scores, edges)
        inside = np.bincount(place, weights, minlength=edges.size + 1)
        hits = np.bincount(place, weights * labels, minlength=edges.size + 1)
        return np.asarray(np.divide(hits, inside, out=np.full(inside.size, np.nan), where=inside > 0), np.float64)

    found = resampling.estimates(observed, units, stated=stated)
    place = np.digitize(units.scores, edges)
    ends = np.r_[units.scores.min(), edges, units.scores.max()]
    weights = weights_at(units.labels, resampling.prevalence) if stated and resampling.prevalence else None
    bins = []
    for i in range(edges.size + 1):
        inside = place == i
        if not inside.any():
            continue
        mean = float(np.average(units.scores[inside], weights=None if weights is None else weights[inside]))
        positives = int(units.labels[inside].sum())
        bins.append(CalibrationBin(ends[i], ends[i + 1], int(inside.sum()), positives, mean, found[i]))
    return bins


def mean_difference(values: Vector, group: Labels, patients: Sequence[str], resampling: Resampling) -> list[Estimate]:
    """Mean of ``values`` in the group, outside it, and their difference, with intervals over patients."""

    def means(values: Scores, group: Labels, weights: Weights) -> Vector:
        sums = [float(weights @ group), float(weights @ ~group)]
        inside = float((weights * values) @ group) / sums[0] if sums[0] else np.nan
        outside = float((weights * values) @ ~group) / sums[1] if sums[1] else np.nan
        return np.array([inside, outside, inside - outside])

    return bootstrap_many(means, values, group, patients, draws=resampling.draws, seed=resampling.seed)


def both_classes(units: Units) -> bool:
    """Whether there are positive and negative units."""
    return bool(units.labels.any() and not units.labels.all())


def _reweighted(statistics: Statistics, prevalence: float) -> Statistics:
    """Measure at a stated prevalence; every draw is re-weighted by itself, NaN where a class is missing in it."""

    def moved(scores: Scores, labels: Labels, weights: Weights) -> Vector:
        positive = float(weights @ labels)
        if not 0 < positive < float(weights.sum()):
            return np.full(statistics(scores, labels, weights).shape, np.nan)
        return statistics(scores, labels, weights_at(labels, prevalence, weights))

    return moved
