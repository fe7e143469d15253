"""How sure a figure is: bootstrap over patients, differences between two models, DeLong's variance, Holm.

Knows nothing of models or images, nor which figures there are: a statistic is a function of scores, labels and
weights.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammo_core.errors import InputError
from mammo_core.metrics import Labels, Scores, Statistic, Weights

DRAWS = 2000
"""Bootstrap draws where none are asked for."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """How much higher a figure is for a than for b, with its 95 % interval and two-sided p-value."""

    value: float
    low: float
    high: float
    p: float


def bootstrap(
    statistic: Statistic,
    scores: NDArray[np.float64],
    labels: Labels,
    patients: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """Measure a statistic with its 95 % percentile interval, resampling whole patients.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. ``scores`` ``(N,)``, ``labels`` and
    ``patients`` have one entry per unit (breast, view); all units of a drawn patient come along, as weights. Scores
    ``(R, N)`` are R repeats of one way of training (seeds): the figure is the mean over repeats, and repeats are
    drawn too, so that the interval holds the luck of training. ``(R, C, N)`` are C copies of each repeat (varied
    pictures): the figure of a repeat is the mean over its copies, which are never drawn: copies of the same training
    say nothing of its luck. Draws in which the statistic does not exist (NaN) are left out. The same patients and
    seed give the same draws. Raises InputError where lengths differ, the set is empty or the statistic does not exist
    on it.
    """
    runs = _Repeats(statistic, scores, labels, patients)
    values = np.array([float(runs.drawn(weights, repeats)) for weights, repeats in runs.draws(draws, seed)])
    return Estimate(runs.value(), *_interval(values))


def bootstrap_many(
    statistics: Callable[[Scores, Labels, Weights], NDArray[np.float64]],
    scores: NDArray[np.float64],
    labels: Labels,
    patients: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Estimate]:
    """Measure K figures, which one function returns as ``(K,)``, on the same draws as :func:`bootstrap` makes.

    A figure that does not exist is an estimate of NaN, and no error.
    """
    runs = _Repeats(statistics, scores, labels, patients)
    values = np.stack([runs.drawn(weights, repeats) for weights, repeats in runs.draws(draws, seed)])
    wholes = np.asarray(runs.whole())
    return [estimate(float(value), column) for value, column in zip(wholes, values.T, strict=True)]


def paired_bootstrap(
    statistic: Statistic,
    scores_a: NDArray[np.float64],
    scores_b: NDArray[np.float64],
    labels: Labels,
    patients: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> PairedDifference:
    """Measure ``statistic(a) - statistic(b)`` on the same units, both models on the same draws of patients.

    Scores ``(N,)``, ``(R, N)`` or ``(R, C, N)``, with the same seeds in the same order, as for :func:`bootstrap`. The
    p-value is twice the smaller tail beyond zero, ``2 * (1 + tail) / (1 + draws)``: never zero (Davison and Hinkley
    1997, section 4.2). Raises InputError as :func:`bootstrap` does, and where the shapes of a and b differ.
    """
    if scores_a.shape != scores_b.shape:
        raise InputError("paired bootstrap", f"scores of a are {scores_a.shape}, of b {scores_b.shape}")
    a = _Repeats(statistic, scores_a, labels, patients)
    b = _Repeats(statistic, scores_b, labels, patients)
    values = np.array([a.drawn(w, repeats) - b.drawn(w, repeats) for w, repeats in a.draws(draws, seed)])
    return difference(a.value() - b.value(), values)


def difference(value: float, drawn: NDArray[np.float64]) -> PairedDifference:
    """Put interval and p-value, as :func:`paired_bootstrap` has them, around a difference from what was drawn."""
    drawn = drawn[~np.isnan(drawn)]
    low, high = _interval(drawn)
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return PairedDifference(value, low, high, min(1.0, 2 * (1 + tail) / (1 + drawn.size)))


def delong(scores: NDArray[np.float64], labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ROC-AUC of K models on the same independent units, and their covariance: ``(K, N)`` -> ``(K,)``, ``(K, K)``.

    DeLong, DeLong and Clarke-Pearson (1988) by the midranks of Sun and Xu (2014). It takes every unit as
    independent: right for one score per patient, too narrow for two breasts of each. Raises InputError where either
    class has fewer than two units.
    """
    positives = int(labels.sum())
    negatives = labels.size - positives
    if min(positives, negatives) < 2:
        raise InputError("DeLong", f"needs two units of each class; got {positives} positive, {negatives} negative")
    stacked = np.atleast_2d(scores)
    ranks = np.stack([_midranks(row) for row in stacked])
    own_positive = np.stack([_midranks(row) for row in stacked[:, labels]])
    own_negative = np.stack([_midranks(row) for row in stacked[:, ~labels]])
    # Share of negatives below each positive, and of positives above each negative.
    above = (ranks[:, labels] - own_positive) / negatives
    below = 1 - (ranks[:, ~labels] - own_negative) / positives
    covariance = np.atleast_2d(np.cov(above)) / positives + np.atleast_2d(np.cov(below)) / negatives
    return above.mean(axis=1), covariance


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values corrected for their number by Holm's step-down rule (1979), in the order given."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return tuple(corrected)


class PatientDraws:
    """The draws of :func:`bootstrap` as one matrix: the interval of any count per patient is a product away.

    For figures that are asked for again and again on the same units, as when a threshold is moved.
    """

    def __init__(self, patients: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> None:
        _, self.patient_of = np.unique(np.asarray(patients), return_inverse=True)
        self.count = int(self.patient_of.max()) + 1
        generator = np.random.default_rng(seed)
        self.times: NDArray[np.float32] = np.empty((draws, self.count), np.float32)
        """How often each patient is in each draw, ``(draws, patients)``; whole numbers, exact in float32."""
        for row in self.times:
            row[:] = np.bincount(generator.integers(0, self.count, self.count), minlength=self.count)

    def sums(self, columns: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Count units in every draw: ``(N, K)`` -> ``(draws, K)``."""
        per_patient = np.stack(
            [np.bincount(self.patient_of, column, minlength=self.count) for column in columns.T], axis=1
        )
        return np.asarray(self.times @ per_patient.astype(np.float32), np.float64)


def estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
    """Put the 95 % percentile interval of what was drawn around a figure; NaN throughout where it does not exist."""
    if np.isnan(value) or np.isnan(drawn).all():
        return Estimate(float("nan"), float("nan"), float("nan"))
    return Estimate(float(value), *_interval(drawn))


class _Repeats:
    """One model's scores in R repeats of C copies, each sorted once, so that every draw finds them in order."""

    def __init__(
        self,
        statistic: Callable[[Scores, Labels, Weights], Any],
        scores: NDArray[np.float64],
        labels: Labels,
        patients: Sequence[str],
    ) -> None:
        stacked = np.atleast_2d(scores)
        stacked = stacked[:, None] if stacked.ndim == 2 else stacked
        if not stacked.shape[2] == labels.size == len(patients) > 0:
            sizes = f"{stacked.shape[2]} scores, {labels.size} labels, {len(patients)} patients"
            raise InputError("bootstrap", f"needs as many of each and at least one; got {sizes}")
        self._statistic = statistic
        _, self._patient_of = np.unique(np.asarray(patients), return_inverse=True)
        self._sorted = [[_in_order(row, labels) for row in copies] for copies in stacked]

    def draws(self, count: int, seed: int) -> Iterator[tuple[Weights, NDArray[np.intp]]]:
        """How often each unit is drawn, float64 (N,), and which repeats; the same for the same patients and seed."""
        generator = np.random.default_rng(seed)
        patients, repeats = int(self._patient_of.max()) + 1, len(self._sorted)
        for _ in range(count):
            times = np.bincount(generator.integers(0, patients, patients), minlength=patients)
            drawn = np.zeros(1, np.intp) if repeats == 1 else generator.integers(0, repeats, repeats)
            yield times[self._patient_of].astype(np.float64), drawn

    def drawn(self, weights: Weights, repeats: NDArray[np.intp]) -> Any:
        """Mean of the statistic (number or array) over these repeats, each unit as often as the weights say."""
        values = {}
        for repeat in set(repeats.tolist()):
            copies = self._sorted[repeat]
            values[repeat] = np.mean([self._statistic(s, y, weights[order]) for s, y, order in copies], axis=0)
        return np.mean([values[repeat] for repeat in repeats.tolist()], axis=0)

    def whole(self) -> Any:
        """Mean of the statistic over all repeats, every unit once."""
        return self.drawn(np.ones(self._patient_of.size), np.arange(len(self._sorted)))

    def value(self) -> float:
        """Return `whole` as a number; InputError where it does not exist."""
        found = float(self.whole())
        if np.isnan(found):
            raise InputError("bootstrap", "the statistic does not exist on these units: is one class missing?")
        return found


def _in_order(scores: Scores, labels: Labels) -> tuple[Scores, Labels, NDArray[np.intp]]:
    """Scores from the lowest, their labels, and where each of them stood."""
    order = np.argsort(scores, kind="stable")
    return scores[order], labels[order], order


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if values.size == 0:
        raise InputError("bootstrap", "the statistic does not exist in any draw: is one class missing?")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean: ``(N,)`` -> ``(N,)``."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], np.float64)
