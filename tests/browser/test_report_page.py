"""A report in a real browser: it draws without fetching anything, fits the window, and its switches work."""

import numpy as np
import plotly.graph_objects as go
import pytest

from mammo_core.heatmap import heatmap
from mammo_train.gallery import Group, layers
from mammo_train.gallery_page import gallery_sections
from mammo_train.heat_study import Case, HeatStudy
from mammo_train.html_page import Section, figure, figure_layout, side_by_side, table
from mammo_train.html_page import page as whole_page
from mammo_train.localise import measured_heat, whole

pytestmark = pytest.mark.browser


def report() -> str:
    picture = np.full((128, 96), 120, np.uint8)
    lesion = np.zeros((128, 96), bool)
    lesion[20:50, 20:50] = True
    heat = heatmap(np.array([[1, 0], [0, 0]], np.float32), "gradcam", whole(128, 96))
    facts = measured_heat(0, heat, picture > 0, lesion)
    case = Case("i1, LCC", 0.9, True, facts, layers(picture, heat, lesion, 1.0))
    study = HeatStudy((facts,), (), (), "1 image", "Grad-CAM", ((Group("Positive", (0,)), (case,)),), 1.0)
    plot = go.Figure(go.Scatter(x=[0, 1], y=[0, 1], name="line"), layout=figure_layout("x", "y"))
    wide = table([f"column {i}" for i in range(30)], [[0.5] * 30])
    plots = side_by_side(*(figure(plot, caption="A line.", name=name) for name in ("one", "two")))
    return whole_page("A report", [Section("Plots", plots), Section("Wide", wide), *gallery_sections(study)])


@pytest.mark.parametrize("size", [(1366, 768), (2560, 1440)])
def test_a_report_draws_and_fits(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.set_content(report())
    page.wait_for_selector("#plot-two .main-svg")
    assert page.locator("#plot-one .scatterlayer path.js-line").count() == 1
    across = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert across[0] <= across[1]  # a wide table scrolls in itself
    one, two = (page.locator(f"#plot-{name}").bounding_box() for name in ("one", "two"))
    assert one["y"] == two["y"]
    assert one["x"] + one["width"] <= two["x"] + 1
    letters = page.evaluate("parseFloat(getComputedStyle(document.querySelector('#plot-one .xtick text')).fontSize)")
    assert letters >= (11 if size[0] < 2000 else 14)


def test_heat_and_outline_can_be_taken_away(page):
    page.set_content(report())
    for switch, picture in (("heat-on", "img.heat"), ("lesion-on", "img.lesion")):
        assert page.locator(picture).is_visible()
        page.locator(f"input.{switch}").uncheck()
        assert not page.locator(picture).is_visible()
        page.locator(f"input.{switch}").check()
        assert page.locator(picture).is_visible()
    sizes = page.evaluate("[...document.querySelectorAll('.layers img')].map(i => [i.clientWidth, i.clientHeight])")
    assert sizes[0] == sizes[1] == sizes[2]
