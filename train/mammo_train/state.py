"""How far a run has come, on the disk: all that a process killed at any moment is carried on from.

Knows nothing of training beyond names of numbers and tensors. One safetensors file, written whole or not at all:
tensors as they are, everything else as JSON in its metadata. No pickle.
"""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.settings import Settings

FOLDER = "last"
_FILE = "state.safetensors"
_KEY = "mammo_training_state"


class Best(Settings):
    """The weights that validated best so far."""

    phase: str
    epoch: int
    """Counted from 1 over the whole run."""
    value: float
    """The recipe's metric on validation breasts."""

    @property
    def file(self) -> str:
        """Name of the file with the weights, beside the state."""
        return f"epoch-{self.epoch:05d}.safetensors"


class Position(Settings):
    """Where in its recipe a run stands. Counts of what is done are counts of what comes next, from 0."""

    data_sha256: str
    """The prepared set that is learnt from."""
    phase: int = 0
    """Phases done; as many as the recipe has once training is over."""
    phase_epoch: int = 0
    """Epochs done in the phase."""
    epoch: int = 0
    """Epochs done in the run."""
    batch: int = 0
    """Steps done in the epoch."""
    step: int = 0
    """Steps done in the phase."""
    loss_sum: float = 0.0
    """Sum of the losses of the epoch's images so far."""
    images: int = 0
    """Images seen in the epoch so far."""
    epoch_seconds: float = 0.0
    """Time spent on the epoch's steps so far."""
    seconds: float = 0.0
    """Time spent on the run: training, validation and caching, in all processes that worked on it in turn."""
    history: tuple[float, ...] = ()
    """The recipe's metric after each epoch of the phase."""
    phase_best: Best | None = None
    """Of the phase: what the next one starts from."""
    best: Best | None = None
    """Of the run: what becomes the checkpoint."""
    loss_scale: float = 0.0
    """Of float16 training; 0 where there is none."""
    loss_scale_steps: int = 0
    """Steps since the scale last changed."""
    log_bytes: int = 0
    """Length of the log when this was written: what comes after belongs to a future that is lived again."""


def save_state(run: Path, position: Position, tensors: Mapping[str, Tensor]) -> None:
    """Write the state; weights that it does not name any more are deleted after."""
    data = safetensors.torch.save(_plain(tensors), metadata={_KEY: position.model_dump_json()})
    write_atomic(run / FOLDER / _FILE, data)
    named = {best.file for best in (position.best, position.phase_best) if best is not None}
    for path in (run / FOLDER).glob("epoch-*.safetensors"):
        if path.name not in named:
            path.unlink()


def load_state(run: Path) -> tuple[Position, dict[str, Tensor]] | None:
    """Read the state back; None where there is none yet. Raises InputError where it is damaged."""
    path = run / FOLDER / _FILE
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
        return Position.model_validate_json(metadata.get(_KEY, "")), tensors
    except (safetensors.SafetensorError, OSError, ValidationError) as error:
        raise InputError(str(path), f"is not a whole training state ({error})") from None


def save_weights(run: Path, best: Best, weights: Mapping[str, Tensor]) -> None:
    """Keep the weights of an epoch."""
    write_atomic(run / FOLDER / best.file, safetensors.torch.save(_plain(weights)))


def load_weights(run: Path, best: Best) -> dict[str, Tensor]:
    """Read kept weights back; InputError where they are gone or damaged."""
    path = run / FOLDER / best.file
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(str(path), f"is not a whole file of weights ({error})") from None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's memory (moments, step counts) by number of parameter and name."""
    memory = optimiser.state_dict()["state"]
    return {
        f"optimiser.{number}.{name}": value
        for number, values in memory.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave, in the parameters' memory format so that sums round alike."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    memory: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".")
            parameter = parameters[int(number)]
            if value.shape == parameter.shape and value.ndim:
                value = torch.empty_like(parameter).copy_(value)
            memory.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": memory, "param_groups": optimiser.state_dict()["param_groups"]})


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with a prefix before their names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unnamed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those tensors whose names have the prefix, without it."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
