"""Figures of merit of scores against truth, each unit counting with a weight.

Knows nothing of models, images or chance: arrays in, one number out; :mod:`mammo_core.intervals` puts an interval
around it. A unit (view, breast, patient) is flagged where ``score >= threshold``. Weights are multiplicities: a
weight of two is the unit twice, a weight of zero is the unit left out; ``None`` counts every unit once. A figure
that does not exist (a class is missing, nothing is flagged) is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""Float64 (N,): the higher, the more suspicious."""
Labels = NDArray[np.bool_]
"""Bool (N,): True is cancer."""
Weights = NDArray[np.float64]
"""Float64 (N,), at least zero."""
Statistic = Callable[[Scores, Labels, Weights], float]
"""What a bootstrap draws again and again: the draw is in the weights."""


@dataclass(frozen=True)
class RocCurve:
    """Operating points from "nothing is flagged" to "everything is flagged"; float64 (K,) each."""

    thresholds: NDArray[np.float64]
    """Falling, from infinity through every score that occurs."""
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]


@dataclass(frozen=True)
class PrCurve:
    """Recall and precision at every score that occurs, from the highest threshold down; float64 (K,) each."""

    thresholds: NDArray[np.float64]
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]


def roc_auc(scores: Scores, labels: Labels, weights: Weights | None = None) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Mann-Whitney form (Hanley and McNeil 1982).
    """
    positive, negative, _ = _tied(scores, labels, weights)
    passed = np.cumsum(negative)
    pairs = positive.sum() * passed[-1]
    # A positive beats every negative on a lower score, and half of those on its own.
    return float((positive @ (passed[-1] - passed + negative / 2)) / pairs) if pairs else float("nan")


def average_precision(scores: Scores, labels: Labels, weights: Weights | None = None) -> float:
    """Area under the precision-recall curve as average precision: ``sum((R_k - R_{k-1}) * P_k)``.

    No interpolation, which would be too optimistic (Davis and Goadrich 2006). Chance level is the prevalence.
    """
    positive, negative, _ = _tied(scores, labels, weights)
    total = positive.sum()
    if not total or not negative.sum():
        return float("nan")
    hits = np.cumsum(positive)
    flagged = hits + np.cumsum(negative)
    found = positive > 0
    return float((positive[found] * (hits[found] / flagged[found])).sum() / total)


def probabilistic_f1(scores: Scores, labels: Labels, weights: Weights | None = None) -> float:
    """``2 * sum(p * y) / (sum(p) + sum(y))`` for probabilities in [0, 1]: F1 without a threshold."""
    weights = _weights(labels, weights)
    below = float(weights @ scores) + float(weights @ labels)
    return 2 * float((weights * scores) @ labels) / below if below else float("nan")


def brier(scores: Scores, labels: Labels, weights: Weights | None = None) -> float:
    """Mean squared difference between probability and truth (Brier 1950)."""
    weights = _weights(labels, weights)
    total = weights.sum()
    return float(weights @ (scores - labels) ** 2 / total) if total else float("nan")


def sensitivity(scores: Scores, labels: Labels, threshold: float, weights: Weights | None = None) -> float:
    """Part of the positives that is flagged (recall)."""
    cells = _cells(scores, labels, threshold, weights)
    return _part(cells.true_positive, cells.false_negative)


def specificity(scores: Scores, labels: Labels, threshold: float, weights: Weights | None = None) -> float:
    """Part of the negatives that is not flagged."""
    cells = _cells(scores, labels, threshold, weights)
    return _part(cells.true_negative, cells.false_positive)


def recall_rate(scores: Scores, labels: Labels, threshold: float, weights: Weights | None = None) -> float:
    """Part of all units that is flagged: the women (or breasts) called back."""
    cells = _cells(scores, labels, threshold, weights)
    return _part(cells.true_positive + cells.false_positive, cells.true_negative + cells.false_negative)


def ppv(scores: Scores, labels: Labels, threshold: float, weights: Weights | None = None) -> float:
    """Positive predictive value: part of the flagged that is positive (precision)."""
    cells = _cells(scores, labels, threshold, weights)
    return _part(cells.true_positive, cells.false_positive)


def npv(scores: Scores, labels: Labels, threshold: float, weights: Weights | None = None) -> float:
    """Negative predictive value: part of what is not flagged that is negative."""
    cells = _cells(scores, labels, threshold, weights)
    return _part(cells.true_negative, cells.false_negative)


def accuracy(scores: Scores, labels: Labels, threshold: float, weights: Weights | None = None) -> float:
    """Part of all units that is called rightly; to be shown only beside :func:`all_negative_accuracy`."""
    cells = _cells(scores, labels, threshold, weights)
    right = cells.true_positive + cells.true_negative
    return _part(right, cells.false_positive + cells.false_negative)


def f1(scores: Scores, labels: Labels, threshold: float, weights: Weights | None = None) -> float:
    """Harmonic mean of sensitivity and positive predictive value; zero where no positive is found."""
    cells = _cells(scores, labels, threshold, weights)
    return _part(2 * cells.true_positive, cells.false_positive + cells.false_negative)


def all_negative_accuracy(scores: Scores, labels: Labels, weights: Weights | None = None) -> float:
    """Accuracy of calling everything negative, whatever the scores: one less the prevalence."""
    return accuracy(scores, labels, np.inf, weights)


def sensitivity_at_specificity(
    scores: Scores, labels: Labels, weights: Weights | None = None, wanted: float = 0.9
) -> float:
    """Highest sensitivity among the thresholds whose specificity is at least ``wanted``; no interpolation."""
    curve = roc_curve(scores, labels, weights)
    # Rounding in sums of weights must not lose a threshold that is exactly as specific as wanted.
    kept = curve.sensitivity[curve.specificity >= wanted - 1e-9]
    return float(kept.max()) if kept.size else float("nan")


def specificity_at_sensitivity(
    scores: Scores, labels: Labels, weights: Weights | None = None, wanted: float = 0.9
) -> float:
    """Highest specificity among the thresholds whose sensitivity is at least ``wanted``; no interpolation."""
    curve = roc_curve(scores, labels, weights)
    kept = curve.specificity[curve.sensitivity >= wanted - 1e-9]
    return float(kept.max()) if kept.size else float("nan")


def roc_curve(scores: Scores, labels: Labels, weights: Weights | None = None) -> RocCurve:
    """Sensitivity and specificity at every threshold that makes a difference; NaN where a class is missing."""
    positive, negative, thresholds = _tied(scores, labels, weights)
    return RocCurve(
        np.r_[np.inf, thresholds],
        _running_part(positive),
        1 - _running_part(negative),
    )


def pr_curve(scores: Scores, labels: Labels, weights: Weights | None = None) -> PrCurve:
    """Recall and precision at every score that occurs, thresholds at which nothing is flagged left out."""
    positive, negative, thresholds = _tied(scores, labels, weights)
    hits = np.cumsum(positive)
    flagged = hits + np.cumsum(negative)
    some = flagged > 0
    return PrCurve(thresholds[some], _running_part(positive)[1:][some], hits[some] / flagged[some])


@dataclass(frozen=True)
class _Cells:
    """Total weight in each cell of the two-by-two table."""

    true_positive: float
    false_positive: float
    true_negative: float
    false_negative: float


def _cells(scores: Scores, labels: Labels, threshold: float, weights: Weights | None) -> _Cells:
    weights = _weights(labels, weights)
    flagged = scores >= threshold
    positives, flags, hits = weights @ labels, weights @ flagged, weights @ (flagged & labels)
    rest = weights.sum() - positives - flags + hits
    return _Cells(float(hits), float(flags - hits), float(rest), float(positives - hits))


def _part(inside: float, outside: float) -> float:
    """``inside / (inside + outside)``; rounding of sums may leave a hair below zero."""
    inside, outside = max(inside, 0.0), max(outside, 0.0)
    return inside / (inside + outside) if inside + outside > 0 else float("nan")


def _weights(labels: Labels, weights: Weights | None) -> Weights:
    return np.ones(labels.size) if weights is None else weights


def _running_part(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Part of the whole weight so far, ``(K,)`` -> ``(K + 1,)`` from 0 to 1; NaN where there is none."""
    running = np.r_[0.0, np.cumsum(weights)]
    return running / running[-1] if running[-1] > 0 else np.full_like(running, np.nan)


def _tied(
    scores: Scores, labels: Labels, weights: Weights | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Positive and negative weight on every distinct score, and the scores, from the highest down; ``(K,)`` each."""
    weights = _weights(labels, weights)
    # A bootstrap hands the same scores over again and again: it sorts them once.
    in_order = bool((scores[1:] >= scores[:-1]).all())
    order = slice(None, None, -1) if in_order else np.argsort(scores, kind="stable")[::-1]
    ordered, weight = scores[order], weights[order]
    positive = weight * labels[order]
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if changes.size == ordered.size - 1:
        return positive, weight - positive, ordered
    first = np.r_[0, changes]
    return np.add.reduceat(positive, first), np.add.reduceat(weight - positive, first), ordered[first]
