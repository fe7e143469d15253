"""Thresholds and what they cost, on scores small enough to count by hand."""

import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.operating_point import at_specificity, measured_at

NEGATIVES = np.arange(1, 11) / 100  # .01 ... .10
POSITIVES = np.array([0.05, 0.095, 0.2, 0.3])
SCORES = np.r_[NEGATIVES, POSITIVES]
LABELS = np.r_[np.zeros(10, bool), np.ones(4, bool)]
PATIENTS = [str(i) for i in range(14)]


def chosen(wanted: float):
    return at_specificity(SCORES, LABELS, PATIENTS, wanted=wanted, unit="breast", source="made by hand")


def test_nine_of_ten_negatives_stay_below():
    point = chosen(0.9)
    # Nine negatives, up to .09, must stay below; the next score is the positive at .095.
    assert point.threshold == pytest.approx(0.0925)
    assert point.specificity.value == 0.9
    assert point.sensitivity.value == 0.75
    assert (point.n, point.positives, point.unit) == (14, 4, "breast")
    assert point.rule == "highest sensitivity at a specificity of at least 90%"
    assert point.sensitivity.low <= 0.75 <= point.sensitivity.high


def test_a_specificity_between_two_counts_is_rounded_up():
    assert chosen(0.85).specificity.value == 0.9


def test_full_specificity_lies_above_every_negative():
    point = chosen(1.0)
    assert point.threshold == pytest.approx(0.15)  # between .10 and .20
    assert point.specificity.value == 1.0
    assert point.sensitivity.value == 0.5


def test_a_threshold_above_every_score_still_keeps_the_specificity():
    scores, labels = np.array([0.1, 0.5]), np.array([True, False])
    point = at_specificity(scores, labels, ["a", "b"], wanted=1.0, unit="breast", source="made")
    assert point.specificity.value == 1.0
    assert point.sensitivity.value == 0.0


def test_measured_elsewhere():
    point = measured_at(0.06, SCORES, LABELS, PATIENTS, rule="given", unit="breast", source="made")
    assert (point.sensitivity.value, point.specificity.value) == (0.75, 0.5)


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"wanted specificity: 0 is not in \(0, 1\]"):
        chosen(0)
    with pytest.raises(InputError, match="both positive and negative"):
        at_specificity(SCORES, np.ones(14, bool), PATIENTS, wanted=0.9, unit="breast", source="made")
