"""What a comparison found, as one value: what ``comparison.json`` holds and what the report shows.

Knows nothing of how it was found or how it is shown.
"""

import csv
import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from mammo_core.intervals import Estimate, PairedDifference
from mammo_train.contrasts import Contrast, Figure, figures
from mammo_train.convergence import Curve, Reached, median_censored
from mammo_train.plan import Plan

SCHEMA = 1


@dataclass(frozen=True)
class RunFound:
    """One training of one arm."""

    arm: str
    seed: int
    fold: int | None
    folder: str
    """Run folder, relative to the comparison's."""
    images: int
    """Images that it learnt from, repeats counted."""
    seconds: float
    """Training seconds, validation and caching included."""
    epochs: int
    best_roc_auc: float
    """Highest ROC-AUC on validation breasts; NaN where there was none."""
    held_out_roc_auc: float
    """On the held-out breasts, by the checkpoint that validation chose."""
    reached: Reached | None
    """What the target AUC took; None: it was never reached."""
    area: float
    """Mean validation ROC-AUC over the images that the longest run saw."""
    curve: Curve


@dataclass(frozen=True)
class Combined:
    """Scores made from those of an arm, and what that is worth."""

    figures: Mapping[str, Estimate]
    adds: PairedDifference
    """How much higher its ROC-AUC is than that of the arm itself."""


@dataclass(frozen=True)
class WithoutPicture:
    """What one thing alone tells of the held-out breasts."""

    kind: str
    how: str
    """What it was fitted on, or why it could not be."""
    figures: Mapping[str, Estimate] | None


@dataclass(frozen=True)
class ArmFound:
    """One arm over all its runs."""

    name: str
    about: str
    recipe: str
    figures: Mapping[str, Estimate]
    """On held-out breasts, by name of the figure."""
    with_age: Combined | None
    """Put together with age, fitted on other patients; None where it is not stated."""
    seeds_together: Combined | None
    """The mean of the seeds' scores: as many networks asked together. None with one seed."""
    runs: int
    reached: int
    """Runs that reached the target AUC."""
    median_seconds: float | None
    """To the target AUC; None where half of the runs or more never reached it."""
    median_epochs: float | None
    median_images: float | None
    mean_area: float

    def combined(self) -> list[tuple[str, Combined]]:
        """What was made from the arm's scores, under the names that tables have for it."""
        asked = ((f"{self.name}, seeds together", self.seeds_together), (f"{self.name} and age", self.with_age))
        return [(name, combined) for name, combined in asked if combined is not None]


@dataclass(frozen=True)
class Comparison:
    """Everything that was found."""

    plan: Plan
    data_source: str
    data_sha256: str
    part: str
    """What was held out: "test"; or "validation", where there is no test part."""
    breasts: int
    positive_breasts: int
    patients: int
    warnings: tuple[str, ...]
    arms: tuple[ArmFound, ...]
    without_picture: tuple[WithoutPicture, ...]
    contrasts: tuple[Contrast, ...]
    runs: tuple[RunFound, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What was measured of every arm."""
        return figures(self.plan.prevalence)


def arm_found(
    name: str,
    plan: Plan,
    found: Mapping[str, Estimate],
    runs: Sequence[RunFound],
    *,
    with_age: Combined | None,
    seeds_together: Combined | None,
) -> ArmFound:
    """Sum the runs of an arm up."""
    arm = next(arm for arm in plan.arms if arm.name == name)
    mine = [run for run in runs if run.arm == name]
    there = [run.reached for run in mine]

    def median(figure: Callable[[Reached], float]) -> float | None:
        return median_censored([None if one is None else figure(one) for one in there])

    return ArmFound(
        name=name,
        about=arm.about,
        recipe=arm.recipe,
        figures=found,
        with_age=with_age,
        seeds_together=seeds_together,
        runs=len(mine),
        reached=sum(one is not None for one in there),
        median_seconds=median(lambda one: one.seconds),
        median_epochs=median(lambda one: one.epochs),
        median_images=median(lambda one: one.images),
        mean_area=sum(run.area for run in mine) / len(mine),
    )


def json_bytes(comparison: Comparison) -> bytes:
    """Write ``comparison.json``; a figure that does not exist is null. Curves are in ``curves.csv``."""
    fields = {field.name: getattr(comparison, field.name) for field in dataclasses.fields(comparison)}
    fields["runs"] = [
        {field.name: getattr(run, field.name) for field in dataclasses.fields(run) if field.name != "curve"}
        for run in comparison.runs
    ]
    return TypeAdapter(dict[str, Any]).dump_json({"schema": SCHEMA, **fields}, indent=1) + b"\n"


def tables(comparison: Comparison) -> dict[str, bytes]:
    """File name -> CSV: arms and what they are measured beside, differences, convergence (a line per run), curves.

    What age and the seeds together add to an arm stands among the differences, but was not asked: Holm's correction is
    not for it.
    """
    measured = [(arm.name, arm.figures) for arm in comparison.arms]
    measured += [(row, combined.figures) for arm in comparison.arms for row, combined in arm.combined()]
    measured += [(f"{each.kind} alone", each.figures) for each in comparison.without_picture if each.figures]
    arms = [
        [name, figure.name, found.value, found.low, found.high]
        for name, of in measured
        for figure in comparison.figures
        if figure.name in of
        for found in [of[figure.name]]
    ]
    differences = [
        [c.a, c.b, c.figure, c.difference.value, c.difference.low, c.difference.high, c.difference.p, c.p_holm]
        for c in comparison.contrasts
    ]
    differences += [
        [row, arm.name, "roc_auc", combined.adds.value, combined.adds.low, combined.adds.high, combined.adds.p, None]
        for arm in comparison.arms
        for row, combined in arm.combined()
    ]
    runs = [
        [
            *(run.arm, run.seed, run.fold, run.epochs, run.images, run.seconds, run.best_roc_auc, run.held_out_roc_auc),
            *((run.reached.epochs, run.reached.seconds, run.reached.images) if run.reached else (None, None, None)),
            *(run.area, run.folder),
        ]
        for run in comparison.runs
    ]
    curves = [
        [run.arm, run.seed, run.fold, phase, number, *(float(x) for x in values)]
        for run in comparison.runs
        for number, (phase, *values) in enumerate(
            zip(
                run.curve.phases,
                run.curve.seconds,
                run.curve.images,
                run.curve.roc_auc,
                run.curve.pr_auc,
                strict=True,
            ),
            start=1,
        )
    ]
    target = f"to_{comparison.plan.target_auc:g}"
    return {
        "arms.csv": _csv(["arm", "figure", "value", "low", "high"], arms),
        "differences.csv": _csv(["a", "b", "figure", "difference", "low", "high", "p", "p_holm"], differences),
        "convergence.csv": _csv(
            [
                *("arm", "seed", "fold", "epochs", "images", "seconds", "best_roc_auc", "held_out_roc_auc"),
                *(f"epochs_{target}", f"seconds_{target}", f"images_{target}", "area_under_curve", "run_folder"),
            ],
            runs,
        ),
        "curves.csv": _csv(
            ["arm", "seed", "fold", "phase", "epoch", "seconds", "images", "roc_auc", "pr_auc"],
            curves,
        ),
    }


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as CSV; None and NaN are empty cells."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow(["" if cell is None or cell != cell else cell for cell in row])
    return stream.getvalue().encode()
