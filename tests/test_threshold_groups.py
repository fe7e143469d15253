"""One threshold by subgroup, against counting by hand and the bootstrap on the group alone."""

import numpy as np
import pytest

from mammo_core.cases import Cases
from mammo_core.intervals import PatientDraws
from mammo_core.metrics import sensitivity, specificity
from mammo_core.threshold_groups import NOT_STATED, GroupTable, age_band

RANDOM = np.random.default_rng(3)
PATIENTS = tuple(str(i // 2) for i in range(300))
DENSITY = tuple(RANDOM.choice(["A", "B", "C", ""], 300, p=[0.5, 0.3, 0.19, 0.01]).tolist())
AGE = tuple(str(35 + i // 2 % 50) for i in range(300))
LABELS = RANDOM.random(300) < 0.3
CASES = Cases(
    RANDOM.random(300) + 0.2 * LABELS,
    LABELS,
    PATIENTS,
    "breast",
    "made",
    {"density": DENSITY, "age": AGE, "site": ("one",) * 300},
)


@pytest.fixture(scope="module")
def table() -> GroupTable:
    return GroupTable(CASES, PatientDraws(PATIENTS, draws=300))


def test_every_group_is_there_once_and_columns_of_one_value_are_left_out(table: GroupTable) -> None:
    found = table.at(0.6)
    assert [group.value for group in found if group.by == "density"] == ["A", "B", "C", NOT_STATED]
    ages = [group.value for group in found if group.by == "age"]
    assert ages == ["under 40", "40 to 49", "50 to 59", "60 to 69", "70 and over"]
    assert {group.by for group in found} == {"density", "age"}
    for by in ("density", "age"):
        assert sum(group.n for group in found if group.by == by) == 300


def test_rates_are_those_of_the_group_alone(table: GroupTable) -> None:
    inside = np.array(DENSITY) == "B"
    found = next(group for group in table.at(0.6) if group.value == "B")
    part = CASES.chosen(inside)
    assert (found.n, found.positives) == (len(part), part.positives)
    assert found.patients == len(set(part.patients))
    assert found.sensitivity.value == pytest.approx(sensitivity(part.scores, part.labels, 0.6))
    assert found.specificity.value == pytest.approx(specificity(part.scores, part.labels, 0.6))
    assert found.recall_rate.value == pytest.approx((part.scores >= 0.6).mean())
    assert found.sensitivity.low < found.sensitivity.value < found.sensitivity.high
    assert found.specificity.low < found.specificity.value < found.specificity.high


def test_intervals_are_over_the_draws_of_all_patients(table: GroupTable) -> None:
    draws = PatientDraws(PATIENTS, draws=300)
    inside = np.array(DENSITY) == "A"
    weights = draws.times[:, draws.patient_of]
    values = [
        float((row * (inside & LABELS & (CASES.scores >= 0.6))).sum() / (row * (inside & LABELS)).sum())
        for row in weights
    ]
    found = next(group for group in table.at(0.6) if group.value == "A")
    assert (found.sensitivity.low, found.sensitivity.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_small_groups_are_warned_about_and_a_missing_class_has_no_rate(table: GroupTable) -> None:
    few = next(group for group in table.at(0.6) if group.value == NOT_STATED)
    assert few.warning.startswith("only ")
    one = Cases(np.array([0.1, 0.9]), np.array([False, True]), ("a", "b"), "breast", "", {"density": ("A", "B")})
    a, b = GroupTable(one, PatientDraws(("a", "b"), draws=50)).at(0.5)
    assert np.isnan(a.sensitivity.value)
    assert a.specificity.value == 1
    assert np.isnan(b.specificity.value)
    assert a.warning == "only 0 positive and 1 negative"


def test_without_columns_there_is_no_table() -> None:
    cases = Cases(np.array([0.1, 0.9]), np.array([False, True]), ("a", "b"), "breast", "")
    assert GroupTable(cases, PatientDraws(("a", "b"), draws=10)).at(0.5) == ()


def test_age_bands() -> None:
    ages = (39, 40, 49, 70, float("nan"))
    assert [age_band(age) for age in ages] == ["under 40", "40 to 49", "40 to 49", "70 and over", ""]
