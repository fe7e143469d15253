"""What can be told without looking at the picture: age alone, or the machine alone.

Knows nothing of models. A baseline is never fitted on the breasts that it is reported on: it learns from the other
parts of the split, or by cross-validation over patients where there are none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from mammo_core.calibration import log_odds

Kind = Literal["age", "machine"]

_FOLDS = 5
_AGE_SCALE = 10.0
"""Years: ages enter the regression as decades from ``_AGE_MIDDLE``, so that both terms are of the size of one."""
_AGE_MIDDLE = 60.0
_PRIOR = 10.0
"""Breasts at the overall rate that every machine is given on top of its own (Laplace smoothing)."""


@dataclass(frozen=True)
class Baseline:
    """Scores of a baseline for the reported breasts, or why there are none."""

    kind: Kind
    scores: NDArray[np.float64] | None
    """Float64 (N,), log-odds apart from a constant."""
    how: str
    """What it was fitted on, or why it could not be."""


def breasts_of(table: pd.DataFrame, rows: NDArray[np.intp]) -> pd.DataFrame:
    """One line per breast of these rows, in the order of `mammo_train.units.by_breast`.

    ``cancer`` is whether any of its images shows one; of the other columns the first stated value counts.
    """
    part = table.iloc[rows].replace({"": None})
    keys = (part["patient_id"] + "/" + part["laterality"]).to_numpy()
    found = part.groupby(keys, sort=True).first()
    return found.assign(cancer=part.groupby(keys, sort=True)["cancer"].any().to_numpy(bool))


def baseline(kind: Kind, reported: pd.DataFrame, others: pd.DataFrame) -> Baseline:
    """Score the ``reported`` breasts by age or machine alone, fitted on the ``others`` if there are any.

    Both tables are of `breasts_of`. Without others of both classes: five folds over the reported patients.
    """
    column = "age" if kind == "age" else "machine_id"
    known = reported[column].dropna()
    if known.nunique() < 2:
        found = "is not stated" if known.empty else "is the same for every breast"
        return Baseline(kind, None, f"{column} {found}")
    if others["cancer"].nunique() == 2 and others[column].notna().any():
        scores = _fitted(kind, others, reported)
        return Baseline(kind, scores, f"fitted on the {len(others):,} breasts of the other parts")
    sick = reported.groupby("patient_id")["cancer"].max()
    folds = min(_FOLDS, int(sick.sum()), int((~sick).sum()))
    if folds < 2:
        return Baseline(kind, None, "there are too few patients of either class to fit it on other patients")
    scores = np.zeros(len(reported))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    for train, test in split.split(reported, reported["cancer"], reported["patient_id"]):
        scores[test] = _fitted(kind, reported.iloc[train], reported.iloc[test])
    return Baseline(kind, scores, f"fitted by cross-validation over patients in {folds} folds")


def _fitted(kind: Kind, train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Fit on ``train``, score ``test``: log-odds relative to the average, so that folds can be put together."""
    return _by_age(train, test) if kind == "age" else _by_machine(train, test)


def _by_age(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Logistic regression on age and its square; an unknown age counts as the average one."""
    labels = train["cancer"].to_numpy(bool)
    if labels.all() or not labels.any():
        return np.zeros(len(test))
    typical = float(train["age"].mean())
    model = LogisticRegression(C=1e6).fit(_age_terms(train["age"], typical), labels)
    return np.asarray(_age_terms(test["age"], typical) @ model.coef_[0], np.float64)


def _age_terms(age: "pd.Series[float]", typical: float) -> NDArray[np.float64]:
    decades = (age.astype(float).fillna(typical).to_numpy() - _AGE_MIDDLE) / _AGE_SCALE
    return np.stack([decades, decades**2], axis=1)


def _by_machine(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Smoothed rate of cancer per machine, as log-odds above the average; 0 for a machine never seen."""
    overall = float(train["cancer"].mean())
    if not 0 < overall < 1:
        return np.zeros(len(test))
    found: dict[object, float] = {}
    groups: Sequence[tuple[object, pd.DataFrame]] = list(train.groupby("machine_id"))
    for machine, group in groups:
        rate = (float(group["cancer"].sum()) + _PRIOR * overall) / (len(group) + _PRIOR)
        found[machine] = log_odds(rate) - log_odds(overall)
    return np.array([found.get(machine, 0.0) for machine in test["machine_id"]], np.float64)
