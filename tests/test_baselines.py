"""Age, machine and number of views alone, and age beside a model's scores, all fitted on other patients."""

import numpy as np
import pandas as pd
import pytest

from mammo_core.metrics import roc_auc
from mammo_train.baselines import baseline, with_age
from mammo_train.units import breasts_of, views_tell


def images(**columns) -> pd.DataFrame:
    size = len(columns["patient_id"])
    return pd.DataFrame({"laterality": ["L"] * size, "age": [np.nan] * size, "machine_id": [""] * size, **columns})


def breasts(count: int, seed: int, *, age_matters: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.uniform(40, 80, count)
    cancer = rng.random(count) < 1 / (1 + np.exp(-age_matters * (age - 60)))
    patients = [f"p{seed}-{i // 2}" for i in range(count)]
    table = pd.DataFrame({"patient_id": patients, "laterality": ["L", "R"] * (count // 2), "age": age})
    return table.assign(machine_id=rng.choice(["1", "2", "3"], count), cancer=cancer)


def test_breasts_take_the_first_stated_value_in_the_order_of_their_keys():
    table = images(
        patient_id=["b", "b", "a"],
        laterality=["R", "R", "L"],
        cancer=[False, True, False],
        machine_id=["", "7", "8"],
        age=[np.nan, 55.0, 60.0],
    )
    found = breasts_of(table, np.arange(3))
    assert list(found.index) == ["a/L", "b/R"]
    assert found["machine_id"].tolist() == ["8", "7"]
    assert found["age"].tolist() == [60.0, 55.0]
    assert found["cancer"].tolist() == [False, True]


def test_machines_get_their_smoothed_rate():
    others = images(patient_id=[str(i) for i in range(40)], machine_id=["1"] * 20 + ["2"] * 20)
    others = others.assign(cancer=[True] * 10 + [False] * 10 + [True] * 5 + [False] * 15)
    reported = images(patient_id=["x", "y", "z"], machine_id=["1", "2", "never seen"], cancer=[True, False, False])
    found = baseline("machine", reported, others)
    # Rates (10 + 10 * .375) / 30 and (5 + 10 * .375) / 30 against .375 overall, as log-odds.
    odds = np.log([0.4583333 / 0.5416667, 0.2916667 / 0.7083333]) - np.log(0.375 / 0.625)
    assert found.scores == pytest.approx([odds[0], odds[1], 0.0], abs=1e-5)
    assert found.how == "fitted on the 40 breasts of the other parts"


def test_age_is_learnt_from_the_others():
    reported, others = breasts(400, 1, age_matters=0.08), breasts(600, 2, age_matters=0.08)
    found = baseline("age", reported, others)
    assert found.scores is not None
    by_age = roc_auc(reported["age"].to_numpy(), reported["cancer"].to_numpy(bool))
    assert roc_auc(found.scores, reported["cancer"].to_numpy(bool)) == pytest.approx(by_age, abs=0.02)
    unknown = baseline("age", reported.assign(age=reported["age"].where(reported["age"] > 45)), others)
    assert unknown.scores is not None
    assert np.isfinite(unknown.scores).all()


def test_cross_validation_learns_nothing_from_noise():
    # Labels that have nothing to do with age: fitted on itself a model finds something, on other patients it does not.
    aucs = []
    for seed in range(20):
        reported = breasts(200, 10 + seed)
        found = baseline("machine", reported, reported.iloc[:0])
        assert found.how == "fitted by cross-validation over patients in 5 folds"
        assert found.scores is not None
        aucs.append(roc_auc(found.scores, reported["cancer"].to_numpy(bool)))
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.04)


def test_where_there_is_no_baseline_it_says_why():
    none = images(patient_id=["a", "b"], cancer=[True, False])
    assert baseline("age", breasts_of(none, np.arange(2)), none.iloc[:0]).how == "age is not stated"
    same = images(patient_id=["a", "b"], cancer=[True, False], machine_id=["1", "1"])
    assert "the same for every breast" in baseline("machine", same, same.iloc[:0]).how
    small = images(patient_id=["a", "b"], cancer=[True, False], age=[50.0, 60.0])
    found = baseline("age", small, small.iloc[:0])
    assert found.scores is None
    assert "too few patients" in found.how


def test_a_set_whose_number_of_views_gives_the_label_away_is_told():
    # Breasts with cancer have both views, the others one, but for one of each kind.
    patients = ["a", "a", "b", "b", "c", "d", "e", "e", "f"]
    table = images(patient_id=patients, cancer=[True] * 4 + [False] * 4 + [True])
    found = breasts_of(table, np.arange(9))
    assert found["views"].tolist() == [2, 2, 1, 1, 2, 1]
    # Of the nine pairs of a, b, f (2, 2, 1) with c, d, e (1, 1, 2) four are won and four are ties.
    scores = baseline("number of views", found, found.iloc[:0]).scores
    assert scores is not None
    assert roc_auc(scores, found["cancer"].to_numpy(bool)) == pytest.approx(6 / 9)
    assert "ROC-AUC 0.667" in views_tell(found)
    even = images(patient_id=["a", "a", "b", "b"], cancer=[True, True, False, False])
    assert views_tell(breasts_of(even, np.arange(4))) == ""
    assert "the same for every breast" in baseline("number of views", breasts_of(even, np.arange(4)), even[:0]).how


def test_age_beside_a_score_adds_what_the_score_does_not_know():
    reported = breasts(1000, 3, age_matters=0.08)
    labels = reported["cancer"].to_numpy(bool)
    # A score that knows something, and nothing of age.
    noise = np.random.default_rng(4).normal(0, 1, len(labels))
    score = 1 / (1 + np.exp(-(noise + labels)))
    both = with_age(reported, score)
    assert both is not None
    assert roc_auc(both, labels) > roc_auc(score, labels) + 0.02
    assert both.mean() == pytest.approx(labels.mean(), abs=0.01)  # probabilities
    assert with_age(reported, np.where(labels, 1.0, 0.0)) is not None  # scores at the ends of their range
    assert with_age(reported.assign(age=np.nan), score) is None
