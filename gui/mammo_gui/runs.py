"""The table of runs without its widgets: which trainings there are, found by words and put in an order.

Knows nothing of HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mammo_gui.evidence import Epoch, evidence_of
from mammo_train.jobs.asked import TrainAsked
from mammo_train.jobs.store import Job


@dataclass(frozen=True)
class Run:
    """A training in the table of runs."""

    job: Job
    data: str
    epochs: tuple[Epoch, ...]

    @property
    def best(self) -> Epoch | None:
        """The epoch that the checkpoint is of."""
        return best_of(self.epochs)


def best_of(epochs: Sequence[Epoch]) -> Epoch | None:
    """The last epoch that was better than all before it, by the recipe's own metric."""
    return next((epoch for epoch in reversed(epochs) if epoch.best), None)


def runs_of(jobs: Sequence[Job], words: str, sort: str, *, rising: bool) -> tuple[Run, ...]:
    """Trainings that have the words in their names, tags or states, sorted by a column; by their age for any other."""
    found = [
        Run(job, job.record.asked.data, evidence_of(job.run, "").epochs)
        for job in jobs
        if isinstance(job.record.asked, TrainAsked) and _has(job, words)
    ]
    return tuple(sorted(found, key=lambda run: _rank(run, sort), reverse=not rising))


def _has(job: Job, words: str) -> bool:
    text = " ".join((job.record.title, *job.record.tags, job.state)).casefold()
    return all(word in text for word in words.casefold().split())


def _rank(run: Run, sort: str) -> tuple[float | str, str]:
    """What runs are sorted by: a figure that is missing comes last when the largest come first."""
    best = run.best
    ranks: dict[str, float | str] = {
        "name": run.job.record.title.casefold(),
        "state": run.job.state,
        "data": Path(run.data).name,
        "roc_auc": -1.0 if best is None or best.roc_auc is None else best.roc_auc,
        "pr_auc": -1.0 if best is None or best.pr_auc is None else best.pr_auc,
        "epochs": float(len(run.epochs)),
        "seconds": (run.epochs[-1].seconds or 0.0) if run.epochs else 0.0,
    }
    return ranks.get(sort, run.job.record.made_at), run.job.record.made_at
