"""Platt scaling and prior shift against hand-computed and independent answers."""

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mammo_core.calibration import Calibration, calibration_line, fit_platt, log_odds, prior_shift, probability, sigmoid
from mammo_core.errors import InputError


def test_prior_shift_by_hand():
    # Odds 1 in training, odds 1/99 at 1 %: shift ln(1/99).
    assert prior_shift(0.01, 0.5) == pytest.approx(math.log(1 / 99))
    # A positive weight of 3 makes odds of 1 look like 3.
    assert prior_shift(0.5, 0.5, pos_weight=3.0) == pytest.approx(-math.log(3))
    # Training at 25 % with weight 3 sees odds of 1: nothing to shift for 50 %.
    assert prior_shift(0.5, 0.25, pos_weight=3.0) == pytest.approx(0.0)


def test_probability_by_hand():
    calibration = Calibration(
        slope=2.0,
        intercept=-1.0,
        fitted_prevalence=0.5,
        stated_prevalence=0.2,
        unit="view",
        n=10,
        source="made",
    )
    # logit 0.5: 2 * 0.5 - 1 = 0, at half: odds 1; at 20 %: odds 1/4.
    assert probability(calibration, np.array([0.5]))[0] == pytest.approx(0.2)


def test_a_fit_gets_back_what_made_the_labels():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, 40_000)
    labels = rng.random(40_000) < 1 / (1 + np.exp(-(0.5 * logits - 1.0)))
    slope, intercept = fit_platt(logits, labels)
    assert slope == pytest.approx(0.5, abs=0.02)
    assert intercept == pytest.approx(-1.0, abs=0.05)


def test_a_fit_agrees_with_logistic_regression_on_the_smoothed_targets():
    rng = np.random.default_rng(2)
    logits = 100 + 20 * rng.normal(size=200)  # far from standardised
    labels = rng.random(200) < 1 / (1 + np.exp(-(logits - 100) / 10))
    positives, negatives = labels.sum(), (~labels).sum()
    target = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # A soft target t is a positive with weight t and a negative with weight 1 - t.
    doubled = np.r_[logits, logits][:, None] / 20 - 5
    fitted = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(
        doubled, np.r_[np.ones(200), np.zeros(200)], sample_weight=np.r_[target, 1 - target]
    )
    slope, intercept = fit_platt(logits, labels)
    assert slope == pytest.approx(fitted.coef_[0, 0] / 20, rel=1e-4)
    assert intercept == pytest.approx(fitted.intercept_[0] - 5 * fitted.coef_[0, 0], rel=1e-4)


def test_separable_scores_have_an_answer():
    slope, intercept = fit_platt(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([False, False, True, True]))
    assert 0 < slope < 10
    assert intercept == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([1.0, 2.0], [True, True], "needs both classes; got 2 positive and 0 negative"),
        ([1.0, math.nan], [True, False], "not a finite number"),
        ([2.0, 1.0, 2.0, 1.0], [False, True, False, True], "is not positive"),
    ],
)
def test_scores_that_cannot_be_calibrated(logits, labels, message):
    with pytest.raises(InputError, match=message):
        fit_platt(np.array(logits), np.array(labels))


def test_prevalences_out_of_range_are_named():
    with pytest.raises(InputError, match="target prevalence: 0 is not between"):
        prior_shift(0, 0.5)
    with pytest.raises(InputError, match="pos_weight: -1 is not positive"):
        prior_shift(0.5, 0.5, pos_weight=-1)


def test_sigmoid_at_the_ends():
    np.testing.assert_array_equal(sigmoid(np.array([-1000.0, 0.0, 1000.0])), [0.0, 0.5, 1.0])
    assert sigmoid(np.array([log_odds(0.02)]))[0] == pytest.approx(0.02)


def test_the_calibration_line_of_true_probabilities_is_one_and_nought():
    rng = np.random.default_rng(3)
    p = sigmoid(rng.normal(-1, 1.5, 40_000))
    line = calibration_line(p, rng.random(40_000) < p)
    assert (line.slope, line.intercept) == pytest.approx((1, 0), abs=0.04)


def test_the_calibration_line_agrees_with_logistic_regression():
    rng = np.random.default_rng(4)
    odds = rng.normal(0, 2, 300)
    labels = rng.random(300) < sigmoid(0.5 * odds + 0.3)
    weights = rng.integers(0, 4, 300).astype(np.float64)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds[:, None], labels, sample_weight=weights)
    line = calibration_line(sigmoid(odds), labels, weights)
    assert line.slope == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
    # Shifted by the intercept, the probabilities add up to the positives.
    assert weights @ sigmoid(odds + line.intercept) == pytest.approx(weights @ labels)


def test_a_calibration_line_that_does_not_exist():
    parted = calibration_line(np.array([0.1, 0.4, 0.6, 1.0]), np.array([False, False, True, True]))
    assert math.isnan(parted.slope)
    assert math.isfinite(parted.intercept)
    assert math.isnan(calibration_line(np.array([0.1, 0.4]), np.array([True, True])).intercept)
    with pytest.raises(InputError, match="outside 0 to 1"):
        calibration_line(np.array([-0.1, 0.4]), np.array([True, False]))
