"""The Threshold tab's charts: ROC and PR curve, scores by class, workload; the threshold is marked in each."""

import numpy as np

from mammo_core.benchmark_readers import RADIOLOGISTS
from mammo_gui.bench import Screen
from mammo_gui.markup import Markup, element, join
from mammo_gui.views.chart import Axes, band, bars, chart, line, mark, rounded_up, upright

_MEANS_SOMETHING = 0.1
"""Sensitivity from which on the PPV sets the height of its chart."""


def plots_html(screen: Screen) -> Markup:
    """The four charts."""
    return element(
        "div", _roc(screen), _pr(screen), _histogram(screen), _workload(screen), class_="charts", id="threshold-charts"
    )


def _roc(screen: Screen) -> Markup:
    axes = Axes("1 - specificity", "sensitivity")
    curve, auc = screen.roc, screen.bench.tradeoff.roc_auc()
    now, saved = screen.figures, screen.saved_figures
    readers = RADIOLOGISTS
    shapes = [
        band(axes, curve.x, curve.low, curve.high, "spread", "95 % band"),
        line(axes, (0, 1), (0, 1), "chance"),
        line(axes, curve.x, curve.y, "model", f"AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"),
        mark(axes, 1 - readers.specificity, readers.sensitivity, "readers", "radiologists (BCSC)", readers.source),
    ]
    if saved is not None:
        shapes.append(mark(axes, 1 - saved.specificity.value, saved.sensitivity.value, "saved", "in use"))
    shapes.append(mark(axes, 1 - now.specificity.value, now.sensitivity.value, "now", "this threshold"))
    return chart("chart-roc", "ROC curve", axes, *shapes)


def _pr(screen: Screen) -> Markup:
    prevalence = screen.aim.prevalence
    # The first few positives found may be alone at the top, where the curve means nothing yet.
    seen = screen.pr.y[screen.pr.x >= _MEANS_SOMETHING]
    highest = min(1.0, rounded_up(float(np.nanmax([0.0, *seen, screen.figures.ppv.value]))))
    axes = Axes("sensitivity", "PPV", y_range=(0.0, highest))
    now = screen.figures
    shapes = [
        band(axes, screen.pr.x, screen.pr.low, screen.pr.high, "spread", "95 % band"),
        line(axes, (0, 1), (prevalence, prevalence), "chance"),
        line(axes, screen.pr.x, screen.pr.y, "model", f"at {1000 * prevalence:.3g} per 1,000"),
    ]
    saved = screen.saved_figures
    if saved is not None:
        shapes.append(mark(axes, saved.sensitivity.value, saved.ppv.value, "saved", "in use"))
    shapes.append(mark(axes, now.sensitivity.value, now.ppv.value, "now", "this threshold"))
    return chart("chart-pr", "Precision and recall", axes, *shapes)


def _histogram(screen: Screen) -> Markup:
    found = screen.histogram
    counts = np.array([found.positive / max(found.positive.sum(), 1), found.negative / max(found.negative.sum(), 1)])
    axes = Axes(
        "score",
        "part of the class",
        x_range=(float(found.edges[0]), float(found.edges[-1])),
        y_range=(0.0, min(1.0, rounded_up(float(counts.max())))),
    )
    positives = screen.bench.cases.positives
    shapes = [
        bars(axes, found.edges, counts[1], "negative", f"{len(screen.bench.cases) - positives} negative"),
        bars(axes, found.edges, counts[0], "positive", f"{positives} positive"),
    ]
    if screen.saved is not None:
        shapes.append(upright(axes, screen.saved, "saved", "in use"))
    shapes.append(upright(axes, screen.threshold, "now", "this threshold"))
    return chart("chart-scores", "Scores by class", axes, *shapes)


def _workload(screen: Screen) -> Markup:
    axes = Axes("exams that nobody would read", "cancers missed")
    curve, point = screen.workload_curve, screen.workload
    shapes = [
        band(axes, curve.x, curve.low, curve.high, "spread", "95 % band"),
        line(axes, (0, 1), (0, 1), "chance"),
        line(axes, curve.x, curve.y, "model", f"{point.exams} exams, {point.positives} positive"),
        mark(axes, point.off_list.value, point.cancers_missed.value, "now", "this threshold"),
    ]
    off, missed, number = point.off_list, point.cancers_missed, point.missed_per_1000
    words = (
        f"If exams below this threshold were not read: {off.value:.1%} ({off.low:.1%} to {off.high:.1%}) of all exams "
        f"off the list, {missed.value:.1%} ({missed.low:.1%} to {missed.high:.1%}) of those with a cancer missed, "
        f"{number.value:.2f} ({number.low:.2f} to {number.high:.2f}) per 1,000 exams at "
        f"{1000 * point.prevalence:.3g} positive of 1,000. An exam's score is that of its higher breast."
    )
    return join(chart("chart-workload", "Workload if ruled out", axes, *shapes), element("p", words, id="workload"))
