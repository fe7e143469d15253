"""The worklist as a table. Sorting, searching and the highlighted row are the page's business."""

from collections.abc import Sequence

from mammo_core.library import WorklistLine
from mammo_gui.markup import Markup, element, join
from mammo_gui.views.words import date_words, patient_words, score_words

STATUS_CLASSES = {
    "new": "new",
    "AI done": "done",
    "read": "read",
    "needs answer": "asks",
    "AI failed": "failed",
}
QUARTERS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))


def worklist_html(lines: Sequence[WorklistLine]) -> Markup:
    """One row per study, in the order given."""
    return element("table", element("tbody", *(_row(line) for line in lines)), class_="worklist")


def _row(line: WorklistLine) -> Markup:
    patient = patient_words(line)
    return element(
        "tr",
        element("td", _glyph(line), class_="views"),
        element("td", patient, class_="patient", title=patient),
        element("td", _score(line), class_="score"),
        element(
            "td",
            element("span", date_words(line.date), class_="date"),
            element("span", "PHANTOM", class_="phantom") if line.phantom else None,
            class_="about",
        ),
        element("td", element("span", line.status, class_=f"status {STATUS_CLASSES[line.status]}"), class_="state"),
        data_study=line.id,
        data_date=line.date,
        data_score="" if line.score is None else f"{line.score:.9f}",
        data_added=line.added_at,
        data_status=line.status,
        data_text=f"{line.patient_id} {date_words(line.date)} {line.date} {line.status}".lower(),
        role="row",
    )


def _glyph(line: WorklistLine) -> Markup:
    """Four quarters as the views hang; filled where a view is there, and a number where there are others."""
    present = set(line.views)
    missing = [f"{side}{view}" for side, view in QUARTERS if (side, view) not in present]
    others = sum(view not in QUARTERS for view in line.views)
    title = "all four views" if not missing else f"no {', '.join(missing)}"
    title += f"; {others} other" if others else ""
    quarters = [element("i", class_="on" if quarter in present else None) for quarter in QUARTERS]
    count = element("b", f"+{others}") if others else None
    return element("span", *quarters, count, class_="glyph", title=title, aria_label=title)


def _score(line: WorklistLine) -> Markup:
    if line.ai_hidden:
        return element("span", "hidden", class_="hidden", title="Blind mode: record your own call first")
    flag = element("span", "▲", class_="flag", title="At or above the threshold", aria_label="flagged")
    return join(score_words(line.score), flag if line.flagged else None)
