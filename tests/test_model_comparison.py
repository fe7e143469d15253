"""Two models on the same cases, against the paired bootstrap."""

import numpy as np
import pytest

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.intervals import paired_bootstrap
from mammo_core.metrics import average_precision, recall_rate, roc_auc, sensitivity
from mammo_core.model_comparison import compare_models, shared

RANDOM = np.random.default_rng(7)
LABELS = RANDOM.random(200) < 0.25
PATIENTS = tuple(str(i // 2) for i in range(200))
SIDES = ("R", "L") * 100


def scored(strength: float) -> Cases:
    scores = np.random.default_rng(int(10 * strength)).random(200) + strength * LABELS
    return Cases(scores, LABELS, PATIENTS, "breast", "made", {"laterality": SIDES})


def test_differences_are_those_of_the_paired_bootstrap() -> None:
    first, second = scored(0.6), scored(0.3)
    found = compare_models(first, second, recall_rate=0.2, draws=200)
    given = (first.scores, second.scores, LABELS, PATIENTS)
    for figure, statistic in zip(found.figures, (roc_auc, average_precision), strict=False):
        wanted = paired_bootstrap(statistic, *given, draws=200)
        assert figure.first.value == pytest.approx(statistic(first.scores, LABELS))
        assert figure.second.value == pytest.approx(statistic(second.scores, LABELS))
        above = figure.above
        expected = (wanted.value, wanted.low, wanted.high, wanted.p)
        assert (above.value, above.low, above.high, above.p) == pytest.approx(expected)


def test_each_model_has_its_own_threshold_for_the_recall_rate() -> None:
    first, second = scored(0.6), scored(0.3)
    found = compare_models(first, second, recall_rate=0.2, draws=50)
    for cases, threshold, measured in zip(
        (first, second), found.thresholds, (found.figures[2].first, found.figures[2].second), strict=True
    ):
        assert 0.19 <= recall_rate(cases.scores, LABELS, threshold) <= 0.2
        assert measured.value == pytest.approx(sensitivity(cases.scores, LABELS, threshold))
    assert found.figures[2].title == "Sensitivity at a recall rate of at most 20.0%"


def test_a_model_beside_itself_does_not_differ() -> None:
    found = compare_models(scored(0.6), scored(0.6), recall_rate=0.2, draws=50)
    assert all((f.above.value, f.above.low, f.above.high, f.above.p) == (0, 0, 0, 1) for f in found.figures)


def test_only_shared_cases_count_in_whatever_order() -> None:
    first = scored(0.6)
    order = np.random.default_rng(0).permutation(200)[:150]
    second = scored(0.3)
    part = Cases(
        second.scores[order],
        LABELS[order],
        tuple(PATIENTS[i] for i in order),
        "breast",
        "made",
        {"laterality": tuple(SIDES[i] for i in order)},
    )
    a, b = shared(first, part)
    assert len(a) == len(b) == 150
    kept = np.sort(order)
    assert a.scores.tolist() == first.scores[kept].tolist()
    assert b.scores.tolist() == second.scores[kept].tolist()
    assert compare_models(first, part, recall_rate=0.2, draws=20).n == 150


def test_what_cannot_be_compared_is_a_sentence() -> None:
    first = scored(0.6)
    strangers = Cases(first.scores, LABELS, tuple(f"x{p}" for p in PATIENTS), "breast", "", {"laterality": SIDES})
    with pytest.raises(InputError, match="different cases: none is shared"):
        compare_models(first, strangers, recall_rate=0.2)
    turned = Cases(first.scores, ~LABELS, PATIENTS, "breast", "", {"laterality": SIDES})
    with pytest.raises(InputError, match="disagree about the truth of 200 of 200"):
        compare_models(first, turned, recall_rate=0.2)
    with pytest.raises(InputError, match="per breast, the other per exam"):
        compare_models(first, Cases(first.scores, LABELS, PATIENTS, "exam", ""), recall_rate=0.2)
    with pytest.raises(InputError, match="wanted recall rate"):
        compare_models(first, first, recall_rate=0.0)
