"""Intervals against binomial theory, DeLong's own data set, brute force and scikit-learn."""

import math

import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.intervals import bootstrap, bootstrap_many, delong, holm, paired_bootstrap
from mammo_core.metrics import brier, roc_auc, sensitivity

SCORES = np.array([0.1, 0.4, 0.35, 0.8])
LABELS = np.array([False, False, True, True])

# DeLong, DeLong and Clarke-Pearson (1988): albumin, total protein and K-G score of 43 patients with ovarian cancer,
# and whether surgery helped; the records as SAS prints them in PROC LOGISTIC, "Comparing ROC Curves".
OVARIAN = np.fromstring(
    """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
    3.8 5.7 5 1   3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
    2.3 4.4 6 1   4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6 6 1   4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
    3.7 6.1 5 1   3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
    3.3 5.7 6 1   3.7 6.9 5 1  3.6 6.6 5 1
    """,
    sep=" ",
).reshape(-1, 4)


def test_the_interval_of_a_proportion_is_the_binomial_one():
    # 400 patients with one breast each, 30 % flagged: standard error sqrt(.3 * .7 / 400) = .0229.
    scores = np.r_[np.ones(120), np.zeros(280)]
    found = bootstrap(
        lambda s, y, w: sensitivity(s, y, 0.5, w), scores, np.ones(400, bool), [str(i) for i in range(400)]
    )
    assert found.value == 0.3
    assert found.low == pytest.approx(0.3 - 1.96 * 0.0229, abs=0.006)
    assert found.high == pytest.approx(0.3 + 1.96 * 0.0229, abs=0.006)


def test_whole_patients_are_drawn():
    # Both breasts of each patient agree, so that there are 100 independent units and not 200.
    scores = np.repeat(np.r_[np.ones(30), np.zeros(70)], 2)
    patients = [str(i // 2) for i in range(200)]
    found = bootstrap(lambda s, y, w: sensitivity(s, y, 0.5, w), scores, np.ones(200, bool), patients)
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.3 * 0.7 / 100), abs=0.025)


def test_the_interval_does_not_depend_on_the_order_of_units_and_agrees_with_delong():
    rng = np.random.default_rng(3)
    labels = rng.random(500) < 0.3
    scores = rng.normal(size=500) + labels
    patients = np.array([f"p{i}" for i in range(500)])
    found = bootstrap(roc_auc, scores, labels, patients.tolist())
    mixed = rng.permutation(500)
    assert bootstrap(roc_auc, scores[mixed], labels[mixed], patients[mixed].tolist()) == found
    (area,), ((variance,),) = delong(scores, labels)
    assert found.value == pytest.approx(area, abs=1e-12)
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.08)


def test_repeats_widen_the_interval_by_the_luck_of_training():
    rng = np.random.default_rng(4)
    labels = rng.random(300) < 0.5
    good, poor = rng.normal(size=300) + 3 * labels, rng.normal(size=300)
    patients = [str(i) for i in range(300)]
    alone, both = (bootstrap(roc_auc, s, labels, patients, draws=300) for s in (good, np.stack([good, poor])))
    assert both.value == pytest.approx((roc_auc(good, labels) + roc_auc(poor, labels)) / 2)
    assert both.high - both.low > 4 * (alone.high - alone.low)


def test_many_figures_at_once_are_the_figures_one_by_one():
    rng = np.random.default_rng(8)
    labels = rng.random(100) < 0.4
    scores, patients = rng.random((2, 100)), [str(i // 2) for i in range(100)]
    area, score, none = bootstrap_many(
        lambda s, y, w: np.array([roc_auc(s, y, w), brier(s, y, w), np.nan]), scores, labels, patients, draws=100
    )
    assert area == bootstrap(roc_auc, scores, labels, patients, draws=100)
    assert score == bootstrap(brier, scores, labels, patients, draws=100)
    assert math.isnan(none.value)
    assert math.isnan(none.low)


def test_paired_difference_is_the_same_draws_for_both():
    rng = np.random.default_rng(5)
    labels = rng.random(400) < 0.4
    better = rng.normal(size=400) + 1.5 * labels
    worse = better + rng.normal(size=400)
    patients = [str(i) for i in range(400)]
    found = paired_bootstrap(roc_auc, better, worse, labels, patients)
    areas, covariance = delong(np.stack([better, worse]), labels)
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.value == pytest.approx(areas[0] - areas[1], abs=1e-12)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert found.p == pytest.approx(2 / 2001)  # no draw at or below zero
    back = paired_bootstrap(roc_auc, worse, better, labels, patients)
    assert (back.value, back.p) == (-found.value, found.p)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    none = paired_bootstrap(roc_auc, better, 2 * better, labels, patients, draws=50)
    assert (none.value, none.low, none.high, none.p) == (0, 0, 0, 1)


def test_p_values_are_even_where_there_is_no_difference():
    rng = np.random.default_rng(6)
    small = 0
    for _ in range(60):
        labels = rng.random(80) < 0.5
        a, b = rng.random(80), rng.random(80)
        small += paired_bootstrap(brier, a, b, labels, [str(i) for i in range(80)], draws=200).p < 0.2
    assert 4 <= small <= 22  # 12 expected, standard deviation 3.1


def test_delong_on_the_data_set_of_the_paper():
    albumin, protein, kg, helped = OVARIAN.T
    # Areas, standard errors, and the tests of the differences as SAS prints them.
    areas, covariance = delong(np.stack([10 - kg, albumin, protein]), helped == 1)
    np.testing.assert_allclose(areas, [0.7258, 0.7366, 0.6478], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.1028, 0.0927, 0.1000], atol=5e-5)
    contrast = np.array([[-1.0, 1, 0], [-1.0, 0, 1]])
    errors = np.sqrt(np.diag(contrast @ covariance @ contrast.T))
    np.testing.assert_allclose(errors, [0.0953, 0.1046], atol=5e-5)
    difference = contrast @ areas
    assert difference @ np.linalg.solve(contrast @ covariance @ contrast.T, difference) == pytest.approx(
        2.5340, abs=5e-5
    )


def test_delong_agrees_with_the_definition_on_ties():
    rng = np.random.default_rng(7)
    labels = rng.random(60) < 0.4
    scores = rng.integers(0, 6, (2, 60)).astype(np.float64)
    areas, covariance = delong(scores, labels)
    psi = [
        np.sign(s[labels][:, None] - s[~labels][None, :]) / 2 + 0.5  # 1 above, 1/2 tied, 0 below
        for s in scores
    ]
    positives, negatives = int(labels.sum()), int((~labels).sum())
    expected = np.cov([p.mean(axis=1) for p in psi]) / positives + np.cov([p.mean(axis=0) for p in psi]) / negatives
    np.testing.assert_allclose(areas, [p.mean() for p in psi], atol=1e-12)
    np.testing.assert_allclose(covariance, expected, atol=1e-12)


def test_holm_by_hand():
    # .01 * 3, then .03 * 2, then .04 * 1, which may not fall below .06.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


def test_bad_input_is_named():
    with pytest.raises(InputError, match="2 scores, 4 labels, 4 patients"):
        bootstrap(roc_auc, SCORES[:2], LABELS, list("abcd"))
    with pytest.raises(InputError, match="is one class missing"):
        bootstrap(roc_auc, SCORES, np.ones(4, bool), list("abcd"))
    with pytest.raises(InputError, match=r"scores of a are \(4,\), of b \(2,\)"):
        paired_bootstrap(roc_auc, SCORES, SCORES[:2], LABELS, list("abcd"))
    with pytest.raises(InputError, match="got 1 positive, 3 negative"):
        delong(SCORES, np.array([True, False, False, False]))
