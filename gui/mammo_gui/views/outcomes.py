"""Own cases: how many there are, giving an outcome by hand or as CSV, and what came of the last file."""

from collections.abc import Sequence

from mammo_core.library import OutcomeImport, WorklistLine
from mammo_gui.markup import Markup, element, join
from mammo_gui.views.words import date_words, patient_words

_LISTED = 50


def outcomes_html(lines: Sequence[WorklistLine], words: str, imported: OutcomeImport | None) -> Markup:
    """The panel of own cases; ``words`` say how many there are and how many are needed."""
    return join(
        element("section", element("h3", "Own cases"), element("p", words, id="own-words")),
        element(
            "div",
            element("section", element("h3", "Outcome of one breast"), _by_hand(lines)),
            element("section", element("h3", "Outcomes as CSV"), _as_csv(), _came_of(imported)),
            class_="own",
        ),
    )


def _by_hand(lines: Sequence[WorklistLine]) -> Markup:
    studies = [
        element("option", f"{patient_words(line)}, {date_words(line.date)} (no. {line.id})", value=line.id)
        for line in lines
    ]
    return element(
        "form",
        element("select", *studies, name="study", aria_label="Exam"),
        _select("laterality", "Breast", (("R", "right"), ("L", "left"))),
        _select("cancer", "Outcome", (("0", "no cancer"), ("1", "cancer"), ("-", "take back"))),
        element("button", "Record", type="submit"),
        data_action="outcome",
        class_="by-hand",
    )


def _as_csv() -> Markup:
    hint = "study,laterality,cancer - a Study Instance UID or the exam's number, R or L, 1 or 0"
    return element(
        "form",
        element("input", type="file", accept=".csv,text/csv", aria_label="CSV file"),
        element("textarea", name="text", rows="4", placeholder=hint, aria_label="CSV"),
        element("input", type="hidden", name="file"),
        element("button", "Import", type="submit"),
        data_action="outcomes",
        class_="as-csv",
    )


def _came_of(imported: OutcomeImport | None) -> Markup | None:
    if imported is None:
        return None
    refused = [element("li", element("b", f"line {line}"), f" {reason}") for line, reason in imported.refused[:_LISTED]]
    more = len(imported.refused) - len(refused)
    told = f"{imported.recorded} recorded, {len(imported.refused)} refused."
    return join(
        element("p", told, id="import-words"),
        element("ul", *refused, element("li", f"and {more} more") if more > 0 else None, class_="refused"),
    )


def _select(name: str, title: str, options: Sequence[tuple[str, str]]) -> Markup:
    listed = [element("option", text, value=value) for value, text in options]
    return element("select", *listed, name=name, aria_label=title)
