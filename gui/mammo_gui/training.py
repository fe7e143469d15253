"""The Train tab without its widgets: what is being edited, what is asked for, and jobs with what they have learnt.

Everything here works without Gradio.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from mammo_core.errors import InputError
from mammo_core.files import sha256_of
from mammo_core.library import Library, ModelEntry
from mammo_core.settings import Settings
from mammo_gui.depth import Depth, depths
from mammo_gui.draft import Draft, Kind, draft_of
from mammo_gui.evidence import Epoch, evidence_of
from mammo_gui.live import Live, SubRun, live, sub_runs
from mammo_gui.runs import Run, runs_of
from mammo_gui.saved_recipes import Recipes
from mammo_gui.sets import SetFacts, Sets, facts_of
from mammo_gui.starts import Start, is_own, starts_for
from mammo_train.jobs.asked import CompareAsked, EstimateAsked, PhantomAsked, PrepareAsked, TrainAsked
from mammo_train.jobs.store import Job, Jobs, JobSettings
from mammo_train.run import CHECKPOINT

if TYPE_CHECKING:
    from mammo_core.phases import Subset
    from mammo_train.estimate import Estimate
    from mammo_train.plan import Plan
    from mammo_train.prepared_set import PreparedSet
    from mammo_train.recipe import Recipe
    from mammo_train.split import SplitSettings

FIRST_RECIPE, FIRST_PLAN = "warmup_then_full", "study"
Mode = Literal["train", "compare", "runs"]
REPORTS = {"train": "evaluation.html", "compare": "comparison.html"}
"""Kind of a job -> the page that it writes in the end."""


@dataclass(frozen=True)
class Desk:
    """What one page looks at in the Train tab."""

    data: str = ""
    """Folder of a prepared set; empty: none chosen."""
    mode: Mode = "train"
    base: str = FIRST_RECIPE
    draft: Draft | None = None
    """The recipe; None: the tab was not opened yet."""
    plan_base: str = FIRST_PLAN
    plan: Draft | None = None
    job: str = ""
    """Job that is looked at; empty: none."""
    sort: str = "made"
    rising: bool = False
    words: str = ""
    """What runs of the table must have in their names, tags or states."""
    overlay: tuple[str, ...] = ()
    """Jobs whose curves are drawn over one another."""
    by: Literal["epoch", "seconds"] = "epoch"
    problem: str = ""
    """Why what was asked last could not be done."""
    recorded: str = ""
    """The page's own name of the form that was answered last: what was typed into it is no draft any more."""

    @property
    def edited(self) -> Draft | None:
        """What the form edits."""
        return self.plan if self.mode == "compare" else self.draft


@dataclass(frozen=True)
class PhaseFacts:
    """What a phase would learn from, on the set that is chosen."""

    images: int
    positives: int
    seconds: float | None
    """How long it would take on this machine; None where nobody has measured it."""


@dataclass(frozen=True)
class Screen:
    """Everything that the tab shows."""

    desk: Desk
    draft: Draft
    plan: Draft | None
    """None while nobody compares."""
    named: str
    """What ``mammo`` takes for what is edited: a name or a file; empty where it was changed and not kept."""
    recipes: tuple[str, ...]
    saved: tuple[str, ...]
    sets: tuple[Path, ...]
    folders: tuple[Path, ...]
    facts: SetFacts | None
    phases: tuple[PhaseFacts, ...]
    """One for each phase of the recipe; none where it or the set is not there."""
    depths: tuple[Depth, ...]
    """One for each phase of the recipe; none while something is wrong with it."""
    jobs: tuple[Job, ...]
    settings: JobSettings
    shown: Job | None
    epochs: tuple[Epoch, ...]
    live: Live | None
    sub_runs: tuple[SubRun, ...]
    report: bool
    model: str
    """SHA-256 of the library's model that the run's checkpoint is; empty where it is none of them."""
    output: tuple[str, ...]
    runs: tuple[Run, ...]
    """Only where the table is shown."""


class Training:
    """The jobs of a library, and the prepared sets in the folders that are allowed. Safe to share between threads."""

    def __init__(self, library: Library, jobs: Jobs, roots: Sequence[Path]) -> None:
        """``roots`` are folders below which data may lie, besides the library's own."""
        self._library = library
        self.jobs = jobs
        self.sets = Sets(library.folder / "sets", roots)
        self.recipes = Recipes(library.folder / "recipes")

    def screen(self, desk: Desk) -> Screen:
        """Work out everything that is shown."""
        desk = replace(desk, draft=desk.draft or self.recipes.draft(desk.base))
        if desk.mode == "compare" and desk.plan is None:
            desk = replace(desk, plan=plan_draft(desk.plan_base))
        draft = desk.draft
        assert draft is not None  # noqa: S101 (made above)
        data = self.sets.open(desk.data)
        jobs = self.jobs.all()
        shown = next((job for job in jobs if job.id == desk.job), None)
        epochs = () if shown is None else evidence_of(shown.run, "").epochs
        split = self._split(draft.recipe)
        return Screen(
            desk=desk,
            draft=draft,
            plan=desk.plan,
            named=self._named(desk),
            recipes=self.recipes.names(),
            saved=self.recipes.saved(),
            sets=self.sets.all(),
            folders=self.sets.folders(),
            facts=None if data is None else self.sets.known(data, facts_of, split),
            phases=() if data is None or split is None else self._phases(draft, data, jobs),
            depths=() if draft.recipe is None else depths(draft.recipe),
            jobs=jobs,
            settings=self.jobs.settings(),
            shown=shown,
            epochs=epochs,
            live=None if shown is None else live(shown, epochs),
            sub_runs=() if shown is None else sub_runs(shown),
            model=self._model(shown),
            report=shown is not None and self.report(shown.id) is not None,
            output=() if shown is None else self.jobs.output(shown.id, 40),
            runs=runs_of(jobs, desk.words, desk.sort, rising=desk.rising) if desk.mode == "runs" else (),
        )

    def make_phantoms(self, name: str, studies: int, seed: int, prevalence: float, size: str) -> Job:
        """Let a set of phantoms be made in the library's own folder."""
        out = self._new_set(name)
        try:
            asked = PhantomAsked(out=out, studies=studies, seed=seed, prevalence=prevalence, size=size)
        except ValidationError as error:
            raise _first_problem(error) from None
        return self.jobs.add(f"Phantoms: {name}", asked)

    def prepare(self, name: str, source: str, folder: str, size: str, bits: int) -> Job:
        """Let a data set below an allowed folder be prepared into the library's own folder."""
        out, inside = self._new_set(name), self.sets.inside(folder)
        fields = {"source": source, "folder": str(inside), "out": out, "size": size, "bits": bits}
        try:
            asked = PrepareAsked.model_validate(fields)
        except ValidationError as error:
            raise _first_problem(error) from None
        return self._add(f"Prepare: {name}", asked)

    def start(self, desk: Desk, title: str) -> Job:
        """Queue a run of the recipe, or of the plan, on the chosen set; InputError where something is not right yet."""
        what: Kind = "plan" if desk.mode == "compare" else "recipe"
        settings = _right(desk.edited, what)
        self._check_data(desk)
        if desk.mode == "compare":
            return self._compare(desk, title, desk.plan.plan if desk.plan else None)
        from mammo_train.toml_settings import write_toml

        recipe = desk.draft.recipe if desk.draft else None
        if recipe is not None:
            self._check_files(recipe)
        asked = TrainAsked(data=desk.data, recipe=write_toml(settings))
        return self._add(title.strip() or str(settings.model_dump()["name"]), asked)

    def estimate(self, desk: Desk) -> Job:
        """Let the time of each phase be measured on the chosen set."""
        recipe = _right(desk.draft, "recipe")
        self._check_data(desk)
        from mammo_train.toml_settings import write_toml

        if desk.draft is not None and desk.draft.recipe is not None:
            self._check_files(desk.draft.recipe)
        name = str(recipe.model_dump()["name"])
        return self.jobs.add(f"Time of {name}", EstimateAsked(data=desk.data, recipe=write_toml(recipe)))

    def save(self, desk: Desk, name: str) -> Desk:
        """Keep the recipe under a name."""
        from mammo_train.toml_settings import write_toml

        self.recipes.save(name, write_toml(_right(desk.draft, "recipe")))
        return replace(desk, base=name)

    def cloned(self, desk: Desk, job_id: str) -> Desk:
        """Begin to edit the recipe or the plan of an earlier job."""
        asked = self.jobs.get(job_id).record.asked
        if isinstance(asked, CompareAsked):
            return replace(desk, data=asked.data, mode="compare", plan=draft_of("plan", asked.plan))
        if not isinstance(asked, TrainAsked | EstimateAsked):
            raise InputError("job", "is no training: there is no recipe to edit")
        return replace(desk, data=asked.data, mode="train", draft=draft_of("recipe", asked.recipe))

    def adopt(self, job_id: str) -> ModelEntry:
        """Bring the checkpoint of a finished run into the library's models."""
        job = self.jobs.get(job_id)
        file = job.run / CHECKPOINT
        if not file.is_file():
            raise InputError(job.record.title, "has no checkpoint yet")
        return self._library.models.add(file, origin="trained")

    def starts(self, draft: Draft) -> tuple[Start, ...]:
        """Finished runs with whose backbone the recipe that is edited can begin."""
        return starts_for(draft, self.jobs.all())

    def report(self, job_id: str) -> Path | None:
        """The page that a job has written; None while there is none."""
        job = self.jobs.get(job_id)
        name = REPORTS.get(job.record.asked.kind)
        return job.run / name if name and (job.run / name).is_file() else None

    def _compare(self, desk: Desk, title: str, plan: "Plan | None") -> Job:
        from mammo_train.plan import dump_plan
        from mammo_train.recipe import load_recipe

        if plan is None:
            raise InputError("plan", "is not there")
        arms = tuple(arm.model_copy(update={"recipe": self.recipes.file(arm.recipe)}) for arm in plan.arms)
        for arm in arms:
            self._check_files(load_recipe(arm.recipe, (*plan.overrides, *arm.overrides)))
        if plan.split.file:
            self.sets.inside(plan.split.file)
        asked = CompareAsked(data=desk.data, plan=dump_plan(plan.model_copy(update={"arms": arms})))
        return self._add(title.strip() or plan.name, asked)

    def _add(self, title: str, asked: "PrepareAsked | TrainAsked | CompareAsked") -> Job:
        """Queue what a cluster may do, where jobs are done now."""
        settings = self.jobs.settings()
        return self.jobs.add(title, asked, cluster=settings.cluster, workers=settings.workers)

    def _check_data(self, desk: Desk) -> None:
        if not desk.data or Path(desk.data) not in self.sets.all():
            raise InputError("data", "choose a prepared set first")

    def _check_files(self, recipe: "Recipe") -> None:
        """Refuse files outside the allowed folders: the page may name any."""
        if recipe.weights not in ("imagenet", "none") and not is_own(recipe.weights, self.jobs.folder):
            self.sets.inside(recipe.weights)
        if recipe.split.file:
            self.sets.inside(recipe.split.file)

    def _new_set(self, name: str) -> str:
        if not name or not name.replace("-", "").replace("_", "").isalnum() or len(name) > 60:
            raise InputError("name", f"{name[:60]!r}: letters, digits, - and _ are expected, at most 60")
        self.sets.own.mkdir(parents=True, exist_ok=True)
        return str(self.sets.own / name)

    def _model(self, job: Job | None) -> str:
        file = None if job is None or job.state != "finished" else job.run / CHECKPOINT
        if file is None or not file.is_file():
            return ""
        sha256 = _hash_at(file, file.stat().st_mtime_ns)
        return sha256 if any(entry.sha256 == sha256 for entry in self._library.models.all()) else ""

    def _estimated(self, draft: Draft, data: str, jobs: Sequence[Job]) -> "Estimate | None":
        """What was measured last for just this recipe on just this set."""
        from mammo_train.estimate import read_estimate
        from mammo_train.toml_settings import write_toml

        if draft.recipe is None:
            return None
        wanted = EstimateAsked(data=data, recipe=write_toml(draft.recipe))
        same = [job for job in jobs if job.record.asked == wanted and job.state == "finished"]
        return read_estimate(same[-1].folder) if same else None

    def _named(self, desk: Desk) -> str:
        """The name or the file that what is edited was begun with, where nothing was changed in it."""
        edited = desk.edited
        try:
            if desk.mode == "compare":
                kept, name = plan_draft(desk.plan_base), desk.plan_base
            else:
                kept, name = self.recipes.draft(desk.base), self.recipes.file(desk.base)
        except InputError:  # somebody else has deleted it
            return ""
        return name if edited is not None and edited.settings == kept.settings else ""

    def _split(self, recipe: "Recipe | None") -> "SplitSettings | None":
        """How the recipe divides a set; None where it names a file that is not allowed, or is not right yet."""
        if recipe is None:
            return None
        try:
            if recipe.split.file:
                self.sets.inside(recipe.split.file)
        except InputError:
            return None
        return recipe.split

    def _phases(self, draft: Draft, data: "PreparedSet", jobs: Sequence[Job]) -> tuple[PhaseFacts, ...]:
        """What every phase would learn from; none where the set cannot be divided so."""
        if draft.recipe is None:
            return ()
        counts = self.sets.known(data, _counted, draft.recipe.split, tuple(each.subset for each in draft.recipe.phases))
        estimate = self._estimated(draft, str(data.folder), jobs)
        times = [phase.seconds for phase in estimate.phases] if estimate else [None] * len(counts)
        return tuple(PhaseFacts(*count, time) for count, time in zip(counts, times, strict=True))


@lru_cache(maxsize=64)
def _hash_at(path: Path, _changed: int) -> str:
    """Hash a file once for as long as it stays as it is: pages ask every two seconds."""
    return sha256_of(path)


def plan_draft(name: str) -> Draft:
    """Begin with a bundled plan; InputError for a name that is none."""
    from mammo_train.plan import bundled_plans, dump_plan, load_plan

    if name not in bundled_plans():
        raise InputError("plan", f"{name[:60]!r} is not one of {', '.join(bundled_plans())}")
    return draft_of("plan", dump_plan(load_plan(name)))


def _right(draft: Draft | None, what: Kind) -> Settings:
    """Settings in which nothing is wrong; InputError that counts what is."""
    if draft is None or draft.settings is None:
        count = 0 if draft is None else len(draft.problems)
        many = "1 field that is" if count == 1 else f"{count} fields that are"
        raise InputError(what, f"has {many} not right yet, marked in the form")
    return draft.settings


def _first_problem(error: ValidationError) -> InputError:
    first = error.errors()[0]
    return InputError(str(first["loc"][0]), f"{first['input']!r}: {first['msg']}")


def _counted(data: "PreparedSet", split: "SplitSettings", subsets: "tuple[Subset, ...]") -> tuple[tuple[int, int], ...]:
    """Images of each subset of the training part, and the positive ones; none where the set cannot be divided so."""
    from mammo_train.split import make_split
    from mammo_train.subsets import subset_rows

    try:
        rows = make_split(data.table, split).rows(data.table, "train")
        found = [subset_rows(data.table, rows, subset) for subset in subsets]
    except InputError:
        return ()
    cancer = data.table["cancer"].to_numpy(bool)
    return tuple((len(each), int(cancer[each].sum())) for each in found)
