"""A page that needs nothing but itself, and in which no text becomes code."""

import re

import numpy as np
import plotly.graph_objects as go
import pytest

from mammo_core.intervals import Estimate
from mammo_train.html_page import (
    Section,
    cards,
    estimate,
    figure,
    figure_layout,
    number,
    page,
    paragraph,
    picture_uri,
    side_by_side,
    table,
    warning,
)

SCRIPT = "<script>alert('x')</script>"


def drawn(name: str = "one") -> str:
    plot = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], name=SCRIPT), layout=figure_layout("x", "y"))
    return figure(plot, caption=SCRIPT, name=name)


def test_a_page_without_figures_has_no_script_and_fetches_nothing():
    text = page("A title", [Section("First", paragraph("Hello"))], lead="A lead")
    assert text.startswith("<!doctype html>")
    assert "<script" not in text
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert "default-src 'none'" in text
    assert "Research use only - not for diagnosis" in text
    assert '<a href="#first">First</a>' in text


def test_plotly_is_inside_once():
    text = page("Two", [Section("a", side_by_side(drawn("one"), drawn("two")))])
    assert text.count("plotly.js v") == page("One", [Section("a", drawn())]).count("plotly.js v") > 0
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", outside)


def test_all_text_is_escaped():
    body = (
        paragraph(SCRIPT)
        + warning(SCRIPT)
        + cards([(SCRIPT, SCRIPT, SCRIPT)])
        + table([SCRIPT], [[SCRIPT]], caption=SCRIPT)
        + drawn()
    )
    assert SCRIPT not in page(SCRIPT, [Section(SCRIPT, body)], lead=SCRIPT)


def test_cells():
    text = table(["", "n", "x"], [["a", 12345, Estimate(0.5, 0.25, 0.75)], ["b", None, 0.1234]], marked=(1,))
    assert '<td class="number">12,345</td>' in text
    assert '<td class="number">0.500 <small>(0.250 to 0.750)</small></td>' in text
    assert '<tr class="marked"><td>b</td><td class="number">-</td><td class="number">0.123</td>' in text
    assert '<th scope="col">' in text
    assert '<th scope="col" class="number">n</th>' in text
    missing = table(["x"], [[Estimate(float("nan"), float("nan"), float("nan"))], [float("nan")]])
    assert missing.count('<td class="number">-</td>') == 2


def test_numbers_in_words():
    assert estimate(Estimate(0.8234, 0.79, 0.851)) == "0.823 (0.790 to 0.851)"
    assert estimate(Estimate(float("nan"), 0, 1)) == "-"
    assert number(None) == number(float("inf")) == "-"
    assert number(2.0, 1) == "2.0"


def test_the_name_of_a_figure_is_an_id():
    with pytest.raises(ValueError, match="name of a figure: 'A b'"):
        figure(go.Figure(), caption="", name="A b")


def test_pictures_are_inside_the_page():
    grey = np.zeros((4, 6), np.uint8)
    assert picture_uri(grey).startswith("data:image/jpeg;base64,")
    assert picture_uri(np.dstack([grey] * 4)).startswith("data:image/png;base64,")
