"""The Threshold tab's controls and figures as HTML: what a threshold costs, each figure with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np

from mammo_core.intervals import Estimate
from mammo_core.library import ModelEntry, SavedPoint
from mammo_gui.bench import PRESETS, SOURCES, Bench, Screen
from mammo_gui.markup import Markup, element, join
from mammo_gui.views.words import moment_words, score_words


def controls_html(
    models: Sequence[ModelEntry], chosen: str, source: str, screen: Screen | None, problem: str
) -> Markup:
    """The left column: model, cases, slider, targets, presets, prevalence, saving, history."""
    options = [element("option", model.title, value=model.sha256, selected=model.sha256 == chosen) for model in models]
    select = element("select", *options, name="model", data_action="model", aria_label="Model")
    model = element("label", element("span", "Model"), select, class_="field")
    kinds = [element("option", title, value=name, selected=name == source) for name, title in SOURCES.items()]
    pick = element("select", *kinds, name="source", data_action="source", aria_label="Cases")
    cases = element("label", element("span", "Cases"), pick, class_="field")
    if screen is None:
        return element("section", element("h3", "Cases"), model, cases, _problem(problem))
    return join(
        element("section", element("h3", "Cases"), model, cases, _about(screen.bench)),
        element("section", _threshold(screen), _problem(problem), _targets(screen), _presets(screen)),
        element("section", _prevalence(screen)),
        element("section", element("h3", "Use this threshold"), _save(screen)),
        element("section", element("h3", "Versions"), _history(screen)),
    )


def figures_html(screen: Screen) -> Markup:
    """The large figures, the confusion table and the probability."""
    figures, unit = screen.figures, screen.bench.cases.unit
    stated = f"of 1,000 {unit}s"
    tiles = [
        _tile("sensitivity", "Sensitivity", _percent(figures.sensitivity), f"of {screen.bench.cases.positives}"),
        _tile("specificity", "Specificity", _percent(figures.specificity), f"of {_negatives(screen)}"),
        _tile("ppv", "PPV", _percent(figures.ppv), "of those flagged"),
        _tile("npv", "NPV", _percent(figures.npv, 2), "of the others"),
        _tile("recalled", "Recalled", _count(figures.recalled), stated),
        _tile("found", "Found", _count(figures.found), stated),
        _tile("missed", "Missed", _count(figures.missed), stated),
    ]
    return join(
        element("div", *tiles, class_="tiles"),
        element("p", _footing(screen), class_="footing", id="footing"),
        *(element("p", warning, class_="loud") for warning in screen.bench.tradeoff.warnings),
    )


def counts_html(screen: Screen) -> Markup:
    """Confusion table beside the probability that the threshold stands for."""
    figures = screen.figures
    cells = (
        ("", "flagged", "not flagged"),
        ("positive", figures.true_positives, figures.false_negatives),
        ("negative", figures.false_positives, figures.true_negatives),
    )
    rows = [
        element("tr", element("th", str(first)), *(element("th" if not first else "td", str(v)) for v in rest))
        for first, *rest in cells
    ]
    table = element("table", *rows, class_="confusion", id="confusion")
    return element(
        "div",
        element("section", element("h3", f"{len(screen.bench.cases)} {screen.bench.cases.unit}s counted"), table),
        element("section", element("h3", "Probability at the threshold"), _probability(screen)),
        class_="counts",
    )


def _about(bench: Bench) -> Markup:
    cases = bench.cases
    text = f"{len(cases)} {cases.unit}s of {len(set(cases.patients))} patients, {cases.positives} positive"
    known = f" ({cases.prevalence:.0%}). Trained on: {bench.header.training_domain}."
    loud = None
    if bench.header.training_domain == "phantom":
        loud = element("p", "Synthetic phantoms only: says nothing about a real breast.", class_="loud")
    return join(element("p", text + known, class_="about"), loud)


def _threshold(screen: Screen) -> Markup:
    low, high = screen.bench.span
    slider = element(
        "input",
        type="range",
        min=repr(low),
        max=repr(high),
        step=repr((high - low) / 1000),
        value=repr(screen.threshold),
        id="threshold-slider",
        aria_label="Threshold",
    )
    written = element("output", score_words(screen.threshold), id="threshold-value")
    in_use = "none in use" if screen.saved is None else f"in use: {score_words(screen.saved)}"
    return element(
        "div",
        element("h3", "Threshold"),
        element("div", written, element("span", in_use, class_="in-use"), class_="reading"),
        slider,
        class_="threshold",
    )


def _targets(screen: Screen) -> Markup:
    figures = screen.figures
    shown = (
        ("threshold", "Threshold", screen.threshold, ""),
        ("sensitivity", "Sensitivity", 100 * figures.sensitivity.value, "%"),
        ("specificity", "Specificity", 100 * figures.specificity.value, "%"),
        ("recall_rate", "Recall rate", figures.recalled.value / 10, "%"),
    )
    forms = []
    for name, title, value, unit in shown:
        written = f"{value:.4f}" if name == "threshold" else f"{value:.1f}"
        entry = element("input", type="text", inputmode="decimal", name="wanted", value=written, aria_label=title)
        kind = element("input", type="hidden", name="kind", value=name)
        forms.append(
            element(
                "form", element("span", title), entry, element("i", unit), kind, data_action="solve", class_="target"
            )
        )
    return element("div", *forms, class_="targets")


def _presets(screen: Screen) -> Markup:
    titles = PRESETS | {"recall": f"{100 * screen.aim.recall_rate:.3g} % recall rate"}
    buttons = [
        element("button", title, type="button", data_action="preset", data_name=name)
        for name, title in titles.items()
        if name != "saved" or screen.saved is not None
    ]
    return element("div", *buttons, class_="buttons")


def _prevalence(screen: Screen) -> Markup:
    value = f"{1000 * screen.aim.prevalence:.4g}"
    entry = element(
        "input", type="text", inputmode="decimal", name="per_1000", value=value, aria_label="Cancers per 1,000"
    )
    unit = screen.bench.cases.unit
    return element(
        "form",
        element("span", f"Cancers per 1,000 {unit}s"),
        entry,
        data_action="prevalence",
        class_="target",
        title=f"What PPV, NPV and counts hold at; of the cases {screen.bench.cases.prevalence:.1%} are positive",
    )


def _save(screen: Screen) -> Markup:
    vendors = screen.bench.vendors
    choice = None
    if vendors:
        options = [
            element("option", "all exams", value=""),
            *(element("option", f"{v} only", value=v) for v in vendors),
        ]
        choice = element("label", element("span", "For"), element("select", *options, name="vendor"), class_="field")
    unchanged = screen.saved is not None and screen.saved == screen.threshold
    return element(
        "form",
        element("input", type="text", name="name", placeholder="Name", aria_label="Name", maxlength="80"),
        element("input", type="text", name="reason", placeholder="Reason", aria_label="Reason", maxlength="1000"),
        choice,
        element("input", type="hidden", name="threshold", value=repr(screen.threshold)),
        element("button", "Save and use", type="submit", class_="primary"),
        element("span", "this threshold is in use" if unchanged else "", class_="dim"),
        data_action="save",
        class_="save",
    )


def _history(screen: Screen) -> Markup:
    points = screen.history
    own = screen.bench.own
    rows = [_version(point) for point in points]
    if own is not None:
        used = not any(point.in_use for point in points)
        rows.append(_entry("the checkpoint's own", own.threshold, own.rule, "", 0, used, {}))
    return element("ol", *rows, class_="versions", id="versions")


def _version(point: SavedPoint) -> Markup:
    vendors = {vendor: own.threshold for vendor, own in point.thresholds.vendors.items()}
    about = f"{point.who}, {moment_words(point.at)}"
    title = f"{point.version}. {point.name}"
    return _entry(title, point.thresholds.general.threshold, point.reason, about, point.id, point.in_use, vendors)


def _entry(
    title: str, threshold: float, reason: str, about: str, number: int, used: bool, vendors: Mapping[str, float]
) -> Markup:
    back = element(
        "form",
        element("input", type="text", name="reason", placeholder="Reason", aria_label="Reason", maxlength="1000"),
        element("input", type="hidden", name="point", value=str(number)),
        element("button", "Use", type="submit"),
        data_action="use",
        class_="back",
    )
    listed = [element("span", f"{vendor}: {score_words(value)}", class_="vendor") for vendor, value in vendors.items()]
    return element(
        "li",
        element("b", title, title=title),
        element("span", score_words(threshold), class_="number"),
        *listed,
        element("q", reason),
        element("time", about) if about else None,
        element("span", "in use", class_="status done") if used else back,
        class_="used" if used else None,
    )


def _probability(screen: Screen) -> Markup:
    calibration = screen.bench.header.calibration
    if calibration is None or screen.corrected is None:
        return element("p", "The model is not calibrated: its score is no probability.", class_="dim")
    learnt, stated = calibration.stated_prevalence, screen.aim.prevalence
    why = (
        f"The model gives probabilities for sets in which {learnt:.1%} are positive; where {stated:.2%} are, "
        "the same picture is less likely to be positive, by the ratio of the odds."
        if stated < learnt
        else f"The model gives probabilities for sets in which {learnt:.1%} are positive; here {stated:.2%} are."
    )
    return join(
        element(
            "p",
            element("b", score_words(screen.threshold), id="raw-probability"),
            " as given, ",
            element("b", f"{screen.corrected:.4f}", id="corrected-probability"),
            f" at {1000 * stated:.3g} per 1,000",
        ),
        element("p", why, class_="dim"),
    )


def _tile(name: str, title: str, value: tuple[str, str], unit: str) -> Markup:
    number, interval = value
    return element(
        "div",
        element("span", title, class_="title"),
        element("strong", number),
        element("span", interval, class_="interval"),
        element("span", unit, class_="unit"),
        class_="tile",
        id=f"tile-{name}",
    )


def _percent(found: Estimate, decimals: int = 1) -> tuple[str, str]:
    if np.isnan(found.value):
        return "–", "nobody to count"
    low, high = f"{100 * found.low:.{decimals}f}", f"{100 * found.high:.{decimals}f}"
    return f"{100 * found.value:.{decimals}f} %", f"{low} to {high}"


def _count(found: Estimate) -> tuple[str, str]:
    decimals = 0 if found.value >= 100 else 1 if found.value >= 10 else 2
    return f"{found.value:.{decimals}f}", f"{found.low:.{decimals}f} to {found.high:.{decimals}f}"


def _negatives(screen: Screen) -> int:
    return len(screen.bench.cases) - screen.bench.cases.positives


def _footing(screen: Screen) -> str:
    cases, per_1000 = screen.bench.cases, 1000 * screen.aim.prevalence
    return (
        f"Per {cases.unit}, with 95 % intervals over patients. {cases.source} PPV, NPV and counts hold where "
        f"{per_1000:.4g} of 1,000 {cases.unit}s are positive; of the cases {cases.prevalence:.1%} are."
    )


def _problem(problem: str) -> Markup | None:
    return element("p", problem, class_="failed", role="alert", id="threshold-problem") if problem else None
