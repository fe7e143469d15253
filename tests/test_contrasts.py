"""Differences between arms: the same draws, all repeats, Holm over everything that is tested."""

from dataclasses import astuple

import numpy as np
import pytest

from mammo_core.errors import InputError
from mammo_core.intervals import holm, paired_bootstrap
from mammo_core.metrics import average_precision, roc_auc
from mammo_train.contrasts import contrasts, figures, measured, repeats
from mammo_train.plan import Question
from mammo_train.units import Units

RNG = np.random.default_rng(0)
LABELS = RNG.random(200) < 0.3
PATIENTS = tuple(f"p{i // 2}" for i in range(200))


def scored(strength):
    scores = 1 / (1 + np.exp(-(RNG.normal(size=200) + strength * LABELS)))
    return Units(scores, LABELS, PATIENTS, tuple(f"k{i:03}" for i in range(200)), "breast")


POOLS = {
    "good": [[scored(3)], [scored(3)]],
    "poor": [[scored(0.5)], [scored(0.5)]],
    "same": [[scored(0.5)], [scored(0.5)]],
}
QUESTIONS = (Question(a="good", b="poor", about="?"), Question(a="same", b="poor", about="?"))


def test_an_arm_is_the_mean_over_its_seeds():
    found = measured(*repeats(POOLS["good"]), None, draws=100)
    assert found["roc_auc"].value == pytest.approx(np.mean([roc_auc(p.scores, LABELS) for [p] in POOLS["good"]]))
    assert set(found) == {"roc_auc", "pr_auc", "sensitivity_at_90", "probabilistic_f1", "brier"}


def test_copies_of_one_training_say_nothing_of_its_luck():
    """Seeds are drawn, their copies are not: the same scores twice over leave interval and p-value where they are."""
    once = contrasts(POOLS, QUESTIONS, None, draws=200)
    twice = contrasts(
        {name: [copies * 2 for copies in pool] for name, pool in POOLS.items()}, QUESTIONS, None, draws=200
    )
    for one, two in zip(once, twice, strict=True):
        assert astuple(two.difference) == pytest.approx(astuple(one.difference), rel=1e-12)
    units, scores = repeats([[one, other] for [one], [other] in zip(POOLS["good"], POOLS["poor"], strict=True)])
    assert scores.shape == (2, 2, 200)
    each = [measured(units, scores[:, copy], None, draws=200)["roc_auc"].value for copy in range(2)]
    assert measured(units, scores, None, draws=200)["roc_auc"].value == pytest.approx(np.mean(each))


def test_every_question_is_answered_by_both_areas_and_corrected_together():
    found = contrasts(POOLS, QUESTIONS, None, draws=200)
    assert [(one.a, one.b, one.figure) for one in found] == [
        *(("good", "poor", "roc_auc"), ("good", "poor", "pr_auc")),
        *(("same", "poor", "roc_auc"), ("same", "poor", "pr_auc")),
    ]
    assert [one.p_holm for one in found] == list(holm([one.difference.p for one in found]))
    assert found[0].p_holm < 0.05 < found[2].p_holm
    stacked = [np.stack([one.scores for [one] in POOLS[name]]) for name in ("good", "poor")]
    assert found[1].difference == paired_bootstrap(average_precision, *stacked, LABELS, PATIENTS, draws=200)


def test_a_stated_prevalence_is_where_pr_auc_is_compared():
    assert [one.name for one in figures(0.02) if one.tested] == ["roc_auc", "pr_auc_stated"]
    own, stated = (measured(*repeats(POOLS["good"]), 0.02, draws=100)[name] for name in ("pr_auc", "pr_auc_stated"))
    assert stated.value < own.value - 0.1
    found = contrasts(POOLS, QUESTIONS[:1], 0.02, draws=100)
    assert [one.figure for one in found] == ["roc_auc", "pr_auc_stated"]


def test_arms_on_other_breasts_are_not_compared():
    odd = Units(np.ones(2), np.array([True, False]), ("a", "b"), ("a", "b"), "breast")
    with pytest.raises(InputError, match="are not of the same units"):
        contrasts({"good": POOLS["good"], "poor": [[odd], [odd]]}, QUESTIONS[:1], None, draws=100)
