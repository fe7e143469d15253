"""A plan and a prepared set -> every arm trained within the same budget, and what tells the arms apart.

Knows nothing of how training works. Runs are made one after the other in folders of their own, named by what they
are made from: one that is finished is never made again, an interrupted one is carried on, a changed one is new.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_core.checkpoint import Checkpoint, load_checkpoint
from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.intervals import paired_bootstrap
from mammo_core.metrics import roc_auc
from mammo_train.baselines import KINDS, baseline, with_age
from mammo_train.budget import images_seen, within
from mammo_train.comparison import (
    ArmFound,
    Combined,
    Comparison,
    RunFound,
    WithoutPicture,
    arm_found,
    json_bytes,
    tables,
)
from mammo_train.comparison_page import comparison_page
from mammo_train.contrasts import Pool, contrasts, measured, repeats
from mammo_train.convergence import Curve, area_under, curve_of, reached
from mammo_train.fit import fit
from mammo_train.held_out import is_scored, read_scores, write_scores
from mammo_train.measures import PROBABILITY
from mammo_train.plan import Arm, HeldOut, Plan, dump_plan
from mammo_train.prepared_set import PreparedSet
from mammo_train.recipe import Recipe, dump_recipe, load_recipe
from mammo_train.run import read_log
from mammo_train.split import Split, make_split
from mammo_train.units import Units, breasts_of, by_breast, views_tell

PLAN = "plan.toml"
RESULT = "comparison.json"
PAGE = "comparison.html"
RUNS = "runs"
SHELF = "activations"
"""Folder in which the runs share what frozen layers give; gone when all are made."""
RUNS_TOLD = "Runs"
"""What progress over all runs is called."""

_FEW = 30
"""Positive breasts below which the reader is warned."""

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
Note = Callable[[str], None]
"""Called with lines for a person."""


@dataclass(frozen=True)
class Trial:
    """One run that the plan asks for."""

    arm: Arm
    seed: int
    fold: int | None
    recipe: Recipe
    """Within the budget, with this seed."""
    split: Split
    part: str
    """Which part is held out: "test", or "validation" where there is no test part."""
    folder: str
    """Run folder, relative to the comparison's: named by everything that the run is made from."""


def trials(plan: Plan, data: PreparedSet) -> tuple[Trial, ...]:
    """All runs of the plan, the arms taking turns, so that an interrupted comparison is balanced.

    Raises InputError where a recipe does not load or does not fit the budget, or the set cannot be divided.
    """
    recipes = [load_recipe(arm.recipe, (*plan.overrides, *arm.overrides)) for arm in plan.arms]
    found = []
    for number, settings in enumerate(plan.splits()):
        split = make_split(data.table, settings)
        rows = split.rows(data.table, "train")
        fold = None if plan.split.folds is None else number
        cut = [within(recipe, plan.budget, data.table, rows) for recipe in recipes]
        for seed in plan.seeds:
            for arm, recipe in zip(plan.arms, cut, strict=True):
                asked = recipe.model_copy(update={"seed": seed, "split": settings})
                made_from = f"{dump_recipe(asked)}{plan.budget.seconds}{split.sha256}{data.sha256}"
                identity = hashlib.sha256(made_from.encode()).hexdigest()[:8]
                where = f"{arm.name}-seed{seed}" if fold is None else f"{arm.name}-seed{seed}-fold{fold}"
                part = "test" if "test" in split.parts() else "validation"
                folder = f"{RUNS}/{where}-{identity}"
                found.append(Trial(arm, seed, fold, asked, split, part, folder))
    return tuple(found)


def compare(plan: Plan, data: PreparedSet, out: Path, *, tell: Tell, note: Note) -> Comparison:
    """Make the runs that are missing, then measure, and write JSON, CSV files and the report into ``out``.

    Raises InputError for a plan or a set that cannot be used, naming the run where training fails; `Stopped` passes
    through, and the same call carries on.
    """
    asked = trials(plan, data)
    write_atomic(out / PLAN, dump_plan(plan).encode())
    scores = []
    missing = missing_of(plan, asked, out)
    tell(RUNS_TOLD, len(asked) - len(missing), len(asked))
    for number, trial in enumerate(asked):
        scores.append(scores_of(trial, plan, data, out, tell, note))
        if number in missing:
            missing.remove(number)
            tell(RUNS_TOLD, len(asked) - len(missing), len(asked))
    shutil.rmtree(out / SHELF, ignore_errors=True)
    note("measuring")
    found = _found(plan, data, out, asked, scores)
    for name, text in tables(found).items():
        write_atomic(out / name, text)
    write_atomic(out / PAGE, comparison_page(found).encode())
    write_atomic(out / RESULT, json_bytes(found))
    return found


def missing_of(plan: Plan, asked: Sequence[Trial], out: Path) -> list[int]:
    """Numbers of the runs that are still to be made, or scored as the plan asks."""
    return [number for number, trial in enumerate(asked) if not is_scored(out / trial.folder, plan.held_out)]


def scores_of(trial: Trial, plan: Plan, data: PreparedSet, out: Path, tell: Tell, note: Note) -> NDArray[np.float64]:
    """Scores ``(copies, N)`` of the held-out images in the order of their rows, the run being made where it is not."""
    run = out / trial.folder
    rows = trial.split.rows(data.table, trial.part)
    if not is_scored(run, plan.held_out):
        note(f"{trial.folder}: {' then '.join(phase.name for phase in trial.recipe.phases)}, then scored")
        checkpoint = _trained(trial, plan, data, out, tell, note)
        write_scores(run, checkpoint, data, rows, plan.held_out, lambda done, total: tell("Scoring", done, total))
    return read_scores(run, data.table["image_id"].iloc[rows].tolist(), plan.held_out)


def _trained(trial: Trial, plan: Plan, data: PreparedSet, out: Path, tell: Tell, note: Note) -> Checkpoint:
    """Make a run, carry it on, or find it finished."""
    try:
        return load_checkpoint(
            fit(
                trial.recipe,
                data,
                trial.split,
                out / trial.folder,
                resume=True,
                seconds=plan.budget.seconds,
                tell=tell,
                note=note,
                shelf=out / SHELF,
            )
        )
    except InputError as error:
        raise InputError(trial.folder, str(error)) from error


def _found(
    plan: Plan, data: PreparedSet, out: Path, asked: Sequence[Trial], scores: Sequence[NDArray[np.float64]]
) -> Comparison:
    """Measure all runs and arms."""
    units = [
        [by_breast(data.table, trial.split.rows(data.table, trial.part), each, plan.breast_score) for each in found]
        for trial, found in zip(asked, scores, strict=True)
    ]
    curves = [curve_of(read_log(out / trial.folder)) for trial in asked]
    horizon = max((float(curve.images[-1]) for curve in curves if curve.images.size), default=1.0)
    runs = tuple(
        _run_found(trial, plan, curve, one, horizon) for trial, curve, one in zip(asked, curves, units, strict=True)
    )
    pools = {arm.name: _pooled(arm, plan, data, asked, scores) for arm in plan.arms}
    first = pools[plan.arms[0].name][0][0]
    breasts = _breasts(data, asked)
    arms = tuple(
        arm_found(
            arm.name,
            plan,
            measured(*repeats(pools[arm.name]), plan.prevalence, plan.draws),
            runs,
            with_age=_with_age(pools[arm.name], breasts, plan),
            seeds_together=_seeds_together(pools[arm.name], plan),
        )
        for arm in plan.arms
    )
    return Comparison(
        plan=plan,
        data_source=data.record.source,
        data_sha256=data.sha256,
        part=asked[0].part,
        breasts=len(first.keys),
        positive_breasts=int(first.labels.sum()),
        patients=len(set(first.patients)),
        warnings=_warnings(plan, data, asked, first, breasts, arms),
        arms=arms,
        without_picture=tuple(_without_picture(first, breasts, plan)),
        contrasts=contrasts(pools, plan.questions, plan.prevalence, plan.draws),
        runs=runs,
    )


def _run_found(trial: Trial, plan: Plan, curve: Curve, copies: Sequence[Units], horizon: float) -> RunFound:
    known = curve.roc_auc[~np.isnan(curve.roc_auc)]
    return RunFound(
        arm=trial.arm.name,
        seed=trial.seed,
        fold=trial.fold,
        folder=trial.folder,
        images=int(curve.images[-1]) if curve.images.size else 0,
        seconds=float(curve.seconds[-1]) if curve.seconds.size else 0.0,
        epochs=len(curve.phases),
        best_roc_auc=float(known.max()) if known.size else float("nan"),
        held_out_roc_auc=float(np.mean([roc_auc(units.scores, units.labels) for units in copies])),
        reached=reached(curve, plan.target_auc),
        area=area_under(curve, horizon),
        curve=curve,
    )


def _pooled(
    arm: Arm, plan: Plan, data: PreparedSet, asked: Sequence[Trial], scores: Sequence[NDArray[np.float64]]
) -> Pool:
    """Breasts of one arm, for each seed and copy: the folds' held-out images together are the whole set."""
    pool = []
    for seed in plan.seeds:
        mine = [i for i, trial in enumerate(asked) if trial.arm.name == arm.name and trial.seed == seed]
        rows = np.concatenate([asked[i].split.rows(data.table, asked[i].part) for i in mine])
        copies = np.concatenate([scores[i] for i in mine], axis=1)
        pool.append([by_breast(data.table, rows, each, plan.breast_score) for each in copies])
    return pool


def _breasts(data: PreparedSet, asked: Sequence[Trial]) -> pd.DataFrame:
    """What the table says of the held-out breasts, in the order of their units."""
    rows = [trial.split.rows(data.table, trial.part) for trial in asked]
    return breasts_of(data.table, np.unique(np.concatenate(rows)))


def _with_age(pool: Pool, breasts: pd.DataFrame, plan: Plan) -> Combined | None:
    """Put every seed and copy of an arm together with age, and measure what that adds."""
    units, scores = repeats(pool)
    found = [with_age(breasts, each) for each in scores.reshape(-1, scores.shape[2])]
    aged = [each for each in found if each is not None]
    return None if len(aged) < len(found) else _combined(units, np.reshape(aged, scores.shape), scores, plan)


def _seeds_together(pool: Pool, plan: Plan) -> Combined | None:
    """Measure the mean of an arm's seeds, as an ensemble answers, and what it is above one of them."""
    if len(pool) == 1:
        return None
    units, scores = repeats(pool)
    # Repeated, because it is compared with every seed.
    return _combined(units, np.broadcast_to(scores.mean(axis=0), scores.shape), scores, plan)


def _combined(units: Units, made: NDArray[np.float64], scores: NDArray[np.float64], plan: Plan) -> Combined:
    """Measure scores ``(seeds, copies, N)`` that were made from those of an arm, beside these."""
    adds = paired_bootstrap(roc_auc, made, scores, units.labels, units.patients, draws=plan.draws)
    return Combined(measured(units, made, plan.prevalence, plan.draws), adds)


def _without_picture(units: Units, breasts: pd.DataFrame, plan: Plan) -> Iterator[WithoutPicture]:
    """Measure what age, machine and number of views tell alone."""
    for kind in KINDS:
        found = baseline(kind, breasts, breasts.iloc[:0])
        if found.scores is None:
            yield WithoutPicture(kind, found.how, None)
            continue
        figures = measured(units, found.scores, plan.prevalence, plan.draws)
        # No probabilities: what takes them for such has no meaning.
        ranked = {name: figure for name, figure in figures.items() if name not in PROBABILITY}
        yield WithoutPicture(kind, found.how, ranked)


def _warnings(
    plan: Plan,
    data: PreparedSet,
    asked: Sequence[Trial],
    units: Units,
    breasts: pd.DataFrame,
    arms: Sequence[ArmFound],
) -> tuple[str, ...]:
    """What the reader must know before believing a difference."""
    found = [*_as_shown(plan.held_out)]
    if asked[0].part == "validation":
        found.append(
            "There is no test part: arms are compared on the breasts that chose their checkpoints, which flatters "
            "all of them."
        )
    if len(plan.seeds) == 1:
        found.append("Every arm was trained once: the luck of training is not in the intervals.")
    if plan.split.folds is not None and not all(trial.recipe.calibration for trial in asked):
        found.append("Folds are pooled without calibration: their scores may not be on one scale, and areas too low.")
    positives = int(units.labels.sum())
    if positives < _FEW:
        found.append(f"Only {positives} held-out breasts have a cancer: intervals are wide and not to be trusted.")
    told = views_tell(breasts)
    if told and plan.breast_score != "one_view":
        found.append(f'{told} Give breast_score = "one_view".')
    if (data.table["source"] == "phantom").all():
        found.append("The pictures are synthetic: nothing here says anything about real breasts.")
    rows = asked[0].split.rows(data.table, "train")
    if plan.budget.passes is not None:
        wanted = plan.budget.passes * len(rows)
        for trial in asked[: len(plan.arms)]:
            seen = images_seen(trial.recipe, data.table, rows)
            if abs(seen / wanted - 1) > 0.05:
                found.append(f"{trial.arm.name} sees {seen:,} images, the budget is {wanted:,.0f}: epochs are whole.")
    never = [arm.name for arm in arms if arm.reached == 0]
    if never:
        found.append(f"A validation ROC-AUC of {plan.target_auc:g} was never reached by {', '.join(never)}.")
    sizes = {trial.recipe.size for trial in asked} - {None, (data.inputs.height, data.inputs.width)}
    if sizes:
        meant = ", ".join(f"{size[0]} x {size[1]}" for size in sizes if size)
        found.append(f"The set is {data.inputs.height} x {data.inputs.width}, recipes are meant for {meant}.")
    return tuple(found)


def _as_shown(held_out: HeldOut) -> Iterator[str]:
    """Say how held-out pictures were varied, where they were."""
    if held_out.copies:
        copies = f"{held_out.copies} copies" if held_out.copies > 1 else "one copy"
        changes = held_out.augmentation.model_dump()
        # How much is blurred or erased means nothing where nothing is.
        skipped = {kind for kind in ("blur", "erase") if not changes[kind]}
        told = [f"{name} {value:g}" for name, value in changes.items() if value and name.split("_")[0] not in skipped]
        yield (
            f"Held-out pictures were not shown as they are, but varied at random, {copies} of each, the same for every "
            f"arm ({', '.join(told)}). An arm that learnt from pictures varied alike has that advantage."
        )
