"""What is known of a model besides its card, as HTML: evaluation, learning curves, the report with its gallery."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from mammo_gui.evidence import Between, Epoch, Evaluation, Evidence
from mammo_gui.markup import Markup, element, join
from mammo_gui.registry import Known
from mammo_gui.views.chart import Axes, Shape, Values, chart, line, rounded_up, upright

Curves = Callable[[Sequence[Epoch], Values, tuple[float, float]], Markup]
"""Draws epochs, whose numbers are along an axis of this span."""


def evidence_html(evidence: Evidence) -> Markup:
    """Figures of the evaluation beside the learning curves; what is missing is said with how to get it."""
    return join(
        *(element("p", problem, class_="loud") for problem in evidence.problems),
        element("section", element("h3", "Evaluation"), _evaluation(evidence.evaluation)),
        element("section", element("h3", "Learning curves"), curves_html(evidence.epochs)),
    )


def report_html(known: Known, evidence: Evidence) -> Markup:
    """The evaluation report, in a frame that can do nothing to the page around it."""
    if not evidence.report:
        return Markup("")
    address = f"/mammo/report/{known.entry.sha256}"
    links = [
        element("a", title, href=f"{address}{anchor}", target="report", class_="button")
        for title, anchor in (("Heatmap gallery", "#gallery"), ("Figures", "#at-a-glance"), ("Heatmaps", "#heatmaps"))
    ]
    whole = element("a", "Open in a window of its own", href=address, target="_blank", rel="noopener", class_="button")
    frame = element(
        "iframe",
        src=f"{address}#gallery",
        name="report",
        title="Evaluation report",
        sandbox="allow-scripts",
        loading="lazy",
    )
    return element(
        "section",
        element("h3", "Evaluation report and heatmap gallery"),
        element("div", *links, whole, class_="buttons"),
        frame,
    )


def _evaluation(found: Evaluation | None) -> Markup:
    if found is None:
        told = "None is here. To make one and bring it along: "
        command = "mammo evaluate RUN/checkpoint.safetensors DATA RUN"
        return element("p", told, element("code", command), ", then import the run folder.", class_="dim")
    subject = found.subject
    part = "all of it" if subject.part == "all" else f"its {subject.part} part"
    about = f"On {subject.data_source or 'a set without a name'}, {part}: {subject.images} images of {subject.breasts} "
    about += f"breasts of {subject.patients} patients. 95 % intervals over patients."
    return join(
        element("p", about, class_="dim"),
        *(element("p", warning, class_="loud") for warning in found.warnings),
        _levels(found),
    )


def _levels(found: Evaluation) -> Markup:
    """One column for each kind of unit, as its scores are put together first; the report has the other ways."""
    levels = list({level.unit: level for level in reversed(found.levels)}.values())[::-1]
    titles = list(dict.fromkeys(figure.title for level in levels for figure in level.figures))
    columns = [{figure.title: figure.own for figure in level.figures} for level in levels]
    head = [
        element("th", f"per {level.unit}, {level.n} ({level.prevalence:.1%} positive)", title=level.how)
        for level in levels
    ]
    rows = [
        element("tr", element("th", title), *(element("td", _between(column.get(title))) for column in columns))
        for title in titles
    ]
    body = element("tbody", *rows)
    return element(
        "table", element("thead", element("tr", element("th", ""), *head)), body, class_="figures", id="evaluated"
    )


def _between(found: Between | None) -> str:
    if found is None or found.value is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def curves_html(epochs: Sequence[Epoch], *others: Curves) -> Markup:
    """Losses and areas by epoch, the phases told apart; then what ``others`` draw."""
    if not epochs:
        return element("p", "None are here: a run's folder brings them along.", class_="dim")
    numbers = np.array([epoch.epoch for epoch in epochs], float)
    span = (0.0, 4.0 * np.ceil(max(numbers.max(), 1) / 4))
    drawn = (draw(epochs, numbers, span) for draw in (_losses, _areas, *others))
    return element("div", *drawn, class_="charts")


def _losses(epochs: Sequence[Epoch], numbers: Values, span: tuple[float, float]) -> Markup:
    train, validation = _column(epochs, "train_loss"), _column(epochs, "validation_loss")
    highest = rounded_up(float(np.nanmax([*train, *validation, 0.0])))
    axes = Axes("epoch", "loss", span, (0.0, highest), percent=False)
    shapes = [
        *phase_marks(axes, epochs),
        line(axes, numbers, train, "train", "training"),
        line(axes, numbers, validation, "model", "validation"),
    ]
    return chart("chart-loss", "Loss", axes, *shapes)


def _areas(epochs: Sequence[Epoch], numbers: Values, span: tuple[float, float]) -> Markup:
    axes = Axes("epoch", "area on validation", span, (0.0, 1.0), percent=False)
    shapes = [
        *phase_marks(axes, epochs),
        line(axes, span, (0.5, 0.5), "chance"),
        line(axes, numbers, _column(epochs, "roc_auc"), "model", "ROC-AUC"),
        line(axes, numbers, _column(epochs, "pr_auc"), "pr", "PR-AUC"),
    ]
    return chart("chart-areas", "ROC-AUC and PR-AUC", axes, *shapes)


def phase_marks(axes: Axes, epochs: Sequence[Epoch]) -> list[Shape]:
    """An upright where each phase but the first begins."""
    begun = [pair for pair in pairwise(epochs) if pair[0].phase != pair[1].phase]
    return [upright(axes, (one.epoch + two.epoch) / 2, "phase", f"{two.phase} begins") for one, two in begun]


def _column(epochs: Sequence[Epoch], name: str) -> Values:
    return np.array([np.nan if getattr(epoch, name) is None else getattr(epoch, name) for epoch in epochs], float)
