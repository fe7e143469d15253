"""What a figure would be at another prevalence than that of the set it is measured on, by weights.

Knows nothing of models: it assumes that positives and negatives look the same whatever their share, which holds
where a set was drawn by outcome, as enriched sets are.
"""

import numpy as np

from mammo_core.errors import InputError
from mammo_core.metrics import Labels, Scores, Statistic, Weights


def weights_at(labels: Labels, prevalence: float, weights: Weights | None = None) -> Weights:
    """Weights ``(N,)`` under which the positives make up ``prevalence`` of the whole, which stays what it was.

    Raises InputError where ``prevalence`` is outside (0, 1) or a class is missing.
    """
    check_prevalence(prevalence)
    weights = np.ones(labels.size) if weights is None else weights
    total, positive = float(weights.sum()), float(weights @ labels)
    if not 0 < positive < total:
        raise InputError("prevalence", f"cannot be made {prevalence:g}: the units are all positive or all negative")
    return weights * np.where(labels, prevalence * total / positive, (1 - prevalence) * total / (total - positive))


def at_prevalence(statistic: Statistic, prevalence: float) -> Statistic:
    """The statistic at a stated prevalence; inside a bootstrap every draw is re-weighted by itself.

    Sensitivity, specificity and ROC-AUC stay as they are, predictive values, average precision, accuracy and
    recall rate move. NaN where a class is missing. Raises InputError where ``prevalence`` is outside (0, 1).
    """
    check_prevalence(prevalence)

    def moved(scores: Scores, labels: Labels, weights: Weights) -> float:
        positive = float(weights @ labels)
        if not 0 < positive < float(weights.sum()):
            return float("nan")
        return statistic(scores, labels, weights_at(labels, prevalence, weights))

    return moved


def check_prevalence(prevalence: float) -> None:
    """Raise InputError for a prevalence outside (0, 1)."""
    if not 0 < prevalence < 1:
        raise InputError("prevalence", f"{prevalence:g} is not between 0 and 1")
