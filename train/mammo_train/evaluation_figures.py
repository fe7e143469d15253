"""The curves and bars of an evaluation's report, drawn with plotly.

Knows nothing of how they were measured or of the page around them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mammo_core.intervals import Estimate
from mammo_core.metrics import PrCurve, RocCurve
from mammo_train.evaluation import Point
from mammo_train.html_page import COLORS, figure_layout
from mammo_train.measures import AtThreshold, CalibrationBin, RocBand
from mammo_train.subgroups import Subgroup
from mammo_train.units import Units

_BAND = "rgba(28, 110, 164, 0.16)"
_GREY = "#8a96a1"
_UNIT = {"range": [-0.01, 1.01], "constrain": "domain"}
_HISTOGRAM_BINS = 40


@dataclass(frozen=True)
class Curves:
    """Curves of the breasts: mean over their views, at the set's own prevalence."""

    roc: RocCurve
    band: RocBand
    pr: PrCurve


def roc_figure(curves: Curves, auc: Estimate, points: Sequence[Point]) -> go.Figure:
    """ROC curve with its band, chance, and the operating points as they fall on this set."""
    inside = {"orientation": "v", "x": 1, "xanchor": "right", "y": 0.02, "yanchor": "bottom"}
    layout = figure_layout("1 - specificity", "sensitivity", xaxis=_UNIT, yaxis=_UNIT, legend=inside)
    drawn = go.Figure(layout=layout)
    band = curves.band
    if np.isfinite(band.low).all():
        edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        drawn.add_scatter(x=band.false_positive_rate, y=band.high, **edge)
        filled = {**edge, "showlegend": True, "name": "95 % band", "fill": "tonexty", "fillcolor": _BAND}
        drawn.add_scatter(x=band.false_positive_rate, y=band.low, **filled)
    drawn.add_scatter(
        x=1 - curves.roc.specificity,
        y=curves.roc.sensitivity,
        customdata=curves.roc.thresholds,
        mode="lines",
        line={"color": COLORS[0], "width": 2.5},
        name=f"ROC-AUC {auc.value:.3f}",
        hovertemplate="threshold %{customdata:.3f}<br>sensitivity %{y:.3f}<br>1 - specificity %{x:.3f}<extra></extra>",
    )
    _diagonal(drawn, "chance")
    for i, point in enumerate(points):
        found = {figure.name: figure.own.value for figure in point.breast.figures}
        drawn.add_scatter(
            x=[1 - found["specificity"]],
            y=[found["sensitivity"]],
            mode="markers",
            marker={
                "size": 11,
                "symbol": ("star", "circle", "square", "diamond", "cross")[i % 5],
                "color": COLORS[i + 1],
            },
            name=point.name,
            hovertemplate=f"{point.name}<br>threshold {point.chosen.threshold:.3f}<extra></extra>",
        )
    return drawn


def pr_figure(curves: Curves, average: Estimate, prevalence: float) -> go.Figure:
    """Precision-recall curve beside the prevalence, which is chance here."""
    drawn = go.Figure(layout=figure_layout("sensitivity (recall)", "PPV (precision)", xaxis=_UNIT, yaxis=_UNIT))
    # Only where another positive is found: the area under these steps is the average precision.
    steps = np.flatnonzero(np.diff(curves.pr.recall, prepend=0.0) > 0)
    drawn.add_scatter(
        x=curves.pr.recall[steps],
        y=curves.pr.precision[steps],
        customdata=curves.pr.thresholds[steps],
        mode="lines",
        line={"color": COLORS[0], "width": 2.5, "shape": "vh"},
        name=f"PR-AUC {average.value:.3f}",
        hovertemplate="threshold %{customdata:.3f}<br>PPV %{y:.3f}<br>sensitivity %{x:.3f}<extra></extra>",
    )
    drawn.add_scatter(
        x=[0, 1],
        y=[prevalence, prevalence],
        mode="lines",
        line={"color": _GREY, "dash": "dash"},
        name=f"prevalence {prevalence:.3f} (chance)",
        hoverinfo="skip",
    )
    return drawn


def calibration_figure(
    own: Sequence[CalibrationBin], stated: Sequence[CalibrationBin], prevalence: float | None
) -> go.Figure:
    """Observed part of positives over mean probability, with intervals; the diagonal is right."""
    highest = max([0.05, *(value for b in (*own, *stated) for value in (b.mean_probability, b.observed.high))])
    span = {"range": [0, min(1.0, 1.05 * highest) if np.isfinite(highest) else 1.0]}
    drawn = go.Figure(layout=figure_layout("probability given", "part that is positive", xaxis=span, yaxis=span))
    _diagonal(drawn, "right")
    titles = (
        "at the set's own prevalence",
        "" if prevalence is None else f"shifted and re-weighted to {prevalence:.1%}",
    )
    for bins, title, color in zip((own, stated), titles, COLORS, strict=False):
        if not bins:
            continue
        observed = [b.observed for b in bins]
        drawn.add_scatter(
            x=[b.mean_probability for b in bins],
            y=[e.value for e in observed],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [e.high - e.value for e in observed],
                "arrayminus": [e.value - e.low for e in observed],
                "thickness": 1,
                "width": 3,
            },
            customdata=[[b.positives, b.n] for b in bins],
            mode="lines+markers",
            line={"color": color},
            name=title,
            hovertemplate="given %{x:.3f}<br>positive %{y:.3f}<br>%{customdata[0]} of %{customdata[1]}<extra></extra>",
        )
    return drawn


def histogram_figure(units: Units, threshold: float | None) -> go.Figure:
    """Scores of positives and negatives, each as parts of their own class, with the threshold."""
    low, high = float(units.scores.min()), float(units.scores.max())
    edges = np.linspace(low, high if high > low else low + 1e-6, _HISTOGRAM_BINS + 1)
    drawn = go.Figure(layout=figure_layout("score of a breast", "part of its class", barmode="overlay", bargap=0.03))
    for name, chosen, color in (("negative", ~units.labels, COLORS[0]), ("positive", units.labels, COLORS[1])):
        counts = np.histogram(units.scores[chosen], edges)[0]
        drawn.add_bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=counts / max(int(chosen.sum()), 1),
            width=np.diff(edges),
            customdata=counts,
            marker={"color": color, "opacity": 0.55, "line": {"width": 0}},
            name=f"{name} ({int(chosen.sum()):,})",
            hovertemplate="%{customdata} breasts at %{x:.3f}<extra></extra>",
        )
    if threshold is not None:
        drawn.add_vline(x=threshold, line={"color": "#17212b", "width": 1.5, "dash": "dash"})
        drawn.add_annotation(
            x=threshold, y=1, yref="paper", text=f"threshold {threshold:.3f}", showarrow=False, xanchor="left", xshift=5
        )
    return drawn


def confusion_figure(cost: AtThreshold) -> go.Figure:
    """The two-by-two table of breasts: counts, with the part of their row."""
    cells = [[cost.true_positives, cost.false_negatives], [cost.false_positives, cost.true_negatives]]
    parts = [[n / max(sum(row), 1) for n in row] for row in cells]
    text = [
        [f"<b>{n:,}</b><br>{part:.1%}" for n, part in zip(*pair, strict=True)]
        for pair in zip(cells, parts, strict=True)
    ]
    drawn = go.Figure(layout=figure_layout("", "", hovermode=False))
    drawn.add_heatmap(
        x=["flagged", "not flagged"],
        y=["positive", "negative"],
        z=parts,
        text=text,
        texttemplate="%{text}",
        textfont={"size": 17},
        colorscale=[[0, "#f3f7fa"], [1, "#8fbfe0"]],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=4,
        ygap=4,
    )
    drawn.update_xaxes(side="top", ticks="", showgrid=False, linewidth=0)
    drawn.update_yaxes(autorange="reversed", ticks="", showgrid=False, linewidth=0)
    return drawn


def subgroup_figure(groups: Sequence[Subgroup], overall: float) -> go.Figure:
    """ROC-AUC of every group with its interval; groups that say little are pale."""
    shown = [group for group in groups if np.isfinite(group.roc_auc.value)]
    axis = {"range": [0, 1.01]}
    drawn = go.Figure(layout=figure_layout("ROC-AUC", "", xaxis=axis, showlegend=False))
    names = [f"{group.by}: {group.value}" for group in shown]
    drawn.add_scatter(
        x=[group.roc_auc.value for group in shown],
        y=names,
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [group.roc_auc.high - group.roc_auc.value for group in shown],
            "arrayminus": [group.roc_auc.value - group.roc_auc.low for group in shown],
            "thickness": 1.2,
            "width": 3,
            "color": _GREY,
        },
        mode="markers",
        marker={"size": 9, "color": [_GREY if group.warning else COLORS[0] for group in shown]},
        customdata=[[group.positives, group.n] for group in shown],
        hovertemplate="%{y}<br>ROC-AUC %{x:.3f}<br>%{customdata[0]} positive of %{customdata[1]}<extra></extra>",
    )
    drawn.add_vline(x=overall, line={"color": COLORS[0], "width": 1, "dash": "dot"})
    drawn.add_vline(x=0.5, line={"color": _GREY, "width": 1, "dash": "dash"})
    drawn.update_yaxes(autorange="reversed", automargin=True)
    return drawn


def learning_figures(log: Sequence[Mapping[str, Any]]) -> tuple[go.Figure, go.Figure] | None:
    """Loss, and validation ROC-AUC and PR-AUC, over the epochs of a run's log; None where it holds no epoch."""
    epochs = [event for event in log if event.get("event") == "epoch"]
    if not epochs:
        return None
    loss = _over_epochs(epochs, "loss", {"train_loss": "training loss", "validation_loss": "validation loss"})
    ranked = _over_epochs(epochs, "validation, per breast", {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC"})
    best = [event for event in epochs if event.get("best")]
    if best:
        ranked.add_vline(x=best[-1]["epoch"], line={"color": COLORS[2], "width": 1.5, "dash": "dash"})
        ranked.add_annotation(
            x=best[-1]["epoch"], y=0.02, yref="paper", text="kept", showarrow=False, xanchor="left", xshift=4
        )
    return loss, ranked


def _over_epochs(epochs: Sequence[Mapping[str, Any]], y: str, names: Mapping[str, str]) -> go.Figure:
    drawn = go.Figure(layout=figure_layout("epoch", y, hovermode="x unified"))
    x = [event["epoch"] for event in epochs]
    for i, (key, title) in enumerate(names.items()):
        drawn.add_scatter(
            x=x, y=[event.get(key) for event in epochs], mode="lines+markers", line={"color": COLORS[i]}, name=title
        )
    phases = [event.get("phase_number", event.get("phase")) for event in epochs]
    starts = [i for i in range(len(epochs)) if i == 0 or phases[i] != phases[i - 1]]
    for i in starts:
        at = x[i] - 0.5
        if i:
            drawn.add_vline(x=at, line={"color": _GREY, "width": 1, "dash": "dot"})
        if len(starts) > 1:
            label = {"text": str(epochs[i].get("phase", "")), "showarrow": False, "font": {"color": _GREY}}
            drawn.add_annotation(x=at, y=1, yref="paper", yanchor="top", xanchor="left", xshift=3, **label)
    return drawn


def _diagonal(drawn: go.Figure, name: str) -> None:
    line = {"color": _GREY, "dash": "dash", "width": 1.2}
    drawn.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, name=name, hoverinfo="skip")
