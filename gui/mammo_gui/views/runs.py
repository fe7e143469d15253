"""The table of runs as HTML, and the curves of several drawn over one another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mammo_gui.evidence import Epoch
from mammo_gui.markup import Markup, element, join
from mammo_gui.runs import Run
from mammo_gui.training import Screen
from mammo_gui.views.chart import Axes, chart, line, rounded_up
from mammo_gui.views.words import moment_words

_COLUMNS = {
    "name": "Run",
    "state": "State",
    "data": "Set",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "epochs": "Epochs",
    "seconds": "Minutes",
    "made": "Made",
}
COLOURS = 8
"""Runs that can be told apart by their colours."""


def runs_html(screen: Screen) -> Markup:
    """Every training with its best epoch on validation, to be sorted, searched and laid over one another."""
    if screen.desk.mode != "runs":
        return Markup("")
    desk = screen.desk
    search = element(
        "input", type="text", name="words", value=desk.words, data_action="words", placeholder="name, tag or state"
    )
    if not screen.runs and not desk.words:
        return element("p", "No run was begun here yet.", class_="dim")
    heads = [element("th", "", title="Draw its curves"), *(_head(screen, name) for name in _COLUMNS)]
    chosen = [run for run in screen.runs if run.job.id in desk.overlay]
    rows = [_row(run, desk.overlay, run.job.id == desk.job) for run in screen.runs]
    about = "ROC-AUC and PR-AUC are those of validation breasts at the epoch that each run's checkpoint is of."
    return join(
        element("label", element("span", "Search"), search, class_="field search"),
        element("table", element("thead", element("tr", *heads)), element("tbody", *rows), id="runs"),
        element("p", about, class_="dim"),
        _axis(desk.by) if chosen else None,
        overlay_html([(run.job.record.title, run.epochs) for run in chosen], desk.by) if chosen else None,
    )


def overlay_html(curves: Sequence[tuple[str, Sequence[Epoch]]], by: str) -> Markup:
    """Validation loss, ROC-AUC and PR-AUC of several runs, by epoch or by seconds since each began."""
    curves = [(name, epochs) for name, epochs in curves if epochs][:COLOURS]
    if not curves:
        return element("p", "None of them has an epoch yet.", class_="dim")
    furthest = float(max(np.nanmax([*_column(epochs, by), 0.0]) for _, epochs in curves))
    # A whole number of epochs at every quarter.
    end = rounded_up(furthest) if by == "seconds" else 4.0 * np.ceil(max(furthest, 1.0) / 4)
    highest = rounded_up(float(max(np.nanmax([*_column(epochs, "validation_loss"), 0.0]) for _, epochs in curves)))
    drawn = []
    for field, title, top in (
        ("validation_loss", "Validation loss", highest),
        ("roc_auc", "ROC-AUC on validation", 1.0),
        ("pr_auc", "PR-AUC on validation", 1.0),
    ):
        axes = Axes(by, title, (0.0, end), (0.0, top), percent=False)
        lines = [
            line(axes, _column(epochs, by), _column(epochs, field), f"run{number}", name)
            for number, (name, epochs) in enumerate(curves)
        ]
        drawn.append(chart(f"overlay-{field.replace('_', '-')}", title, axes, *lines))
    return element("div", *drawn, class_="charts")


def _head(screen: Screen, name: str) -> Markup:
    arrow = (" ▲" if screen.desk.rising else " ▼") if screen.desk.sort == name else ""
    button = element("button", f"{_COLUMNS[name]}{arrow}", type="button", data_action="sort", data_by=name)
    return element("th", button)


def _row(run: Run, overlay: Sequence[str], chosen: bool) -> Markup:
    job, best = run.job, run.best
    tick = element(
        "input",
        type="checkbox",
        data_action="overlay",
        data_job=job.id,
        checked=job.id in overlay,
        aria_label=f"Draw the curves of {job.record.title}",
    )
    name = element(
        "button", job.record.title, type="button", data_action="job", data_job=job.id, data_shows="train-job"
    )
    tags = [element("i", tag, class_="tag") for tag in job.record.tags]
    seconds = (run.epochs[-1].seconds or 0.0) if run.epochs else 0.0
    cells = (
        job.state,
        Path(run.data).name,
        figure_words(None if best is None else best.roc_auc),
        figure_words(None if best is None else best.pr_auc),
        str(len(run.epochs)),
        f"{seconds / 60:.1f}",
        moment_words(job.record.made_at),
    )
    shown = "true" if chosen else None
    told = (element("td", cell) for cell in cells)
    return element("tr", element("td", tick), element("td", name, *tags), *told, aria_selected=shown)


def _axis(by: str) -> Markup:
    options = [element("option", name, value=name, selected=name == by) for name in ("epoch", "seconds")]
    select = element("select", *options, name="by", data_action="by", aria_label="Curves by")
    return element("label", element("span", "Curves by"), select, class_="field search")


def figure_words(value: float | None) -> str:
    """A figure with three decimals; a dash where there is none."""
    return "–" if value is None else f"{value:.3f}"


def _column(epochs: Sequence[Epoch], field: str) -> NDArray[np.float64]:
    found = [getattr(epoch, field) for epoch in epochs]
    return np.array([np.nan if value is None else value for value in found], float)
