"""What can be told without looking at the picture, from age, machine or number of views alone; and with it, from age.

Knows nothing of models. Nothing is ever fitted on the breasts that it is reported on: it learns from the other
parts of the split, or by cross-validation over patients where there are none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from mammo_core.calibration import log_odds

Kind = Literal["age", "machine", "number of views"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FOLDS = 5
_AGE_SCALE = 10.0
"""Years: ages enter the regression as decades from ``_AGE_MIDDLE``, so that both terms are of the size of one."""
_AGE_MIDDLE = 60.0
_LEAST_SCORE = 1e-6
"""Scores enter the regression as log-odds, no further from 0 and 1 than this."""
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


def baseline(kind: Kind, reported: pd.DataFrame, others: pd.DataFrame) -> Baseline:
    """Score the ``reported`` breasts by one thing alone, fitted on the ``others`` if there are any.

    Both tables are of `mammo_train.units.breasts_of`. Without others of both classes: five folds over the reported
    patients.
    """
    column = {"age": "age", "machine": "machine_id", "number of views": "views"}[kind]
    known = reported[column].dropna()
    if known.nunique() < 2:
        found = "is not stated" if known.empty else "is the same for every breast"
        return Baseline(kind, None, f"{column} {found}")
    if kind == "number of views":
        return Baseline(kind, reported["views"].to_numpy(np.float64), "counted, not fitted")
    if others["cancer"].nunique() == 2 and others[column].notna().any():
        scores = _fitted(kind, others, reported)
        return Baseline(kind, scores, f"fitted on the {len(others):,} breasts of the other parts")
    folds = _folds(reported)
    if folds < 2:
        return Baseline(kind, None, "there are too few patients of either class to fit it on other patients")
    scores = _cross_fitted(reported, folds, lambda train, test: _fitted(kind, train, test))
    return Baseline(kind, scores, f"fitted by cross-validation over patients in {folds} folds")


def with_age(reported: pd.DataFrame, scores: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Probabilities from a model's ``scores`` ``(N,)`` in [0, 1] and age together.

    ``reported`` are the breasts, of `mammo_train.units.breasts_of`. Logistic regression on the score's log-odds, age
    and its square, by cross-validation over patients: a calibration that knows age too. None where age is not stated
    or a class has too few patients.
    """
    folds = _folds(reported)
    if folds < 2 or reported["age"].dropna().nunique() < 2:
        return None
    kept = np.clip(scores, _LEAST_SCORE, 1 - _LEAST_SCORE)
    scored = reported.assign(log_odds=np.log(kept / (1 - kept)))
    return _cross_fitted(scored, folds, _by_score_and_age)


def _folds(breasts: pd.DataFrame) -> int:
    """Into how many folds patients can be divided, both classes in each; less than 2 where they are too few."""
    sick = breasts.groupby("patient_id")["cancer"].max()
    return min(_FOLDS, int(sick.sum()), int((~sick).sum()))


def _cross_fitted(
    breasts: pd.DataFrame, folds: int, fitted: Callable[[pd.DataFrame, pd.DataFrame], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Score every breast by what was fitted on other patients."""
    scores = np.zeros(len(breasts))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    for train, test in split.split(breasts, breasts["cancer"], breasts["patient_id"]):
        scores[test] = fitted(breasts.iloc[train], breasts.iloc[test])
    return scores


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


def _by_score_and_age(train: pd.DataFrame, test: pd.DataFrame) -> NDArray[np.float64]:
    """Logistic regression on a model's log-odds, age and its square: probabilities."""
    typical = float(train["age"].mean())
    terms = [np.column_stack([part["log_odds"], _age_terms(part["age"], typical)]) for part in (train, test)]
    model = LogisticRegression(C=1e6).fit(terms[0], train["cancer"].to_numpy(bool))
    return np.asarray(model.predict_proba(terms[1])[:, 1], np.float64)


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
