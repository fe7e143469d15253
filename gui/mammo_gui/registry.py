"""The Models tab without its widgets: every model with what is known of it, and two of them side by side.

Everything here works without Gradio.
"""

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.intervals import Estimate
from mammo_core.library import Library, ModelEntry, Promotion
from mammo_core.model_comparison import ModelComparison, compare_models
from mammo_core.tradeoff import Tradeoff
from mammo_gui.bench import RECALL_RATE, Source
from mammo_gui.evidence import Evidence, evidence_of

if TYPE_CHECKING:
    from mammo_core.checkpoint import CheckpointHeader


@dataclass(frozen=True)
class Choice:
    """What one page looks at."""

    model: str = ""
    """Hash; empty: the library's usual one."""
    against: str = ""
    """Hash of the one that it is compared with; empty: the library's usual one."""
    source: Source = "validation"
    """The cases that they are compared on."""
    recall_rate: float = RECALL_RATE


@dataclass(frozen=True)
class Known:
    """A model with what its checkpoint says."""

    entry: ModelEntry
    header: "CheckpointHeader"
    bytes: int
    auc: Estimate | None
    """ROC-AUC on the validation scores in the checkpoint; None where there are none that it could be told from."""


@dataclass(frozen=True)
class Comparison:
    """Two models on the same cases, or why there is no comparison."""

    against: Known
    found: ModelComparison | None
    problem: str
    unread: int
    """Own cases that one of the two has not read."""
    warning: str


@dataclass(frozen=True)
class Screen:
    """Everything that the tab shows of a choice."""

    choice: Choice
    known: tuple[Known, ...]
    unusable: tuple[str, ...]
    """Models that cannot be used any more, and why, each in a sentence."""
    shown: Known
    evidence: Evidence
    comparison: Comparison | None
    """None where the model would be compared with itself."""
    promotions: tuple[Promotion, ...]
    back_to: ModelEntry | None
    """What was in use before; None where nothing was promoted."""


class Registry:
    """The models of a library; what a checkpoint says is read once. Safe to share between threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._headers: dict[str, tuple[CheckpointHeader, int, Estimate | None]] = {}
        self._comparisons: dict[tuple[object, ...], ModelComparison] = {}

    def screen(self, choice: Choice) -> Screen:
        """Work out everything that is shown; InputError where the model of the choice is not here."""
        models = self._library.models
        known, unusable = self._all()
        used = self._library.usual_model()
        if all(each.entry.sha256 != used for each in known):
            unusable += (f"The model in use ({used[:8]}) is gone or damaged: no exam is read. Read with another.",)
            used = known[0].entry.sha256
        shown = _one(known, choice.model or used)
        against = _one(known, choice.against or used)
        before = models.before()
        return Screen(
            choice=choice,
            known=known,
            unusable=unusable,
            shown=shown,
            evidence=evidence_of(shown.entry.evidence, shown.entry.sha256),
            comparison=None if shown == against else self._compared(shown, against, choice),
            promotions=models.promotions(),
            back_to=next((each.entry for each in known if each.entry.sha256 == before), None),
        )

    def promote(self, choice: Choice, reason: str) -> None:
        """Read exams with the chosen model from now on; its comparison with the one in use is kept on record."""
        comparison = self.screen(replace(choice, against="")).comparison
        detail = {} if comparison is None else _detail(comparison)
        self._library.models.promote(choice.model, reason, detail)

    def unread_own(self, sha256: str) -> list[int]:
        """Studies with a known outcome that this model has not read."""
        return sorted(self._library.outcomes.studies() & set(self._library.unread_by(sha256)))

    def _all(self) -> tuple[tuple[Known, ...], tuple[str, ...]]:
        known, unusable = [], []
        for entry in self._library.models.all():
            try:
                known.append(Known(entry, *self._said(entry)))
            except InputError as error:
                unusable.append(f"{entry.title}: {error}")
        return tuple(known), tuple(unusable)

    def _said(self, entry: ModelEntry) -> "tuple[CheckpointHeader, int, Estimate | None]":
        with self._lock:
            if entry.sha256 not in self._headers:
                # Imports torch, which takes seconds: not before somebody opens the tab.
                from mammo_core.checkpoint import load_checkpoint

                header = load_checkpoint(entry.path).header
                self._headers[entry.sha256] = header, entry.path.stat().st_size, _auc(header)
            return self._headers[entry.sha256]

    def _compared(self, shown: Known, against: Known, choice: Choice) -> Comparison:
        own = choice.source == "own"
        unread = 0
        if own:
            unread = len({study for each in (shown, against) for study in self.unread_own(each.entry.sha256)})
        try:
            if unread:
                raise InputError("own cases", f"{unread} exams with a known outcome were not read by both models yet")
            found = self._comparison(shown, against, choice)
        except InputError as error:
            return Comparison(against, None, str(error), unread, "")
        return Comparison(against, found, "", unread, "" if own else _doubt(shown.header, against.header))

    def _comparison(self, shown: Known, against: Known, choice: Choice) -> ModelComparison:
        own = choice.source == "own"
        revision = own and self._library.revision()
        key = (shown.entry.sha256, against.entry.sha256, choice.source, choice.recall_rate, revision)
        with self._lock:
            if key not in self._comparisons:
                if len(self._comparisons) > 64:
                    self._comparisons.clear()
                cases = [self._cases(each, own=own) for each in (shown, against)]
                self._comparisons[key] = compare_models(*cases, recall_rate=choice.recall_rate)
            return self._comparisons[key]

    def _cases(self, known: Known, *, own: bool) -> Cases:
        if own:
            return self._library.outcomes.cases(known.entry.sha256)
        if known.header.validation is None:
            raise InputError(known.entry.title, "holds no validation scores, so that nothing can be compared on them")
        return known.header.validation.cases(f"Validation scores stored in {known.entry.title}.")


def at_recall_rate(choice: Choice, rate: float) -> Choice:
    """Compare at another recall rate."""
    if not 0 < rate <= 1:
        raise InputError("recall rate", f"{100 * rate:g} % is not more than 0 and at most 100 %")
    return replace(choice, recall_rate=rate)


def _one(known: tuple[Known, ...], sha256: str) -> Known:
    found = next((each for each in known if each.entry.sha256 == sha256), None)
    if found is None:
        raise InputError(f"model {sha256[:12]}", "is not in the library, or cannot be loaded")
    return found


def _auc(header: "CheckpointHeader") -> Estimate | None:
    if header.validation is None:
        return None
    try:
        return Tradeoff(header.validation.cases("")).roc_auc()
    except InputError:
        return None


def _doubt(one: "CheckpointHeader", other: "CheckpointHeader") -> str:
    """Why the same patient and side may not be the same exam; empty where there is no doubt."""
    if one.training and other.training and one.training.data_sha256 == other.training.data_sha256:
        return ""
    return (
        "The two were trained on data prepared apart: cases count as the same where patient, side and truth are, "
        "which says little if the patients' names are made up."
    )


def _detail(comparison: Comparison) -> dict[str, str]:
    """A comparison as lines of the record."""
    told = {"compared with": f"{comparison.against.entry.title} {comparison.against.entry.sha256}"}
    if comparison.found is None:
        return told | {"comparison": comparison.problem}
    found = comparison.found
    told["cases"] = f"{found.n} {found.unit}s of {found.patients} patients, {found.positives} positive"
    for figure in found.figures:
        above = figure.above
        told[figure.title] = (
            f"{figure.first.value:.3f} against {figure.second.value:.3f}: "
            f"{above.value:+.3f} ({above.low:+.3f} to {above.high:+.3f})"
        )
    return told
