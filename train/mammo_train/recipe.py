"""A recipe: everything that a training run is made from besides its data, as TOML on disk.

Knows nothing of how training is done. The TOML is the record of a run: what is changed on the command line is
changed here, checked as the file itself is, and written down in the run's folder.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from mammo_core.inputs import InputSettings
from mammo_core.model import Architecture
from mammo_core.phases import Phase
from mammo_core.settings import Settings
from mammo_train.split import SplitSettings
from mammo_train.toml_settings import bundled, find_bundled, read_toml, write_toml

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's red, green and blue, as torchvision's and most of timm's weights expect."""
_BREAST = (0.25, 0.25)
"""Mean and deviation of a shown breast on black, roughly."""
_FOLDER = "recipes"
"""Where the bundled ones are in `mammo_assets`."""
_SHORT = {name: f"architecture.{name}" for name in Architecture.model_fields}
"""Fields that may be named alone on the command line."""


class Recipe(Settings):
    """A training run, before its data."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Name of the recipe and of the checkpoint that comes out."""
    about: str = ""
    """What it is for, in a sentence or two."""
    architecture: Architecture = Architecture()
    """The network."""
    weights: str = Field(default="imagenet", min_length=1)
    """What the backbone starts from: "imagenet" (torchvision's server), "none" (random), or a local file, published
    weights or a checkpoint, of which the backbone is taken."""
    normalisation: Literal["imagenet", "breast"] = "imagenet"
    """What pixels are normalised by: ImageNet's colours, as its weights expect, or a breast on black."""
    size: tuple[int, int] | None = None
    """Rows and columns of the prepared images that the recipe is meant for; others are told and used as they are."""
    split: SplitSettings = SplitSettings()
    """How patients are divided, where no split is given."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    """What is trained, one after the other."""
    metric: Literal["roc_auc", "pr_auc"] = "roc_auc"
    """Figure on validation breasts by which the best checkpoint is chosen and phases end early."""
    calibration: bool = True
    """Whether probabilities are calibrated on validation views (Platt scaling)."""
    stated_prevalence: float | None = Field(default=None, gt=0, lt=1)
    """Prevalence at which probabilities are to be understood (prior shift); without it the validation part's."""
    specificity: float = Field(default=0.9, gt=0, lt=1)
    """Specificity on validation breasts at which the stored operating point is chosen."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the forward and backward pass; "auto" is the fastest that the device gains from."""
    half: bool = False
    """Whether the checkpoint keeps its weights as float16, half the size; what is measured are the rounded weights."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of everything that is drawn but the split and the subsets, which have their own."""

    def model_post_init(self, _context: object) -> None:
        """Refuse phases that could not be told apart in the log."""
        names = [phase.name for phase in self.phases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"phase name {name!r} is given {names.count(name)} times, expected once")
        if self.phases[-1].crop:
            raise ValueError(f"phase {names[-1]!r} is the last and learns from crops; expected whole images (no crop)")

    def inputs(self, prepared: InputSettings) -> InputSettings:
        """Say what the model sees of a set prepared with ``prepared``: same pictures, this normalisation."""
        channels = self.architecture.in_channels
        if self.normalisation == "breast":
            mean, std = ((value,) * channels for value in _BREAST)
        elif channels == 3:
            mean, std = _IMAGENET
        else:
            mean, std = ((sum(values) / len(values),) for values in _IMAGENET)
        # Validated anew, which model_copy would not do.
        return InputSettings.model_validate({**prepared.model_dump(), "mean": mean, "std": std})


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a bundled recipe by name, or a TOML file, and change it by ``KEY=VALUE``.

    A key is a path of field names and numbers: ``phases.0.epochs=2``; ``phases.*.epochs=2`` changes every
    phase; the fields of ``architecture`` may be named alone: ``backbone=resnet50``. A value is TOML, or else
    taken as text. Raises InputError naming the file or the key, the field, the value and what is expected.
    """
    path = find_bundled(_FOLDER, name_or_path, "recipe")
    return read_toml(
        Recipe, path, overrides, short={name: f"architecture.{name}" for name in Architecture.model_fields}
    )


def dump_recipe(recipe: Recipe) -> str:
    """Write a recipe as TOML, every field spelt out; `load_recipe` gives the same recipe back."""
    return write_toml(recipe)


def bundled_recipes() -> dict[str, Path]:
    """Name -> file of every recipe that ships with the product, sorted by name."""
    return bundled(_FOLDER)
