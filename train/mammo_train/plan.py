"""A plan: ways of training that are to be compared, how often each is tried, and what is asked of them, as TOML.

Knows nothing of how training or comparing is done.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mammo_core.phases import Augmentation
from mammo_core.settings import Settings
from mammo_train.split import SplitSettings
from mammo_train.toml_settings import bundled, find_bundled, read_toml, write_toml
from mammo_train.units import How

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Arm(Settings):
    """One way of training."""

    name: Name
    """Name in tables and of its run folders."""
    about: str = ""
    """What it tries, in a sentence."""
    recipe: str = Field(min_length=1)
    """Bundled recipe, or a TOML file; its path is looked for from the plan's folder first."""
    overrides: tuple[str, ...] = ()
    """What is changed in it, as `mammo train --set` takes it: "phases.0.epochs=2"."""


class Question(Settings):
    """Two arms to be told apart. The difference is a less b."""

    a: Name
    b: Name
    about: str = Field(min_length=1)
    """What the difference answers."""


class Budget(Settings):
    """What every arm may use, its warm-up included. Exactly one of the two is given."""

    passes: float | None = Field(default=None, gt=0)
    """Images seen, as passes over the whole training part: the epochs of every recipe are scaled to it."""
    seconds: float | None = Field(default=None, gt=0)
    """Training seconds: recipes run as they are written and end with the first epoch that reaches it."""

    def model_post_init(self, _context: object) -> None:
        """Refuse a budget of two kinds, or of none."""
        if (self.passes is None) == (self.seconds is None):
            raise ValueError("expected either passes or seconds")

    def in_words(self) -> str:
        """State the budget as a sentence's end."""
        if self.passes is not None:
            return f"as many images seen as {self.passes:g} passes over the training part have"
        return f"{self.seconds:g} seconds of training"


class HeldOut(Settings):
    """How held-out pictures are shown to the trained networks: as they are, or varied, alike for all arms.

    Varied as another machine or another positioning would vary them, they tell what an arm learnt of how this set's
    pictures happen to look, which pictures of the same set cannot tell as they are. An arm that learnt from pictures
    varied alike has that advantage.
    """

    copies: int = Field(default=0, ge=0)
    """How many varied copies of every picture are scored in its place; figures are means over them. 0: the picture
    as it is. Another number, in the same folder, needs no run anew."""
    augmentation: Augmentation = Augmentation()
    """How the copies are varied."""

    def model_post_init(self, _context: object) -> None:
        """Refuse copies that would all be the picture as it is."""
        if self.copies and self.augmentation == Augmentation():
            raise ValueError(f"copies is {self.copies}, but augmentation changes nothing: say how they are varied")


class Plan(Settings):
    """A comparison, before its data."""

    name: Name
    """Name of the plan."""
    about: str = ""
    """What it asks, in a sentence or two."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    """The ways of training."""
    questions: tuple[Question, ...] = ()
    """Which arms are compared with which; their p-values are corrected together."""
    overrides: tuple[str, ...] = ()
    """What is changed in the recipe of every arm, before its own changes: "backbone=resnet18"."""
    budget: Budget
    """The same for every arm. Phases do not end early, so that all of it is used."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(default=(0, 1, 2), min_length=1)
    """Every arm is trained once with each; figures are means over them."""
    split: SplitSettings = SplitSettings()
    """How patients are divided, the same for all runs. With folds, every fold is the test part once, the next one
    chooses the checkpoint, and the folds' scores are pooled."""
    target_auc: float = Field(default=0.7, gt=0.5, lt=1)
    """ROC-AUC on validation breasts; how soon it is reached is the speed of convergence."""
    prevalence: float | None = Field(default=None, gt=0, lt=1)
    """Prevalence that PR-AUC is also given at, and compared at; without it the set's own."""
    breast_score: How = "mean"
    """How the views of a held-out breast make its score: their mean, their maximum, or one of them. Another way needs
    no run anew."""
    held_out: HeldOut = HeldOut()
    """How held-out pictures are shown."""
    draws: int = Field(default=2000, ge=100)
    """Bootstrap draws of patients."""

    def model_post_init(self, _context: object) -> None:
        """Refuse names that do not fit together, and a fold that would be the only one."""
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"two arms have the same name: {', '.join(sorted(names))}")
        for question in self.questions:
            for name in (question.a, question.b):
                if name not in names:
                    raise ValueError(f"a question names the arm {name!r}, expected one of {', '.join(names)}")
            if question.a == question.b:
                raise ValueError(f"a question compares {question.a!r} with itself")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds are {self.seeds}, expected each once")
        if self.split.fold != 0:
            raise ValueError(f"split.fold is {self.split.fold}, but every fold is trained: leave it out")

    def splits(self) -> tuple[SplitSettings, ...]:
        """One division, or one for each fold."""
        if self.split.folds is None:
            return (self.split,)
        held_out = self.split.model_dump() | {"held_out": "test"}
        return tuple(SplitSettings(**held_out | {"fold": fold}) for fold in range(self.split.folds))


def load_plan(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """Read a bundled plan by name, or a TOML file, and change it by ``KEY=VALUE``.

    Raises InputError naming the file or the key, the field, the value and what is expected.
    """
    file = find_bundled("plans", name_or_path, "plan")
    plan = read_toml(Plan, file, overrides)
    return plan.model_copy(update={"arms": tuple(_found_beside(arm, file.parent) for arm in plan.arms)})


def _found_beside(arm: Arm, folder: Path) -> Arm:
    """Give the arm the path of its recipe, where that lies beside the plan: plan and recipes can be moved together."""
    beside = folder / arm.recipe
    return arm.model_copy(update={"recipe": str(beside)}) if beside.is_file() else arm


def dump_plan(plan: Plan) -> str:
    """Write a plan as TOML, every field spelt out; `load_plan` gives the same plan back."""
    return write_toml(plan)


def bundled_plans() -> dict[str, Path]:
    """Name -> file of every plan that ships with the product, sorted by name."""
    return bundled("plans")
