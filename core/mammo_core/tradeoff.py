"""What moving a threshold changes, on cases whose truth is known: every figure with its interval, in milliseconds.

Knows nothing of models or of the screen. All that does not depend on the threshold is worked out once: the draws of
patients, the curves and their bands. Intervals are those that `mammo_core.intervals.bootstrap` would find.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.intervals import DRAWS, Estimate, PatientDraws, estimate
from mammo_core.metrics import average_precision, roc_auc
from mammo_core.operating_point import (
    OperatingPoint,
    Rate,
    threshold_at_recall_rate,
    threshold_at_sensitivity,
    threshold_at_specificity,
    threshold_of_youden,
)
from mammo_core.prevalence import check_prevalence

Vector = NDArray[np.float64]
Solvable = Literal["sensitivity", "specificity", "recall_rate"]

GRID = 201
"""Points of a curve and its band."""
FEW = 10
"""Cases of a class below which its figures are said to be unsure."""
_TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Where the axis of a histogram of scores in [0, 1] may end."""


@dataclass(frozen=True)
class Figures:
    """What flagging ``score >= threshold`` costs."""

    threshold: float
    prevalence: float
    """That ``ppv`` to ``missed`` hold for."""
    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    """Part of the flagged that is positive, at ``prevalence``; NaN where nobody is flagged."""
    npv: Estimate
    """Part of the others that is negative, at ``prevalence``; NaN where everybody is flagged."""
    recalled: Estimate
    """Flagged, per 1,000 units at ``prevalence``."""
    found: Estimate
    """Positives flagged, per 1,000 units at ``prevalence``."""
    missed: Estimate
    """Positives not flagged, per 1,000 units at ``prevalence``."""
    recall_rate: Estimate
    """Part of the cases, as they are, that is flagged."""


@dataclass(frozen=True)
class Curve:
    """Points of a curve with a pointwise 95 % band over patients; float64 ``(n,)`` each."""

    x: Vector
    y: Vector
    low: Vector
    high: Vector


@dataclass(frozen=True)
class Histogram:
    """How many cases of each class have a score in each range."""

    edges: Vector
    """``(bins + 1,)``."""
    positive: NDArray[np.intp]
    """``(bins,)``."""
    negative: NDArray[np.intp]


class Tradeoff:
    """Cases made ready for every threshold and prevalence that may be asked for."""

    def __init__(self, cases: Cases, *, draws: int = DRAWS, seed: int = 0) -> None:
        """Raises InputError where a class is missing, or all cases of a class are one patient's."""
        check_cases(cases)
        self.cases = cases
        self.draws = PatientDraws(cases.patients, draws=draws, seed=seed)
        classes = np.stack([cases.labels, ~cases.labels], axis=1)
        self._drawn_classes = self.draws.sums(classes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures unsure, a sentence each."""
        counts = {"positive": self.cases.positives, "negative": len(self.cases) - self.cases.positives}
        return tuple(
            f"Only {count} {kind} {self.cases.unit}{'s' if count > 1 else ''}: the intervals tell little."
            for kind, count in counts.items()
            if count < FEW
        )

    def at(self, threshold: float, prevalence: float | None = None) -> Figures:
        """Measure a threshold; ``prevalence`` None is the cases' own, in every draw that of the draw."""
        cases = self.cases
        hits = self._hits(threshold)
        counts = hits.sum(0)
        whole = _rates(counts[None], np.array([[cases.positives, len(cases) - cases.positives]]), prevalence)
        drawn = _rates(self.draws.sums(hits), self._drawn_classes, prevalence)
        estimates = {name: estimate(float(whole[name][0]), drawn[name]) for name in whole}
        return Figures(
            threshold=threshold,
            prevalence=cases.prevalence if prevalence is None else prevalence,
            true_positives=int(counts[0]),
            false_negatives=cases.positives - int(counts[0]),
            false_positives=int(counts[1]),
            true_negatives=len(cases) - cases.positives - int(counts[1]),
            **estimates,
        )

    def point(self, threshold: float, rule: str) -> OperatingPoint:
        """Return the threshold as an operating point, measured here."""
        figures = self.at(threshold)
        sensitivity, specificity = (
            Rate(value=found.value, low=found.low, high=found.high)
            for found in (figures.sensitivity, figures.specificity)
        )
        return OperatingPoint(
            threshold=threshold,
            rule=rule,
            sensitivity=sensitivity,
            specificity=specificity,
            unit=self.cases.unit,
            n=len(self.cases),
            positives=self.cases.positives,
            source=self.cases.source,
        )

    def solve(self, kind: Solvable, wanted: float, prevalence: float | None = None) -> float:
        """Find the threshold that reaches a wanted rate, as `mammo_core.operating_point` chooses it.

        Raises InputError where ``wanted`` is outside (0, 1]. A recall rate is that at ``prevalence``.
        """
        if kind == "sensitivity":
            return threshold_at_sensitivity(self.cases, wanted)
        if kind == "specificity":
            return threshold_at_specificity(self.cases, wanted)
        return threshold_at_recall_rate(self.cases, wanted, prevalence)

    def youden(self) -> float:
        """Find the threshold with the highest sensitivity + specificity - 1."""
        return threshold_of_youden(self.cases)

    def roc(self) -> Curve:
        """Sensitivity over 1 - specificity."""
        rates = np.linspace(0, 1, GRID)
        low, high = _band(self._curves.sensitivity)
        return Curve(rates, self._whole.sensitivity[0], low, high)

    def pr(self, prevalence: float | None = None) -> Curve:
        """PPV over sensitivity above 0, at the cases' own prevalence or a stated one."""
        rates = np.linspace(0, 1, GRID)[1:]
        drawn = _precision(self._curves, self._prevalence(prevalence, self._drawn_classes))
        own = np.array([[self.cases.positives, len(self.cases) - self.cases.positives]])
        whole = _precision(self._whole, self._prevalence(prevalence, own))
        low, high = _band(drawn)
        return Curve(rates, whole[0], low, high)

    def roc_auc(self) -> Estimate:
        """Area under the ROC curve."""
        return estimate(roc_auc(self.cases.scores, self.cases.labels), self._curves.auc)

    def average_precision(self) -> Estimate:
        """Area under the precision-recall curve at the cases' own prevalence."""
        return estimate(average_precision(self.cases.scores, self.cases.labels), self._curves.precision)

    @property
    def drawn_areas(self) -> tuple[Vector, Vector]:
        """Areas under the ROC and the precision-recall curve in every draw ``(draws,)``; NaN without a class."""
        return self._curves.auc, self._curves.precision

    def drawn_rates(self, threshold: float) -> tuple[Vector, Vector]:
        """Sensitivity and specificity at a threshold in every draw ``(draws,)``; NaN without the class."""
        drawn = _rates(self.draws.sums(self._hits(threshold)), self._drawn_classes, None)
        return drawn["sensitivity"], drawn["specificity"]

    def histogram(self, bins: int = 40) -> Histogram:
        """Count the scores of each class.

        Scores in [0, 1] are counted from 0 to a round number above them all: a model that is calibrated for a rare
        cancer has all of them near 0, and bars over the whole range would be one.
        """
        scores, labels = self.cases.scores, self.cases.labels
        span = (float(scores.min()), float(scores.max()))
        if span[0] >= 0 and span[1] <= 1:
            span = (0.0, min(top for top in _TOPS if top >= span[1]))
        positive, edges = np.histogram(scores[labels], bins, span)
        negative, _ = np.histogram(scores[~labels], bins, span)
        return Histogram(edges, positive, negative)

    def _hits(self, threshold: float) -> NDArray[np.bool_]:
        """Flagged positives and flagged negatives ``(N, 2)``."""
        flagged = self.cases.scores >= threshold
        return np.stack([flagged & self.cases.labels, flagged & ~self.cases.labels], axis=1)

    @staticmethod
    def _prevalence(prevalence: float | None, classes: NDArray[np.float64]) -> Vector:
        """Prevalence of every draw ``(draws, 1)``."""
        if prevalence is not None:
            check_prevalence(prevalence)
            return np.full((len(classes), 1), prevalence)
        return np.asarray(classes[:, :1] / classes.sum(1, keepdims=True), np.float64)

    @cached_property
    def _curves(self) -> "_Curves":
        return _curves(self.cases, self.draws.times[:, self.draws.patient_of])

    @cached_property
    def _whole(self) -> "_Curves":
        return _curves(self.cases, np.ones((1, len(self.cases)), np.float32))


@dataclass(frozen=True)
class _Curves:
    """Curves of every draw on the grid; NaN where a draw lacks a class."""

    sensitivity: Vector
    """``(draws, GRID)`` at false positive rates from 0 to 1, between two points along the line."""
    reached: Vector
    """``(draws, GRID)``: sensitivity at the highest threshold that reaches one from 0 to 1."""
    false_positive: Vector
    """``(draws, GRID)``: false positive rate there."""
    auc: Vector
    """``(draws,)``."""
    precision: Vector
    """``(draws,)``: average precision."""


def _curves(cases: Cases, weights: NDArray[np.float32]) -> _Curves:
    """Run through the cases from the highest score down, once per draw; ``weights`` ``(draws, N)``."""
    order = np.argsort(-cases.scores, kind="stable")
    falling, labels = cases.scores[order], cases.labels[order]
    last = np.flatnonzero(np.r_[np.diff(falling) != 0, True])  # of each run of equal scores
    rates = np.linspace(0, 1, GRID)
    found = [_curve(row[order].astype(np.float64), labels, last, rates) for row in weights]
    return _Curves(*(np.array(part) for part in zip(*found, strict=True)))


def _curve(
    weights: Vector, labels: NDArray[np.bool_], last: NDArray[np.intp], rates: Vector
) -> tuple[Vector, Vector, Vector, float, float]:
    """One draw's curves, cases by falling score, ``last`` of each tie."""
    hits = np.r_[0.0, np.cumsum(weights * labels)[last]]
    alarms = np.r_[0.0, np.cumsum(weights * ~labels)[last]]
    if not hits[-1] or not alarms[-1]:
        nothing = np.full(rates.size, np.nan)
        return nothing, nothing, nothing, float("nan"), float("nan")
    sensitivity, false_positive = hits / hits[-1], alarms / alarms[-1]
    area = float((np.diff(false_positive) * (sensitivity[1:] + sensitivity[:-1]) / 2).sum())
    flagged = hits[1:] + alarms[1:]
    precise = np.divide(hits[1:], flagged, out=np.zeros(flagged.size), where=flagged > 0)
    average = float((np.diff(sensitivity) * precise).sum())
    # The first threshold that reaches a rate; the margin keeps what is equal on paper on the same side.
    reached = np.minimum(np.searchsorted(sensitivity, rates - 1e-12), sensitivity.size - 1)
    heights = np.interp(rates, false_positive, sensitivity)
    return heights, sensitivity[reached], false_positive[reached], area, average


def _precision(curves: _Curves, prevalence: Vector) -> Vector:
    """PPV ``(draws, GRID - 1)`` by Bayes' rule, at every sensitivity but 0."""
    right, wrong = prevalence * curves.reached[:, 1:], (1 - prevalence) * curves.false_positive[:, 1:]
    return np.asarray(right / (right + wrong), np.float64)


def _rates(hits: Vector, classes: Vector, prevalence: float | None) -> dict[str, Vector]:
    """Figures of every draw ``(draws,)`` from flagged positives and negatives and their totals, ``(draws, 2)`` each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found, alarm = (hits / classes).T
        if prevalence is None:
            weights = 1 / classes.sum(1, keepdims=True)
        else:
            check_prevalence(prevalence)
            weights = np.array([prevalence, 1 - prevalence]) / classes
            weights[(classes == 0).any(1)] = np.nan
        right, wrong = (weights * hits).T
        missed, spared = (weights * (classes - hits)).T
        return {
            "sensitivity": found,
            "specificity": 1 - alarm,
            "ppv": right / (right + wrong),
            "npv": spared / (spared + missed),
            "recalled": 1000 * (right + wrong),
            "found": 1000 * right,
            "missed": 1000 * missed,
            "recall_rate": hits.sum(1) / classes.sum(1),
        }


def _band(drawn: Vector) -> tuple[Vector, Vector]:
    """Pointwise 95 % band of curves ``(draws, n)``, draws without a class left out."""
    whole = drawn[~np.isnan(drawn).any(1)]
    low, high = np.quantile(whole, [0.025, 0.975], axis=0)
    return low, high


def check_cases(cases: Cases) -> None:
    """Raise InputError, in a sentence, for cases of which no figure with an interval can be made."""
    if not len(cases):
        raise InputError("cases", f"there is no {cases.unit} whose truth is known")
    for kind, inside in (("positive", cases.labels), ("negative", ~cases.labels)):
        patients = {cases.patients[place] for place in np.flatnonzero(inside)}
        if not patients:
            raise InputError("cases", f"none of the {len(cases)} is {kind}: a threshold is judged on both classes")
        if len(patients) == 1:
            raise InputError("cases", f"only one patient is {kind}: an interval needs at least two of each class")
