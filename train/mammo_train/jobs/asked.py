"""What a job is asked to do: the commands of ``mammo`` as checked values, and the words of their command lines.

Knows nothing of processes. A command line is a list of words: nothing here is ever read by a shell.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mammo_core.errors import InputError
from mammo_core.settings import Settings

RECIPE, PLAN, RUN = "recipe.toml", "plan.toml", "run"
"""Files and the folder of results in a job's folder."""
Size = Annotated[str, Field(pattern=r"^[0-9]{2,4}x[0-9]{2,4}$")]


class TrainAsked(Settings):
    """Train a recipe, or carry it on."""

    kind: Literal["train"] = "train"
    data: str
    """Folder of the prepared set."""
    recipe: str
    """The whole recipe as TOML."""
    split: str = ""
    """CSV file of the patients' parts; empty: the recipe's."""

    def words(self, folder: Path) -> tuple[str, ...]:
        """Command line after ``mammo``."""
        split = ("--split", self.split) if self.split else ()
        # The same words begin a run and carry it on.
        return ("train", str(folder / RECIPE), self.data, str(folder / RUN), "--resume", *split)

    def files(self) -> dict[str, str]:
        """Files that the command reads, by name."""
        return {RECIPE: self.recipe}


class EstimateAsked(Settings):
    """Measure on this machine how long a recipe would take."""

    kind: Literal["estimate"] = "estimate"
    data: str
    """Folder of the prepared set."""
    recipe: str
    """The whole recipe as TOML."""

    def words(self, folder: Path) -> tuple[str, ...]:
        """Command line after ``mammo``."""
        return ("estimate", str(folder / RECIPE), self.data, "--json", str(folder / "estimate.json"))

    def files(self) -> dict[str, str]:
        """Files that the command reads, by name."""
        return {RECIPE: self.recipe}


class CompareAsked(Settings):
    """Run the arms of a plan."""

    kind: Literal["compare"] = "compare"
    data: str
    """Folder of the prepared set."""
    plan: str
    """The whole plan as TOML."""

    def words(self, folder: Path) -> tuple[str, ...]:
        """Command line after ``mammo``."""
        return ("compare", str(folder / PLAN), self.data, str(folder / RUN))

    def files(self) -> dict[str, str]:
        """Files that the command reads, by name."""
        return {PLAN: self.plan}


class PrepareAsked(Settings):
    """Turn a data set into a prepared one."""

    kind: Literal["prepare"] = "prepare"
    source: Literal["rsna", "inbreast", "cbis", "folder"]
    folder: str
    """Where the data set lies."""
    out: str
    """Folder that is written."""
    size: Size = "512x320"
    """Rows x columns of the pictures."""
    bits: Literal[8, 16] = 8

    def words(self, folder: Path) -> tuple[str, ...]:  # noqa: ARG002 (as the others)
        """Command line after ``mammo``."""
        return ("prepare", self.source, self.folder, self.out, "--size", self.size, "--bits", str(self.bits))

    def files(self) -> dict[str, str]:
        """Files that the command reads: none."""
        return {}


class PhantomAsked(Settings):
    """Make a prepared set of phantoms."""

    kind: Literal["phantom"] = "phantom"
    out: str
    """Folder that is written."""
    studies: int = Field(default=200, ge=1, le=100_000)
    """Number of four-view exams."""
    seed: int = 1
    prevalence: float = Field(default=0.4, ge=0, le=1)
    """Share of exams with a cancer."""
    size: Size = "512x320"
    """Rows x columns of the pictures."""

    def words(self, folder: Path) -> tuple[str, ...]:  # noqa: ARG002 (as the others)
        """Command line after ``mammo``."""
        numbers = ("--studies", self.studies, "--seed", self.seed, "--prevalence", self.prevalence)
        return ("phantom", self.out, *map(str, numbers), "--form", "prepared", "--size", self.size)

    def files(self) -> dict[str, str]:
        """Files that the command reads: none."""
        return {}


Asked = Annotated[TrainAsked | EstimateAsked | CompareAsked | PrepareAsked | PhantomAsked, Field(discriminator="kind")]


def check_words(asked: Asked, folder: Path) -> None:
    """Refuse a word that the command would take for an option of its own: InputError."""
    for name, value in asked.model_dump().items():
        if isinstance(value, str) and name in ("data", "split", "folder", "out") and value.startswith("-"):
            raise InputError(name, f"{value[:60]!r} begins with a hyphen; give the whole path of a folder")
    if any("\0" in word for word in asked.words(folder)):
        raise InputError("job", "holds a character that no path has")
