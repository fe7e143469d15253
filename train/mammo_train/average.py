"""The exponential moving average of a model's weights, which validates steadier than the weights themselves.

Knows nothing of optimisers.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Averages of everything in a model that moves: ``average += (1 - decay) * (weights - average)`` per step.

    The decay rises from 2/11 as ``(1 + n) / (10 + n)``, so that the first weights, which are random, are soon
    forgotten (as TensorFlow's ExponentialMovingAverage has it).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's weights; only what learns, and batch-norm statistics, are averaged."""
        moving = {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}
        moving |= {name: value for name, value in model.named_buffers() if value.is_floating_point()}
        self._decay = decay
        self._moving = moving
        self.tensors = {name: value.clone() for name, value in moving.items()}

    def update(self, steps: int) -> None:
        """Take in the weights after step number ``steps``, counted from 1."""
        decay = min(self._decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._moving.values()), 1 - decay)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``tensors`` held before."""
        for name, value in self.tensors.items():
            value.copy_(tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model have the averages for its weights until the block is left."""
        kept = {name: value.clone() for name, value in self._moving.items()}
        self._put(self.tensors)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, value in self._moving.items():
            value.copy_(tensors[name])
