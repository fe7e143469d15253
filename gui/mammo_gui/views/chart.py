"""Charts as SVG: axes, lines, bands, bars and marks, drawn to the theme's colours by CSS classes.

Knows nothing of what is shown. What is drawn is also in data attributes, at full precision, for whoever reads the page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammo_gui.markup import Markup, element

WIDTH, HEIGHT = 320, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 8, 38

_ROUND = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
"""Numbers whose quarters are written with few digits."""

Values = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class Axes:
    """What the two axes mean and how far they go."""

    x_title: str
    y_title: str
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    percent: bool = True
    """Whether the ticks are written as percentages."""

    def x(self, value: float) -> float:
        """Place of a value in the drawing, in its units."""
        low, high = self.x_range
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Place of a value in the drawing, in its units."""
        low, high = self.y_range
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)


@dataclass(frozen=True)
class Shape:
    """Something drawn into axes."""

    markup: Markup
    label: str = ""
    """Its line in the legend; none where it is empty."""
    kind: str = ""
    """CSS class of its sign in the legend."""
    kept_inside: bool = False
    """Whether what lies beyond the axes is cut off; marks are shown whole."""


def line(axes: Axes, x: Values, y: Values, kind: str, label: str = "") -> Shape:
    """Points joined by straight lines; those that are not numbers are left out."""
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b)]
    written = " ".join(f"{axes.x(a):.1f},{axes.y(b):.1f}" for a, b in points)
    data = {"data_x": _listed(a for a, _ in points), "data_y": _listed(b for _, b in points)}
    return Shape(element("polyline", points=written, class_=f"line {kind}", **data), label, kind, kept_inside=True)


def band(axes: Axes, x: Values, low: Values, high: Values, kind: str, label: str = "") -> Shape:
    """The area between two curves."""
    there = [
        (float(a), float(b), float(c))
        for a, b, c in zip(x, low, high, strict=True)
        if np.isfinite(a) and np.isfinite(b) and np.isfinite(c)
    ]
    outline = [(a, c) for a, _, c in there] + [(a, b) for a, b, _ in reversed(there)]
    written = " ".join(f"{axes.x(a):.1f},{axes.y(b):.1f}" for a, b in outline)
    return Shape(element("polygon", points=written, class_=f"band {kind}"), label, kind, kept_inside=True)


def bars(axes: Axes, edges: Values, heights: Values, kind: str, label: str = "") -> Shape:
    """A histogram's bars from zero, one for each range between two edges."""
    drawn = []
    base = axes.y(axes.y_range[0])
    for start, end, height in zip(edges[:-1], edges[1:], heights, strict=True):
        if height > 0:
            top = axes.y(min(float(height), axes.y_range[1]))
            left, right = axes.x(float(start)), axes.x(float(end))
            size = {"x": f"{left:.1f}", "y": f"{top:.1f}", "width": f"{max(right - left - 0.5, 0.5):.1f}"}
            drawn.append(element("rect", height=f"{base - top:.1f}", **size))
    data = {"data_heights": _listed(float(height) for height in heights)}
    return Shape(element("g", *drawn, class_=f"bars {kind}", **data), label, kind)


def mark(axes: Axes, x: float, y: float, kind: str, label: str = "", title: str = "") -> Shape:
    """A point; nothing is drawn where it does not exist."""
    if not (np.isfinite(x) and np.isfinite(y)):
        return Shape(Markup(""))
    told = element("title", title) if title else None
    where = {"cx": f"{axes.x(x):.1f}", "cy": f"{axes.y(y):.1f}", "data_x": repr(float(x)), "data_y": repr(float(y))}
    return Shape(element("circle", told, r="5", class_=f"mark {kind}", **where), label, kind)


def upright(axes: Axes, x: float, kind: str, label: str = "") -> Shape:
    """A vertical line from bottom to top."""
    low, high = axes.x_range
    place = f"{axes.x(min(max(x, low), high)):.1f}"
    ends = {"x1": place, "x2": place, "y1": f"{axes.y(axes.y_range[0]):.1f}", "y2": f"{axes.y(axes.y_range[1]):.1f}"}
    return Shape(element("line", class_=f"upright {kind}", data_x=repr(float(x)), **ends), label, kind)


def chart(name: str, title: str, axes: Axes, *shapes: Shape) -> Markup:
    """A titled chart with its legend, below one another; ``name`` is its id."""
    frame = element(
        "svg",
        element("title", title),
        *_ticks(axes),
        _inside(name, axes),
        *(
            element("g", shape.markup, clip_path=f"url(#{name}-inside)") if shape.kept_inside else shape.markup
            for shape in shapes
        ),
        element("text", axes.x_title, x=str((WIDTH + _LEFT) // 2), y=str(HEIGHT - 6), class_="axis"),
        element("text", axes.y_title, x=str(-(HEIGHT - _BOTTOM) // 2), y="11", transform="rotate(-90)", class_="axis"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=title,
    )
    signs = [
        element("li", element("i", class_=shape.kind), shape.label) for shape in shapes if shape.label and shape.markup
    ]
    return element(
        "figure", element("h3", title), frame, element("ul", *signs, class_="legend"), id=name, class_="chart"
    )


def rounded_up(highest: float) -> float:
    """The end of an axis that holds this value, with a round number at every quarter; 1 for what is not positive."""
    if not highest > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(highest))
    return float(next(power * step for step in _ROUND if power * step >= highest))


def _inside(name: str, axes: Axes) -> Markup:
    """What is between the axes, to cut lines and bands off by."""
    (x0, x1), (y0, y1) = axes.x_range, axes.y_range
    left, top = axes.x(x0), axes.y(y1)
    size = {"width": f"{axes.x(x1) - left:.1f}", "height": f"{axes.y(y0) - top:.1f}"}
    return element("clipPath", element("rect", x=f"{left:.1f}", y=f"{top:.1f}", **size), id=f"{name}-inside")


def _ticks(axes: Axes) -> list[Markup]:
    """Grid lines with their values, five along each axis."""
    drawn = []
    (x0, x1), (y0, y1) = axes.x_range, axes.y_range
    left, right, bottom, top = axes.x(x0), axes.x(x1), axes.y(y0), axes.y(y1)
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = axes.x(x0 + part * (x1 - x0)), axes.y(y0 + part * (y1 - y0))
        drawn += [
            element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{bottom:.1f}", y2=f"{top:.1f}", class_="grid"),
            element("line", x1=f"{left:.1f}", x2=f"{right:.1f}", y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"),
            element("text", _tick(x0 + part * (x1 - x0), axes), x=f"{x:.1f}", y=f"{bottom + 12:.1f}", class_="tick x"),
            element("text", _tick(y0 + part * (y1 - y0), axes), x=f"{left - 4:.1f}", y=f"{y + 3:.1f}", class_="tick y"),
        ]
    return drawn


def _tick(value: float, axes: Axes) -> str:
    if not axes.percent:
        return f"{value:g}"
    return f"{100 * value:.3g}%" if axes.x_range[1] <= 1 and axes.y_range[1] <= 1 else f"{value:g}"


def _listed(values: Iterable[float]) -> str:
    return " ".join(f"{value:.6g}" for value in values)
