"""The Train tab's jobs as HTML: what waits, what runs, and how it goes."""

import shlex
from collections.abc import Sequence
from math import floor, log10

import numpy as np

from mammo_gui.evidence import Epoch
from mammo_gui.live import Live, SubRun
from mammo_gui.markup import Markup, element, join
from mammo_gui.runs import best_of
from mammo_gui.training import Screen
from mammo_gui.views.chart import Axes, Values, chart, line, rounded_up
from mammo_gui.views.live import memory_words, now_html
from mammo_gui.views.model_evidence import curves_html, phase_marks
from mammo_gui.views.runs import figure_words, overlay_html
from mammo_gui.views.words import moment_words
from mammo_train.jobs.asked import CompareAsked, PhantomAsked, PrepareAsked, TrainAsked
from mammo_train.jobs.store import Job, JobSettings

_SIGNS = {
    "waiting": "",
    "running": "done",
    "stopping": "asks",
    "finished": "read",
    "stopped": "asks",
    "failed": "failed",
    "died": "failed",
}
"""State of a job -> CSS class of its sign."""
_KINDS = {
    "train": "training",
    "estimate": "time estimate",
    "compare": "comparison",
    "prepare": "preparation",
    "phantom": "phantoms",
}
_RATES = ("pr", "model", "train")
"""CSS classes of the learning rates that are drawn, from the head down."""


def jobs_html(screen: Screen) -> Markup:
    """Every job, the newest first, and the one that is looked at; how many run at once, and where."""
    at_once = str(screen.settings.at_once)
    number = element("input", type="text", name="at_once", value=at_once, data_action="at_once", inputmode="numeric")
    here = element("label", element("span", "Run at once on this machine"), number, class_="field at-once")
    listed = [_line(job, job == screen.shown) for job in reversed(screen.jobs)]
    body = element("ul", *listed, class_="models", id="jobs") if listed else element("p", "None yet.", class_="dim")
    where = _where(screen.settings, screen.desk.recorded)
    return element("section", element("h3", "Jobs"), here, where, body)


def _where(settings: JobSettings, recorded: str) -> Markup:
    """Where new jobs are done: this machine, or a cluster with so many processes for each training."""
    address = element(
        "input", type="text", name="cluster", value=settings.cluster, placeholder="http://host:8265", spellcheck="false"
    )
    workers = element("input", type="text", name="workers", value=str(settings.workers), inputmode="numeric")
    form = element(
        "form",
        element("label", element("span", "Job server of a Ray cluster; empty: this machine"), address, class_="wide"),
        element("label", element("span", "Processes per training"), workers),
        element("button", "Use it", type="submit"),
        data_action="cluster",
        data_draft="cluster",
        data_recorded=recorded or None,
        class_="make",
    )
    now = settings.cluster or "this machine"
    return element("details", element("summary", f"New jobs run on {now}"), form, class_="where", data_key="where")


def job_html(screen: Screen) -> Markup:
    """The job that is looked at: where it stands, what can be done with it, its curves and its last words."""
    job = screen.shown
    if job is None:
        return Markup("")
    curves = _curves(screen.epochs) if isinstance(job.record.asked, TrainAsked) else None
    runs = _sub_runs(screen.sub_runs) if isinstance(job.record.asked, CompareAsked) else None
    words = element("section", element("h3", "Last words"), _output(screen.output))
    # What went wrong is told before what went well.
    learnt = (words, curves, runs) if job.state in ("failed", "died") else (curves, runs, words)
    return join(
        element("header", element("h2", job.record.title), _sign(job), element("p", _standing(screen, job))),
        element("div", *_buttons(screen, job), class_="buttons"),
        _phases(screen.live),
        now_html(screen),
        *learnt,
        element("section", element("h3", "Command"), _command(shlex.join(job.command))),
        element("section", element("h3", "Name and tags"), _names(job, screen.desk.recorded)),
    )


def _output(lines: Sequence[str]) -> Markup:
    return element("pre", "\n".join(lines) or "nothing yet", id="job-output")


def _curves(epochs: Sequence[Epoch]) -> Markup:
    """Losses, areas and learning rates by epoch."""
    if not epochs:
        return element("p", "Curves are drawn from the first epoch on.", class_="dim")
    return curves_html(epochs, _rates)


def _rates(epochs: Sequence[Epoch], numbers: Values, span: tuple[float, float]) -> Markup:
    """Learning rates of the head, the last stage and the stem, as far as they learn and differ."""
    groups = list(dict.fromkeys(group for epoch in epochs for group in epoch.learning_rates))
    stages = sorted((group for group in groups if group.startswith("stage")), key=lambda name: (len(name), name))
    drawn: dict[tuple[float | None, ...], str] = {}
    for group in ("head", *stages[-1:], "stem"):
        if group in groups:
            drawn.setdefault(tuple(epoch.learning_rates.get(group) for epoch in epochs), group)
    if len(drawn) == 1 < len(groups):
        drawn = dict.fromkeys(drawn, "all layers that learn")
    highest = rounded_up(max((rate for rates in drawn for rate in rates if rate is not None), default=0.0))
    # Few digits on the axis: rates are counted in a power of ten.
    unit = 10.0 ** floor(log10(highest))
    axes = Axes("epoch", f"learning rate / {unit:.0e}", span, (0.0, highest / unit), percent=False)
    lines = [
        line(axes, numbers, [np.nan if rate is None else rate / unit for rate in rates], kind, label)
        for (rates, label), kind in zip(drawn.items(), _RATES, strict=False)
    ]
    return chart("chart-rates", "Learning rates", axes, *phase_marks(axes, epochs), *lines)


def _command(words: str) -> Markup:
    return element("p", element("code", words), " ", element("button", "Copy", type="button", data_copy=words))


def _phases(found: Live | None) -> Markup | None:
    """The phases side by side, filled as far as they are."""
    if found is None or not found.phases:
        return None
    total = sum(epochs for _, _, epochs in found.phases)
    now = next((number for number, (_, done, epochs) in enumerate(found.phases) if done < epochs), None)
    blocks = [
        element(
            "li",
            element("b", name),
            element("progress", value=str(done), max=str(epochs)),
            element("span", f"{done} of {epochs} epochs"),
            style=f"flex-grow: {max(epochs / total, 0.12):.3f}",
            class_="part",
            aria_current="step" if number == now else None,
        )
        for number, (name, done, epochs) in enumerate(found.phases)
    ]
    return element("ol", *blocks, class_="timeline", id="job-phases")


def _sub_runs(found: Sequence[SubRun]) -> Markup:
    heads = [element("th", title) for title in ("Run", "State", "Epochs", "ROC-AUC", "PR-AUC", "Memory")]
    return join(
        element("h3", "Runs"),
        element(
            "table", element("thead", element("tr", *heads)), element("tbody", *map(_sub_run, found)), id="sub-runs"
        ),
        overlay_html([(run.name, run.epochs) for run in found if run.epochs][-8:], "epoch") if found else None,
    )


def _sub_run(run: SubRun) -> Markup:
    best = best_of(run.epochs)
    cells = (
        run.state,
        str(len(run.epochs)),
        figure_words(None if best is None else best.roc_auc),
        figure_words(None if best is None else best.pr_auc),
        "" if run.memory is None else memory_words(run.memory),
    )
    return element("tr", element("td", run.name), *(element("td", cell) for cell in cells))


def _names(job: Job, recorded: str) -> Markup:
    title = element("input", type="text", name="title", value=job.record.title, aria_label="Name")
    tags = ", ".join(job.record.tags)
    return element(
        "form",
        title,
        element("input", type="text", name="tags", value=tags, placeholder="tags, with commas", aria_label="Tags"),
        element("button", "Keep", type="submit"),
        data_action="describe",
        data_job=job.id,
        data_draft=f"job-{job.id}",
        data_recorded=recorded or None,
        class_="start",
    )


def _line(job: Job, chosen: bool) -> Markup:
    button = element(
        "button",
        element("b", job.record.title),
        _sign(job),
        element("span", f"{_KINDS[job.record.asked.kind]}, {moment_words(job.record.made_at)}", class_="dim"),
        type="button",
        data_action="job",
        data_job=job.id,
        data_shows="train-job",
        aria_pressed="true" if chosen else "false",
    )
    return element("li", button)


def _sign(job: Job) -> Markup:
    return element("span", job.state, class_=f"status {_SIGNS[job.state]}".strip())


def _standing(screen: Screen, job: Job) -> str:
    if job.state == "finished":
        return _achieved(screen.epochs)
    if job.reason:
        return f"{job.reason}."
    if job.state == "waiting":
        return "Waits for its turn."
    if job.state == "stopping":
        return "Ends after the batch in hand."
    total = _epochs(job)
    if total and screen.epochs:
        return _progress(screen.epochs, total)
    return f"At work since {moment_words(job.changed)}."


def _achieved(epochs: Sequence[Epoch]) -> str:
    best = best_of(epochs)
    if best is None:
        return "Done."
    figures = ", ".join(
        f"{name} {value:.3f}"
        for name, value in (("ROC-AUC", best.roc_auc), ("PR-AUC", best.pr_auc))
        if value is not None
    )
    return f"Every phase is done. The checkpoint is of epoch {best.epoch}: {figures} on validation."


def _progress(epochs: Sequence[Epoch], total: int) -> str:
    last = epochs[-1]
    area = "" if last.roc_auc is None else f", ROC-AUC {last.roc_auc:.3f} on validation"
    return f"Epoch {last.epoch} of {total}, phase {last.phase}{area}."


def _epochs(job: Job) -> int:
    """Epochs of the whole recipe; 0 for what is no training."""
    if not isinstance(job.record.asked, TrainAsked):
        return 0
    import tomllib

    return sum(int(phase["epochs"]) for phase in tomllib.loads(job.record.asked.recipe)["phases"])


def _buttons(screen: Screen, job: Job) -> list[Markup]:
    def button(title: str, action: str, ask: str = "", kind: str = "") -> Markup:
        return element(
            "button",
            title,
            type="button",
            data_action=action,
            data_job=job.id,
            data_confirm=ask or None,
            class_=kind or None,
        )

    found = []
    if job.state in ("waiting", "running"):
        found.append(button("Stop", "stop"))
    if job.state in ("stopped", "failed", "died"):
        found.append(button("Carry on", "resume", kind="primary"))
    if screen.model:
        found.append(element("button", "Use this model", type="button", data_opens=screen.model, class_="primary"))
    elif job.state == "finished" and isinstance(job.record.asked, TrainAsked):
        found.append(button("Take into the models", "adopt", kind="primary"))
    if screen.report:
        address = f"/mammo/job/{job.id}/report"
        found.append(element("a", "Open the report", href=address, target="_blank", rel="noopener", class_="button"))
    makes_set = isinstance(job.record.asked, PhantomAsked | PrepareAsked)
    if not makes_set:
        found.append(button("Edit a copy", "clone"))
    if job.state not in ("running", "stopping"):
        what = "? The set that it made stays." if makes_set else " with everything that it has written?"
        ask = f"Delete {job.record.title!r}{what}"
        found.append(button("Delete", "delete", ask, "quiet"))
    return found
