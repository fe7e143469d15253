"""A threshold on the score: how it was chosen, on what, and what it costs.

Knows nothing of models: cases in, an :class:`OperatingPoint` out.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.intervals import bootstrap
from mammo_core.metrics import roc_curve, sensitivity, specificity
from mammo_core.prevalence import weights_at
from mammo_core.settings import Settings


class Rate(Settings):
    """A rate in [0, 1] with its 95 % interval (bootstrap over patients)."""

    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class OperatingPoint(Settings):
    """Flag where ``score >= threshold``."""

    threshold: float = Field(allow_inf_nan=False)
    """On the model's (calibrated) score."""
    rule: str
    """How the threshold was chosen, in words."""
    sensitivity: Rate
    specificity: Rate
    unit: str
    """What one score stands for: "breast"."""
    n: int = Field(gt=0)
    """Units in the set that it comes from."""
    positives: int = Field(gt=0)
    """Positive units among them."""
    source: str
    """Sentence saying on which data threshold, sensitivity and specificity were found."""


def threshold_at_specificity(cases: Cases, wanted: float) -> float:
    """Find the most sensitive threshold whose specificity is at least ``wanted``.

    It lies half-way between the highest score that must stay below and the next score up, so that rounding
    moves nobody across. Raises InputError where a class is missing or ``wanted`` is outside (0, 1].
    """
    _check(cases.labels, "specificity", wanted)
    negatives = np.sort(cases.scores[~cases.labels])
    # The smallest number of negatives below the threshold that reaches the wanted specificity.
    below = int(np.ceil(wanted * negatives.size - 1e-9))
    return _flagging(cases.scores, cases.scores > negatives[below - 1])


def threshold_at_sensitivity(cases: Cases, wanted: float) -> float:
    """Find the most specific threshold whose sensitivity is at least ``wanted``; errors as for a specificity."""
    _check(cases.labels, "sensitivity", wanted)
    positives = np.sort(cases.scores[cases.labels])
    missed = positives.size - int(np.ceil(wanted * positives.size - 1e-9))
    return _flagging(cases.scores, cases.scores >= positives[missed])


def threshold_at_recall_rate(cases: Cases, wanted: float, prevalence: float | None = None) -> float:
    """Find the lowest threshold that flags at most ``wanted`` of all units, at their prevalence or a stated one.

    Errors as for a specificity, and where ``prevalence`` is outside (0, 1).
    """
    _check(cases.labels, "recall rate", wanted)
    weights = np.ones(len(cases)) if prevalence is None else weights_at(cases.labels, prevalence)
    _, place = np.unique(-cases.scores, return_inverse=True)
    recalled = np.cumsum(np.bincount(place, weights)) / weights.sum()
    allowed = int((recalled <= wanted + 1e-9).sum())
    return _flagging(cases.scores, place < allowed)


def threshold_of_youden(cases: Cases) -> float:
    """Find the threshold with the highest sensitivity + specificity - 1 (Youden 1950), the higher of two equals.

    Raises InputError where a class is missing.
    """
    _check(cases.labels)
    curve = roc_curve(cases.scores, cases.labels)
    # Rounding must not decide between two that are equal on paper.
    index = np.round(curve.sensitivity + curve.specificity - 1, 12)
    return _flagging(cases.scores, cases.scores >= curve.thresholds[int(index.argmax())])


def at_specificity(cases: Cases, *, wanted: float) -> OperatingPoint:
    """Choose by `threshold_at_specificity` and measure."""
    rule = f"highest sensitivity at a specificity of at least {wanted:.0%}"
    return measured_at(threshold_at_specificity(cases, wanted), cases, rule=rule)


def at_sensitivity(cases: Cases, *, wanted: float) -> OperatingPoint:
    """Choose by `threshold_at_sensitivity` and measure."""
    rule = f"highest specificity at a sensitivity of at least {wanted:.0%}"
    return measured_at(threshold_at_sensitivity(cases, wanted), cases, rule=rule)


def at_recall_rate(cases: Cases, *, wanted: float, prevalence: float | None = None) -> OperatingPoint:
    """Choose by `threshold_at_recall_rate` and measure."""
    stated = "" if prevalence is None else f" at a prevalence of {prevalence:.2%}"
    rule = f"recall rate of at most {wanted:.1%}{stated}"
    return measured_at(threshold_at_recall_rate(cases, wanted, prevalence), cases, rule=rule)


def youden(cases: Cases) -> OperatingPoint:
    """Choose by `threshold_of_youden` and measure."""
    rule = "highest Youden index (sensitivity + specificity - 1)"
    return measured_at(threshold_of_youden(cases), cases, rule=rule)


def measured_at(threshold: float, cases: Cases, *, rule: str) -> OperatingPoint:
    """Measure sensitivity and specificity of a given threshold on these units."""
    given = (cases.scores, cases.labels, cases.patients)

    def rate(kind: str) -> Rate:
        measure = sensitivity if kind == "sensitivity" else specificity
        found = bootstrap(lambda s, y, w: measure(s, y, threshold, w), *given)
        return Rate(value=found.value, low=found.low, high=found.high)

    return OperatingPoint(
        threshold=threshold,
        rule=rule,
        sensitivity=rate("sensitivity"),
        specificity=rate("specificity"),
        unit=cases.unit,
        n=len(cases),
        positives=cases.positives,
        source=cases.source,
    )


def _check(labels: NDArray[np.bool_], name: str = "", wanted: float = 1.0) -> None:
    if not 0 < wanted <= 1:
        raise InputError(f"wanted {name}", f"{wanted} is not in (0, 1]")
    if labels.all() or not labels.any():
        raise InputError("operating point", "needs both positive and negative units")


def _flagging(scores: NDArray[np.float64], flagged: NDArray[np.bool_]) -> float:
    """Threshold that flags these, the highest scores, and no other: half-way to the next score down."""
    if not flagged.any():
        return float(np.nextafter(scores.max(), np.inf))
    lowest = float(scores[flagged].min())
    below = scores[scores < lowest]
    return (lowest + float(below.max())) / 2 if below.size else float(np.nextafter(lowest, -np.inf))
