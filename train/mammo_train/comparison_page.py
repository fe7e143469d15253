"""A comparison as one HTML page: figures per arm, what tells arms apart, how soon each learnt.

Knows nothing of training. What stands in comparison.json and the CSV files is shown, nothing is computed anew.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go

from mammo_core.intervals import Estimate
from mammo_train.comparison import ArmFound, Comparison, RunFound
from mammo_train.contrasts import Contrast
from mammo_train.convergence import Curve
from mammo_train.html_page import (
    COLORS,
    Cell,
    Section,
    estimate,
    figure,
    figure_layout,
    page,
    paragraph,
    side_by_side,
    table,
    warning,
)
from mammo_train.units import How

_SIGNIFICANT = 0.05
_BREAST_SCORES: dict[How, str] = {
    "mean": "the mean over its views",
    "max": "the largest of its views'",
    "one_view": "that of one of its views, drawn by the image's name",
}


def comparison_page(found: Comparison) -> str:
    """Lay out the whole report."""
    plan = found.plan
    sections = [
        Section("What was compared", _about(found)),
        Section("Arms", _arms(found)),
        Section("Without the picture, and with age", _beside(found)),
        Section("Convergence", _convergence(found)),
        Section("Runs", _runs(found)),
    ]
    if found.contrasts:
        sections.insert(3, Section("Differences", _differences(found)))
    return page(f"Comparison: {plan.name}", sections, lead=plan.about)


def _about(found: Comparison) -> str:
    plan = found.plan
    repeats = f"{len(plan.seeds)} seeds" if len(plan.seeds) > 1 else "one seed"
    if plan.split.folds is None:
        held_out = f"the {found.part} part"
    else:
        held_out = f"{plan.split.folds} folds, each held out once, their scores pooled"
    share, score = found.positive_breasts / found.breasts, _BREAST_SCORES[plan.breast_score]
    facts = (
        f"Set: {found.data_source}. Held out: {held_out}, {found.breasts:,} breasts of {found.patients:,} patients, "
        f"{found.positive_breasts:,} with cancer ({share:.1%}). A breast's score is {score}.",
        f"Budget of every run, warm-up included: {plan.budget.in_words()}. Phases do not end early. "
        f"Every arm was trained with {repeats}; figures are means over them.",
        f"Intervals: 95 %, {plan.draws:,} bootstrap draws of patients{', and of seeds' * (len(plan.seeds) > 1)}; the "
        "same draws for every arm.",
    )
    arms = table(
        ["arm", "recipe", "what it tries"],
        [[arm.name, " ".join([arm.recipe, *arm.overrides]), arm.about] for arm in plan.arms],
    )
    return "".join([*map(warning, found.warnings), *map(paragraph, facts), arms])


def _arms(found: Comparison) -> str:
    head = ["arm", *(one.title for one in found.figures)]
    rows: list[list[Cell]] = [[arm.name, *(arm.figures[one.name] for one in found.figures)] for arm in found.arms]
    drawn = [
        figure(
            _dots([arm.name for arm in found.arms], [arm.figures[one.name] for arm in found.arms], one.title),
            caption=f"{one.title} on held-out breasts, with 95 % intervals.",
            name=f"arms-{one.name.replace('_', '-')}",
        )
        for one in found.figures
        if one.tested
    ]
    return table(head, rows) + side_by_side(*drawn)


def _beside(found: Comparison) -> str:
    """What age, machine and number of views tell alone, and what age and the seeds together add to every arm."""
    shown = [one for one in found.figures if one.tested]
    rows: list[list[Cell]] = [
        [f"{each.kind} alone", *(each.figures[one.name] if each.figures else None for one in shown), None, each.how]
        for each in found.without_picture
    ]
    for arm in found.arms:
        for name, combined in arm.combined():
            adds = combined.adds
            figures = [combined.figures[one.name] for one in shown]
            rows.append([name, *figures, Estimate(adds.value, adds.low, adds.high), _p(adds.p)])
    said = (
        "Age, machine and the arms' scores with age are fitted by cross-validation over the held-out patients. Seeds "
        "together: a breast's score is the mean over the networks of all seeds, as an ensemble answers. The last "
        "columns say how much higher ROC-AUC is than that of the arm itself, and p."
    )
    head = ["", *(one.title for one in shown), "above the arm itself", ""]
    return paragraph(said) + table(head, rows)


def _differences(found: Comparison) -> str:
    titles = {one.name: one.title for one in found.figures}
    rows: list[list[Cell]] = [
        [
            contrast.about,
            f"{contrast.a} - {contrast.b}",
            titles[contrast.figure],
            Estimate(contrast.difference.value, contrast.difference.low, contrast.difference.high),
            _p(contrast.difference.p),
            _p(contrast.p_holm),
        ]
        for contrast in found.contrasts
    ]
    marked = [i for i, contrast in enumerate(found.contrasts) if contrast.p_holm < _SIGNIFICANT]
    said = (
        f"Above zero, the first arm is better. p by the paired bootstrap; corrected by Holm over all "
        f"{len(found.contrasts)} tests of this table. Rows below {_SIGNIFICANT} after correction are tinted. A "
        "difference that is not told from zero is not shown to be zero: look at its interval."
    )
    head = ["question", "difference", "figure", "value (95 % interval)", "p", "p corrected"]
    drawn = [
        figure(
            _forest([contrast for contrast in found.contrasts if contrast.figure == one.name], one.title),
            caption=f"Differences in {one.title}, with 95 % intervals.",
            name=f"differences-{one.name.replace('_', '-')}",
        )
        for one in found.figures
        if one.tested
    ]
    return paragraph(said) + table(head, rows, marked=marked) + side_by_side(*drawn)


def _convergence(found: Comparison) -> str:
    plan = found.plan
    said = (
        f"Target: a ROC-AUC of {plan.target_auc:g} on validation breasts. Time counts from the first phase of a run, "
        "so that a warm-up is charged to the arm that warms up; it holds caching and validation. A dash is a median "
        "that half of the runs or more never reached. Area: mean validation ROC-AUC over the images that the longest "
        "run saw, from chance at none."
    )
    rows: list[list[Cell]] = [
        [
            arm.name,
            f"{arm.reached} of {arm.runs}",
            _whole(arm.median_epochs),
            _whole(arm.median_seconds),
            _whole(arm.median_images),
            arm.mean_area,
        ]
        for arm in found.arms
    ]
    head = ["arm", "reached", "epochs to it (median)", "seconds (median)", "images (median)", "area under curve"]
    drawn = [
        figure(
            _curves(found, along, title),
            caption=f"ROC-AUC on validation breasts after every epoch, along the {what}; a line per run.",
            name=name,
        )
        for along, title, what, name in (
            (lambda curve: curve.images, "Images seen", "images seen", "curves-images"),
            (lambda curve: curve.seconds, "Training seconds", "training time", "curves-seconds"),
        )
    ]
    return paragraph(said) + table(head, rows) + side_by_side(*drawn)


def _runs(found: Comparison) -> str:
    rows: list[list[Cell]] = [
        [
            run.arm,
            run.seed,
            run.fold,
            run.epochs,
            run.images,
            _whole(run.seconds),
            run.best_roc_auc,
            run.held_out_roc_auc,
            "never" if run.reached is None else f"epoch {run.reached.epochs}, {run.reached.seconds:.0f} s",
            run.folder,
        ]
        for run in found.runs
    ]
    head = [
        *("arm", "seed", "fold", "epochs", "images", "seconds", "best validation ROC-AUC", "held-out ROC-AUC"),
        *(f"{found.plan.target_auc:g} reached", "run folder"),
    ]
    return table(head, rows)


def _whole(value: float | None) -> int | None:
    """To the next whole number up: no target was reached in half an epoch."""
    return None if value is None else math.ceil(value)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _dots(names: Sequence[str], values: Sequence[Estimate], title: str) -> go.Figure:
    """One point with its interval per name, the first on top; a figure that does not exist leaves its line empty."""
    drawn = go.Figure(
        go.Scatter(
            x=[one.value for one in values],
            y=list(names),
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [one.high - one.value for one in values],
                "arrayminus": [one.value - one.low for one in values],
            },
            mode="markers",
            marker={"size": 9, "color": COLORS[0]},
            text=[estimate(one) for one in values],
            hovertemplate="%{y}: %{text}<extra></extra>",
        ),
        figure_layout(title, "", showlegend=False),
    )
    return drawn.update_yaxes(autorange="reversed", automargin=True, title=None)


def _forest(chosen: Sequence[Contrast], title: str) -> go.Figure:
    values = [Estimate(one.difference.value, one.difference.low, one.difference.high) for one in chosen]
    drawn = _dots([f"{one.a}<br>- {one.b}" for one in chosen], values, f"Difference in {title}")
    return drawn.add_vline(x=0, line={"color": "#4b5a66", "dash": "dot"})


def _curves(found: Comparison, along: Callable[[Curve], np.ndarray], title: str) -> go.Figure:
    """A line per run, a color per arm; the target as a dotted line."""
    drawn = go.Figure(layout=figure_layout(title, "Validation ROC-AUC"))
    for color, arm in zip(_cycled(len(found.arms)), found.arms, strict=True):
        for place, run in enumerate(run for run in found.runs if run.arm == arm.name):
            drawn.add_trace(_line(run, arm, along(run.curve), color, named=place == 0))
    drawn.add_hline(y=found.plan.target_auc, line={"color": "#4b5a66", "dash": "dot"}, annotation_text="target")
    return drawn.update_xaxes(rangemode="tozero")


def _line(run: RunFound, arm: ArmFound, x: np.ndarray, color: str, *, named: bool) -> go.Scatter:
    where = f"seed {run.seed}" if run.fold is None else f"seed {run.seed}, fold {run.fold}"
    return go.Scatter(
        x=x.tolist(),
        y=[None if np.isnan(y) else y for y in run.curve.roc_auc.tolist()],
        mode="lines+markers",
        line={"color": color, "width": 1.6},
        marker={"size": 5},
        name=arm.name,
        legendgroup=arm.name,
        showlegend=named,
        text=[f"{arm.name}, {where}, {phase}" for phase in run.curve.phases],
        hovertemplate="%{text}: %{y:.3f} at %{x:,.0f}<extra></extra>",
    )


def _cycled(count: int) -> list[str]:
    return [COLORS[i % len(COLORS)] for i in range(count)]
