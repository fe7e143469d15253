"""The figures of an evaluation against scikit-learn and counts by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, brier_score_loss, f1_score, roc_auc_score

from mammo_train.measures import (
    Resampling,
    at_threshold,
    calibration_bins,
    level,
    mean_difference,
    roc_band,
)
from mammo_train.units import Units

QUICK = Resampling(draws=60, seed=0, prevalence=None)


def made(count: int = 300, prevalence: float = 0.4, seed: int = 0) -> Units:
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < prevalence
    odds = rng.normal(size=count) + 1.2 * labels - 1
    patients = tuple(str(i // 2) for i in range(count))
    return Units(1 / (1 + np.exp(-odds)), labels, patients, tuple(map(str, range(count))), "breast")


def of(figures) -> dict:
    return {figure.name: figure for figure in figures}


def test_a_level_agrees_with_scikit_learn():
    units = made()
    found = level(units, None, "mean over its views", QUICK)
    figures = of(found.figures)
    assert figures["roc_auc"].own.value == pytest.approx(roc_auc_score(units.labels, units.scores))
    assert figures["pr_auc"].own.value == pytest.approx(average_precision_score(units.labels, units.scores))
    assert figures["brier"].own.value == pytest.approx(brier_score_loss(units.labels, units.scores))
    p, y = units.scores, units.labels
    assert figures["probabilistic_f1"].own.value == pytest.approx(2 * (p * y).sum() / (p.sum() + y.sum()))
    assert figures["sensitivity_at_specificity_90"].own.value == pytest.approx(
        max((p[y] >= t).mean() for t in p if (p[~y] < t).mean() >= 0.9)
    )
    assert all(figure.own.low <= figure.own.value <= figure.own.high for figure in found.figures)
    assert all(figure.stated is None for figure in found.figures)
    assert (found.n, found.positives, found.patients) == (300, int(y.sum()), 150)
    assert found.prevalence == y.mean()


def test_restated_figures_are_those_of_a_set_with_that_prevalence():
    # Each negative ten times over: the same figures as weights give.
    units = made(120)
    times = np.where(units.labels, 1, 10)
    odds = np.log(units.scores / (1 - units.scores)) - np.log(10)
    shifted = Units(1 / (1 + np.exp(-odds)), units.labels, units.patients, units.keys, "breast")
    prevalence = float(units.labels.sum() / times.sum())
    found = of(level(units, shifted, "", Resampling(20, 0, prevalence)).figures)
    y, p, q = (np.repeat(values, times) for values in (units.labels, units.scores, shifted.scores))
    assert found["pr_auc"].stated.value == pytest.approx(average_precision_score(y, p))
    assert found["brier"].stated.value == pytest.approx(brier_score_loss(y, q))
    assert found["roc_auc"].stated.value == pytest.approx(found["roc_auc"].own.value)


def test_what_a_threshold_costs():
    units = made()
    cost = at_threshold(units, 0.4, Resampling(20, 0, 0.02))
    figures = of(cost.figures)
    flagged = units.scores >= 0.4
    assert cost.true_positives == (flagged & units.labels).sum()
    assert cost.false_positives == (flagged & ~units.labels).sum()
    assert cost.true_positives + cost.false_negatives == cost.positives
    assert cost.n == 300
    assert figures["accuracy"].own.value == pytest.approx(accuracy_score(units.labels, flagged))
    assert figures["f1"].own.value == pytest.approx(f1_score(units.labels, flagged))
    assert figures["all_negative_accuracy"].own.value == pytest.approx(1 - units.labels.mean())
    assert figures["all_negative_accuracy"].stated.value == pytest.approx(0.98)
    # Bayes: PPV at 2 % from sensitivity and specificity.
    sensitivity, specificity = figures["sensitivity"].own.value, figures["specificity"].own.value
    expected = 0.02 * sensitivity / (0.02 * sensitivity + 0.98 * (1 - specificity))
    assert figures["ppv"].stated.value == pytest.approx(expected)
    assert figures["sensitivity"].stated.value == pytest.approx(sensitivity)


def test_one_class_alone_gives_no_figure_and_no_error():
    units = made()
    healthy = Units(units.scores, np.zeros(300, bool), units.patients, units.keys, "breast")
    found = of(level(healthy, healthy, "", Resampling(5, 0, 0.1)).figures)
    assert np.isnan(found["roc_auc"].own.value)
    assert found["roc_auc"].stated is None
    assert found["brier"].own.value == pytest.approx((units.scores**2).mean())
    cost = of(at_threshold(healthy, 0.4, Resampling(5, 0, 0.1)).figures)
    assert np.isnan(cost["sensitivity"].own.value)
    assert 0 < cost["specificity"].own.value < 1


def test_the_band_holds_the_curve():
    band = roc_band(made(), QUICK)
    assert band.sensitivity[0] >= 0
    assert band.sensitivity[-1] == band.low[-1] == band.high[-1] == 1
    assert (np.diff(band.sensitivity) >= 0).all()
    inside = (band.low <= band.sensitivity) & (band.sensitivity <= band.high)
    assert inside.mean() > 0.9


def test_ranges_of_probability():
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 1], bool)
    scores = np.arange(1, 9) / 10
    units = Units(scores, labels, tuple("abcdefgh"), tuple("abcdefgh"), "breast")
    low, high = calibration_bins(units, QUICK, 2)
    assert (low.n, low.positives, low.mean_probability, low.observed.value) == (4, 1, 0.25, 0.25)
    assert (high.n, high.positives, high.observed.value) == (4, 3, 0.75)
    assert high.mean_probability == pytest.approx(0.65)
    assert (low.low, high.high) == (0.1, 0.8)
    assert low.high == high.low
    # At a prevalence of 10 % the positives weigh 0.2, the negatives 1.8: 0.2 / (0.2 + 3 * 1.8) of the lower range.
    (low, _) = calibration_bins(units, Resampling(20, 0, 0.1), 2, stated=True)
    assert low.observed.value == pytest.approx(0.2 / (0.2 + 3 * 1.8))
    assert low.mean_probability == pytest.approx((1.8 * 0.6 + 0.2 * 0.4) / (0.2 + 3 * 1.8))


def test_equal_scores_share_a_range():
    units = Units(np.full(6, 0.5), np.array([1, 0, 1, 0, 0, 0], bool), tuple("abcdef"), tuple("abcdef"), "breast")
    (only,) = calibration_bins(units, QUICK, 10)
    assert (only.n, only.positives) == (6, 2)


def test_a_difference_of_means():
    values = np.array([1.0, 3.0, 10.0, 20.0])
    inside, outside, difference = mean_difference(values, np.array([1, 1, 0, 0], bool), list("abcd"), QUICK)
    assert (inside.value, outside.value, difference.value) == (2.0, 15.0, -13.0)
    assert difference.low < -13 < difference.high
