"""Sections of text, tables, figures and pictures -> one HTML file that needs nothing else.

Knows nothing of models or statistics. Everything is inside the file: style, plotly's script (once), pictures;
a content security policy in it forbids the browser to fetch anything. All text is escaped here.
"""

import base64
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image
from plotly.offline import get_plotlyjs

from mammo_core.banner import BANNER

COLORS = ("#1c6ea4", "#c8501e", "#3f8f4f", "#8a4fa3", "#b58a00", "#4b5a66", "#c2437a", "#16929c")
"""Of lines and bars, told apart by people who do not see red and green, in the order of use."""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_CONFIG = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["lasso2d", "select2d"]}
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
_GRID = "#e3e8ed"
_GROW = """
const grow = () => {
  const size = 0.85 * parseFloat(getComputedStyle(document.documentElement).fontSize);
  for (const plot of document.querySelectorAll(".plotly-graph-div")) {
    Plotly.relayout(plot, {"font.size": size});
    Plotly.Plots.resize(plot);
  }
};
grow();
addEventListener("resize", grow);
"""
"""The style's letters grow with the window; those in plotly's drawings have to be told. And each was drawn when what
stands beside it was not there yet: it has to be fitted into its place."""


class Interval(Protocol):
    """A figure with its 95 % interval."""

    @property
    def value(self) -> float:
        """The figure."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""


Cell = str | int | float | Interval | None


@dataclass(frozen=True)
class Section:
    """One block of a page."""

    title: str
    body: str
    """HTML, as the functions below make it."""


def page(title: str, sections: Sequence[Section], *, lead: str = "") -> str:
    """Lay out a whole document: title, a line or two below it, then the sections with a list of them at the side."""
    style = (files("mammo_assets") / "theme" / "report.css").read_text(encoding="utf-8")
    contents = "".join(f'<li><a href="#{_anchor(s.title)}">{escape(s.title)}</a></li>' for s in sections)
    blocks = "".join(
        f'<section id="{_anchor(section.title)}"><h2>{escape(section.title)}</h2>{section.body}</section>'
        for section in sections
    )
    drawn = any('class="plot"' in section.body for section in sections)
    script = f"<script>{get_plotlyjs()}</script>" if drawn else ""
    grown = f"<script>{_GROW}</script>" if drawn else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style>{script}</head><body>"
        f'<header><b>mammo-gui</b><span class="banner">{BANNER}</span></header>'
        f'<div class="sheet"><nav><ol>{contents}</ol></nav><main><h1>{escape(title)}</h1>'
        f'<p class="lead">{escape(lead)}</p>{blocks}</main></div>'
        f"<footer>mammo-gui {escape(_software_version())}. {BANNER}.</footer>{grown}</body></html>\n"
    )


def _anchor(title: str) -> str:
    """A section's name in addresses: ``Gallery`` is at ``#gallery``."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def paragraph(text: str) -> str:
    """Return a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def warning(text: str) -> str:
    """Return a paragraph that the reader must not miss."""
    return f'<p class="warning">{escape(text)}</p>'


def heading(text: str) -> str:
    """Return a heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def cards(entries: Sequence[tuple[str, str, str]]) -> str:
    """Return large figures side by side: name, value, and a note below it."""
    inner = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b><span>{escape(note)}</span></div>'
        for name, value, note in entries
    )
    return f'<div class="cards">{inner}</div>'


def table(
    head: Sequence[str], rows: Sequence[Sequence[Cell]], *, caption: str = "", marked: Collection[int] = ()
) -> str:
    """Return a table; numbers stand at the right, intervals in small print, rows numbered in ``marked`` are tinted."""
    numeric = [bool(rows) and not isinstance(rows[0][i], str) for i in range(len(head))]
    kinds = {True: ' class="number"', False: ""}
    titles = "".join(
        f'<th scope="col"{kinds[right]}>{escape(title)}</th>' for title, right in zip(head, numeric, strict=True)
    )
    opening = {True: '<tr class="marked">', False: "<tr>"}
    lines = "".join(f"{opening[i in marked]}{''.join(map(_cell, row))}</tr>" for i, row in enumerate(rows))
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{above}<thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>'


def figure(drawn: go.Figure, *, caption: str, name: str) -> str:
    """Return a plotly figure with its caption. ``name`` is its id, once per page: small letters, digits, hyphens."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"name of a figure: {name!r} holds something else than small letters, digits and hyphens")
    plot = drawn.to_html(full_html=False, include_plotlyjs=False, div_id=f"plot-{name}", config=_CONFIG)
    return f'<figure><div class="plot">{plot}</div><figcaption>{escape(caption)}</figcaption></figure>'


def side_by_side(*parts: str) -> str:
    """Put figures or tables beside one another where the window is wide enough."""
    return f'<div class="beside">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def figure_layout(x: str, y: str, **changes: Any) -> go.Layout:
    """Return the house style of a figure with the titles of its axes; ``changes`` are plotly's own layout fields."""
    axis = {"gridcolor": _GRID, "linecolor": "#9aa6b1", "zeroline": False, "ticks": "outside", "automargin": True}
    layout = go.Layout(
        template="none",
        font={"family": _FONT, "size": 13, "color": "#17212b"},
        colorway=COLORS,
        margin={"l": 62, "r": 16, "t": 30, "b": 52},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        hovermode="closest",
        xaxis={"title": {"text": x}, **axis},
        yaxis={"title": {"text": y}, **axis},
    )
    layout.update(changes)
    return layout


def number(value: float | None, digits: int = 3) -> str:
    """Write a number, or a dash where it does not exist."""
    return "-" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def estimate(found: Interval, digits: int = 3) -> str:
    """Write a figure with its interval, such as "0.823 (0.790 to 0.851)"."""
    if not np.isfinite(found.value):
        return "-"
    return f"{found.value:.{digits}f} ({number(found.low, digits)} to {number(found.high, digits)})"


def picture_uri(pixels: NDArray[np.uint8]) -> str:
    """Return a picture ``(H, W)`` or ``(H, W, 3)``, as JPEG, or ``(H, W, 4)``, as PNG, as a data URI."""
    stream = io.BytesIO()
    drawn = Image.fromarray(pixels)
    transparent = pixels.ndim == 3 and pixels.shape[2] == 4
    if transparent:
        drawn.save(stream, format="PNG", optimize=True)
    else:
        drawn.save(stream, format="JPEG", quality=88)
    kind = "png" if transparent else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    if value is None:
        return '<td class="number">-</td>'
    if isinstance(value, int | np.integer):
        return f'<td class="number">{value:,}</td>'
    if isinstance(value, float | np.floating):
        return f'<td class="number">{number(float(value))}</td>'
    if not np.isfinite(value.value):
        return '<td class="number">-</td>'
    between = f"{number(value.low)} to {number(value.high)}"
    return f'<td class="number">{number(value.value)} <small>({between})</small></td>'


def _software_version() -> str:
    try:
        return version("mammo-gui")
    except PackageNotFoundError:
        return "0"
