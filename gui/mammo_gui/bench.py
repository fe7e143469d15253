"""The Threshold tab without its widgets: a model's cases, a threshold on them, and what can be done with it.

Everything here works without Gradio.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mammo_core.calibration import Calibration, log_odds, sigmoid
from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.flips import Flip, flips
from mammo_core.library import FlipLine, Library, ModelEntry, OutcomeImport, SavedPoint
from mammo_core.operating_point import OperatingPoint
from mammo_core.sample_size import words_for
from mammo_core.threshold_groups import GroupFigures, GroupTable
from mammo_core.thresholds import Thresholds
from mammo_core.tradeoff import Curve, Figures, Histogram, Solvable, Tradeoff
from mammo_core.workload import Workload, WorkloadPoint

if TYPE_CHECKING:
    from mammo_core.checkpoint import CheckpointHeader

PREVALENCE = 0.003
"""Breasts with a cancer where nothing else is stated: about 6 of 1,000 screening exams (Lehman et al., 2017)."""
RECALL_RATE = 0.1
"""Screening programmes aim at 3 to 12 %."""
_KEPT = 3
"""Models whose cases are kept ready."""

Source = Literal["validation", "own"]
SOURCES = {"validation": "validation scores in the checkpoint", "own": "own cases of this library"}

PRESETS = {
    "youden": "Youden index",
    "sensitivity": "90 % sensitivity",
    "specificity": "90 % specificity",
    "recall": "Recall rate",
    "saved": "In use",
}


@dataclass(frozen=True)
class Aim:
    """What one page looks at."""

    model: str = ""
    """Hash of the model; empty: the one in use."""
    source: Source = "validation"
    """Which cases."""
    imported: OutcomeImport | None = None
    """What came of the last file of outcomes."""
    threshold: float | None = None
    """None: the one in use."""
    prevalence: float = PREVALENCE
    recall_rate: float = RECALL_RATE
    drawn: str = ""
    """Hash of the model that was drawn last: the threshold is one of its scores."""


@dataclass(frozen=True)
class Bench:
    """A checkpoint with cases that are ready for every threshold."""

    sha256: str
    header: "CheckpointHeader"
    tradeoff: Tradeoff
    groups: GroupTable
    workload: Workload

    @property
    def cases(self) -> Cases:
        """The cases that everything is measured on."""
        return self.tradeoff.cases

    @property
    def own(self) -> OperatingPoint | None:
        """The checkpoint's own operating point."""
        return self.header.operating_point

    @property
    def vendors(self) -> tuple[str, ...]:
        """Manufacturers among the cases, where they are stated."""
        return tuple(sorted(set(self.cases.groups.get("manufacturer", ())) - {""}))

    def step(self, threshold: float) -> float:
        """Bring a threshold into the range that makes a difference."""
        return float(np.clip(threshold, *self.span))

    @property
    def span(self) -> tuple[float, float]:
        """Lowest and highest threshold worth trying: everybody flagged, nobody flagged."""
        scores = self.cases.scores
        return float(scores.min()), float(np.nextafter(scores.max(), np.inf))


class Benches:
    """Checkpoints and their cases, each made ready once; safe to share between threads."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], Bench] = OrderedDict()

    def of(self, model: ModelEntry, source: Source = "validation") -> Bench:
        """Get a model ready; InputError where there are no cases that a threshold could be judged on."""
        with self._lock:
            # Own cases change with whatever is recorded in the library.
            key = (model.sha256, source == "own" and self._library.revision())
            if key not in self._kept:
                self._kept[key] = _ready(model.path, self._library, source)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


@dataclass(frozen=True)
class Screen:
    """Everything that the tab shows of an aim."""

    aim: Aim
    bench: Bench
    threshold: float
    saved: float | None
    """Threshold in use for exams of most vendors; None where the model has none."""
    figures: Figures
    saved_figures: Figures | None
    roc: Curve
    pr: Curve
    histogram: Histogram
    groups: tuple[GroupFigures, ...]
    flips: tuple[Flip, ...]
    library_flips: tuple[FlipLine, ...]
    workload: WorkloadPoint
    workload_curve: Curve
    history: tuple[SavedPoint, ...]
    corrected: float | None
    """Probability at the stated prevalence that a score at the threshold stands for; None without a calibration."""


def screen(library: Library, bench: Bench, aim: Aim) -> Screen:
    """Work out everything that is shown."""
    in_use = used(library, bench)
    saved = None if in_use is None else in_use.general.threshold
    threshold = aim.threshold if aim.threshold is not None else saved if saved is not None else bench.tradeoff.youden()
    moved = _moved(in_use, threshold)
    exams = exam_prevalence(aim.prevalence)
    blind_reader = library.reader if library.blind else None
    return Screen(
        aim=aim,
        bench=bench,
        threshold=threshold,
        saved=saved,
        figures=bench.tradeoff.at(threshold, aim.prevalence),
        saved_figures=None if saved is None else bench.tradeoff.at(saved, aim.prevalence),
        roc=_roc(bench.tradeoff),
        pr=_pr(bench.tradeoff, aim.prevalence),
        histogram=bench.tradeoff.histogram(),
        groups=bench.groups.at(threshold),
        flips=() if saved is None else flips(bench.cases, saved, threshold),
        library_flips=library.points.flips(bench.sha256, in_use, moved, blind_reader),
        workload=bench.workload.at(threshold, exams),
        workload_curve=_workload(bench.workload, exams),
        history=library.points.history(bench.sha256),
        corrected=_corrected(bench.header.calibration, threshold, aim.prevalence),
    )


def used(library: Library, bench: Bench) -> Thresholds | None:
    """Return the thresholds in use for a model: the saved ones, else the checkpoint's own."""
    point = library.points.in_use(bench.sha256)
    if point is not None:
        return point.thresholds
    return None if bench.own is None else Thresholds(general=bench.own)


def of_model(aim: Aim, model_sha256: str) -> Aim:
    """Look at this model; a threshold of another one, that was in use until now, says nothing about it."""
    moved = aim.drawn not in ("", model_sha256)
    return replace(aim, drawn=model_sha256, threshold=None if moved else aim.threshold)


def moved_to(bench: Bench, aim: Aim, threshold: float) -> Aim:
    """Put the slider somewhere."""
    if not np.isfinite(threshold):
        raise InputError("threshold", f"{threshold} is not a number")
    return replace(aim, threshold=bench.step(threshold))


def solved(bench: Bench, aim: Aim, kind: Solvable, wanted: float) -> Aim:
    """Find the threshold for a wanted sensitivity, specificity or, at the stated prevalence, recall rate."""
    aim = replace(aim, recall_rate=wanted) if kind == "recall_rate" else aim
    return replace(aim, threshold=bench.tradeoff.solve(kind, wanted, aim.prevalence))


def preset(bench: Bench, aim: Aim, name: str) -> Aim:
    """Go to one of `PRESETS`."""
    if name == "youden":
        return replace(aim, threshold=bench.tradeoff.youden())
    if name in ("sensitivity", "specificity"):
        return solved(bench, aim, "sensitivity" if name == "sensitivity" else "specificity", 0.9)
    if name == "recall":
        return solved(bench, aim, "recall_rate", aim.recall_rate)
    if name == "saved":
        return replace(aim, threshold=None)
    raise InputError("preset", f"{name[:40]!r} is not one of {', '.join(PRESETS)}")


def at_prevalence(aim: Aim, prevalence: float) -> Aim:
    """State another prevalence of units."""
    if not 0 < prevalence < 1:
        raise InputError("prevalence", f"{1000 * prevalence:g} per 1,000 is not more than 0 and less than 1,000")
    return replace(aim, prevalence=prevalence)


def save(library: Library, bench: Bench, threshold: float, name: str, reason: str, vendor: str) -> SavedPoint:
    """Keep the threshold under a name, for all exams or for one vendor's, and use it from now on.

    A vendor's threshold is measured on that vendor's cases alone; the others keep the one in use.
    """
    now = used(library, bench)
    rule = f"threshold {threshold:.4f} chosen by hand"
    if not vendor:
        vendors = {} if now is None else now.vendors
        return library.points.save(
            bench.sha256, name, reason, Thresholds(general=bench.tradeoff.point(threshold, rule), vendors=vendors)
        )
    if vendor not in bench.vendors:
        raise InputError("vendor", f"{vendor[:60]!r} is not among the validation cases")
    if now is None:
        raise InputError("vendor", "the model has no threshold for all exams yet: save that one first")
    column = np.array(bench.cases.groups["manufacturer"], dtype=object)
    part = replace(bench.cases.chosen(column == vendor), source=f"{bench.cases.source} Those of {vendor} alone.")
    point = Tradeoff(part).point(threshold, rule)
    return library.points.save(
        bench.sha256, name, reason, Thresholds(general=now.general, vendors={**now.vendors, vendor: point})
    )


def own_words(library: Library, model_sha256: str) -> str:
    """Say how many own cases there are, and how many a useful interval needs."""
    return words_for(library.outcomes.cases(model_sha256))


def go_back(library: Library, bench: Bench, point_id: int, reason: str) -> None:
    """Use an earlier version; 0 is the checkpoint's own."""
    library.points.use(bench.sha256, point_id or None, reason, bench.own)


def exam_prevalence(prevalence: float) -> float:
    """Share of exams with a cancer where this share of breasts has one: two breasts, hardly ever both."""
    return min(2 * prevalence, 0.999)


def _ready(path: Path, library: Library, source: Source) -> Bench:
    # Imports torch, which takes seconds: not before somebody opens the tab.
    from mammo_core.checkpoint import load_checkpoint

    loaded = load_checkpoint(path)
    if source == "own":
        cases = library.outcomes.cases(loaded.sha256)
    elif loaded.header.validation is not None:
        cases = loaded.header.validation.cases(f"Measured on the validation scores stored in {loaded.header.name}.")
    else:
        reason = "holds no validation scores: what a threshold costs is not known. mammo train stores them."
        raise InputError(loaded.header.name, reason)
    tradeoff = Tradeoff(cases)
    return Bench(loaded.sha256, loaded.header, tradeoff, GroupTable(cases, tradeoff.draws), Workload(cases))


def _moved(now: Thresholds | None, threshold: float) -> Thresholds | None:
    """What would be in use if the threshold were saved for all exams."""
    if now is None:
        return None
    return Thresholds(general=now.general.model_copy(update={"threshold": threshold}), vendors=now.vendors)


def _corrected(calibration: Calibration | None, threshold: float, prevalence: float) -> float | None:
    if calibration is None or not 0 < threshold < 1:
        return None
    moved = log_odds(threshold) + log_odds(prevalence) - log_odds(calibration.stated_prevalence)
    return float(sigmoid(np.array(moved)))


@lru_cache(maxsize=8)
def _roc(tradeoff: Tradeoff) -> Curve:
    return tradeoff.roc()


@lru_cache(maxsize=16)
def _pr(tradeoff: Tradeoff, prevalence: float) -> Curve:
    return tradeoff.pr(prevalence)


@lru_cache(maxsize=16)
def _workload(workload: Workload, prevalence: float) -> Curve:
    return workload.curve(prevalence)
