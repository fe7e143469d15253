"""How soon a run got where: its learning curve, when a stated AUC was reached, how much lies under the curve.

Knows nothing of models: events of a run's log in, numbers out. The clock starts with the run's first phase, so
that a warm-up is charged to whoever warms up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHANCE = 0.5
"""ROC-AUC before anything was learnt."""


@dataclass(frozen=True)
class Curve:
    """Validation after each epoch of a run; arrays are float64 (E,), cumulative where that has a meaning."""

    phases: tuple[str, ...]
    """Name of the phase that each epoch belongs to."""
    seconds: NDArray[np.float64]
    """Training seconds so far: validation, caching and earlier phases included."""
    images: NDArray[np.float64]
    """Images seen so far."""
    roc_auc: NDArray[np.float64]
    """Of validation breasts; NaN where the epoch gave none."""
    pr_auc: NDArray[np.float64]


@dataclass(frozen=True)
class Reached:
    """What it took to reach an AUC for the first time."""

    epochs: int
    seconds: float
    images: int


def curve_of(events: Iterable[Mapping[str, object]]) -> Curve:
    """Learning curve from a run's log (`mammo_train.run.read_log`)."""
    epochs = [event for event in events if event["event"] == "epoch"]

    def column(name: str) -> NDArray[np.float64]:
        return np.array([np.nan if event.get(name) is None else event[name] for event in epochs], np.float64)

    return Curve(
        phases=tuple(str(event["phase"]) for event in epochs),
        seconds=column("seconds"),
        images=np.cumsum(column("images")),
        roc_auc=column("roc_auc"),
        pr_auc=column("pr_auc"),
    )


def reached(curve: Curve, target: float) -> Reached | None:
    """Epochs, seconds and images to a validation ROC-AUC of ``target``; None where it was never reached (censored)."""
    there = np.flatnonzero(curve.roc_auc >= target)
    if there.size == 0:
        return None
    first = int(there[0])
    return Reached(first + 1, float(curve.seconds[first]), int(curve.images[first]))


def area_under(curve: Curve, horizon: float) -> float:
    """Mean validation ROC-AUC over the first ``horizon`` images seen: high for what learns soon and well.

    Straight lines between validations, from chance before the first; what a shorter run ended with goes on. NaN for
    a curve without a value.
    """
    known = ~np.isnan(curve.roc_auc)
    if not known.any():
        return float("nan")
    x = np.r_[0.0, curve.images[known]]
    y = np.r_[_CHANCE, curve.roc_auc[known]]
    at = np.union1d(x[x < horizon], [0.0, horizon])
    return float(np.trapezoid(np.interp(at, x, y), at) / horizon)


def median_censored(values: Sequence[float | None]) -> float | None:
    """Median of times of which some (None) were not seen to end; None where that hides the median."""
    times = sorted(np.inf if value is None else value for value in values)
    middle = (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2
    return float(middle) if np.isfinite(middle) else None
