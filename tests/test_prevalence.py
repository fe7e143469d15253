"""Figures at another prevalence: by Bayes' rule, by scikit-learn, and inside a bootstrap."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from mammo_core.errors import InputError
from mammo_core.intervals import bootstrap
from mammo_core.metrics import average_precision, ppv, roc_auc, sensitivity
from mammo_core.prevalence import at_prevalence, weights_at

LABELS = np.array([True, True, False, False, False, False])


def test_weights_by_hand():
    # A third is positive; at a half each positive counts 1.5 times and each negative .75 times.
    np.testing.assert_allclose(weights_at(LABELS, 0.5), [1.5, 1.5, 0.75, 0.75, 0.75, 0.75])
    # A draw that holds one positive three times and one negative once: 2 and 2 of 4.
    np.testing.assert_allclose(weights_at(LABELS, 0.5, np.array([3.0, 0, 1, 0, 0, 0])), [2, 0, 2, 0, 0, 0])


def test_the_predictive_value_is_that_of_bayes():
    scores = np.array([0.9, 0.2, 0.8, 0.1, 0.1, 0.1])  # sensitivity 1/2, specificity 3/4
    at = at_prevalence(lambda s, y, w: ppv(s, y, 0.5, w), 0.02)
    expected = 0.5 * 0.02 / (0.5 * 0.02 + 0.25 * 0.98)
    assert at(scores, LABELS, np.ones(6)) == pytest.approx(expected)


def test_what_depends_on_prevalence_moves_and_the_rest_stays():
    rng = np.random.default_rng(0)
    labels = rng.random(1000) < 0.5
    scores = rng.normal(size=1000) + labels
    ones = np.ones(1000)
    assert at_prevalence(roc_auc, 0.02)(scores, labels, ones) == pytest.approx(roc_auc(scores, labels))
    # Repeating the negatives 49 times over makes the same set.
    share = labels.mean()
    times = 49 * share / (1 - share)
    expected = average_precision_score(labels, scores, sample_weight=np.where(labels, 1, times))
    found = bootstrap(at_prevalence(average_precision, 0.02), scores, labels, [str(i) for i in range(1000)], draws=50)
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high < average_precision(scores, labels)


def test_every_draw_is_weighted_by_itself():
    # Everything is flagged: the predictive value is the stated prevalence in every draw.
    labels = np.arange(40) < 10
    everything = at_prevalence(lambda s, y, w: ppv(s, y, 0.0, w), 0.1)
    found = bootstrap(everything, np.ones(40), labels, [str(i) for i in range(40)], draws=50)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_bad_input_is_named():
    with pytest.raises(InputError, match="prevalence: 1 is not between 0 and 1"):
        at_prevalence(roc_auc, 1)
    with pytest.raises(InputError, match=r"cannot be made 0\.1: the units are all positive or all negative"):
        weights_at(np.ones(3, bool), 0.1)
    at = at_prevalence(lambda s, y, w: sensitivity(s, y, 0.5, w), 0.1)
    assert math.isnan(at(np.ones(3), np.ones(3, bool), np.ones(3)))
