"""Learning curves for TensorBoard, where it is installed (``pip install mammo-gui[tensorboard]``).

Knows nothing of training: numbers of an epoch in, event files out.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "tensorboard"
_CURVES = ("train_loss", "validation_loss", "roc_auc", "pr_auc", "images_per_s")


class EventFiles:
    """Event files in a run's folder ``tensorboard``."""

    def __init__(self, folder: Path, epochs: int) -> None:
        """Carry on after ``epochs``: what was written of later ones is taken back."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / FOLDER), purge_step=epochs + 1 if epochs else None)

    @classmethod
    def where_possible(cls, folder: Path, epochs: int) -> "EventFiles | None":
        """Open event files, or none where TensorBoard is not installed."""
        return cls(folder, epochs) if importlib.util.find_spec("tensorboard") else None

    def write(self, epoch: Mapping[str, Any]) -> None:
        """Write an epoch's figures over its number in the run, and its learning rates."""
        for name in _CURVES:
            self._writer.add_scalar(name, epoch[name], epoch["epoch"])
        for name, rate in epoch["learning_rates"].items():
            self._writer.add_scalar(f"learning_rate/{name}", rate, epoch["epoch"])
        self._writer.flush()
