"""The Train tab's sets and jobs as HTML: what there is to learn from, what runs, and how it goes."""

import shlex
from collections.abc import Sequence

from mammo_gui.evidence import Epoch
from mammo_gui.markup import Markup, element, join
from mammo_gui.training import Screen, SetFacts
from mammo_gui.views.model_evidence import curves_html
from mammo_gui.views.words import moment_words
from mammo_train.jobs.asked import TrainAsked
from mammo_train.jobs.store import Job

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


def data_html(screen: Screen) -> Markup:
    """Choosing a prepared set, and having one made."""
    chosen = [
        element("option", path.name, value=str(path), selected=str(path) == screen.desk.data) for path in screen.sets
    ]
    none = element("option", "choose a prepared set", value="", selected=not screen.desk.data)
    select = element("select", none, *chosen, name="data", data_action="data", aria_label="Prepared set")
    problem = screen.desk.problem
    return join(
        element("p", problem, class_="failed", role="alert", id="train-problem") if problem else None,
        element("section", element("h3", "Data"), select, _facts(screen.facts)),
        element("section", element("h3", "Make a set of phantoms"), _phantoms()),
    )


def jobs_html(screen: Screen) -> Markup:
    """Every job, the newest first, and the one that is looked at."""
    if not screen.jobs:
        return element("section", element("h3", "Jobs"), element("p", "None yet.", class_="dim"))
    listed = [_line(job, job == screen.shown) for job in reversed(screen.jobs)]
    return element("section", element("h3", "Jobs"), element("ul", *listed, class_="models", id="jobs"))


def job_html(screen: Screen) -> Markup:
    """The job that is looked at: where it stands, what can be done with it, its curves and its last words."""
    job = screen.shown
    if job is None:
        return Markup("")
    return join(
        element("header", element("h2", job.record.title), _sign(job), element("p", _standing(screen, job))),
        element("div", *_buttons(job), class_="buttons"),
        curves_html(screen.epochs) if isinstance(job.record.asked, TrainAsked) else None,
        element("h3", "Command"),
        element("p", element("code", shlex.join(job.command))),
        element("h3", "Last words"),
        element("pre", "\n".join(screen.output) or "nothing yet", id="job-output"),
    )


def _facts(facts: SetFacts | None) -> Markup | None:
    if facts is None:
        return None
    rows = (
        ("Images", f"{facts.images} of {facts.size} pixels"),
        ("Patients", str(facts.patients)),
        ("Breasts", f"{facts.breasts}, {facts.positives} with a cancer ({facts.positives / facts.breasts:.1%})"),
        ("Views", ", ".join(f"{view} {count}" for view, count in facts.views)),
        ("Machines", str(facts.machines) if facts.machines else "not stated"),
        ("Age missing", f"{facts.ages_missing} images"),
        ("Source", ", ".join(facts.sources)),
    )
    pairs = [join(element("dt", name), element("dd", value)) for name, value in rows]
    return element("dl", *pairs, id="set-facts")


def _phantoms() -> Markup:
    def entry(name: str, title: str, value: str) -> Markup:
        return element("label", element("span", title), element("input", type="text", name=name, value=value))

    return element(
        "form",
        entry("name", "Name", "phantoms"),
        entry("studies", "Exams", "200"),
        entry("prevalence", "With a cancer, %", "40"),
        entry("size", "Rows x columns", "512x320"),
        entry("seed", "Seed", "1"),
        element("button", "Make", type="submit"),
        data_action="phantoms",
        class_="make",
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


def _buttons(job: Job) -> list[Markup]:
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
    if isinstance(job.record.asked, TrainAsked):
        found.append(button("Edit a copy", "clone"))
    if job.state not in ("running", "stopping"):
        ask = f"Delete {job.record.title!r} with everything that it has written?"
        found.append(button("Delete", "delete", ask, "quiet"))
    return found
