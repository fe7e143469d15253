"""How many exams a threshold would take off a reader's list, against the cancers that would be missed with them.

Knows nothing of models. An exam is everything of one patient among the cases: its score is the highest of its units,
and it is positive if any of them is. Exams below the threshold are ruled out: nobody reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mammo_core.cases import Cases
from mammo_core.intervals import Estimate, PatientDraws, estimate
from mammo_core.prevalence import check_prevalence
from mammo_core.tradeoff import GRID, Curve, check_cases


@dataclass(frozen=True)
class WorkloadPoint:
    """What ruling out every exam below a threshold would do."""

    threshold: float
    prevalence: float
    """Of exams; what ``off_list`` and ``missed_per_1000`` hold for."""
    exams: int
    positives: int
    off_list: Estimate
    """Part of all exams that nobody would read."""
    cancers_missed: Estimate
    """Part of the positive exams among them."""
    missed_per_1000: Estimate
    """Positive exams that nobody would read, per 1,000 exams."""


class Workload:
    """Exams made ready for every threshold and prevalence that may be asked for."""

    def __init__(self, cases: Cases, *, draws: int = 2000, seed: int = 0) -> None:
        """Raises InputError as `mammo_core.tradeoff.Tradeoff` does."""
        self.exams = by_exam(cases)
        check_cases(self.exams)
        self._draws = PatientDraws(self.exams.patients, draws=draws, seed=seed)
        classes = np.stack([self.exams.labels, ~self.exams.labels], axis=1)
        self._drawn_classes = self._draws.sums(classes)

    def at(self, threshold: float, prevalence: float | None = None) -> WorkloadPoint:
        """Measure a threshold; ``prevalence`` of exams None is their own."""
        exams = self.exams
        below = exams.scores < threshold
        off = np.stack([below & exams.labels, below & ~exams.labels], axis=1)
        own = np.array([[exams.positives, len(exams) - exams.positives]], np.float64)
        whole = _shares(off.sum(0)[None].astype(np.float64), own, prevalence)
        drawn = _shares(self._draws.sums(off), self._drawn_classes, prevalence)
        off_list, missed, per_1000 = (estimate(float(w[0]), d) for w, d in zip(whole, drawn, strict=True))
        share = exams.prevalence if prevalence is None else prevalence
        return WorkloadPoint(threshold, share, len(exams), exams.positives, off_list, missed, per_1000)

    def curve(self, prevalence: float | None = None) -> Curve:
        """Part of the positive exams missed (y) over part of all exams taken off the list (x), with its band."""
        shares = np.linspace(0, 1, GRID)
        drawn = np.array([_along(shares, *part, prevalence) for part in self._drawn_curves])
        whole = _along(shares, *self._whole_curve, prevalence)
        low, high = np.quantile(drawn[~np.isnan(drawn).any(1)], [0.025, 0.975], axis=0)
        return Curve(shares, whole, low, high)

    def largest_off_list(self, missed_at_most: float) -> float:
        """Find the highest threshold at which at most this part of the positive exams is missed."""
        positives = np.sort(self.exams.scores[self.exams.labels])
        allowed = int(np.floor(missed_at_most * positives.size + 1e-9))
        # An exam exactly at the threshold is read.
        return float(positives[min(allowed, positives.size - 1)])

    @cached_property
    def _drawn_curves(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        weights = self._draws.times[:, self._draws.patient_of]
        return [self._off(row.astype(np.float64)) for row in weights]

    @cached_property
    def _whole_curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._off(np.ones(len(self.exams)))

    @cached_property
    def _rising(self) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]:
        """Order by rising score, labels in it, and the last exam of each tie."""
        order = np.argsort(self.exams.scores, kind="stable")
        last = np.flatnonzero(np.r_[np.diff(self.exams.scores[order]) != 0, True])
        return order, self.exams.labels[order], last

    def _off(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Counts of positive and negative exams off the list, from none to all, at every tie."""
        order, labels, last = self._rising
        weights = weights[order]
        positive, negative = (np.r_[0.0, np.cumsum(weights * kind)[last]] for kind in (labels, ~labels))
        return positive, negative


def by_exam(cases: Cases) -> Cases:
    """Make each patient's units one exam: the highest score, positive if any is."""
    patients, place = np.unique(np.asarray(cases.patients), return_inverse=True)
    scores = np.full(patients.size, -np.inf)
    np.maximum.at(scores, place, cases.scores)
    labels = np.bincount(place, cases.labels, minlength=patients.size) > 0
    return Cases(scores, labels, tuple(map(str, patients)), "exam", cases.source)


def _shares(
    off: NDArray[np.float64], totals: NDArray[np.float64], prevalence: float | None
) -> Sequence[NDArray[np.float64]]:
    """Part of exams off the list, of positives missed, and missed per 1,000 exams, ``(draws,)`` each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        positive, negative = (off / totals).T
        if prevalence is None:
            return off.sum(1) / totals.sum(1), positive, 1000 * off[:, 0] / totals.sum(1)
    check_prevalence(prevalence)
    return prevalence * positive + (1 - prevalence) * negative, positive, 1000 * prevalence * positive


def _along(
    shares: NDArray[np.float64],
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
    prevalence: float | None,
) -> NDArray[np.float64]:
    """Part of the positives missed where these shares of all exams are off the list; NaN without a class."""
    if not positive[-1] or not negative[-1]:
        return np.full(shares.size, np.nan)
    share = positive[-1] / (positive[-1] + negative[-1]) if prevalence is None else prevalence
    missed = positive / positive[-1]
    off_list = share * missed + (1 - share) * negative / negative[-1]
    return np.asarray(np.interp(shares, off_list, missed), np.float64)
