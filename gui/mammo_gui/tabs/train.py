"""The Train tab: choose data, edit a recipe, start it, watch it, carry it on. Widgets and wiring only."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

from mammo_core.errors import InputError
from mammo_gui import forms
from mammo_gui.draft import Draft, typed, with_item
from mammo_gui.markup import Markup, join
from mammo_gui.panel import html_panel
from mammo_gui.training import FIRST_RECIPE, Desk, Screen, Training, plan_draft
from mammo_gui.views.data import data_html
from mammo_gui.views.recipe import form_html, start_html, terminal_html, timeline_html
from mammo_gui.views.runs import runs_html
from mammo_gui.views.training import job_html, jobs_html

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0

Fields = Mapping[str, object]
Handler = Callable[[Desk, Fields], Desk]


def build_train_tab(tab: gr.Tab, training: Training) -> None:
    """Fill the tab and connect it to the jobs."""
    desk = gr.State(Desk())
    with gr.Row(elem_classes="bench"):
        with gr.Column(elem_classes="bench-left"):
            data = html_panel("train-data", "data", "phantoms", "prepare", "register")
            jobs = html_panel("train-jobs", "job", "at_once", "cluster")
        with gr.Column(elem_classes="bench-right"):
            start = html_panel("train-start", "mode", "base", "start", "save", "forget", "estimate")
            phases = html_panel("train-phases")
            form = html_panel("train-form", "edit", "item")
            runs = html_panel("train-runs", "job", "sort", "words", "overlay", "by")
            job = html_panel("train-job", "stop", "resume", "adopt", "clone", "delete", "describe")
    outputs = [desk, data, start, phases, form, jobs, runs, job]
    answers = Answers(training)
    events: dict[Any, Handler] = {
        data.data: answers.data,
        data.phantoms: answers.phantoms,
        jobs.job: answers.job,
        start.base: answers.base,
        start.start: answers.start,
        form.edit: answers.edit,
        form.item: answers.item,
        data.prepare: answers.prepare,
        data.register: answers.register,
        jobs.at_once: answers.at_once,
        jobs.cluster: answers.cluster,
        start.mode: answers.mode,
        start.save: answers.save,
        start.forget: answers.forget,
        start.estimate: answers.estimate,
        runs.job: answers.job,
        runs.sort: answers.sort,
        runs.words: answers.words,
        runs.overlay: answers.overlay,
        runs.by: answers.by,
        job.describe: answers.describe,
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
    clock.tick(answers.tick, inputs=desk, outputs=[data, phases, jobs, runs, job], **quiet)


class Answers:
    """What the page is answered: one method per event, each a domain call, then the tab drawn anew."""

    def __init__(self, training: Training) -> None:
        self._training = training

    def to(self, handler: Handler) -> Callable[..., list[Any]]:
        """A callback: do what an event asks for, draw, and say in words what cannot be done."""

        def callback(now: Desk, event: gr.EventData) -> list[Any]:
            problem = ""
            try:
                fields = dict(event._data or {})
                now = handler(now, fields)
                now = replace(now, recorded=forms.text_of(fields, "form") or now.recorded)
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
        return [data_html(screen), _phases(screen), jobs_html(screen), runs_html(screen), job_html(screen)]

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

    def prepare(self, now: Desk, fields: Fields) -> Desk:
        """Have a data set prepared."""
        made = self._training.prepare(
            forms.text_of(fields, "name"),
            forms.text_of(fields, "source"),
            forms.text_of(fields, "folder"),
            forms.text_of(fields, "size"),
            forms.number(fields, "bits"),
        )
        return replace(now, job=made.id)

    def register(self, now: Desk, fields: Fields) -> Desk:
        """Know a prepared set by its folder, and choose it."""
        return replace(now, data=str(self._training.sets.register(forms.text_of(fields, "folder"))))

    def at_once(self, now: Desk, fields: Fields) -> Desk:
        """Let another number of jobs run at once."""
        self._training.jobs.run_at_once(forms.number(fields, "value"))
        return now

    def cluster(self, now: Desk, fields: Fields) -> Desk:
        """Let new jobs run somewhere else."""
        self._training.jobs.run_on(forms.text_of(fields, "cluster"), forms.number(fields, "workers"))
        return now

    def mode(self, now: Desk, fields: Fields) -> Desk:
        """Train, compare, or look at the runs."""
        return replace(now, mode=forms.one_of(fields, "mode", ("train", "compare", "runs")))

    def base(self, now: Desk, fields: Fields) -> Desk:
        """Begin with another recipe or plan."""
        name = forms.text_of(fields, "value")
        if now.mode == "compare":
            return replace(now, plan_base=name, plan=plan_draft(name))
        return replace(now, base=name, draft=self._training.recipes.draft(name))

    def edit(self, now: Desk, fields: Fields) -> Desk:
        """Put what was typed into the recipe or the plan."""
        return self._edited(
            now, lambda draft: typed(draft, forms.text_of(fields, "field"), forms.text_of(fields, "value"))
        )

    def item(self, now: Desk, fields: Fields) -> Desk:
        """Copy, remove, move or add a phase, an arm or a question."""
        name, number = forms.text_of(fields, "list"), forms.number(fields, "number")
        return self._edited(now, lambda draft: with_item(draft, name, number, forms.text_of(fields, "how")))

    def save(self, now: Desk, fields: Fields) -> Desk:
        """Keep the recipe under a name."""
        return self._training.save(now, forms.text_of(fields, "name"))

    def forget(self, now: Desk, fields: Fields) -> Desk:
        """Delete a saved recipe; what is being edited stays."""
        self._training.recipes.delete(forms.text_of(fields, "name"))
        return replace(now, base=FIRST_RECIPE)

    def estimate(self, now: Desk, _fields: Fields) -> Desk:
        """Have the time of every phase measured."""
        return replace(now, job=self._training.estimate(self._training.screen(now).desk).id)

    def sort(self, now: Desk, fields: Fields) -> Desk:
        """Sort the runs by a column, the other way round at the second time."""
        by = forms.text_of(fields, "by")
        return replace(now, sort=by, rising=not now.rising if by == now.sort else False)

    def words(self, now: Desk, fields: Fields) -> Desk:
        """Show only runs that have these words."""
        return replace(now, words=forms.text_of(fields, "value")[:200])

    def overlay(self, now: Desk, fields: Fields) -> Desk:
        """Draw a run's curves, or take them away."""
        chosen = self._training.jobs.get(forms.text_of(fields, "job")).id
        others = tuple(job for job in now.overlay if job != chosen)
        return replace(now, overlay=(*others, chosen) if fields.get("checked") is True else others)

    def by(self, now: Desk, fields: Fields) -> Desk:
        """Draw the curves by epoch or by seconds."""
        return replace(now, by=forms.one_of(fields, "value", ("epoch", "seconds")))

    def describe(self, now: Desk, fields: Fields) -> Desk:
        """Give a job another name and tags."""
        tags = tuple(tag for part in forms.text_of(fields, "tags").split(",") if (tag := part.strip()))
        self._training.jobs.describe(forms.text_of(fields, "job"), forms.text_of(fields, "title"), tags)
        return now

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

    def _edited(self, now: Desk, change: Callable[[Draft], Draft]) -> Desk:
        now = self._training.screen(now).desk
        if now.edited is None:
            raise InputError("form", "is not open")
        changed = change(now.edited)
        return replace(now, plan=changed) if now.mode == "compare" else replace(now, draft=changed)

    def _form(self, screen: Screen) -> Markup:
        edited = screen.desk.edited
        if edited is None or screen.desk.mode == "runs":
            return Markup("")
        return form_html(edited, screen.recipes, self._training.starts(edited))

    def _drawn(self, now: Desk) -> list[Any]:
        """The outputs: everything of the desk."""
        screen: Screen = self._training.screen(now)
        return [
            screen.desk,
            data_html(screen),
            start_html(screen),
            _phases(screen),
            self._form(screen),
            jobs_html(screen),
            runs_html(screen),
            job_html(screen),
        ]


def _phases(screen: Screen) -> Markup:
    """What the recipe would do, and the command line that does it; the sets and times on it come from jobs."""
    drawn = timeline_html(screen.draft, screen.phases, screen.depths) if screen.desk.mode == "train" else None
    return join(drawn, terminal_html(screen))
