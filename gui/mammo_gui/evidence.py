"""What lies beside a checkpoint and tells how it came about and what it is worth: learning curves, evaluation, report.

These files may come from anybody: each is checked before anything of it is shown. Knows nothing of HTML.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mammo_core.errors import InputError
from mammo_core.library.models import EVALUATION, LOG, REPORT

_LIMIT_BYTES = 64 << 20
Found = TypeVar("Found")


class _Read(BaseModel):
    """Part of a file: what else stands there is left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=True)


class Epoch(_Read):
    """One epoch of ``log.jsonl``; None is what was not measured."""

    phase: str
    epoch: int
    train_loss: float | None = None
    validation_loss: float | None = None
    roc_auc: float | None = None
    pr_auc: float | None = None
    seconds: float | None = None
    """Since the run began."""
    images_per_s: float | None = None
    """Images that were learnt from in a second."""
    learning_rates: dict[str, float] = {}
    """Of each group of layers that learns, at the end of the epoch."""
    best: bool = False
    """Whether it was the best so far, by the recipe's own metric."""


class Subject(_Read):
    """What an evaluation was made on, and of which model."""

    model_sha256: str
    data_source: str
    part: str
    images: int
    breasts: int
    patients: int


class Between(_Read):
    """A figure with its 95 % interval; None where it does not exist."""

    value: float | None
    low: float | None
    high: float | None


class EvaluatedFigure(_Read):
    """One figure of an evaluation at the evaluated units' own prevalence."""

    title: str
    own: Between


class EvaluatedLevel(_Read):
    """The figures of one kind of unit."""

    unit: str
    how: str
    n: int
    positives: int
    patients: int
    prevalence: float
    figures: tuple[EvaluatedFigure, ...]


class Evaluation(_Read):
    """What is shown of ``evaluation.json``."""

    subject: Subject
    warnings: tuple[str, ...]
    levels: tuple[EvaluatedLevel, ...]


@dataclass(frozen=True)
class Evidence:
    """Everything that is known of a model besides its checkpoint."""

    epochs: tuple[Epoch, ...]
    evaluation: Evaluation | None
    report: bool
    """Whether there is an evaluation report, with its gallery of heatmaps."""
    problems: tuple[str, ...]
    """What lies there and cannot be used, and why."""


def evidence_of(folder: Path, model_sha256: str) -> Evidence:
    """Read what lies in a model's folder; what does not fit, or is of another model, is named and left out."""
    problems: list[str] = []
    epochs = _tried(folder / LOG, _epochs, problems) or ()
    evaluation = _tried(folder / EVALUATION, _evaluation, problems)
    if evaluation is not None and evaluation.subject.model_sha256 != model_sha256:
        other = evaluation.subject.model_sha256[:8]
        problems.append(f"{EVALUATION}: is of another model ({other}), this one is {model_sha256[:8]}; left out")
        evaluation = None
    # The page itself says nothing that can be checked: it counts where the figures that were written with it do.
    report = evaluation is not None and (folder / REPORT).is_file()
    return Evidence(epochs, evaluation, report, tuple(problems))


def _tried(path: Path, read: Callable[[str], Found], problems: list[str]) -> Found | None:
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise InputError(path.name, f"is larger than {_LIMIT_BYTES >> 20} MB")
        return read(path.read_text(encoding="utf-8"))
    except InputError as error:
        problems.append(str(error))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path.name}: cannot be read ({error})")
    return None


def _epochs(text: str) -> tuple[Epoch, ...]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            event = json.loads(line)
            if isinstance(event, dict) and event.get("event") == "epoch":
                found.append(Epoch.model_validate(event))
        except (json.JSONDecodeError, ValidationError, RecursionError):
            raise InputError(LOG, f"line {number} is not what a run writes") from None
    return tuple(found)


def _evaluation(text: str) -> Evaluation:
    try:
        return Evaluation.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise InputError(EVALUATION, f"field {place}: {first['msg']}") from None
