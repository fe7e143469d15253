"""The Threshold tab: move a threshold, see what it costs on validation cases, and use it. Widgets and wiring only."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import gradio as gr

from mammo_core.errors import InputError
from mammo_core.library import Library, ModelEntry
from mammo_core.tradeoff import Solvable
from mammo_gui import bench, forms
from mammo_gui.bench import Aim, Bench, Benches, Source
from mammo_gui.panel import html_panel, threshold_panel
from mammo_gui.views.outcomes import outcomes_html
from mammo_gui.views.threshold import controls_html, counts_html, figures_html
from mammo_gui.views.threshold_cases import flips_html, groups_html
from mammo_gui.views.threshold_plots import plots_html

logger = logging.getLogger(__name__)

_ACTIONS = ("move", "solve", "preset", "prevalence", "model", "source", "save", "use")

Fields = Mapping[str, object]
Handler = Callable[[Aim, Fields], Aim]


def build_threshold_tab(tab: gr.Tab, library: Library) -> None:
    """Fill the tab and connect it to the library."""
    aim = gr.State(Aim())
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="bench-left"):
            controls = threshold_panel("threshold-controls", *_ACTIONS)
        with gr.Column(elem_classes="bench-right"):
            figures = html_panel("threshold-figures")
            plots = html_panel("threshold-plots")
            tables = html_panel("threshold-tables", "pick")
            own = html_panel("threshold-own", "outcome", "outcomes")
    outputs = [aim, controls, figures, plots, tables, own]
    answers = Answers(library)
    events: dict[Any, Handler] = {
        controls.move: answers.move,
        controls.solve: answers.solve,
        controls.preset: answers.preset,
        controls.prevalence: answers.prevalence,
        controls.model: answers.model,
        controls.source: answers.source,
        controls.save: answers.save,
        controls.use: answers.use,
        own.outcome: answers.outcome,
        own.outcomes: answers.outcomes,
    }
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_id": "bench",
        "concurrency_limit": 1,
    }
    for event, handler in events.items():
        event(answers.to(handler), inputs=aim, outputs=outputs, trigger_mode="multiple", **quiet)
    # Whenever it is opened: another model or threshold may be in use by now.
    tab.select(answers.opened, inputs=aim, outputs=outputs, **quiet)


class Answers:
    """What the page is answered: one method per event, each a domain call, then the tab drawn anew."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._benches = Benches(library)

    def to(self, handler: Handler) -> Callable[..., list[Any]]:
        """A callback: do what an event asks for, draw, and say in words what cannot be done."""

        def callback(aim: Aim, event: gr.EventData) -> list[Any]:
            fields, problem = dict(event._data or {}), ""
            try:
                aim = handler(aim, fields)
            except InputError as error:
                problem = str(error)
            except Exception:
                logger.exception("an event of the Threshold tab failed")
                problem = "This did not work: unexpected error; the terminal says what."
            return self._drawn(aim, problem, forms.text_of(fields, "asked"))

        return callback

    def opened(self, aim: Aim) -> list[Any]:
        """The tab was opened."""
        return self._drawn(aim, "", "")

    def move(self, aim: Aim, fields: Fields) -> Aim:
        """Put the slider somewhere."""
        return bench.moved_to(self._bench(aim), aim, forms.decimal(fields, "threshold"))

    def solve(self, aim: Aim, fields: Fields) -> Aim:
        """Go to a typed threshold or to the threshold of a typed rate."""
        kind = forms.text_of(fields, "kind")
        wanted = forms.decimal(fields, "wanted")
        if kind == "threshold":
            return bench.moved_to(self._bench(aim), aim, wanted)
        if kind not in ("sensitivity", "specificity", "recall_rate"):
            raise InputError("kind", f"{kind[:40]!r} is not sensitivity, specificity or recall_rate")
        if not 0 < wanted <= 100:
            raise InputError(kind.replace("_", " "), f"{wanted:g} % is not more than 0 and at most 100 %")
        return bench.solved(self._bench(aim), aim, cast(Solvable, kind), wanted / 100)

    def preset(self, aim: Aim, fields: Fields) -> Aim:
        """Go to a preset."""
        return bench.preset(self._bench(aim), aim, forms.text_of(fields, "name"))

    def prevalence(self, aim: Aim, fields: Fields) -> Aim:
        """State another prevalence."""
        return bench.at_prevalence(aim, forms.decimal(fields, "per_1000") / 1000)

    def model(self, aim: Aim, fields: Fields) -> Aim:
        """Choose another model."""
        wanted = forms.text_of(fields, "value")
        return replace(aim, model=self._library.models.entry(wanted).sha256, threshold=None)

    def source(self, aim: Aim, fields: Fields) -> Aim:
        """Choose the cases."""
        wanted = forms.text_of(fields, "value")
        if wanted not in bench.SOURCES:
            raise InputError("cases", f"{wanted[:40]!r} is not one of {', '.join(bench.SOURCES)}")
        return replace(aim, source=cast(Source, wanted))

    def outcome(self, aim: Aim, fields: Fields) -> Aim:
        """Keep what became of one breast."""
        study, side, cancer = forms.outcome_of(fields)
        self._library.outcomes.record(study, side, cancer, source="by hand")
        return replace(aim, imported=None)

    def outcomes(self, aim: Aim, fields: Fields) -> Aim:
        """Take a file of outcomes in."""
        text, file = str(fields.get("text") or ""), forms.text_of(fields, "file")
        return replace(aim, imported=self._library.outcomes.import_csv(text, file[:200] or "pasted"))

    def save(self, aim: Aim, fields: Fields) -> Aim:
        """Save the threshold that the form shows, and use it."""
        threshold = forms.decimal(fields, "threshold")
        texts = (forms.text_of(fields, name) for name in ("name", "reason", "vendor"))
        bench.save(self._library, self._bench(aim), threshold, *texts)
        return replace(aim, threshold=None)

    def use(self, aim: Aim, fields: Fields) -> Aim:
        """Go back to an earlier version."""
        bench.go_back(self._library, self._bench(aim), forms.number(fields, "point"), forms.text_of(fields, "reason"))
        return replace(aim, threshold=None)

    def _bench(self, aim: Aim) -> Bench:
        return self._benches.of(self._model(aim), aim.source)

    def _model(self, aim: Aim) -> ModelEntry:
        models = self._library.models
        return models.entry(aim.model or self._library.usual_model())

    def _drawn(self, aim: Aim, problem: str, asked: str) -> list[Any]:
        """The outputs: everything of the aim, or why there is nothing."""
        models = self._library.models.all()
        chosen = aim.model or self._library.usual_model()
        aim = bench.of_model(aim, chosen)
        try:
            shown = bench.screen(self._library, self._bench(aim), aim)
        except InputError as error:
            left = controls_html(models, chosen, aim.source, None, problem or str(error))
            return [aim, _controls(left, asked, None), "", "", "", self._own(aim, chosen)]
        left = controls_html(models, chosen, aim.source, shown, problem)
        return [
            aim,
            _controls(left, asked, shown.threshold),
            figures_html(shown),
            plots_html(shown),
            counts_html(shown) + groups_html(shown) + flips_html(shown),
            self._own(aim, chosen),
        ]

    def _own(self, aim: Aim, model_sha256: str) -> str:
        """The panel of own cases, which is there where they are looked at."""
        if aim.source != "own":
            return ""
        words = bench.own_words(self._library, model_sha256)
        return outcomes_html(self._library.worklist(), words, aim.imported)


def _controls(html: str, asked: str, threshold: float | None) -> dict[str, object]:
    return {"html": html, "asked": asked, "threshold": threshold}
