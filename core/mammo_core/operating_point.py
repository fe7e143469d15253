"""A threshold on the score: how it was chosen, on what, and what it costs.

Knows nothing of models: scores and labels in, an :class:`OperatingPoint` out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mammo_core.errors import InputError
from mammo_core.metrics import bootstrap, sensitivity, specificity
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


def at_specificity(
    scores: NDArray[np.float64],
    labels: NDArray[np.bool_],
    patients: Sequence[str],
    *,
    wanted: float,
    unit: str,
    source: str,
) -> OperatingPoint:
    """Choose the most sensitive threshold whose specificity is at least ``wanted``.

    It lies half-way between the highest score that must stay below and the next score up, so that rounding
    moves nobody across. Raises InputError where a class is missing or ``wanted`` is outside (0, 1].
    """
    if not 0 < wanted <= 1:
        raise InputError("wanted specificity", f"{wanted} is not in (0, 1]")
    if labels.all() or not labels.any():
        raise InputError("operating point", "needs both positive and negative units")
    threshold = _threshold_at_specificity(scores, labels, wanted)
    return measured_at(
        threshold,
        scores,
        labels,
        patients,
        rule=f"highest sensitivity at a specificity of at least {wanted:.0%}",
        unit=unit,
        source=source,
    )


def measured_at(
    threshold: float,
    scores: NDArray[np.float64],
    labels: NDArray[np.bool_],
    patients: Sequence[str],
    *,
    rule: str,
    unit: str,
    source: str,
) -> OperatingPoint:
    """Measure sensitivity and specificity of a given threshold on these units."""

    def rate(kind: str) -> Rate:
        measure = sensitivity if kind == "sensitivity" else specificity
        found = bootstrap(lambda s, y: measure(s, y, threshold), scores, labels, patients)
        return Rate(value=found.value, low=found.low, high=found.high)

    return OperatingPoint(
        threshold=threshold,
        rule=rule,
        sensitivity=rate("sensitivity"),
        specificity=rate("specificity"),
        unit=unit,
        n=int(labels.size),
        positives=int(labels.sum()),
        source=source,
    )


def _threshold_at_specificity(scores: NDArray[np.float64], labels: NDArray[np.bool_], wanted: float) -> float:
    negatives = np.sort(scores[~labels])
    # The smallest number of negatives below the threshold that reaches the wanted specificity.
    below = int(np.ceil(wanted * negatives.size - 1e-9))
    stays_below = negatives[below - 1]
    above = scores[scores > stays_below]
    if above.size == 0:
        return float(np.nextafter(stays_below, np.inf))
    return float((stays_below + above.min()) / 2)
