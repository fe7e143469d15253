"""The Train tab without its widgets: prepared sets, a recipe being edited, and jobs with what they have learnt so far.

Everything here works without Gradio.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mammo_core.errors import InputError
from mammo_core.library import Library, ModelEntry
from mammo_gui.evidence import Epoch, evidence_of
from mammo_gui.recipe_form import Draft, bundled_draft, draft_of
from mammo_train.jobs.asked import PhantomAsked, TrainAsked
from mammo_train.jobs.store import Job, Jobs

if TYPE_CHECKING:
    from mammo_train.prepared_set import PreparedSet

FIRST_RECIPE = "warmup_then_full"
_DEPTH = 3
"""How far below an allowed folder prepared sets are looked for."""


@dataclass(frozen=True)
class Desk:
    """What one page looks at in the Train tab."""

    data: str = ""
    """Folder of a prepared set; empty: none chosen."""
    base: str = FIRST_RECIPE
    draft: Draft | None = None
    """None: the tab was not opened yet."""
    job: str = ""
    """Job that is looked at; empty: none."""
    problem: str = ""
    """Why what was asked last could not be done."""


@dataclass(frozen=True)
class PhaseFacts:
    """What a phase would learn from, on the set that is chosen."""

    images: int
    positives: int


@dataclass(frozen=True)
class SetFacts:
    """What a prepared set holds."""

    folder: Path
    images: int
    breasts: int
    patients: int
    positives: int
    """Breasts with a cancer."""
    size: str
    sources: tuple[str, ...]
    views: tuple[tuple[str, int], ...]
    machines: int
    ages_missing: int


@dataclass(frozen=True)
class Screen:
    """Everything that the tab shows."""

    desk: Desk
    draft: Draft
    sets: tuple[Path, ...]
    facts: SetFacts | None
    phases: tuple[PhaseFacts, ...]
    """One for each phase of the recipe; none where it or the set is not there."""
    jobs: tuple[Job, ...]
    shown: Job | None
    epochs: tuple[Epoch, ...]
    output: tuple[str, ...]


class Training:
    """The jobs of a library, and the prepared sets in the folders that are allowed. Safe to share between threads."""

    def __init__(self, library: Library, jobs: Jobs, roots: Sequence[Path]) -> None:
        """``roots`` are folders below which prepared sets may lie, besides the library's own."""
        self._library = library
        self.jobs = jobs
        self._own = library.folder / "sets"
        self._roots = (self._own, *(root.resolve() for root in roots))
        self._lock = threading.Lock()
        self._opened: dict[tuple[Path, int], PreparedSet] = {}

    def sets(self) -> tuple[Path, ...]:
        """Every prepared set below an allowed folder, sorted."""
        found = []
        for root in self._roots:
            for depth in range(_DEPTH):
                found += [path.parent for path in root.glob("*/" * depth + "prepared.json")]
        return tuple(sorted(set(found)))

    def screen(self, desk: Desk) -> Screen:
        """Work out everything that is shown."""
        draft = desk.draft or bundled_draft(desk.base)
        desk = replace(desk, draft=draft)
        sets = self.sets()
        data = None
        if desk.data and Path(desk.data) in sets:
            data = self._data(Path(desk.data))
        jobs = self.jobs.all()
        shown = next((job for job in jobs if job.id == desk.job), None)
        return Screen(
            desk=desk,
            draft=draft,
            sets=sets,
            facts=None if data is None else _facts(data),
            phases=() if data is None else _phases(draft, data),
            jobs=jobs,
            shown=shown,
            epochs=() if shown is None else evidence_of(shown.run, "").epochs,
            output=() if shown is None else self.jobs.output(shown.id, 40),
        )

    def make_phantoms(self, name: str, studies: int, seed: int, prevalence: float, size: str) -> Job:
        """Let a set of phantoms be made in the library's own folder."""
        cleaned = name.strip()
        if not cleaned or not cleaned.replace("-", "").replace("_", "").isalnum() or len(cleaned) > 60:
            raise InputError("name", f"{name[:60]!r}: letters, digits, - and _ are expected, at most 60")
        self._own.mkdir(parents=True, exist_ok=True)
        out = str(self._own / cleaned)
        try:
            asked = PhantomAsked(out=out, studies=studies, seed=seed, prevalence=prevalence, size=size)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(str(first["loc"][0]), f"{first['input']!r}: {first['msg']}") from None
        return self.jobs.add(f"Phantoms: {cleaned}", asked)

    def start(self, desk: Desk, title: str) -> Job:
        """Queue a run of the recipe on the chosen set; InputError where one of them is not right yet."""
        if desk.draft is None or desk.draft.recipe is None:
            count = 0 if desk.draft is None else len(desk.draft.problems)
            many = "1 field that is" if count == 1 else f"{count} fields that are"
            raise InputError("recipe", f"has {many} not right yet, marked in the form")
        if Path(desk.data) not in self.sets():
            raise InputError("data", "choose a prepared set first")
        from mammo_train.recipe import dump_recipe

        recipe = desk.draft.recipe
        asked = TrainAsked(data=desk.data, recipe=dump_recipe(recipe))
        return self.jobs.add(title.strip() or recipe.name, asked)

    def cloned(self, desk: Desk, job_id: str) -> Desk:
        """Begin to edit the recipe of an earlier run."""
        asked = self.jobs.get(job_id).record.asked
        if not isinstance(asked, TrainAsked):
            raise InputError("job", "is no training: there is no recipe to edit")
        return replace(desk, data=asked.data, draft=draft_of(asked.recipe))

    def adopt(self, job_id: str) -> ModelEntry:
        """Bring the checkpoint of a finished run into the library's models."""
        job = self.jobs.get(job_id)
        file = job.run / "checkpoint.safetensors"
        if not file.is_file():
            raise InputError(job.record.title, "has no checkpoint yet")
        return self._library.models.add(file, origin="trained")

    def _data(self, folder: Path) -> "PreparedSet | None":
        from mammo_train.prepared_set import open_prepared

        with self._lock:
            try:
                key = (folder, (folder / "table.csv").stat().st_mtime_ns)
                if key not in self._opened:
                    self._opened[key] = open_prepared(folder)
                return self._opened[key]
            except (InputError, OSError):
                return None  # it is being made, or gone


def _facts(data: "PreparedSet") -> SetFacts:
    table = data.table
    breasts = table.groupby(["patient_id", "laterality"])["cancer"].any()
    views = table["view"].value_counts()
    return SetFacts(
        folder=data.folder,
        images=len(table),
        breasts=len(breasts),
        patients=int(table["patient_id"].nunique()),
        positives=int(breasts.sum()),
        size=f"{data.inputs.height} x {data.inputs.width}",
        sources=tuple(sorted(set(table["source"].astype(str)) - {""})),
        views=tuple((str(view) or "not stated", int(count)) for view, count in views.items()),
        machines=len(set(table["machine_id"].astype(str)) - {""}),
        ages_missing=int(table["age"].isna().sum()),
    )


def _phases(draft: Draft, data: "PreparedSet") -> tuple[PhaseFacts, ...]:
    """Count what every phase would see of the recipe's own training part; none where it cannot be divided."""
    from mammo_train.split import make_split
    from mammo_train.subsets import subset_rows

    if draft.recipe is None:
        return ()
    try:
        rows = make_split(data.table, draft.recipe.split).rows(data.table, "train")
        found = [subset_rows(data.table, rows, phase.subset) for phase in draft.recipe.phases]
    except InputError:
        return ()
    cancer = data.table["cancer"].to_numpy(bool)
    return tuple(PhaseFacts(len(each), int(cancer[each].sum())) for each in found)
