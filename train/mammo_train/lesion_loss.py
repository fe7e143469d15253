"""A second loss that asks every cell of the feature map whether a lesion lies there: so that heatmaps point.

Knows nothing of pictures or phases. Used while training only; nothing of it is in the checkpoint.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammo_train.marks import LESION, UNKNOWN

_FOUND = 0.2
"""Weight of the cells with a lesion; those without have the rest. A lesion fills about one cell in a hundred, so the
two are averaged apart, and a missed cell still counts 25 times a false one."""


class CellClassifier(nn.Module):
    """Turns what a cell adds to the logit into the log-odds of a lesion in it."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.6))
        self.offset = nn.Parameter(torch.tensor(-3.0))

    def forward(self, head: Tensor, features: Tensor) -> Tensor:
        """Weights of the head ``(K,)`` and feature map ``(N, K, h, w)`` -> log-odds ``(N, h, w)``.

        What a cell adds is exact for average pooling; for others it is the head's answer to the cell alone, over the
        number of cells.
        """
        rows, columns = features.shape[2:]
        added = torch.einsum("k,nkhw->nhw", head, features) / (rows * columns)
        found: Tensor = self.gain * added + self.offset
        return found


def lesion_loss(log_odds: Tensor, marks: Tensor, shift: tuple[float, float]) -> Tensor:
    """Cross-entropy of the cells ``(N, h, w)``, as a sum over the N pictures.

    ``marks`` uint8 ``(N, H, W)`` say what is where (`mammo_train.marks`), ``shift`` how many pixels down and right of
    its block a cell looks (`mammo_core.model.cell_shift`). Cells of which nothing is known are not asked.
    """
    there = _in_cells(marks == LESION, log_odds, shift)
    empty = ~there & ~_in_cells(marks == UNKNOWN, log_odds, shift)
    each = functional.binary_cross_entropy_with_logits(log_odds, there.float(), reduction="none")
    found = (each * there).sum() / there.sum().clamp(min=1)
    spared = (each * empty).sum() / empty.sum().clamp(min=1)
    return len(marks) * (_FOUND * found + (1 - _FOUND) * spared)


def _in_cells(marked: Tensor, cells: Tensor, shift: tuple[float, float]) -> Tensor:
    """Marked pixels ``(N, H, W)`` -> which cells ``(N, h, w)`` look at one."""
    rows, columns = marked.shape[1:]
    down, right = round(shift[0]), round(shift[1])
    # A cell that looks up and left of its block sees what lies there: marks move down and right to meet it.
    moved = functional.pad(marked.float()[:, None], (-right, right, -down, down))[:, :, :rows, :columns]
    found: Tensor = functional.adaptive_max_pool2d(moved, cells.shape[1:])[:, 0] > 0
    return found
