"""Figures of merit against hand-computed answers, scikit-learn and known coverage."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammo_core.errors import InputError
from mammo_core.metrics import bootstrap, roc_auc, sensitivity, specificity

SCORES = np.array([0.1, 0.4, 0.35, 0.8])
LABELS = np.array([False, False, True, True])


def test_roc_auc_by_hand():
    # Pairs (positive, negative): .35>.1, .35<.4, .8>.1, .8>.4: three of four.
    assert roc_auc(SCORES, LABELS) == 0.75
    # A tie counts half: (.5, .5) and (.5 > .2): 1.5 of 2.
    assert roc_auc(np.array([0.5, 0.5, 0.2]), np.array([True, False, False])) == 0.75


def test_roc_auc_agrees_with_scikit_learn_on_ties():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 7, 300).astype(np.float64)
    labels = rng.random(300) < 0.3
    assert roc_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_rates_by_hand():
    assert sensitivity(SCORES, LABELS, 0.4) == 0.5
    assert specificity(SCORES, LABELS, 0.4) == 0.5  # a score at the threshold is flagged
    assert specificity(SCORES, LABELS, 0.41) == 1.0


def test_figures_that_do_not_exist_are_nan():
    only = np.array([True, True])
    assert math.isnan(roc_auc(np.array([0.1, 0.2]), only))
    assert math.isnan(specificity(np.array([0.1, 0.2]), only, 0.15))
    assert math.isnan(sensitivity(np.array([0.1, 0.2]), ~only, 0.15))


def test_the_interval_of_a_proportion_is_the_binomial_one():
    # 400 patients with one breast each, 30 % flagged: standard error sqrt(.3 * .7 / 400) = .0229.
    scores = np.r_[np.ones(120), np.zeros(280)]
    found = bootstrap(lambda s, y: sensitivity(s, y, 0.5), scores, np.ones(400, bool), [str(i) for i in range(400)])
    assert found.value == 0.3
    assert found.low == pytest.approx(0.3 - 1.96 * 0.0229, abs=0.006)
    assert found.high == pytest.approx(0.3 + 1.96 * 0.0229, abs=0.006)


def test_whole_patients_are_drawn():
    # Both breasts of each patient agree, so that there are 100 independent units and not 200.
    scores = np.repeat(np.r_[np.ones(30), np.zeros(70)], 2)
    patients = [str(i // 2) for i in range(200)]
    found = bootstrap(lambda s, y: sensitivity(s, y, 0.5), scores, np.ones(200, bool), patients)
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.3 * 0.7 / 100), abs=0.025)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="2 scores, 4 labels, 4 patients"):
        bootstrap(roc_auc, SCORES[:2], LABELS, list("abcd"))
    with pytest.raises(InputError, match="is one class missing"):
        bootstrap(roc_auc, SCORES, np.ones(4, bool), list("abcd"))
