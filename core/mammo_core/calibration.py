"""From a logit to a probability at a stated prevalence: Platt scaling, then a prior shift.

Knows nothing of models: logits and labels in, a :class:`Calibration` out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mammo_core.errors import InputError
from mammo_core.settings import Settings

_STEPS = 100
_TOLERANCE = 1e-10
_FARTHEST = 16.0
"""Log-odds beyond which a probability counts as this far: one part in nine million from certainty."""


class Calibration(Settings):
    """``probability = sigmoid(slope * logit + intercept + logit(stated) - logit(fitted))``."""

    slope: float = Field(gt=0, allow_inf_nan=False)
    """Platt slope, per unit of the model's logit."""
    intercept: float = Field(allow_inf_nan=False)
    """Platt intercept, in log-odds."""
    fitted_prevalence: float = Field(gt=0, lt=1)
    """Prevalence of the set that slope and intercept were fitted on."""
    stated_prevalence: float = Field(gt=0, lt=1)
    """Prevalence at which the probability is to be understood."""
    unit: str
    """What one logit stands for: "view" or "breast"."""
    n: int = Field(gt=0)
    """Number of units that it was fitted on."""
    source: str
    """Which data it was fitted on, in words."""


def probability(calibration: Calibration, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Calibrated probabilities in (0, 1) for logits of any shape."""
    shift = prior_shift(calibration.stated_prevalence, calibration.fitted_prevalence)
    return sigmoid(calibration.slope * logits + calibration.intercept + shift)


def prior_shift(target: float, training: float, *, pos_weight: float = 1.0) -> float:
    """Return what to add to a log-odds learnt at one prevalence so that it holds at another.

    ``logit(target) - logit(training)``, where a loss that counts each positive ``pos_weight`` times sees
    odds that many times higher (Saerens, Latinne and Decaestecker 2002). Raises InputError outside (0, 1) or
    for a weight <= 0.
    """
    for name, value in (("target prevalence", target), ("training prevalence", training)):
        if not 0 < value < 1:
            raise InputError(name, f"{value} is not between 0 and 1")
    if not pos_weight > 0:
        raise InputError("pos_weight", f"{pos_weight} is not positive")
    return log_odds(target) - (log_odds(training) + float(np.log(pos_weight)))


def log_odds(prevalence: float) -> float:
    """``ln(p / (1 - p))``."""
    return float(np.log(prevalence) - np.log1p(-prevalence))


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 / (1 + exp(-x))`` without overflow, as float64."""
    small = np.exp(-np.abs(log_odds))
    return np.asarray(np.where(log_odds >= 0, 1 / (1 + small), small / (1 + small)), np.float64)


def fit_platt(logits: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and intercept of Platt scaling by Newton's method on his smoothed targets.

    Targets are ``(n_pos + 1) / (n_pos + 2)`` and ``1 / (n_neg + 2)`` (Platt 1999; Lin, Lin and Weng 2007),
    so that separable scores still have an answer. Raises InputError where a class is missing, a logit is not
    finite, or the scores do not rise with the label (a slope that is not positive would turn the ranking
    round).
    """
    positives = int(labels.sum())
    negatives = labels.size - positives
    if positives == 0 or negatives == 0:
        raise InputError("calibration", f"needs both classes; got {positives} positive and {negatives} negative")
    if not np.isfinite(logits).all():
        raise InputError("calibration", "a logit is not a finite number")
    target = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Newton on standardised logits: the Hessian is then well scaled whatever the model's units.
    mean, scale = float(logits.mean()), float(logits.std()) or 1.0
    design = np.stack([(logits - mean) / scale, np.ones_like(logits)], axis=1)
    found = _logistic(design, target, np.ones(labels.size), np.zeros(labels.size))
    slope = float(found[0]) / scale
    if slope <= 0:
        raise InputError("calibration", f"slope {slope:.3g} is not positive: scores do not rise with the label")
    return slope, float(found[1]) - slope * mean


@dataclass(frozen=True)
class CalibrationLine:
    """How probabilities must be bent to fit the truth: slope 1 and intercept 0 where they are right already."""

    slope: float
    """Below 1: too sure of itself at both ends. NaN where the scores part the classes without a fault."""
    intercept: float
    """Log-odds to add, the slope being left at 1 (calibration in the large). Above 0: probabilities too low."""


def calibration_line(
    probabilities: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> CalibrationLine:
    """Calibration slope and intercept of probabilities ``(N,)`` by logistic regression on their log-odds.

    Cox (1958); Van Calster et al., J Clin Epidemiol 74:167-176 (2016). Both are NaN where a class is missing.
    Raises InputError where a probability is outside [0, 1].
    """
    if probabilities.size and not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise InputError("calibration line", "a score is outside 0 to 1, or no number: it is no probability")
    weights = np.ones(labels.size) if weights is None else weights
    drawn = weights > 0
    y, weight = labels[drawn].astype(np.float64), weights[drawn]
    if not 0 < y.sum() < y.size:
        return CalibrationLine(float("nan"), float("nan"))
    with np.errstate(divide="ignore"):
        odds = np.log(probabilities[drawn]) - np.log1p(-probabilities[drawn])
    odds = np.clip(odds, -_FARTHEST, _FARTHEST)
    ones = np.ones_like(odds)
    intercept = _logistic(ones[:, None], y, weight, odds)[0]
    parted = odds[y == 1].min() >= odds[y == 0].max() or odds.min() == odds.max()
    slope = float("nan") if parted else _logistic(np.stack([odds, ones], axis=1), y, weight, 0 * odds)[0]
    return CalibrationLine(slope=float(slope), intercept=float(intercept))


def _logistic(
    design: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64], offset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted logistic regression by damped Newton steps: design ``(N, K)`` -> coefficients ``(K,)``."""

    def loss(at: NDArray[np.float64]) -> float:
        x = design @ at + offset
        return float(weight @ (np.logaddexp(0, x) - target * x))

    found = np.zeros(design.shape[1])
    now = loss(found)
    for _ in range(_STEPS):
        p = sigmoid(design @ found + offset)
        hessian = design.T @ (design * (weight * p * (1 - p))[:, None]) + 1e-12 * np.eye(found.size)
        step = np.linalg.solve(hessian, design.T @ (weight * (target - p)))
        while (then := loss(found + step)) > now + 1e-12 and np.abs(step).max() > _TOLERANCE:
            step = step / 2
        found, now = found + step, then
        if np.abs(step).max() < _TOLERANCE:
            break
    return found
