"""The reader's own call as a form, and the reads recorded so far."""

from mammo_core.library import SUSPICION, BreastCall, ReadRecord, StudyRecord
from mammo_gui.markup import Markup, element, join
from mammo_gui.views.words import SIDES, moment_words


def call_html(study: StudyRecord | None, reader: str, blind: bool, recorded: str) -> Markup:
    """Who reads and how, the form for this study, and its earlier reads.

    ``recorded`` is what the page called the form whose call was kept last: only then is its draft thrown away.
    """
    return join(_desk(reader, blind), None if study is None else _form(study, recorded), _history(study))


def _desk(reader: str, blind: bool) -> Markup:
    name = element("input", type="text", name="reader", value=reader, maxlength=80, aria_label="Reader")
    box = element("input", type="checkbox", name="blind", checked=blind, data_action="blind")
    return element(
        "div",
        element("form", element("span", "Reader"), name, data_action="reader", class_="field"),
        element("label", box, " Blind", class_="check", title="Hide the second opinion until I have recorded my call"),
        class_="desk",
    )


def _form(study: StudyRecord, recorded: str) -> Markup:
    shown = study.ai is not None and not study.ai_hidden
    return element(
        "form",
        element("h3", "My call"),
        element("p", "While the AI is hidden, call every breast that has images.", class_="hint")
        if study.ai_hidden
        else None,
        _breast("right", "R"),
        _breast("left", "L"),
        _agreement() if shown else None,
        element("textarea", name="note", rows=2, maxlength=4000, placeholder="Note", aria_label="Note"),
        element("button", "Record call", type="submit", class_="primary"),
        data_action="record",
        data_study=study.id,
        # What was typed survives every redraw and a reload, and is gone once this page's own call was recorded.
        data_draft=study.id,
        data_recorded=recorded or None,
        class_="call",
    )


def _breast(name: str, side: str) -> Markup:
    options = [element("option", "suspicion", value="")]
    options += [element("option", f"{value} {words}", value=value) for value, words in SUSPICION.items()]
    return element(
        "fieldset",
        element("legend", SIDES[side]),
        _choice(f"{name}_recall", "no", "No recall"),
        _choice(f"{name}_recall", "yes", "Recall"),
        element("select", *options, name=f"{name}_suspicion", aria_label=f"{SIDES[side]} suspicion"),
    )


def _agreement() -> Markup:
    return element(
        "fieldset",
        element("legend", "AI"),
        _choice("agreement", "agree", "Agree"),
        _choice("agreement", "disagree", "Disagree"),
    )


def _choice(name: str, value: str, words: str) -> Markup:
    return element("label", element("input", type="radio", name=name, value=value), element("span", words))


def _history(study: StudyRecord | None) -> Markup | None:
    if study is None or not study.reads:
        return None
    items = [element("li", *_read(read)) for read in reversed(study.reads)]
    return element("section", element("h3", "Reads"), element("ol", *items), class_="history")


def _read(read: ReadRecord) -> list[Markup]:
    told = [f"{name} {_breast_words(call)}" for name, call in (("R", read.call.right), ("L", read.call.left)) if call]
    told += ["AI hidden"] if read.blind else []
    told += [f"{read.call.agreement}s with AI"] if read.call.agreement else []
    lines = [
        element("b", read.reader),
        element("time", moment_words(read.recorded_at)),
        element("span", " · ".join(told)),
    ]
    return [*lines, element("q", read.call.note)] if read.call.note else lines


def _breast_words(call: BreastCall) -> str:
    words = "recall" if call.recall else "no recall"
    return words if call.suspicion is None else f"{words} ({call.suspicion})"
