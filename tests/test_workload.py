"""Exams taken off the list against cancers missed, counted by hand and against the bootstrap."""

import numpy as np
import pytest

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.intervals import bootstrap
from mammo_core.workload import Workload, by_exam

# Four exams: a is positive by its left breast, d by its right one.
CASES = Cases(
    np.array([0.2, 0.6, 0.1, 0.3, 0.5, 0.05, 0.15, 0.4]),
    np.array([False, True, False, False, False, False, True, False]),
    tuple("aabbccdd"),
    "breast",
    "made by hand",
)


def test_an_exam_is_the_highest_of_its_breasts() -> None:
    exams = by_exam(CASES)
    assert exams.scores.tolist() == [0.6, 0.3, 0.5, 0.4]
    assert exams.labels.tolist() == [True, False, False, True]
    assert (exams.patients, exams.unit) == (("a", "b", "c", "d"), "exam")


def test_by_hand() -> None:
    found = Workload(CASES, draws=50).at(0.45)
    # b and d are off the list: half of the exams, one of the two cancers.
    assert (found.off_list.value, found.cancers_missed.value, found.missed_per_1000.value) == (0.5, 0.5, 250)
    assert (found.exams, found.positives, found.prevalence) == (4, 2, 0.5)


def test_at_another_prevalence_by_hand() -> None:
    found = Workload(CASES, draws=50).at(0.45, 0.01)
    # Half of the positive and half of the negative exams are off the list.
    assert found.off_list.value == pytest.approx(0.5)
    assert found.cancers_missed.value == 0.5
    assert found.missed_per_1000.value == pytest.approx(5)


def many() -> Cases:
    random = np.random.default_rng(5)
    labels = random.random(400) < 0.15
    return Cases(random.random(400) + 0.4 * labels, labels, tuple(str(i // 2) for i in range(400)), "breast", "made")


def test_intervals_are_those_of_the_bootstrap_over_exams() -> None:
    exams = by_exam(many())
    found = Workload(many(), draws=200).at(0.7)
    wanted = bootstrap(
        lambda s, y, w: float((w * (s < 0.7) * y).sum() / (w * y).sum()),
        exams.scores,
        exams.labels,
        exams.patients,
        draws=200,
    )
    missed = found.cancers_missed
    assert (missed.value, missed.low, missed.high) == pytest.approx((wanted.value, wanted.low, wanted.high))


@pytest.mark.parametrize("prevalence", [None, 0.01])
def test_every_threshold_lies_on_the_curve(prevalence: float | None) -> None:
    workload = Workload(many(), draws=100)
    curve = workload.curve(prevalence)
    assert (curve.x[0], curve.y[0]) == (0, 0)
    assert curve.y[-1] == pytest.approx(1)
    assert (np.diff(curve.y) >= -1e-12).all()
    for threshold in (0.3, 0.6, 0.9):
        point = workload.at(threshold, prevalence)
        assert np.interp(point.off_list.value, curve.x, curve.y) == pytest.approx(point.cancers_missed.value, abs=0.03)
    assert (curve.low <= curve.high).all()


@pytest.mark.parametrize("at_most", [0.0, 0.02, 0.1])
def test_the_largest_list_that_may_be_left_out(at_most: float) -> None:
    workload = Workload(many(), draws=20)
    threshold = workload.largest_off_list(at_most)
    assert workload.at(threshold).cancers_missed.value <= at_most
    assert workload.at(np.nextafter(threshold, np.inf)).cancers_missed.value > at_most


def test_one_class_is_a_sentence() -> None:
    with pytest.raises(InputError, match="none of the 2 is negative"):
        Workload(Cases(np.array([0.1, 0.2]), np.array([True, True]), ("a", "b"), "breast", ""))
