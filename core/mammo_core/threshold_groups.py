"""One threshold on parts of a set of cases: by density, age, views, machine, manufacturer and whatever else is known.

Knows nothing of models. A small group is measured like any other and said to be small.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_core.cases import Cases
from mammo_core.intervals import Estimate, PatientDraws, estimate

NOT_STATED = "not stated"
SEVERAL = "several"
"""Value of a breast whose images differ, such as two machines."""
AGE_BANDS = (40.0, 50.0, 60.0, 70.0)
"""Ages at which a new band begins."""
FEW = 10
"""Positives or negatives below which a group is warned about."""
MOST = 24
"""Groups of one kind that are shown; a set with more machines than that has its smallest left out."""


@dataclass(frozen=True)
class GroupFigures:
    """What the threshold costs in one group; a rate without a case is NaN."""

    by: str
    """Column of `Cases.groups`."""
    value: str
    n: int
    positives: int
    patients: int
    sensitivity: Estimate
    specificity: Estimate
    recall_rate: Estimate
    warning: str
    """Why little can be said of this group, or empty."""


class GroupTable:
    """Cases sorted into groups once, for every threshold that may be asked for."""

    def __init__(self, cases: Cases, draws: PatientDraws) -> None:
        """``draws`` are of the cases' patients."""
        self._cases = cases
        self._draws = draws
        self._groups = [
            (by, value, inside)
            for by, values in cases.groups.items()
            for value, inside in _groups(_banded(values) if by == "age" else values)
        ]
        classes = [part for _, _, inside in self._groups for part in (inside & cases.labels, inside & ~cases.labels)]
        self._drawn = draws.sums(np.stack(classes, axis=1)) if classes else np.empty((0, 0))

    def at(self, threshold: float) -> tuple[GroupFigures, ...]:
        """Measure every group at a threshold, in the order of the columns and of their values."""
        cases = self._cases
        flagged = cases.scores >= threshold
        if not self._groups:
            return ()
        kinds = (flagged & cases.labels, flagged & ~cases.labels)
        hits = self._draws.sums(np.stack([inside & kind for _, _, inside in self._groups for kind in kinds], axis=1))
        return tuple(
            self._figures(number, flagged, hits[:, 2 * number : 2 * number + 2]) for number in range(len(self._groups))
        )

    def _figures(self, number: int, flagged: NDArray[np.bool_], hits: NDArray[np.float64]) -> GroupFigures:
        by, value, inside = self._groups[number]
        labels = self._cases.labels
        counts = np.array([[(inside & flagged & labels).sum(), (inside & flagged & ~labels).sum()]], np.float64)
        totals = np.array([[(inside & labels).sum(), (inside & ~labels).sum()]], np.float64)
        whole = _rates(counts, totals)
        drawn = _rates(hits, self._drawn[:, 2 * number : 2 * number + 2])
        found, alarm, recalled = (estimate(float(w[0]), d) for w, d in zip(whole, drawn, strict=True))
        positives, n = int(totals[0, 0]), int(totals.sum())
        patients = len({self._cases.patients[place] for place in np.flatnonzero(inside)})
        spared = Estimate(1 - alarm.value, 1 - alarm.high, 1 - alarm.low)
        return GroupFigures(by, value, n, positives, patients, found, spared, recalled, _warning(positives, n))


def age_band(age: float, starts: Sequence[float] = AGE_BANDS) -> str:
    """Name the band of an age in years, such as "under 40", "40 to 49" or "70 and over"; empty if it is not known."""
    if not np.isfinite(age):
        return ""
    place = int(np.searchsorted(starts, age, side="right"))
    if place == 0:
        return f"under {starts[0]:g}"
    if place == len(starts):
        return f"{starts[-1]:g} and over"
    return f"{starts[place - 1]:g} to {starts[place] - 1:g}"


def group_order(value: str) -> tuple[int, float, str]:
    """Key to sort groups by: bands of age in their order, numbers as numbers, other names by the alphabet.

    Last come "not stated" and "several".
    """
    if value in (NOT_STATED, SEVERAL):
        return (2, 0.0, value)
    if value.startswith("under "):
        return (0, -1.0, value)
    first = value.split(" ")[0]
    return (0, float(first), value) if first.replace(".", "", 1).isdigit() else (1, 0.0, value)


def _banded(ages: Sequence[str]) -> list[str]:
    """Ages as text, empty where they are not stated, -> their bands."""
    return [age_band(float(age)) if age else "" for age in ages]


def _groups(values: Sequence[str]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Each value and the units ``(N,)`` that have it; nothing where all are alike."""
    column = np.array([value or NOT_STATED for value in values], dtype=object)
    kinds, counts = np.unique(column.astype(str), return_counts=True)
    if kinds.size < 2:
        return []
    kept = sorted(kinds[np.argsort(-counts, kind="stable")[:MOST]], key=group_order)
    return [(str(kind), np.asarray(column == kind, np.bool_)) for kind in kept]


def _rates(hits: NDArray[np.float64], totals: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Rates at which positives, negatives and all are flagged ``(draws,)``, from ``(draws, 2)`` each."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return [*(hits / totals).T, hits.sum(1) / totals.sum(1)]


def _warning(positives: int, n: int) -> str:
    short = [f"{count} {kind}" for count, kind in ((positives, "positive"), (n - positives, "negative")) if count < FEW]
    return f"only {' and '.join(short)}" if short else ""
