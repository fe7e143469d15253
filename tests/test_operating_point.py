"""Thresholds and what they cost, on scores small enough to count by hand."""

import numpy as np
import pytest

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.operating_point import at_recall_rate, at_sensitivity, at_specificity, measured_at, youden

NEGATIVES = np.arange(1, 11) / 100  # .01 ... .10
POSITIVES = np.array([0.05, 0.095, 0.2, 0.3])
SCORES = np.r_[NEGATIVES, POSITIVES]
LABELS = np.r_[np.zeros(10, bool), np.ones(4, bool)]
PATIENTS = tuple(str(i) for i in range(14))
CASES = Cases(SCORES, LABELS, PATIENTS, "breast", "made by hand")


def made(scores: list[float], labels: list[bool]) -> Cases:
    return Cases(np.array(scores), np.array(labels), tuple("abcd"[: len(scores)]), "breast", "made by hand")


def chosen(wanted: float):
    return at_specificity(CASES, wanted=wanted)


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
    point = at_specificity(made([0.1, 0.5], [True, False]), wanted=1.0)
    assert point.specificity.value == 1.0
    assert point.sensitivity.value == 0.0


def test_a_wanted_sensitivity():
    # Three of four positives, down to .095; the next score below is the negative at .09.
    point = at_sensitivity(CASES, wanted=0.7)
    assert point.threshold == pytest.approx(0.0925)
    assert (point.sensitivity.value, point.specificity.value) == (0.75, 0.9)
    assert point.rule == "highest specificity at a sensitivity of at least 70%"
    # All four need the one at .05, which a negative shares.
    point = at_sensitivity(CASES, wanted=0.9)
    assert point.threshold == pytest.approx(0.045)
    assert (point.sensitivity.value, point.specificity.value) == (1.0, 0.4)


def test_everything_must_be_flagged():
    point = at_sensitivity(made([0.1, 0.5], [True, False]), wanted=1.0)
    assert (point.sensitivity.value, point.specificity.value) == (1.0, 0.0)


def test_a_wanted_recall_rate():
    # Two of fourteen is 14.3 %: .3 and .2; a third, at .10, would be 21.4 %.
    point = at_recall_rate(CASES, wanted=0.2)
    assert point.threshold == pytest.approx(0.15)
    assert point.rule == "recall rate of at most 20.0%"
    # Tied scores are recalled together or not at all: .05 is a positive's and a negative's.
    assert at_recall_rate(CASES, wanted=9 / 14).threshold == pytest.approx(0.055)
    assert at_recall_rate(CASES, wanted=10 / 14).threshold == pytest.approx(0.045)
    # Not even the highest score may be flagged.
    assert at_recall_rate(CASES, wanted=0.05).sensitivity.value == 0


def test_a_recall_rate_at_another_prevalence():
    # At 2 % a positive weighs .005 and a negative .098: .3 and .2 are 1 %, the negative at .10 makes it 10.8 %.
    at = {"wanted": 0.11, "prevalence": 0.02}
    point = at_recall_rate(CASES, **at)
    assert point.threshold == pytest.approx(0.0975)  # the positive at .095 would make it 11.3 %
    assert point.rule == "recall rate of at most 11.0% at a prevalence of 2.00%"


def test_youden():
    # .095: .75 + .9 - 1 = .65; .2: .5; .05: 1 + .4 - 1 = .4.
    point = youden(CASES)
    assert point.threshold == pytest.approx(0.0925)
    # Of two that are equal the higher threshold: 1/2 + 1 and 1 + 1/2.
    equal = youden(made([0.4, 0.2, 0.3, 0.1], [True, True, False, False]))
    assert (equal.sensitivity.value, equal.specificity.value) == (0.5, 1.0)


def test_measured_elsewhere():
    point = measured_at(0.06, CASES, rule="given")
    assert (point.sensitivity.value, point.specificity.value) == (0.75, 0.5)


def test_bad_input_is_named():
    with pytest.raises(InputError, match=r"wanted specificity: 0 is not in \(0, 1\]"):
        chosen(0)
    with pytest.raises(InputError, match="both positive and negative"):
        at_specificity(Cases(SCORES, np.ones(14, bool), PATIENTS, "breast", "made"), wanted=0.9)
