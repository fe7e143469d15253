"""Learning curves counted by hand: when a target was reached, censoring, the area under the curve."""

import math

import numpy as np
import pytest

from mammo_train.convergence import Reached, area_under, curve_of, median_censored, reached

EVENTS = [
    {"event": "start", "recipe": "made"},
    {"event": "epoch", "phase": "warmup", "epoch": 1, "images": 100, "seconds": 3.0, "roc_auc": 0.5, "pr_auc": 0.1},
    {"event": "epoch", "phase": "warmup", "epoch": 2, "images": 100, "seconds": 5.0, "roc_auc": None, "pr_auc": None},
    {"event": "note", "text": "made"},
    {"event": "epoch", "phase": "full", "epoch": 3, "images": 200, "seconds": 11.0, "roc_auc": 0.7, "pr_auc": 0.2},
    {"event": "epoch", "phase": "full", "epoch": 4, "images": 200, "seconds": 16.0, "roc_auc": 0.6, "pr_auc": 0.2},
]


def test_the_curve_counts_from_the_first_phase():
    curve = curve_of(EVENTS)
    assert curve.phases == ("warmup", "warmup", "full", "full")
    np.testing.assert_array_equal(curve.images, [100, 200, 400, 600])
    np.testing.assert_array_equal(curve.seconds, [3, 5, 11, 16])
    np.testing.assert_array_equal(curve.roc_auc, [0.5, np.nan, 0.7, 0.6])


def test_a_target_is_reached_for_the_first_time_or_never():
    curve = curve_of(EVENTS)
    # The warm-up's two epochs, 5 seconds and 200 images are charged.
    assert reached(curve, 0.6) == Reached(epochs=3, seconds=11.0, images=400)
    assert reached(curve, 0.5) == Reached(epochs=1, seconds=3.0, images=100)
    assert reached(curve, 0.71) is None


def test_the_area_by_hand():
    curve = curve_of(EVENTS)
    # .5 to 100 images, then up to .7 at 400 (mean .6), then down to .6 at 600 (mean .65).
    by_hand = (100 * 0.5 + 300 * 0.6 + 200 * 0.65) / 600
    assert area_under(curve, 600) == pytest.approx(by_hand)
    # A longer horizon: what it ended with goes on. A shorter one cuts: .5, then from .5 to .6 at 250.
    assert area_under(curve, 1000) == pytest.approx((600 * by_hand + 400 * 0.6) / 1000)
    assert area_under(curve, 250) == pytest.approx((100 * 0.5 + 150 * 0.55) / 250)
    assert math.isnan(area_under(curve_of(EVENTS[:1]), 600))


def test_a_median_of_times_that_were_not_seen_to_end():
    assert median_censored([3.0, 1.0, 2.0]) == 2.0
    assert median_censored([3.0, None, 2.0]) == 3.0
    assert median_censored([None, None, 2.0]) is None
    assert median_censored([1.0, None]) is None
    assert median_censored([1.0, 2.0, 3.0, None]) == 2.5
