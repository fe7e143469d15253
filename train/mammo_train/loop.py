"""The steps of one epoch: pictures forward, loss backward, weights on. Readable in one sitting.

Knows nothing of phases before or after, of validation, or of the run folder.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from mammo_core.errors import InputError
from mammo_core.model import Model, cell_shift
from mammo_core.phases import Phase
from mammo_train.average import Average
from mammo_train.distributed import World
from mammo_train.feed import Given
from mammo_train.lesion_loss import CellClassifier, lesion_loss
from mammo_train.optimiser import make_optimiser, parameter_group
from mammo_train.precision import Network
from mammo_train.prior import SeenByLoss, smoothed

_SEED_STEP = 1_000_003
"""A prime between the seeds of steps, so that those of neighbouring runs, epochs and steps do not meet."""


@dataclass(frozen=True)
class Step:
    """What one step of the optimiser came to, over all processes."""

    loss: float
    """Sum of the losses of its images."""
    images: int
    rates: dict[str, float]
    """Learning rate by layer group."""
    stop: int
    """Who asked to stop, as `mammo_train.run.stopped_by` takes it; 0: nobody."""


class Learner:
    """A network that learns, and all that its learning remembers from step to step."""

    def __init__(self, model: Model, network: Network, phase: Phase, seen: SeenByLoss, world: World) -> None:
        """``network`` is the part of ``model`` that the phase runs; what is frozen must be so already."""
        self.phase = phase
        self.seen = seen
        self.network = network
        self.optimiser = make_optimiser(model, phase)
        if phase.lesion_loss:
            network.cells = CellClassifier().to(world.device)
            self.optimiser.add_param_group(parameter_group("lesion cells", network.cells, phase))
            self._shift = cell_shift(model)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=network.half_type is torch.float16)
        self.average = Average(model, phase.ema) if phase.ema else None
        self._world = world
        self._called: nn.Module = network
        if world.size > 1:
            gpus = [world.device.index] if world.device.type == "cuda" else None
            self._called = DistributedDataParallel(network, device_ids=gpus, broadcast_buffers=False)
        self._learning = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def learn(self, given: Tensor, labels: Tensor, images: int, marks: Tensor | None = None) -> float:
        """Do one step on this process's share ``(n, ...)`` of ``images``; return the sum of its losses.

        ``marks`` uint8 ``(n, H, W)`` say where lesions are, for a phase that asks for them.
        """
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        given_parts, label_parts = given.chunk(self.phase.accumulate), labels.chunk(self.phase.accumulate)
        mark_parts = [None] * len(given_parts) if marks is None else marks.chunk(self.phase.accumulate)
        for number, (part, truth, where) in enumerate(zip(given_parts, label_parts, mark_parts, strict=True), start=1):
            with self._together(last=number == len(given_parts)):
                logits, cells = self._called(part)
                loss = self.loss(logits, truth)
                if cells is not None and where is not None:
                    loss = loss + self.phase.lesion_loss * lesion_loss(cells, where, self._shift)
                # DDP takes the mean over processes of what is here the share of one sum.
                torch.autograd.backward(self.scaler.scale(loss * (self._world.size / images)))
            total += float(loss.detach())
        self.scaler.unscale_(self.optimiser)
        if self.phase.gradient_clip:
            nn.utils.clip_grad_norm_(self._learning, self.phase.gradient_clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return total

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy, summed, positives counting ``pos_weight`` times; both ``(n,)``."""
        weight = torch.tensor(self.seen.pos_weight, device=logits.device)
        return functional.binary_cross_entropy_with_logits(
            logits, smoothed(labels, self.phase), pos_weight=weight, reduction="sum"
        )

    def averaged(self) -> AbstractContextManager[None]:
        """Let the model have its averaged weights meanwhile, where the phase keeps an average."""
        return nullcontext() if self.average is None else self.average.in_place()

    def _together(self, *, last: bool) -> AbstractContextManager[None]:
        """Leave the other processes' gradients until the last part of a step."""
        if last or not isinstance(self._called, DistributedDataParallel):
            return nullcontext()
        held_back: AbstractContextManager[None] = self._called.no_sync()
        return held_back


def steps(
    learner: Learner,
    batches: Iterator[Given],
    cancer: NDArray[np.bool_],
    rates: Callable[[int], dict[str, float]],
    world: World,
    *,
    done: int,
    seeds: Sequence[int],
    stop: Callable[[], int],
) -> Iterator[Step]:
    """Run through the batches of an epoch, one step of the optimiser after the other.

    ``cancer`` is the label of every row of the table; ``rates(step)`` sets the learning rates of a step counted
    over the phase, of which ``done`` are done; ``seeds`` name run and epoch: each step draws (dropout) from a seed
    of its own, so that there is no state of chance to save. Raises InputError at a loss that is not a number.
    """
    learner.network.train()
    for number, (batch, given, marks) in enumerate(batches, start=done):
        torch.manual_seed(_seed(*seeds, number, world.rank))
        found = rates(number)
        labels = torch.from_numpy(cancer[batch.rows].astype(np.float32)).to(given.device)
        mine = learner.learn(given, labels, batch.images, marks)
        if learner.average is not None:
            learner.average.update(number + 1)
        told = world.everywhere([mine, float(stop())])
        loss = float(told[:, 0].sum())
        if not np.isfinite(loss):
            raise InputError("loss", _not_a_number(loss, learner, found, number + 1))
        # A signal's number is positive, the stop file's code negative: whoever was asked speaks for all.
        yield Step(loss, batch.images, found, int(told[np.abs(told[:, 1]).argmax(), 1]))


def _not_a_number(loss: float, learner: Learner, rates: dict[str, float], step: int) -> str:
    highest = max(rates.values())
    advice = [f"a lower learning_rate (the highest now is {highest:.3g})"]
    if not learner.phase.gradient_clip:
        advice.append("gradient_clip = 1.0")
    if learner.network.half_type is not None:
        advice.append('precision = "float32"')
    return f"is {loss} at step {step} of the phase; try {', or '.join(advice)}"


def _seed(*parts: int) -> int:
    found = 0
    for part in parts:
        found = (found * _SEED_STEP + part) % 2**63
    return found
