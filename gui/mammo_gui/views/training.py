"""The Train tab's jobs as HTML: what waits, what runs, and how it goes."""

import shlex
from collections.abc import Sequence

from mammo_gui.evidence import Epoch
from mammo_gui.live import Live, SubRun
from mammo_gui.markup import Markup, element, join
from mammo_gui.training import Screen
from mammo_gui.views.model_evidence import curves_html
from mammo_gui.views.runs import overlay_html
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


def jobs_html(screen: Screen) -> Markup:
    """Every job, the newest first, and the one that is looked at; how many run at once, and where."""
    at_once = str(screen.settings.at_once)
    number = element("input", type="text", name="at_once", value=at_once, data_action="at_once", inputmode="numeric")
    here = element("label", element("span", "At once"), number, class_="field at-once")
    listed = [_line(job, job == screen.shown) for job in reversed(screen.jobs)]
    body = element("ul", *listed, class_="models", id="jobs") if listed else element("p", "None yet.", class_="dim")
    return element("section", element("h3", "Jobs"), here, _where(screen.settings), body)


def _where(settings: JobSettings) -> Markup:
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
        class_="make",
    )
    now = settings.cluster or "this machine"
    return element("details", element("summary", f"New jobs run on {now}"), form, class_="where", data_key="where")


def job_html(screen: Screen) -> Markup:
    """The job that is looked at: where it stands, what can be done with it, its curves and its last words."""
    job = screen.shown
    if job is None:
        return Markup("")
    return join(
        element("header", element("h2", job.record.title), _sign(job), element("p", _standing(screen, job))),
        _phases(screen.live),
        _now(screen),
        element("div", *_buttons(screen, job), class_="buttons"),
        curves_html(screen.epochs) if isinstance(job.record.asked, TrainAsked) else None,
        _sub_runs(screen.sub_runs) if isinstance(job.record.asked, CompareAsked) else None,
        element("h3", "Command"),
        _command(shlex.join(job.command)),
        element("h3", "Last words"),
        element("pre", "\n".join(screen.output) or "nothing yet", id="job-output"),
        element("h3", "Name and tags"),
        _names(job),
    )


def _command(words: str) -> Markup:
    return element("p", element("code", words), " ", element("button", "Copy", type="button", data_copy=words))


def _phases(found: Live | None) -> Markup | None:
    """The phases side by side, filled as far as they are."""
    if found is None or not found.phases:
        return None
    total = sum(epochs for _, _, epochs in found.phases)
    blocks = [
        element(
            "li",
            element("b", name),
            element("progress", value=str(done), max=str(epochs)),
            element("span", f"{done} of {epochs} epochs"),
            style=f"flex-grow: {max(epochs / total, 0.12):.3f}",
        )
        for name, done, epochs in found.phases
    ]
    return element("ol", *blocks, class_="timeline", id="job-phases")


def _now(screen: Screen) -> Markup | None:
    """What is going on, and the figures of the last epoch."""
    found = screen.live
    if found is None:
        return None
    last = screen.epochs[-1] if screen.epochs else None
    rows: list[tuple[str, str]] = []
    rows += [("Now", _step(step.what, step.done, step.total)) for step in found.steps if step.what]
    if found.left is not None:
        rows.append(("Time left", f"about {duration(found.left)} of training"))
    if last is not None and last.images_per_s is not None:
        rows.append(("Speed", f"{last.images_per_s:.1f} images/s"))
    if last is not None and last.learning_rates:
        rates = ", ".join(f"{group} {rate:.2g}" for group, rate in last.learning_rates.items())
        rows.append(("Learning rates", rates))
    if screen.shown is not None and screen.shown.record.cluster:
        rows.append(("Cluster", _cluster(screen.shown)))
    if found.device:
        rows.append(("Device", found.device))
    if found.memory is not None:
        rows.append(("Memory", f"{found.memory / 2**30:.1f} GiB"))
    return element("dl", *(join(element("dt", name), element("dd", value)) for name, value in rows), id="job-now")


def _cluster(job: Job) -> str:
    record = job.record
    return f"{record.cluster}, {record.workers} processes" if record.workers > 1 else record.cluster


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _step(what: str, done: float, total: float | None) -> str:
    return what if not total else f"{what}, {done:.0f} of {total:.0f}"


def _sub_runs(found: Sequence[SubRun]) -> Markup:
    lines = [
        element("tr", element("td", run.name), element("td", run.state), element("td", f"{len(run.epochs)} epochs"))
        for run in found
    ]
    return join(
        element("h3", "Runs"),
        element("table", element("tbody", *lines), id="sub-runs"),
        overlay_html([(run.name, run.epochs) for run in found if run.epochs][-8:], "epoch") if found else None,
    )


def _names(job: Job) -> Markup:
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
        class_="start",
    )


def _line(job: Job, chosen: bool) -> Markup:
    button = element(
        "button",
        element("b", job.record.title),
        _sign(job),
        element("span", f"{job.record.asked.kind}, {moment_words(job.record.made_at)}", class_="dim"),
        type="button",
        data_action="job",
        data_job=job.id,
        aria_pressed="true" if chosen else "false",
    )
    return element("li", button)


def _sign(job: Job) -> Markup:
    return element("span", job.state, class_=f"status {_SIGNS[job.state]}".strip())


def _standing(screen: Screen, job: Job) -> str:
    if job.reason:
        return f"{job.reason}."
    total = _epochs(job)
    if total and screen.epochs:
        return _progress(screen.epochs, total)
    return {"waiting": "waits for its turn", "running": "is at work"}.get(job.state, "") + "."


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
    if job.state == "finished" and isinstance(job.record.asked, TrainAsked):
        found.append(button("Take into the models", "adopt", kind="primary"))
    if screen.report:
        address = f"/mammo/job/{job.id}/report"
        found.append(element("a", "Open the report", href=address, target="_blank", rel="noopener", class_="button"))
    if not isinstance(job.record.asked, PhantomAsked | PrepareAsked):
        found.append(button("Edit a copy", "clone"))
    if job.state not in ("running", "stopping"):
        ask = f"Delete {job.record.title!r} with everything that it has written?"
        found.append(button("Delete", "delete", ask, "quiet"))
    return found
