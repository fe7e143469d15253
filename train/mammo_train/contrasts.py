"""Arms of a comparison -> their figures and what tells them apart, with intervals.

Knows nothing of training: a pool of scores of the same breasts per arm in. All arms are measured on the same draws
of patients, and where there are several seeds these are drawn too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_core.intervals import Estimate, PairedDifference, bootstrap_many, holm, paired_bootstrap
from mammo_core.metrics import (
    Labels,
    Scores,
    Statistic,
    Weights,
    average_precision,
    brier,
    probabilistic_f1,
    roc_auc,
    sensitivity_at_specificity,
)
from mammo_core.prevalence import at_prevalence
from mammo_train.plan import Question
from mammo_train.units import Units, stacked

Pool = Sequence[Sequence[Units]]
"""Scores of one arm on the same units: for each repeat (seed) its copies, one where pictures are as they are."""


@dataclass(frozen=True)
class Figure:
    """One figure of merit."""

    name: str
    title: str
    statistic: Statistic
    tested: bool
    """Whether arms are compared by it."""


@dataclass(frozen=True)
class Contrast:
    """What one figure answers to one question."""

    a: str
    b: str
    about: str
    figure: str
    """Name of the figure."""
    difference: PairedDifference
    """a less b."""
    p_holm: float
    """Its p-value, corrected for all that are tested together."""


def figures(prevalence: float | None) -> tuple[Figure, ...]:
    """Say what is measured: with a prevalence, PR-AUC is re-weighted to it, and tested there and not at the set's."""
    own = Figure("pr_auc", "PR-AUC (set's own prevalence)", average_precision, tested=prevalence is None)
    stated = (
        ()
        if prevalence is None
        else (
            Figure(
                "pr_auc_stated",
                f"PR-AUC at a prevalence of {prevalence:.2%}",
                at_prevalence(average_precision, prevalence),
                tested=True,
            ),
        )
    )
    return (
        Figure("roc_auc", "ROC-AUC", roc_auc, tested=True),
        own,
        *stated,
        Figure("sensitivity_at_90", "Sensitivity at 90 % specificity", sensitivity_at_specificity, tested=False),
        Figure("probabilistic_f1", "Probabilistic F1", probabilistic_f1, tested=False),
        Figure("brier", "Brier score", brier, tested=False),
    )


def repeats(pool: Pool) -> tuple[Units, NDArray[np.float64]]:
    """Units of a pool, as its first copy has them, and all its scores ``(seeds, copies, N)``."""
    units, scores = stacked([each for copies in pool for each in copies])
    return units, scores.reshape(len(pool), -1, scores.shape[1])


def measured(units: Units, scores: NDArray[np.float64], prevalence: float | None, draws: int) -> dict[str, Estimate]:
    """Every figure of scores ``(seeds, copies, N)`` on these units: the mean over seeds and copies."""
    asked = figures(prevalence)

    def values(scores: Scores, labels: Labels, weights: Weights) -> NDArray[np.float64]:
        return np.array([figure.statistic(scores, labels, weights) for figure in asked])

    found = bootstrap_many(values, scores, units.labels, units.patients, draws=draws)
    return {figure.name: estimate for figure, estimate in zip(asked, found, strict=True)}


def contrasts(
    pools: Mapping[str, Pool], questions: Sequence[Question], prevalence: float | None, draws: int
) -> tuple[Contrast, ...]:
    """Answer every question by every figure that is tested; Holm's correction goes over all of them together."""
    found: list[tuple[Question, Figure, PairedDifference]] = []
    for question in questions:
        units, scores = repeats([*pools[question.a], *pools[question.b]])
        scores_a, scores_b = np.split(scores, [len(pools[question.a])])
        for figure in figures(prevalence):
            if figure.tested:
                difference = paired_bootstrap(
                    figure.statistic, scores_a, scores_b, units.labels, units.patients, draws=draws
                )
                found.append((question, figure, difference))
    corrected = holm([difference.p for _, _, difference in found])
    return tuple(
        Contrast(question.a, question.b, question.about, figure.name, difference, p)
        for (question, figure, difference), p in zip(found, corrected, strict=True)
    )
