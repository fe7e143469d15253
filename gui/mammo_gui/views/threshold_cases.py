"""The Threshold tab's tables: subgroups, and the cases and worklist entries that would change side."""

import numpy as np

from mammo_core.flips import Flip
from mammo_core.intervals import Estimate
from mammo_core.library import FlipLine
from mammo_core.threshold_groups import GroupFigures
from mammo_gui.bench import Screen
from mammo_gui.markup import Markup, element
from mammo_gui.views.words import SIDES, date_words, score_words

_LISTED = 40
"""Flips that are shown; of more the number is said."""


def groups_html(screen: Screen) -> Markup:
    """The same threshold by subgroup."""
    if not screen.groups:
        text = "This checkpoint says nothing of its cases but their truth: no density, age, view, machine or vendor."
        return element("section", element("h3", "Subgroups"), element("p", text, class_="dim"))
    head = element(
        "tr",
        *(element("th", title) for title in ("", "n", "positive", "sensitivity", "specificity", "recalled", "")),
    )
    body = [_group(group, first) for group, first in _with_firsts(screen.groups)]
    return element(
        "section",
        element("h3", f"Subgroups, per {screen.bench.cases.unit}, 95 % intervals"),
        element("table", element("thead", head), element("tbody", *body), class_="groups", id="groups"),
    )


def flips_html(screen: Screen) -> Markup:
    """Which cases change side between the threshold in use and this one."""
    if screen.saved is None:
        return element("section", element("h3", "Cases that flip"), element("p", "No threshold is in use yet."))
    lost = [flip for flip in screen.flips if flip.label and not flip.flagged]
    won = [flip for flip in screen.flips if flip.label and flip.flagged]
    spared = sum(not flip.label and not flip.flagged for flip in screen.flips)
    recalled = sum(not flip.label and flip.flagged for flip in screen.flips)
    words = (
        f"From {score_words(screen.saved)} to {score_words(screen.threshold)}: {len(won)} more positive found, "
        f"{len(lost)} more missed, {recalled} more negative recalled, {spared} fewer."
        if screen.flips
        else "None: this is the threshold in use, or no case lies between the two."
    )
    cases = [_flip(flip) for flip in screen.flips[:_LISTED]]
    more = len(screen.flips) - len(cases)
    return element(
        "div",
        _library(screen.library_flips),
        element(
            "section",
            element("h3", "Validation cases that flip"),
            element("p", words, id="flip-words"),
            element("ul", *cases, element("li", f"and {more} more") if more > 0 else None, class_="flips", id="flips"),
        ),
    )


def _library(lines: tuple[FlipLine, ...]) -> Markup:
    entries = [
        element(
            "li",
            element(
                "button",
                element("b", line.patient_id or "no patient ID"),
                f" {date_words(line.date)} ",
                element("span", score_words(line.score), class_="number"),
                element("span", "would be flagged" if line.flagged else "no longer flagged"),
                element("span", "PHANTOM", class_="phantom") if line.phantom else None,
                type="button",
                data_action="pick",
                data_study=line.study_id,
            ),
        )
        for line in lines[:_LISTED]
    ]
    more = len(lines) - len(entries)
    words = "No exam of the worklist would change." if not lines else f"{len(lines)} of the worklist would change."
    return element(
        "section",
        element("h3", "Worklist entries that would change"),
        element("p", words, class_="dim"),
        element("ul", *entries, element("li", f"and {more} more") if more > 0 else None, id="library-flips"),
    )


def _flip(flip: Flip) -> Markup:
    side = SIDES.get(flip.laterality, "")
    return element(
        "li",
        element("b", "positive" if flip.label else "negative", class_="positive" if flip.label else "negative"),
        f" {flip.patient} {side} ",
        element("span", score_words(flip.score), class_="number"),
        element("span", "now flagged" if flip.flagged else "no longer flagged"),
    )


def _group(group: GroupFigures, first: bool) -> Markup:
    return element(
        "tr",
        element("th", element("em", group.by) if first else None, " ", group.value),
        element("td", str(group.n)),
        element("td", str(group.positives)),
        *(element("td", _rate(found)) for found in (group.sensitivity, group.specificity, group.recall_rate)),
        element("td", group.warning, class_="warning"),
        class_="few" if group.warning else None,
    )


def _rate(found: Estimate) -> str:
    if np.isnan(found.value):
        return "–"
    return f"{100 * found.value:.1f} % ({100 * found.low:.0f} to {100 * found.high:.0f})"


def _with_firsts(groups: tuple[GroupFigures, ...]) -> list[tuple[GroupFigures, bool]]:
    before = ["", *(group.by for group in groups)]
    return [(group, group.by != by) for group, by in zip(groups, before, strict=False)]
