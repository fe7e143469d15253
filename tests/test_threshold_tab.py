"""The Threshold tab without a browser: every figure on screen is that of scikit-learn, and what cannot be is said."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from made import made_checkpoint, made_point
from mammo_core.calibration import Calibration
from mammo_core.checkpoint import ValidationScores
from mammo_core.errors import InputError
from mammo_core.library import Library, OutcomeImport
from mammo_gui import bench
from mammo_gui.bench import Aim, Bench, Benches, Screen
from mammo_gui.views.chart import Axes, bars, chart, line, mark
from mammo_gui.views.outcomes import outcomes_html
from mammo_gui.views.threshold import controls_html, counts_html, figures_html
from mammo_gui.views.threshold_cases import flips_html, groups_html
from mammo_gui.views.threshold_plots import plots_html
from test_library_points import add_study

N = 300


def validation(**groups: tuple[str, ...]) -> ValidationScores:
    random = np.random.default_rng(1)
    labels = random.random(N) < 0.3
    scores = np.clip(0.25 + 0.12 * random.standard_normal(N) + 0.2 * labels, 0.01, 0.99)
    known = {
        "laterality": ("R", "L") * (N // 2),
        "density": tuple(random.choice(list("ABCD"), N).tolist()),
        "manufacturer": tuple(random.choice(["Acme <b>", "Other"], N).tolist()),
    }
    return ValidationScores(
        unit="breast",
        patients=tuple(f"P{i // 2:03}" for i in range(N)),
        labels=tuple(labels.tolist()),
        scores=tuple(np.round(scores, 4).tolist()),
        groups=known | groups,
    )


CALIBRATION = Calibration(
    slope=1.0, intercept=0.0, fitted_prevalence=0.3, stated_prevalence=0.3, unit="view", n=600, source="made"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "made.safetensors"
    made_checkpoint(path, operating_point=made_point(0.4), validation=validation(), calibration=CALIBRATION)
    return path


@pytest.fixture(scope="module")
def made(file: Path) -> Iterator[Bench]:
    with Library(file.parent / "library") as empty:
        yield Benches(empty).of(empty.models.add(file, origin="imported"))


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as opened:
        opened.set_reader("Dr Test")
        yield opened


def shown(library: Library, made: Bench, threshold: float | None = 0.35, prevalence: float = 0.01) -> Screen:
    return bench.screen(library, made, Aim(threshold=threshold, prevalence=prevalence))


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def tile(html: str, name: str) -> list[float]:
    """Value, lower and upper bound of a large figure."""
    part = html.split(f'id="tile-{name}"')[1].split("</div>")[0] if f'id="tile-{name}"' in html else ""
    number = re.search(r"<strong>([0-9.]+)", part)
    interval = re.search(r'class="interval">([0-9.]+) to ([0-9.]+)', part)
    assert number is not None, f"no figure {name}"
    assert interval is not None, f"no interval of {name}"
    return [float(number[1]), float(interval[1]), float(interval[2])]


@pytest.mark.parametrize("prevalence", [0.01, 0.2])
@pytest.mark.parametrize("threshold", [0.2, 0.35, 0.5])
def test_every_figure_on_screen_is_scikit_learns(
    library: Library, made: Bench, threshold: float, prevalence: float
) -> None:
    html = figures_html(shown(library, made, threshold, prevalence))
    cases = made.cases
    flagged = cases.scores >= threshold
    weights = np.where(cases.labels, prevalence / cases.labels.sum(), (1 - prevalence) / (~cases.labels).sum())
    (tn, fp), (fn, tp) = sk.confusion_matrix(cases.labels, flagged, sample_weight=weights)
    wanted = {
        "sensitivity": (100 * sk.recall_score(cases.labels, flagged), 0.05),
        "specificity": (100 * sk.recall_score(~cases.labels, ~flagged), 0.05),
        "ppv": (100 * sk.precision_score(cases.labels, flagged, sample_weight=weights), 0.05),
        "npv": (100 * tn / (tn + fn), 0.005),
        "recalled": (1000 * (tp + fp), 0.5),
        "found": (1000 * tp, 0.5),
        "missed": (1000 * fn, 0.5),
    }
    for name, (value, rounding) in wanted.items():
        found = tile(html, name)
        assert found[0] == pytest.approx(value, abs=rounding + 1e-9), name
        assert found[1] <= found[0] <= found[2], name
    assert f"{1000 * prevalence:.4g} of 1,000 breasts are positive" in text_of(html)


def test_the_confusion_table_counts_the_cases(library: Library, made: Bench) -> None:
    html = counts_html(shown(library, made))
    (tn, fp), (fn, tp) = sk.confusion_matrix(made.cases.labels, made.cases.scores >= 0.35)
    assert f"positive {tp} {fn} negative {fp} {tn}" in text_of(html)


def test_the_probability_is_shifted_by_the_odds_and_says_why(library: Library, made: Bench) -> None:
    html = counts_html(shown(library, made, 0.35, 0.01))
    odds = 0.35 / 0.65 * (0.01 / 0.99) / (0.3 / 0.7)
    assert f"0.350 as given, {odds / (1 + odds):.4f} at 10 per 1,000" in text_of(html)
    assert "less likely to be positive, by the ratio of the odds" in text_of(html)


def test_without_a_calibration_no_probability_is_made_up(library: Library, tmp_path: Path) -> None:
    made_checkpoint(tmp_path / "m.safetensors", validation=validation())
    html = counts_html(
        shown(library, Benches(library).of(library.models.add(tmp_path / "m.safetensors", origin="imported")))
    )
    assert "its score is no probability" in text_of(html)


def points(html: str, chart_id: str, kind: str) -> list[tuple[float, float]]:
    part = html.split(f'id="{chart_id}"')[1].split("</figure>")[0]
    return [
        (float(x), float(y))
        for x, y in re.findall(rf'class="mark {kind}"[^>]*data-x="([^"]+)"[^>]*data-y="([^"]+)"', part)
    ]


def test_the_charts_hold_the_right_points(library: Library, made: Bench) -> None:
    html = plots_html(shown(library, made))
    cases = made.cases
    flagged = cases.scores >= 0.35
    sensitivity, alarms = sk.recall_score(cases.labels, flagged), flagged[~cases.labels].mean()
    assert points(html, "chart-roc", "now") == [pytest.approx((alarms, sensitivity))]
    saved = cases.scores >= 0.4
    assert points(html, "chart-roc", "saved") == [
        pytest.approx((saved[~cases.labels].mean(), saved[cases.labels].mean()))
    ]
    assert points(html, "chart-roc", "readers") == [pytest.approx((0.111, 0.869))]
    ((recall, _),) = points(html, "chart-pr", "now")
    assert recall == pytest.approx(sensitivity)
    line_of = re.search(r'class="line model"[^>]*data-x="([^"]+)" data-y="([^"]+)"', html)
    assert line_of is not None
    x, y = (np.array([float(value) for value in text.split()]) for text in line_of.groups())
    false, true, _ = sk.roc_curve(cases.labels, cases.scores, drop_intermediate=False)
    np.testing.assert_allclose(y, np.interp(x, false, true), atol=1e-5)
    auc = sk.roc_auc_score(cases.labels, cases.scores)
    assert f"AUC {auc:.3f} (" in html


def test_the_workload_is_counted_by_exam(library: Library, made: Bench) -> None:
    html = text_of(plots_html(shown(library, made, 0.35, 0.01)))
    exams = {patient: [] for patient in made.cases.patients}
    for patient, score, label in zip(made.cases.patients, made.cases.scores, made.cases.labels, strict=True):
        exams[patient].append((score, label))
    highest = np.array([max(score for score, _ in parts) for parts in exams.values()])
    positive = np.array([any(label for _, label in parts) for parts in exams.values()])
    missed = (highest < 0.35)[positive].mean()
    off_list = 0.02 * missed + 0.98 * (highest < 0.35)[~positive].mean()
    assert f"not read: {off_list:.1%} (" in html
    assert f"off the list, {missed:.1%} (" in html
    assert f"missed, {20 * missed:.2f} (" in html


def test_subgroups_are_counted_and_escaped(library: Library, made: Bench) -> None:
    html = groups_html(shown(library, made))
    inside = np.array(made.cases.groups["manufacturer"]) == "Acme <b>"
    part = made.cases.chosen(inside)
    flagged = part.scores >= 0.35
    assert "Acme &lt;b&gt;" in html
    assert "<b>" not in html
    told = text_of(html)
    rate = 100 * sk.recall_score(part.labels, flagged)
    assert f"Acme <b> {len(part)} {part.positives} {rate:.1f} % (" in told


def test_cases_that_flip_are_listed(library: Library, made: Bench) -> None:
    html = text_of(flips_html(shown(library, made, 0.35)))
    between = (made.cases.scores >= 0.35) & (made.cases.scores < 0.4)
    positive = int((between & made.cases.labels).sum())
    negative = int((between & ~made.cases.labels).sum())
    assert (
        f"From 0.400 to 0.350: {positive} more positive found, 0 more missed, {negative} more negative recalled" in html
    )
    assert html.count("now flagged") == min(positive + negative, 40)
    assert "None: this is the threshold in use" in text_of(flips_html(shown(library, made, None)))


def test_targets_and_presets_move_to_the_right_threshold(made: Bench) -> None:
    aim = Aim(prevalence=0.01)
    for kind, figure in (("sensitivity", "sensitivity"), ("specificity", "specificity")):
        found = bench.solved(made, aim, kind, 0.8)
        assert getattr(made.tradeoff.at(found.threshold), figure).value >= 0.8
    recalled = bench.solved(made, aim, "recall_rate", 0.07)
    assert made.tradeoff.at(recalled.threshold, 0.01).recalled.value <= 70
    assert recalled.recall_rate == 0.07
    assert bench.preset(made, recalled, "recall").threshold == recalled.threshold
    assert bench.preset(made, aim, "youden").threshold == made.tradeoff.youden()
    assert bench.preset(made, recalled, "saved").threshold is None
    with pytest.raises(InputError, match="preset: 'x' is not one of youden"):
        bench.preset(made, aim, "x")


def test_saved_points_are_used_listed_and_taken_back(library: Library, made: Bench) -> None:
    saved = bench.save(library, made, 0.35, "Screening <i>", "More recalls are wanted", "")
    now = shown(library, made, None)
    assert (now.threshold, now.saved) == (0.35, 0.35)
    point = saved.thresholds.general
    flagged = made.cases.scores >= 0.35
    assert point.sensitivity.value == pytest.approx(sk.recall_score(made.cases.labels, flagged))
    html = controls_html(library.models.all(), made.sha256, "validation", now, "")
    assert "1. Screening &lt;i&gt;" in html
    assert "More recalls are wanted" in html
    bench.go_back(library, made, 0, "as it was")
    assert shown(library, made, None).threshold == 0.4


def test_a_vendor_has_its_own_measured_on_its_own_cases(library: Library, made: Bench) -> None:
    saved = bench.save(library, made, 0.3, "Acme", "darker pictures", "Acme <b>")
    assert saved.thresholds.general.threshold == 0.4
    own = saved.thresholds.of("Acme <b>")
    part = made.cases.chosen(np.array(made.cases.groups["manufacturer"]) == "Acme <b>")
    assert (own.threshold, own.n, own.positives) == (0.3, len(part), part.positives)
    assert own.sensitivity.value == pytest.approx(sk.recall_score(part.labels, part.scores >= 0.3))
    with pytest.raises(InputError, match="'Nobody' is not among the validation cases"):
        bench.save(library, made, 0.3, "x", "y", "Nobody")


def test_a_threshold_of_the_model_before_is_forgotten() -> None:
    aim = bench.of_model(Aim(threshold=0.4), "a" * 64)
    assert (aim.threshold, bench.of_model(aim, "a" * 64).threshold) == (0.4, 0.4)
    assert bench.of_model(aim, "b" * 64).threshold is None


def test_bad_input_is_a_sentence(library: Library, made: Bench, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prevalence: 1000 per 1,000"):
        bench.at_prevalence(Aim(), 1.0)
    with pytest.raises(InputError, match="reason: is empty"):
        bench.save(library, made, 0.3, "x", "", "")
    with pytest.raises(InputError, match="threshold: nan is not a number"):
        bench.moved_to(made, Aim(), float("nan"))
    assert bench.moved_to(made, Aim(), 7.0).threshold == made.span[1]
    made_checkpoint(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="holds no validation scores"):
        Benches(library).of(library.models.add(tmp_path / "none.safetensors", origin="imported"))
    one = ValidationScores(unit="breast", patients=("a",), labels=(True,), scores=(0.5,))
    made_checkpoint(tmp_path / "one.safetensors", validation=one)
    with pytest.raises(InputError, match="only one patient is positive"):
        Benches(library).of(library.models.add(tmp_path / "one.safetensors", origin="imported"))


def test_a_problem_is_shown_with_the_models_still_to_choose_from(library: Library) -> None:
    html = controls_html(library.models.all(), "", "validation", None, "cases: none of the 5 is <positive>")
    assert "none of the 5 is &lt;positive&gt;" in html
    assert '<select name="model"' in html


def test_a_chart_leaves_out_what_is_no_number() -> None:
    axes = Axes("x", "y")
    drawn = line(axes, [0.0, 0.5, 1.0], [0.0, float("nan"), 1.0], "model")
    assert 'data-x="0 1"' in drawn.markup
    assert mark(axes, float("nan"), 0.5, "now").markup == ""
    found = chart("c", "A <chart>", axes, drawn, bars(axes, [0, 0.5, 1], [0.2, 0], "positive", "p"))
    assert "A &lt;chart&gt;" in found
    assert found.count("<rect") == 2  # the bar that is there, and what cuts off


def test_own_cases_say_how_many_are_needed_and_what_is_missing(library: Library, made: Bench, file: Path) -> None:
    words = bench.own_words(library, made.sha256)
    assert words.startswith("There are 0 positive and 0 negative breasts with a known outcome.")
    assert "196 more positive and 196 more negative would be needed." in words
    with pytest.raises(InputError, match="there is no breast whose truth is known"):
        Benches(library).of(library.models.add(file, origin="imported"), "own")


def test_the_panel_of_own_cases_lists_what_was_refused() -> None:
    html = outcomes_html([], "There are 0.", OutcomeImport(2, ((3, "study: '<x>' is not in the library"),)))
    assert "2 recorded, 1 refused." in html
    assert "line 3 study: '<x>' is not in the library" in text_of(html)
    assert "<x>" not in html


def test_own_cases_are_measured_like_the_others(library: Library, made: Bench, file: Path) -> None:
    model = library.models.add(file, origin="imported")
    scores = {number: (0.2 + 0.07 * number, number % 3 == 0) for number in range(1, 9)}
    for number, (score, cancer) in scores.items():
        study = add_study(library, number, score, model=made.sha256)
        library.outcomes.record(study, "L", cancer, source="by hand")
    benches = Benches(library)
    own = benches.of(model, "own")
    assert len(own.cases) == 8
    html = figures_html(bench.screen(library, own, Aim(source="own", threshold=0.5, prevalence=0.1)))
    labels = [cancer for _, cancer in scores.values()]
    flagged = [score >= 0.5 for score, _ in scores.values()]
    assert tile(html, "sensitivity")[0] == pytest.approx(100 * sk.recall_score(labels, flagged), abs=0.06)
    assert "Only 2 positive breasts: the intervals tell little." in html
    assert "Measured on exams of this library whose outcome is known." in text_of(html)
    # Another outcome, and the figures follow.
    library.outcomes.record(study, "L", True, source="by hand")
    assert benches.of(model, "own").cases.positives == 3
