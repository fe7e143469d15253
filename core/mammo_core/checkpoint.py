"""One file that carries a model and all that is needed to use it rightly: safetensors with JSON metadata.

Knows nothing of images or of training. Nothing in the file is ever run, and a file that does not fit is an
error.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import safetensors
import safetensors.torch
import torch
from pydantic import Field, FiniteFloat, ValidationError
from torch import Tensor

from mammo_core.calibration import Calibration
from mammo_core.cases import Cases
from mammo_core.errors import InputError
from mammo_core.files import sha256_of, write_atomic
from mammo_core.inputs import InputSettings
from mammo_core.model import Architecture, Model, build_model, check_tensors
from mammo_core.model_files import CHECKPOINT_KEY
from mammo_core.operating_point import OperatingPoint
from mammo_core.settings import Settings

_METADATA_LIMIT = 16 * 2**20
_FILE_LIMIT = 4 * 2**30
_STORED = {"F32": torch.float32, "F16": torch.float16, "I64": torch.int64}


INTENDED_USE = (
    "Research: a second opinion beside a radiologist's own reading of screening mammograms. Not for diagnosis, not for "
    "reading alone, not for taking exams off a list."
)


class ModelCard(Settings):
    """What a person must know before trusting a score (after Mitchell et al., Model Cards, 2019)."""

    summary: str
    """What the model is, in one or two sentences."""
    intended_use: str = INTENDED_USE
    """What it is meant for and what not."""
    data_terms: str = "not stated"
    """Under which terms the data that it learnt from may be used."""
    training_data: str
    """What it learnt from: source, number of exams, prevalence."""
    limits: tuple[str, ...]
    """What it does not know."""
    results: tuple[str, ...]
    """What was measured, on which held-out data, with intervals."""
    manufacturers: tuple[str, ...]
    """Manufacturer (0008,0070) of the exams that it learnt from; any other is warned about."""
    views: tuple[str, ...]
    """View codes that it learnt from; any other is warned about."""
    reproduce: str
    """Command that trains it again."""


class ValidationScores(Settings):
    """The scores that calibration and operating point were chosen on, one entry per unit."""

    unit: str
    """What one score stands for: "breast"."""
    patients: tuple[str, ...]
    """Identity within the validation set: all units of a patient are resampled together."""
    labels: tuple[bool, ...]
    scores: tuple[FiniteFloat, ...]
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """What else is known of each unit, as in `mammo_core.cases.GROUPS`."""

    def model_post_init(self, _context: object) -> None:
        """Refuse columns of different lengths."""
        if not len(self.patients) == len(self.labels) == len(self.scores):
            sizes = f"{len(self.patients)}, {len(self.labels)}, {len(self.scores)}"
            raise ValueError(f"patients, labels and scores differ in length: {sizes}")
        for name, values in self.groups.items():
            if len(values) != len(self.scores):
                raise ValueError(f"groups.{name} has {len(values)} entries, scores has {len(self.scores)}")

    def cases(self, source: str) -> Cases:
        """Return them as values to choose and measure thresholds on; ``source`` is a sentence naming the data."""
        return Cases(
            np.array(self.scores, np.float64),
            np.array(self.labels, np.bool_),
            self.patients,
            self.unit,
            source,
            self.groups,
        )


class TrainingRecord(Settings):
    """Where a trained checkpoint comes from, exactly enough to make it again."""

    recipe: str
    """The recipe as TOML, overrides included."""
    split_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of the split's CSV text: who was trained on, and who was held out."""
    data_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of the prepared set's table.csv."""
    seconds: float = Field(ge=0, allow_inf_nan=False)
    """Time spent in training and validation."""
    epochs: int = Field(ge=0)
    """Epochs finished, over all phases."""
    best_epoch: int | None = Field(default=None, ge=1)
    """The epoch whose weights these are, counted from 1 over all phases: the one that validation chose."""
    best_phase: str = ""
    """The phase that it belongs to: what only a later one trains is still what it was."""

    @property
    def spent_in_words(self) -> str:
        """How long it took, and which epoch came of it."""
        spent = f"{self.epochs} epochs in {self.seconds / 60:.0f} minutes"
        if self.best_epoch is None:
            return spent
        return f"{spent}; the weights are those after epoch {self.best_epoch}, of the phase {self.best_phase}"


class CheckpointHeader(Settings):
    """Everything in a checkpoint besides its weights: the JSON in the file's metadata."""

    format: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")
    architecture: Architecture
    inputs: InputSettings
    cell_shift: tuple[FiniteFloat, FiniteFloat] = (0.0, 0.0)
    """Where a feature-map cell looks: pixels down and right of its block's middle, by `model.cell_shift`."""
    calibration: Calibration | None
    operating_point: OperatingPoint | None
    training_domain: Literal["phantom", "mammogram"]
    card: ModelCard
    validation: ValidationScores | None
    training: TrainingRecord | None = None
    """The run that made it; None where no run of this project did."""

    def model_post_init(self, _context: object) -> None:
        """Refuse an architecture that cannot take the input."""
        if self.inputs.channels != self.architecture.in_channels:
            sizes = f"{self.inputs.channels} channels, the architecture takes {self.architecture.in_channels}"
            raise ValueError(f"inputs have {sizes}")


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to be used: what it is, its weights, and the hash of the file that it came from."""

    header: CheckpointHeader
    weights: Mapping[str, Tensor]
    """The model's state dict, floating-point tensors as float32."""
    sha256: str
    """Of the file, as lower-case hex: the model's identity in every result."""


def save_checkpoint(
    path: Path, header: CheckpointHeader, weights: Mapping[str, Tensor], *, half: bool = False
) -> Checkpoint:
    """Write a checkpoint whole or not at all, and return it as read back.

    ``half`` stores floating-point tensors as float16: half the size, weights rounded to 11 bits.
    Raises InputError where the weights do not fit the architecture or do not survive the rounding.
    """
    _check_weights(path.name, header.architecture, weights)
    dtype = torch.float16 if half else torch.float32
    stored = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in weights.items()
    }
    _check_finite(path.name, stored)
    data = safetensors.torch.save(stored, metadata={CHECKPOINT_KEY: header.model_dump_json()})
    write_atomic(path, data)
    return load_checkpoint(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint: metadata, then every tensor's name, shape, type and values.

    Raises InputError naming the file and the field or tensor that is wrong.
    """
    _check_size(path)
    try:
        # The framework's handle is untyped in safetensors' own stubs.
        with safetensors.safe_open(path, framework="pt") as opened:
            header = _header(path.name, opened.metadata())
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            wanted = build_model(header.architecture, device="meta").state_dict()
            check_tensors(path.name, shapes, wanted)
            for name, part in slices.items():
                _check_type(path.name, name, part.get_dtype(), wanted[name])
            stored = {name: opened.get_tensor(name) for name in slices}
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(path.name, f"is not a whole safetensors file ({error})") from None
    _check_finite(path.name, stored)
    weights = {name: t.float() if t.is_floating_point() else t for name, t in stored.items()}
    return Checkpoint(header, weights, sha256_of(path))


def with_card(source: Path, card: ModelCard, target: Path) -> Checkpoint:
    """Write the checkpoint in ``source`` to ``target`` with another card; every tensor and other field stays as it is.

    Raises InputError where ``source`` is not a whole checkpoint.
    """
    header = load_checkpoint(source).header.model_copy(update={"card": card})
    tensors = safetensors.torch.load_file(source)
    data = safetensors.torch.save(tensors, metadata={CHECKPOINT_KEY: header.model_dump_json()})
    write_atomic(target, data)
    return load_checkpoint(target)


def model_of(checkpoint: Checkpoint) -> Model:
    """Build the checkpoint's network with its weights, in evaluation mode, without initialising it first."""
    model = build_model(checkpoint.header.architecture, device="meta")
    model.load_state_dict(dict(checkpoint.weights), strict=True, assign=True)
    return model.requires_grad_(False).eval()


def _check_size(path: Path) -> None:
    """Refuse what is absent, too large, or claims more metadata than any checkpoint has."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            claimed = int.from_bytes(stream.read(8), "little")
    except OSError as error:
        raise InputError(path.name, f"cannot be read ({error.strerror})") from None
    if size > _FILE_LIMIT:
        raise InputError(path.name, f"is {size} bytes long, the limit is {_FILE_LIMIT}")
    if claimed > min(_METADATA_LIMIT, size - 8):
        limit = min(_METADATA_LIMIT, max(size - 8, 0))
        reason = f"claims {claimed} bytes of metadata, at most {limit} are possible: cut off, or no checkpoint"
        raise InputError(path.name, reason)


def _header(source: str, metadata: Mapping[str, str] | None) -> CheckpointHeader:
    if not metadata or CHECKPOINT_KEY not in metadata:
        raise InputError(source, f"has no {CHECKPOINT_KEY!r} in its metadata: weights alone are not a checkpoint")
    try:
        return CheckpointHeader.model_validate(json.loads(metadata[CHECKPOINT_KEY]))
    except json.JSONDecodeError as error:
        raise InputError(source, f"metadata is not JSON ({error})") from None
    except RecursionError:
        raise InputError(source, "metadata is nested too deep") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise InputError(source, f"metadata field {place}: {first['msg']}") from None


def _check_weights(source: str, architecture: Architecture, weights: Mapping[str, Tensor]) -> None:
    wanted = build_model(architecture, device="meta").state_dict()
    check_tensors(source, {name: tuple(t.shape) for name, t in weights.items()}, wanted)
    _check_finite(source, weights)


def _check_type(source: str, name: str, stored: str, wanted: Tensor) -> None:
    kind = _STORED.get(stored)
    if kind is None or kind.is_floating_point != wanted.is_floating_point():
        expected = "F32 or F16" if wanted.is_floating_point() else "I64"
        raise InputError(source, f"tensor {name!r} is stored as {stored}, expected {expected}")


def _check_finite(source: str, weights: Mapping[str, Tensor]) -> None:
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(source, f"tensor {name!r} holds a value that is not a finite number")
