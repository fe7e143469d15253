"""The Train tab: choose data, edit a recipe, start it, watch it, carry it on. Widgets and wiring only."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from mammo_core.errors import InputError
from mammo_gui import forms
from mammo_gui.panel import html_panel
from mammo_gui.recipe_form import bundled_draft, typed, with_phase
from mammo_gui.training import Desk, Screen, Training
from mammo_gui.views.recipe import form_html, start_html, timeline_html
from mammo_gui.views.training import data_html, job_html, jobs_html

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0

Fields = Mapping[str, object]
Handler = Callable[[Desk, Fields], Desk]


def build_train_tab(tab: gr.Tab, training: Training) -> None:
    """Fill the tab and connect it to the jobs."""
    desk = gr.State(Desk())
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="bench-left"):
            data = html_panel("train-data", "data", "phantoms")
            jobs = html_panel("train-jobs", "job")
        with gr.Column(elem_classes="bench-right"):
            start = html_panel("train-start", "base", "start")
            form = html_panel("train-form", "edit", "phase")
            job = html_panel("train-job", "stop", "resume", "adopt", "clone", "delete")
    outputs = [desk, data, start, form, jobs, job]
    answers = Answers(training)
    events: dict[Any, Handler] = {
        data.data: answers.data,
        data.phantoms: answers.phantoms,
        jobs.job: answers.job,
        start.base: answers.base,
        start.start: answers.start,
        form.edit: answers.edit,
        form.phase: answers.phase,
        job.stop: answers.stop,
        job.resume: answers.resume,
        job.adopt: answers.adopt,
        job.clone: answers.clone,
        job.delete: answers.delete,
    }
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_id": "train",
        "concurrency_limit": 1,
    }
    for event, handler in events.items():
        event(answers.to(handler), inputs=desk, outputs=outputs, trigger_mode="multiple", **quiet)
    # Whoever has not opened the tab is not asked about it.
    clock = gr.Timer(POLL_SECONDS, active=False)
    tab.select(answers.opened, inputs=desk, outputs=[*outputs, clock], **quiet)
    clock.tick(answers.tick, inputs=desk, outputs=[data, jobs, job], **quiet)


class Answers:
    """What the page is answered: one method per event, each a domain call, then the tab drawn anew."""

    def __init__(self, training: Training) -> None:
        self._training = training

    def to(self, handler: Handler) -> Callable[..., list[Any]]:
        """A callback: do what an event asks for, draw, and say in words what cannot be done."""

        def callback(now: Desk, event: gr.EventData) -> list[Any]:
            problem = ""
            try:
                now = handler(now, dict(event._data or {}))
            except InputError as error:
                problem = str(error)
            except Exception:
                logger.exception("an event of the Train tab failed")
                problem = "This did not work: unexpected error; the terminal says what."
            return self._drawn(replace(now, problem=problem))

        return callback

    def opened(self, now: Desk) -> list[Any]:
        """The tab was opened."""
        return [*self._drawn(now), gr.Timer(active=True)]

    def tick(self, now: Desk) -> list[Any]:
        """Follow the jobs; what is being edited stays as it is."""
        screen = self._training.screen(now)
        return [data_html(screen), jobs_html(screen), job_html(screen)]

    def data(self, now: Desk, fields: Fields) -> Desk:
        """Choose a prepared set."""
        return replace(now, data=forms.text_of(fields, "value"))

    def phantoms(self, now: Desk, fields: Fields) -> Desk:
        """Have a set of phantoms made."""
        made = self._training.make_phantoms(
            forms.text_of(fields, "name"),
            forms.number(fields, "studies"),
            forms.number(fields, "seed"),
            forms.decimal(fields, "prevalence") / 100,
            forms.text_of(fields, "size"),
        )
        return replace(now, job=made.id)

    def job(self, now: Desk, fields: Fields) -> Desk:
        """Look at a job."""
        return replace(now, job=self._training.jobs.get(forms.text_of(fields, "job")).id)

    def base(self, now: Desk, fields: Fields) -> Desk:
        """Begin with another recipe."""
        name = forms.text_of(fields, "value")
        return replace(now, base=name, draft=bundled_draft(name))

    def edit(self, now: Desk, fields: Fields) -> Desk:
        """Put what was typed into the recipe."""
        draft = self._training.screen(now).draft
        return replace(now, draft=typed(draft, forms.text_of(fields, "field"), forms.text_of(fields, "value")))

    def phase(self, now: Desk, fields: Fields) -> Desk:
        """Copy, remove or move a phase."""
        draft = self._training.screen(now).draft
        return replace(now, draft=with_phase(draft, forms.number(fields, "number"), forms.text_of(fields, "how")))

    def start(self, now: Desk, fields: Fields) -> Desk:
        """Queue a run."""
        now = self._training.screen(now).desk
        return replace(now, job=self._training.start(now, forms.text_of(fields, "title")).id)

    def stop(self, now: Desk, fields: Fields) -> Desk:
        """Let a job end after the batch in hand."""
        self._training.jobs.stop(forms.text_of(fields, "job"))
        return now

    def resume(self, now: Desk, fields: Fields) -> Desk:
        """Let a job go on."""
        self._training.jobs.resume(forms.text_of(fields, "job"))
        return now

    def adopt(self, now: Desk, fields: Fields) -> Desk:
        """Bring a run's checkpoint into the models."""
        self._training.adopt(forms.text_of(fields, "job"))
        return now

    def clone(self, now: Desk, fields: Fields) -> Desk:
        """Edit a copy of a run's recipe."""
        return self._training.cloned(now, forms.text_of(fields, "job"))

    def delete(self, now: Desk, fields: Fields) -> Desk:
        """Remove a job with all that it has written."""
        self._training.jobs.delete(forms.text_of(fields, "job"))
        return replace(now, job="")

    def _drawn(self, now: Desk) -> list[Any]:
        """The outputs: everything of the desk."""
        screen: Screen = self._training.screen(now)
        return [
            screen.desk,
            data_html(screen),
            start_html(screen) + timeline_html(screen.draft, screen.phases),
            form_html(screen.draft),
            jobs_html(screen),
            job_html(screen),
        ]
