"""The Models tab: what each model is worth, two of them side by side, and which one reads. Widgets and wiring only."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import gradio as gr

from mammo_core.errors import InputError
from mammo_core.library import Library
from mammo_gui import forms, registry
from mammo_gui.bench import SOURCES, Source
from mammo_gui.panel import html_panel
from mammo_gui.registry import Choice, Registry
from mammo_gui.views.comparison import comparison_html
from mammo_gui.views.model_card import card_html
from mammo_gui.views.model_evidence import evidence_html, report_html
from mammo_gui.views.models import models_html
from mammo_gui.worker import Worker

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0

Fields = Mapping[str, object]
Handler = Callable[[Choice, Fields], Choice]


@dataclass(frozen=True)
class Drawn:
    """What one page has of us, so that it is drawn anew where something else changed."""

    revision: int = -1
    """Of the library."""


def build_models_tab(tab: gr.Tab, library: Library, worker: Worker) -> None:
    """Fill the tab and connect it to the library and the background worker."""
    choice, drawn = gr.State(Choice()), gr.State(Drawn())
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="bench-left"):
            listed = html_panel("models-listed", "choose", "sent", "back")
        with gr.Column(elem_classes="bench-right"):
            card = html_panel("models-card")
            compared = html_panel("models-compared", "against", "source", "rate", "promote", "read")
            evidence = html_panel("models-evidence")
            report = html_panel("models-report")
    state = [choice, drawn]
    outputs = [*state, listed, card, compared, evidence, report]
    answers = Answers(library, worker, len(outputs))
    events: dict[Any, Handler] = {
        listed.choose: answers.choose,
        listed.sent: answers.sent,
        listed.back: answers.back,
        compared.against: answers.against,
        compared.source: answers.source,
        compared.rate: answers.rate,
        compared.promote: answers.promote,
        compared.read: answers.read,
    }
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_id": "models",
        "concurrency_limit": 1,
    }
    for event, handler in events.items():
        event(answers.to(handler), inputs=state, outputs=outputs, trigger_mode="multiple", **quiet)
    # Whoever has not opened the tab is not asked about it.
    clock = gr.Timer(POLL_SECONDS, active=False)
    tab.select(answers.opened, inputs=choice, outputs=[*outputs, clock], **quiet)
    clock.tick(answers.tick, inputs=state, outputs=outputs, **quiet)


class Answers:
    """What the page is answered: one method per event, each a domain call, then the tab drawn anew."""

    def __init__(self, library: Library, worker: Worker, outputs: int) -> None:
        self._library = library
        self._worker = worker
        self._registry = Registry(library)
        self._nothing = [gr.skip()] * outputs

    def to(self, handler: Handler) -> Callable[..., list[Any]]:
        """A callback: do what an event asks for, draw, and say in words what cannot be done."""

        def callback(now: Choice, _: Drawn, event: gr.EventData) -> list[Any]:
            problem = ""
            try:
                now = handler(now, dict(event._data or {}))
            except InputError as error:
                problem = str(error)
            except Exception:
                logger.exception("an event of the Models tab failed")
                problem = "This did not work: unexpected error; the terminal says what."
            return self._drawn(now, problem)

        return callback

    def opened(self, now: Choice) -> list[Any]:
        """The tab was opened."""
        return [*self._drawn(now, ""), gr.Timer(active=True)]

    def tick(self, now: Choice, drawn: Drawn) -> list[Any]:
        """Follow what is done elsewhere: in another tab, another browser, or by a command."""
        try:
            unchanged = drawn.revision == self._library.revision()
        except Exception:
            logger.exception("the library does not answer")
            return self._nothing
        return self._nothing if unchanged else self._drawn(now, "")

    def choose(self, now: Choice, fields: Fields) -> Choice:
        """Look at a model."""
        return replace(now, model=self._library.models.entry(forms.text_of(fields, "model")).sha256)

    def sent(self, now: Choice, fields: Fields) -> Choice:
        """Look at the model that was sent, or say why it was refused."""
        problem = forms.text_of(fields, "problem")
        if problem:
            raise InputError("refused", problem[:500])
        return self.choose(now, fields)

    def against(self, now: Choice, fields: Fields) -> Choice:
        """Compare with another model."""
        return replace(now, against=self._library.models.entry(forms.text_of(fields, "value")).sha256)

    def source(self, now: Choice, fields: Fields) -> Choice:
        """Compare on other cases."""
        wanted = forms.text_of(fields, "value")
        if wanted not in SOURCES:
            raise InputError("cases", f"{wanted[:40]!r} is not one of {', '.join(SOURCES)}")
        return replace(now, source=cast(Source, wanted))

    def rate(self, now: Choice, fields: Fields) -> Choice:
        """Compare at another recall rate."""
        return registry.at_recall_rate(now, forms.decimal(fields, "rate") / 100)

    def promote(self, now: Choice, fields: Fields) -> Choice:
        """Read with the model that is looked at."""
        model = self._registry.screen(now).shown.entry.sha256
        self._registry.promote(replace(now, model=model), forms.text_of(fields, "reason"))
        self._worker.read_again()
        return replace(now, model=model)

    def back(self, now: Choice, fields: Fields) -> Choice:
        """Read with what was in use before."""
        # One click must do: a reason is welcome, not asked for.
        entry = self._library.models.roll_back(forms.text_of(fields, "reason") or "Taken back, no reason given")
        self._worker.read_again()
        return replace(now, model=entry.sha256)

    def read(self, now: Choice, _: Fields) -> Choice:
        """Let the two that are compared read the own cases that they have not read."""
        screen = self._registry.screen(now)
        for each in (screen.shown, *([screen.comparison.against] if screen.comparison else [])):
            unread = self._registry.unread_own(each.entry.sha256)
            if unread:
                self._worker.read_with(each.entry, unread)
        return now

    def _drawn(self, now: Choice, problem: str) -> list[Any]:
        """The outputs: everything of the choice, or what is wrong."""
        revision = Drawn(self._library.revision())
        try:
            screen = self._registry.screen(now)
        except InputError as error:
            # A model that went away meanwhile: the one in use is looked at instead.
            if now == Choice():
                return [now, revision, str(error), "", "", "", ""]
            return self._drawn(Choice(), problem or str(error))
        return [
            now,
            revision,
            models_html(screen, problem),
            card_html(screen.shown),
            comparison_html(screen),
            evidence_html(screen.evidence),
            report_html(screen.shown, screen.evidence),
        ]
