"""What a threshold costs: against scikit-learn, against the bootstrap that all other figures come from, by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.intervals import bootstrap
from mammo_core.metrics import average_precision, npv, ppv, recall_rate, roc_auc, roc_curve, sensitivity, specificity
from mammo_core.operating_point import at_recall_rate, at_sensitivity, at_specificity, measured_at, youden
from mammo_core.prevalence import at_prevalence, weights_at
from mammo_core.tradeoff import GRID, Tradeoff

DRAWS = 200


def some_cases(seed: int = 0, patients: int = 90, tied: bool = False) -> Cases:
    """Breasts of patients who have one to three of them, a fifth positive."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), random.integers(1, 4, patients))
    labels = random.random(owner.size) < 0.2
    scores = random.beta(2, 5, owner.size) + 0.25 * labels * random.random(owner.size)
    return Cases(np.round(scores, 1 if tied else 6), labels, tuple(map(str, owner)), "breast", "made by hand")


@pytest.fixture(scope="module", params=[False, True], ids=["distinct", "tied"])
def cases(request: pytest.FixtureRequest) -> Cases:
    return some_cases(tied=request.param)


@pytest.fixture(scope="module")
def tradeoff(cases: Cases) -> Tradeoff:
    return Tradeoff(cases, draws=DRAWS)


THRESHOLDS = [0.0, 0.2, 0.35, 0.5]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_counts_and_rates_are_those_of_scikit_learn(cases: Cases, tradeoff: Tradeoff, threshold: float) -> None:
    found = tradeoff.at(threshold)
    flagged = cases.scores >= threshold
    (tn, fp), (fn, tp) = sk.confusion_matrix(cases.labels, flagged)
    assert (found.true_negatives, found.false_positives) == (tn, fp)
    assert (found.false_negatives, found.true_positives) == (fn, tp)
    assert found.sensitivity.value == pytest.approx(sk.recall_score(cases.labels, flagged))
    assert found.specificity.value == pytest.approx(sk.recall_score(~cases.labels, ~flagged))
    assert found.ppv.value == pytest.approx(sk.precision_score(cases.labels, flagged))
    assert found.recalled.value == pytest.approx(1000 * flagged.mean())
    assert found.found.value == pytest.approx(1000 * tp / len(cases))
    assert found.missed.value == pytest.approx(1000 * fn / len(cases))


@pytest.mark.parametrize("prevalence", [0.006, 0.5])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_rates_at_a_prevalence_are_those_of_weighted_scikit_learn(
    cases: Cases, tradeoff: Tradeoff, threshold: float, prevalence: float
) -> None:
    found = tradeoff.at(threshold, prevalence)
    flagged = cases.scores >= threshold
    weights = np.where(cases.labels, prevalence / cases.labels.sum(), (1 - prevalence) / (~cases.labels).sum())
    assert found.ppv.value == pytest.approx(sk.precision_score(cases.labels, flagged, sample_weight=weights))
    assert found.recalled.value == pytest.approx(1000 * np.average(flagged, weights=weights))
    assert found.found.value + found.missed.value == pytest.approx(1000 * prevalence)
    assert found.found.value == pytest.approx(1000 * weights[flagged & cases.labels].sum())
    assert found.sensitivity == tradeoff.at(threshold).sensitivity
    assert found.recall_rate == tradeoff.at(threshold).recall_rate


@pytest.mark.parametrize("threshold", THRESHOLDS[1:])
def test_intervals_are_those_of_the_bootstrap(cases: Cases, tradeoff: Tradeoff, threshold: float) -> None:
    given = (cases.scores, cases.labels, cases.patients)
    own, stated = tradeoff.at(threshold), tradeoff.at(threshold, 0.02)
    for figure, found in (
        (sensitivity, own.sensitivity),
        (specificity, own.specificity),
        (ppv, own.ppv),
        (npv, own.npv),
        (recall_rate, own.recall_rate),
    ):
        wanted = bootstrap(lambda s, y, w, f=figure: f(s, y, threshold, w), *given, draws=DRAWS)
        assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))
    for figure, found in ((ppv, stated.ppv), (npv, stated.npv), (recall_rate, stated.recalled)):
        moved = at_prevalence(lambda s, y, w, f=figure: f(s, y, threshold, w), 0.02)
        wanted = bootstrap(moved, *given, draws=DRAWS)
        scale = 1000 if figure is recall_rate else 1
        expected = (scale * wanted.value, scale * wanted.low, scale * wanted.high)
        assert (found.value, found.low, found.high) == pytest.approx(expected)


def test_by_hand() -> None:
    cases = Cases(
        np.array([0.9, 0.4, 0.6, 0.2, 0.1, 0.05]),
        np.array([True, True, False, False, False, False]),
        tuple("abcdef"),
        "breast",
        "",
    )
    found = Tradeoff(cases, draws=20).at(0.5, 0.01)
    assert (found.sensitivity.value, found.specificity.value) == (0.5, 0.75)
    # Of 1,000 ten are positive, five of them found; a quarter of 990 is recalled beside them.
    assert found.recalled.value == pytest.approx(252.5)
    assert (found.found.value, found.missed.value) == pytest.approx((5, 5))
    assert found.ppv.value == pytest.approx(5 / 252.5)
    assert found.npv.value == pytest.approx(742.5 / 747.5)


def test_nobody_flagged_has_no_ppv_and_everybody_no_npv(tradeoff: Tradeoff) -> None:
    nobody, everybody = tradeoff.at(2.0, 0.02), tradeoff.at(-1.0, 0.02)
    assert np.isnan(nobody.ppv.value)
    assert np.isnan(nobody.ppv.low)
    assert nobody.npv.value == pytest.approx(0.98)
    assert np.isnan(everybody.npv.value)
    assert everybody.ppv.value == pytest.approx(0.02)


def test_areas_are_those_of_scikit_learn_with_the_bootstraps_intervals(cases: Cases, tradeoff: Tradeoff) -> None:
    assert tradeoff.roc_auc().value == pytest.approx(sk.roc_auc_score(cases.labels, cases.scores))
    assert tradeoff.average_precision().value == pytest.approx(sk.average_precision_score(cases.labels, cases.scores))
    given = (cases.scores, cases.labels, cases.patients)
    for found, figure in ((tradeoff.roc_auc(), roc_auc), (tradeoff.average_precision(), average_precision)):
        wanted = bootstrap(figure, *given, draws=DRAWS)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_the_roc_curve_and_its_band(cases: Cases, tradeoff: Tradeoff) -> None:
    curve = tradeoff.roc()
    assert curve.x.size == GRID
    wanted = sk.roc_curve(cases.labels, cases.scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.y, np.interp(curve.x, wanted[0], wanted[1]), atol=1e-9)
    place = 40

    def height(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
        drawn = roc_curve(scores, labels, weights)
        return float(np.interp(curve.x[place], 1 - drawn.specificity, drawn.sensitivity))

    band = bootstrap(height, cases.scores, cases.labels, cases.patients, draws=DRAWS)
    assert (curve.low[place], curve.high[place]) == pytest.approx((band.low, band.high))


@pytest.mark.parametrize("prevalence", [None, 0.02])
def test_the_pr_curve_lies_on_scikit_learns(cases: Cases, tradeoff: Tradeoff, prevalence: float | None) -> None:
    curve = tradeoff.pr(prevalence)
    weights = np.ones(len(cases)) if prevalence is None else weights_at(cases.labels, prevalence)
    precision, recall, _ = sk.precision_recall_curve(cases.labels, cases.scores, sample_weight=weights)
    for x, y in zip(curve.x[::20], curve.y[::20], strict=True):
        # The highest threshold that reaches the recall: the last point of scikit-learn's falling recalls.
        place = np.flatnonzero(recall >= x - 1e-9)[-1]
        assert y == pytest.approx(precision[place])
    assert (curve.low <= curve.y + 0.15).all()
    assert (curve.low <= curve.high).all()


def test_it_solves_as_operating_points_are_chosen(cases: Cases, tradeoff: Tradeoff) -> None:
    assert tradeoff.solve("sensitivity", 0.8) == at_sensitivity(cases, wanted=0.8).threshold
    assert tradeoff.solve("specificity", 0.9) == at_specificity(cases, wanted=0.9).threshold
    wanted = at_recall_rate(cases, wanted=0.1, prevalence=0.02).threshold
    assert tradeoff.solve("recall_rate", 0.1, 0.02) == wanted
    assert tradeoff.youden() == youden(cases).threshold


def test_a_point_is_what_measuring_makes_of_it(cases: Cases) -> None:
    assert Tradeoff(cases).point(0.35, "by hand") == measured_at(0.35, cases, rule="by hand")


def test_the_histogram_holds_every_case(cases: Cases, tradeoff: Tradeoff) -> None:
    found = tradeoff.histogram(10)
    assert (found.positive.sum(), found.negative.sum()) == (cases.positives, len(cases) - cases.positives)
    inside = cases.labels & (cases.scores >= found.edges[3]) & (cases.scores < found.edges[4])
    assert found.positive[3] == inside.sum()


@pytest.mark.parametrize(("highest", "end"), [(0.9, 1.0), (0.5, 0.5), (0.061, 0.1), (0.001, 0.01), (3.0, 3.0)])
def test_the_histogram_reaches_as_far_as_the_scores(highest: float, end: float) -> None:
    scores = np.linspace(highest / 50, highest, 50)
    cases = Cases(scores, np.arange(50) >= 25, tuple(map(str, range(50))), "breast", "")
    found = Tradeoff(cases, draws=20).histogram()
    assert found.edges[-1] == end
    assert found.positive.sum() + found.negative.sum() == 50
    assert np.count_nonzero(found.positive + found.negative) >= min(20, highest / end * 40)


def test_few_cases_are_warned_about() -> None:
    cases = Cases(np.linspace(0, 1, 20), np.arange(20) >= 17, tuple(map(str, range(20))), "breast", "")
    assert Tradeoff(cases, draws=20).warnings == ("Only 3 positive breasts: the intervals tell little.",)


@pytest.mark.parametrize(
    ("labels", "patients", "words"),
    [
        ([], "", "there is no breast whose truth is known"),
        ([True, True], "ab", "none of the 2 is negative"),
        ([False], "a", "none of the 1 is positive"),
        ([True, False, False], "aab", "only one patient is positive"),
    ],
)
def test_too_few_cases_are_a_sentence(labels: list[bool], patients: str, words: str) -> None:
    cases = Cases(np.linspace(0, 1, len(labels)), np.array(labels, np.bool_), tuple(patients), "breast", "")
    with pytest.raises(InputError, match=words):
        Tradeoff(cases)


def test_a_prevalence_outside_0_and_1_is_refused(tradeoff: Tradeoff) -> None:
    with pytest.raises(InputError, match="prevalence: 1 is not between 0 and 1"):
        tradeoff.at(0.5, 1.0)
