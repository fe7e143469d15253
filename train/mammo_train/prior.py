"""The prevalence that a phase's loss sees, and what a change of it between phases does to the logit.

Knows nothing of models or images: labels, and what the phase does with them.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.calibration import log_odds, prior_shift
from mammo_core.errors import InputError
from mammo_core.phases import Phase
from mammo_train.sampling import positives_drawn

Targets = TypeVar("Targets", Tensor, NDArray[np.float64])


@dataclass(frozen=True)
class SeenByLoss:
    """What a phase's loss sees of its labels, after sampling."""

    prevalence: float
    """Mean target in (0, 1): the share of positives drawn, after label smoothing."""
    pos_weight: float
    """How often the loss counts a positive."""

    @property
    def log_odds(self) -> float:
        """The log-odds that a model which knows nothing else ends up with: where the head's bias starts."""
        return log_odds(self.prevalence) + math.log(self.pos_weight)


def seen_by_loss(phase: Phase, labels: NDArray[np.bool_]) -> SeenByLoss:
    """Work out prevalence and positive weight from the labels ``(N,)`` of the phase's subset.

    A "balance" weight is negatives / positives as drawn in an epoch: with it both classes count the same, so that
    it is 1 where the sampling balances them already. Raises InputError where a class is missing.
    """
    positives, drawn = positives_drawn(labels, phase)
    if not 0 < positives < drawn:
        reason = f"needs both classes to learn from; got {positives} positive images of {drawn}"
        raise InputError(f"phase {phase.name}: subset", reason)
    weight = (drawn - positives) / positives if phase.pos_weight == "balance" else phase.pos_weight
    share = np.array([positives / drawn])
    return SeenByLoss(prevalence=float(smoothed(share, phase)[0]), pos_weight=weight)


def bias_shift(before: SeenByLoss, after: SeenByLoss) -> float:
    """Return what to add to the head's bias between two phases, lest the curve measure the change of prevalence."""
    return prior_shift(after.prevalence, before.prevalence, pos_weight=before.pos_weight / after.pos_weight)


def smoothed(labels: Targets, phase: Phase) -> Targets:
    """Labels 0 and 1 as floats -> the targets of the loss."""
    return labels * (1 - phase.label_smoothing) + phase.label_smoothing / 2
