"""Figures of merit against hand-computed answers and scikit-learn, with and without weights."""

import math

import numpy as np
import pytest
import sklearn.metrics as independent

from mammo_core.metrics import (
    accuracy,
    all_negative_accuracy,
    average_precision,
    brier,
    f1,
    npv,
    ppv,
    pr_curve,
    probabilistic_f1,
    recall_rate,
    roc_auc,
    roc_curve,
    sensitivity,
    sensitivity_at_specificity,
    specificity,
    specificity_at_sensitivity,
)

SCORES = np.array([0.1, 0.4, 0.35, 0.8])
LABELS = np.array([False, False, True, True])


def drawn(ties: bool):
    """Scores, labels and bootstrap-like weights, some of them zero."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 7, 300) / 7 if ties else rng.random(300)
    return scores, rng.random(300) < 0.3, rng.integers(0, 4, 300).astype(np.float64)


def test_roc_auc_by_hand():
    # Pairs (positive, negative): .35>.1, .35<.4, .8>.1, .8>.4: three of four.
    assert roc_auc(SCORES, LABELS) == 0.75
    # A tie counts half: (.5, .5) and (.5 > .2): 1.5 of 2.
    assert roc_auc(np.array([0.5, 0.5, 0.2]), np.array([True, False, False])) == 0.75
    # The first pair of four counts three times: 1 * 3 + 0 * 1 + 1 * 3 + 1 * 1 of 3 + 1 + 3 + 1.
    assert roc_auc(SCORES, LABELS, np.array([3.0, 1.0, 1.0, 1.0])) == 7 / 8


def test_average_precision_by_hand():
    # From the top: .8 positive (precision 1), .4 negative, .35 positive (2 of 3): (1 + 2/3) / 2.
    assert average_precision(SCORES, LABELS) == pytest.approx(5 / 6)
    # All tied: the prevalence.
    assert average_precision(np.full(4, 0.5), LABELS) == 0.5


@pytest.mark.parametrize("ties", [True, False])
def test_areas_agree_with_scikit_learn(ties):
    scores, labels, weights = drawn(ties)
    for w in (None, weights):
        assert roc_auc(scores, labels, w) == pytest.approx(
            independent.roc_auc_score(labels, scores, sample_weight=w), abs=1e-12
        )
        assert average_precision(scores, labels, w) == pytest.approx(
            independent.average_precision_score(labels, scores, sample_weight=w), abs=1e-12
        )


def test_curves_agree_with_scikit_learn():
    scores, labels, weights = drawn(ties=True)
    weights += 1  # scikit-learn leaves thresholds without weight out
    curve = roc_curve(scores, labels, weights)
    said = {"sample_weight": weights, "drop_intermediate": False}
    fpr, tpr, thresholds = independent.roc_curve(labels, scores, **said)
    np.testing.assert_allclose(curve.specificity, 1 - fpr, atol=1e-12)
    np.testing.assert_allclose(curve.sensitivity, tpr, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    precision, recall, thresholds = independent.precision_recall_curve(labels, scores, **said)
    found = pr_curve(scores, labels, weights)
    # scikit-learn goes up the thresholds, and its end point (recall 0, precision 1) is no threshold at all.
    np.testing.assert_array_equal(found.thresholds, thresholds[::-1])
    np.testing.assert_allclose(found.recall, recall[-2::-1], atol=1e-12)
    np.testing.assert_allclose(found.precision, precision[-2::-1], atol=1e-12)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 3 / 7, 0.99])
def test_rates_agree_with_scikit_learn(threshold):
    scores, labels, weights = drawn(ties=True)
    flagged = scores >= threshold
    said = {"sample_weight": weights, "zero_division": np.nan}
    expected = {
        sensitivity: independent.recall_score(labels, flagged, **said),
        specificity: independent.recall_score(~labels, ~flagged, **said),
        ppv: independent.precision_score(labels, flagged, **said),
        npv: independent.precision_score(~labels, ~flagged, **said),
        f1: independent.f1_score(labels, flagged, sample_weight=weights),
        accuracy: independent.accuracy_score(labels, flagged, sample_weight=weights),
        recall_rate: np.average(flagged, weights=weights),
    }
    for figure, value in expected.items():
        assert figure(scores, labels, threshold, weights) == pytest.approx(value, abs=1e-12, nan_ok=True), figure


def test_rates_by_hand():
    assert sensitivity(SCORES, LABELS, 0.4) == 0.5
    assert specificity(SCORES, LABELS, 0.4) == 0.5  # a score at the threshold is flagged
    assert specificity(SCORES, LABELS, 0.41) == 1.0
    assert recall_rate(SCORES, LABELS, 0.35) == 0.75
    assert ppv(SCORES, LABELS, 0.35) == pytest.approx(2 / 3)
    assert npv(SCORES, LABELS, 0.35) == 1.0
    assert f1(SCORES, LABELS, 0.35) == pytest.approx(4 / 5)
    assert accuracy(SCORES, LABELS, 0.35) == 0.75
    assert f1(SCORES, LABELS, 0.9) == 0.0
    assert all_negative_accuracy(SCORES, np.array([False, False, False, True])) == 0.75


def test_probabilistic_f1_by_hand():
    # 2 * (.35 + .8) / (1.65 + 2).
    assert probabilistic_f1(SCORES, LABELS) == pytest.approx(2.3 / 3.65)
    assert probabilistic_f1(LABELS.astype(np.float64), LABELS) == 1.0
    # The last counts three times: 2 * (.35 + 2.4) / (3.25 + 4).
    assert probabilistic_f1(SCORES, LABELS, np.array([1.0, 1, 1, 3])) == pytest.approx(5.5 / 7.25)


def test_brier_agrees_with_scikit_learn():
    scores, labels, weights = drawn(ties=False)
    assert brier(scores, labels, weights) == pytest.approx(
        independent.brier_score_loss(labels, scores, sample_weight=weights)
    )
    assert brier(SCORES, LABELS) == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4)


def test_sensitivity_at_specificity_by_hand():
    scores = np.r_[np.arange(1, 11) / 100, 0.05, 0.095, 0.2, 0.3]  # ten negatives, four positives
    labels = np.r_[np.zeros(10, bool), np.ones(4, bool)]
    # One negative (.10) may be flagged: .095, .2 and .3 are found; none may: .2 and .3.
    assert sensitivity_at_specificity(scores, labels) == 0.75
    assert sensitivity_at_specificity(scores, labels, wanted=0.95) == 0.5
    # Three positives of four need .095, which flags one negative in ten; all four need .05, six in ten.
    assert specificity_at_sensitivity(scores, labels, wanted=0.75) == pytest.approx(0.9)
    assert specificity_at_sensitivity(scores, labels) == pytest.approx(0.4)


def test_weights_are_multiplicities():
    scores, labels, weights = drawn(ties=True)
    repeated = np.repeat(np.arange(300), weights.astype(int))
    for figure in (roc_auc, average_precision, probabilistic_f1, brier, sensitivity_at_specificity):
        assert figure(scores, labels, weights) == pytest.approx(figure(scores[repeated], labels[repeated]), abs=1e-12)


def test_figures_that_do_not_exist_are_nan():
    only, scores = np.array([True, True]), np.array([0.1, 0.2])
    for labels in (only, ~only):
        for figure in (roc_auc, average_precision, sensitivity_at_specificity, specificity_at_sensitivity):
            assert math.isnan(figure(scores, labels)), figure
    assert math.isnan(specificity(scores, only, 0.15))
    assert math.isnan(sensitivity(scores, ~only, 0.15))
    assert math.isnan(ppv(scores, only, 0.5))
    assert math.isnan(npv(scores, only, 0.0))
    # A class that no draw holds is missing as well.
    assert math.isnan(roc_auc(SCORES, LABELS, np.array([0.0, 0.0, 1.0, 1.0])))
