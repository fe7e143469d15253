"""The phases of a recipe, one after the other, from wherever the run stands to the last epoch.

Knows nothing of how a run folder is claimed, or of what is made of the weights when training is over. After every
epoch, and in between as often as asked, everything that the next step depends on is on the disk.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammo_core.calibration import sigmoid
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings
from mammo_core.metrics import average_precision, roc_auc
from mammo_core.model import Model, build_model, load_backbone_weights
from mammo_core.phases import Phase
from mammo_train.dataset import Images
from mammo_train.distributed import World
from mammo_train.feed import Feed, Source
from mammo_train.feeds import Feeds, Tell
from mammo_train.loop import Learner, Step, steps
from mammo_train.marks import teaching
from mammo_train.optimiser import layers_trained, rate_factor, set_rates
from mammo_train.precision import half_type
from mammo_train.prepared_set import PreparedSet
from mammo_train.prior import SeenByLoss, bias_shift, seen_by_loss
from mammo_train.recipe import Recipe
from mammo_train.run import Log, StopRequest, stopped_by
from mammo_train.sampling import epoch_batches
from mammo_train.shelf import Shelf
from mammo_train.split import Split
from mammo_train.state import (
    Best,
    Position,
    load_weights,
    named,
    optimiser_tensors,
    restore_optimiser,
    save_state,
    save_weights,
    unnamed,
)
from mammo_train.subsets import subset_rows
from mammo_train.units import by_breast


@dataclass(frozen=True)
class Job:
    """What a run is made from, and where it speaks."""

    recipe: Recipe
    data: PreparedSet
    split: Split
    folder: Path
    world: World
    log: Log
    stop: StopRequest
    tell: Tell
    cache: bool = True
    """Whether activations of frozen layers may be kept; the result is the same without, later."""
    state_minutes: float = 10.0
    """Minutes after which the state is written in mid-epoch too."""
    seconds: float | None = None
    """Training ends after the epoch in which it has taken so long."""
    shelf: Path | None = None
    """Folder in which runs of the same set share what frozen layers give."""

    @property
    def inputs(self) -> InputSettings:
        """What the model sees."""
        return self.recipe.inputs(self.data.inputs)

    @property
    def cancer(self) -> NDArray[np.bool_]:
        """Label of every row of the table."""
        return self.data.table["cancer"].to_numpy(np.bool_)

    def rows(self, phase: Phase) -> NDArray[np.intp]:
        """Rows that a phase learns from."""
        part = self.split.rows(self.data.table, "train")
        if phase.crop:
            part = part[teaching(self.data)[part]]
        return subset_rows(self.data.table, part, phase.subset)

    def seen(self, phase: Phase) -> SeenByLoss:
        """What a phase's loss sees of its labels."""
        return seen_by_loss(phase, self.cancer[self.rows(phase)])


def new_model(job: Job) -> Model:
    """Build the network as the recipe begins: its backbone's weights, its head at the first phase's log-odds."""
    torch.manual_seed(job.recipe.seed)
    model = build_model(job.recipe.architecture, log_odds=job.seen(job.recipe.phases[0]).log_odds)
    if job.recipe.weights != "none":
        load_backbone_weights(model, None if job.recipe.weights == "imagenet" else Path(job.recipe.weights))
    return model


class Training:
    """A model on its way through the phases."""

    def __init__(self, job: Job, saved: tuple[Position, Mapping[str, Tensor]] | None) -> None:
        """Begin, or carry on from what `mammo_train.state.load_state` gave."""
        self.job = job
        self.model = new_model(job) if saved is None else build_model(job.recipe.architecture)
        self.position = Position(data_sha256=job.data.sha256) if saved is None else saved[0]
        self._saved: Mapping[str, Tensor] = {} if saved is None else saved[1]
        if saved is not None:
            self.model.load_state_dict(unnamed("model", self._saved), strict=True)
        self.model.to(job.world.device).to(memory_format=torch.channels_last)
        self._half = half_type(job.recipe.precision, job.world.device)
        self._clock = self._state_written = time.monotonic()

    def run(self) -> None:
        """Train until every phase is done, or the time is up. Raises `Stopped` where somebody asks for it."""
        table, split = self.job.data.table, self.job.split
        validation = split.rows(table, "validation")
        rows = np.union1d(split.rows(table, "train"), validation)
        images = Images(self.job.data, rows)
        source = Source(images, self.job.inputs, validation, self.job.recipe.seed, self.job.world)
        shelf = None if self.job.shelf is None else Shelf(self.job.shelf, self.job.data.sha256)
        feeds = Feeds(self.model, source, self._half, self._telling, cache=self.job.cache, shelf=shelf)
        try:
            while self.position.phase < len(self.job.recipe.phases) and not self._time_is_up():
                self._phase(self.job.recipe.phases[self.position.phase], feeds)
        finally:
            images.close()

    def _phase(self, phase: Phase, feeds: Feeds) -> None:
        """Run a phase from where it stands, then hand its best weights on."""
        rows, seen = self.job.rows(phase), self.job.seen(phase)
        fresh = self.position.phase_epoch == 0 and self.position.batch == 0
        if fresh and self.position.phase:
            self._take_over(self.job.recipe.phases[self.position.phase - 1], phase, seen)
        with self._told_apart(phase), layers_trained(self.model, phase):
            feed, words = feeds.next(self.job.recipe.phases[self.position.phase :], rows)
            # A run's time is its own: what others have done for it counts as if it had.
            self._tick(feeds.spared)
            if fresh:
                self._log("phase", **self._about(phase, rows, seen), feed=words)
            learner = Learner(self.model, feed.network, phase, seen, self.job.world)
            if not fresh:
                self._restore(learner)
            while not self._ended(phase):
                self._epoch(phase, rows, learner, feed)
                if self._time_is_up():
                    break
        self._hand_on()

    def _take_over(self, before: Phase, phase: Phase, seen: SeenByLoss) -> None:
        """Move the head from what the last phase's loss saw to what this one's sees."""
        with torch.no_grad():
            self.model.head.bias.add_(bias_shift(self.job.seen(before), seen))
            if self.job.recipe.architecture.averages:
                # What one lesion adds to the logit is now averaged over so many times as many cells.
                self.model.head.weight.mul_(self._pixels(phase) / self._pixels(before))

    def _pixels(self, phase: Phase) -> int:
        """Number of pixels that a phase's network sees at once."""
        return phase.crop**2 if phase.crop else self.job.inputs.height * self.job.inputs.width

    def _telling(self, what: str, done: int, total: int) -> None:
        """Tell what goes on before the first step; leave where somebody asked to."""
        self.job.tell(what, done, total)
        code = self.job.world.everywhere([float(self.job.stop.code)])[:, 0]
        if code.any():
            raise stopped_by(int(code[np.abs(code).argmax()]))

    def _epoch(self, phase: Phase, rows: NDArray[np.intp], learner: Learner, feed: Feed) -> None:
        """Run an epoch from where it stands, validate, log and write the state."""
        at, world = self.position, self.job.world
        batches = epoch_batches(
            rows,
            self.job.cancer[rows],
            phase,
            seed=self.job.recipe.seed,
            epoch=at.epoch,
            world_size=world.size,
            rank=world.rank,
        )

        def rates(step: int) -> dict[str, float]:
            return set_rates(learner.optimiser, rate_factor(phase, step, len(batches), at.history))

        words = f"{phase.name}: epoch {at.phase_epoch + 1}/{phase.epochs}"
        going = steps(
            learner,
            feed.training(batches[at.batch :], epoch=at.epoch),
            self.job.cancer,
            rates,
            world,
            done=at.step,
            seeds=(self.job.recipe.seed, at.phase),
            stop=lambda: self.job.stop.code,
        )
        started, spent, last = time.monotonic(), at.epoch_seconds, dict[str, float]()
        for step in going:
            self._advance(step, spent + time.monotonic() - started)
            last = step.rates
            self.job.tell(words, self.position.batch, len(batches))
            self._stop_or_save(step.stop, learner)
        if not last:  # stopped after the last step, before validation
            last = rates(max(self.position.step - 1, 0))
        self._finish_epoch(phase, learner, feed, last, len(batches))

    def _advance(self, step: Step, epoch_seconds: float) -> None:
        at = self.position
        changes = {
            "batch": at.batch + 1,
            "step": at.step + 1,
            "loss_sum": at.loss_sum + step.loss,
            "images": at.images + step.images,
            "epoch_seconds": epoch_seconds,
        }
        self.position = at.model_copy(update=changes)

    def _stop_or_save(self, code: int, learner: Learner) -> None:
        """Write the state where it is time to; leave where somebody asked to."""
        if code:
            self._save(learner)
            raise stopped_by(code)
        minutes = (time.monotonic() - self._state_written) / 60
        if self.job.state_minutes and minutes >= self.job.state_minutes:
            self._save(learner)

    def _finish_epoch(self, phase: Phase, learner: Learner, feed: Feed, rates: dict[str, float], count: int) -> None:
        """Validate, note what was best, write the log and then the state that remembers the log's length."""
        at = self.position
        averages = [] if learner.average is None else list(learner.average.tensors.values())
        self.job.world.like_first([*self.model.buffers(), *averages])
        with learner.averaged():
            logits = feed.validation(lambda done, total: self.job.tell(f"{phase.name}: validation", done, total))
            measured = self._measured(learner, logits)
            value = float(measured[self.job.recipe.metric])
            found = Best(phase=phase.name, epoch=at.epoch + 1, value=value)
            rivals = {"phase_best": at.phase_best, "best": at.best}
            better = [name for name, best in rivals.items() if best is None or value > best.value]
            if phase.crop:  # whole pictures do not measure what crops teach: the last epoch is handed on
                better = ["phase_best"]
            if better and self.job.world.first:
                save_weights(self.job.folder, found, self.model.state_dict())
        self._tick()
        event = {
            "phase": phase.name,
            "phase_number": at.phase + 1,
            "phase_epoch": at.phase_epoch + 1,
            "epoch": at.epoch + 1,
            "steps": count,
            "train_loss": at.loss_sum / at.images,
            **measured,
            "learning_rates": rates,
            "images": at.images,
            "images_per_s": round(at.images / max(at.epoch_seconds, 1e-9), 1),
            "epoch_seconds": round(at.epoch_seconds, 3),
            "seconds": round(self.position.seconds, 3),
            "best": "best" in better,
        }
        self._log("epoch", **event)
        changes: dict[str, object] = {
            "phase_epoch": at.phase_epoch + 1,
            "epoch": at.epoch + 1,
            "batch": 0,
            "loss_sum": 0.0,
            "images": 0,
            "epoch_seconds": 0.0,
            "history": (*at.history, value),
            **dict.fromkeys(better, found),
        }
        self.position = self.position.model_copy(update=changes)
        self._save(learner)

    def _measured(self, learner: Learner, logits: NDArray[np.float64]) -> dict[str, float]:
        """Figures of an epoch on the validation part: the loss of its views, areas under its breasts' curves."""
        rows = self.job.split.rows(self.job.data.table, "validation")
        if not np.isfinite(logits).all():
            raise InputError("validation", f"gives a logit that is not a number after epoch {self.position.epoch + 1}")
        truth = torch.from_numpy(self.job.cancer[rows].astype(np.float64))
        loss = float(learner.loss(torch.from_numpy(logits), truth)) / len(rows)
        breasts = by_breast(self.job.data.table, rows, sigmoid(logits))
        return {
            "validation_loss": loss,
            "roc_auc": roc_auc(breasts.scores, breasts.labels),
            "pr_auc": average_precision(breasts.scores, breasts.labels),
        }

    def _ended(self, phase: Phase) -> bool:
        """Whether a phase has had its epochs, or has waited too long for a better one."""
        history = self.position.history
        waited = len(history) - 1 - int(np.argmax(history)) if history else 0
        return len(history) >= phase.epochs or bool(phase.patience and waited >= phase.patience)

    def _hand_on(self) -> None:
        """Put the phase's best weights into the model and stand at the beginning of the next."""
        best = self.position.phase_best
        self.job.world.wait()
        if best is None:
            return
        self.model.load_state_dict(load_weights(self.job.folder, best), strict=True)
        self.job.world.wait()
        changes = {"phase": self.position.phase + 1, "phase_epoch": 0, "step": 0, "history": (), "phase_best": None}
        self.position = self.position.model_copy(update={**changes, "loss_scale": 0.0, "loss_scale_steps": 0})
        self._save(None)

    def _save(self, learner: Learner | None) -> None:
        """Write everything that the next step depends on."""
        self._tick()
        tensors = named("model", self.model.state_dict())
        changes: dict[str, object] = {"log_bytes": self.job.log.size}
        if learner is not None:
            tensors |= optimiser_tensors(learner.optimiser)
            if learner.average is not None:
                tensors |= named("average", learner.average.tensors)
            if learner.network.cells is not None:
                tensors |= named("cells", learner.network.cells.state_dict())
            scale = learner.scaler.state_dict()
            if scale:
                changes |= {"loss_scale": scale["scale"], "loss_scale_steps": scale["_growth_tracker"]}
        self.position = self.position.model_copy(update=changes)
        if self.job.world.first:
            save_state(self.job.folder, self.position, tensors)
        self._state_written = time.monotonic()

    def _restore(self, learner: Learner) -> None:
        """Put back what `_save` wrote of a learner."""
        restore_optimiser(learner.optimiser, self._saved)
        if learner.average is not None:
            learner.average.restore(unnamed("average", self._saved))
        if learner.network.cells is not None:
            learner.network.cells.load_state_dict(unnamed("cells", self._saved), strict=True)
        if learner.scaler.is_enabled():
            state = learner.scaler.state_dict()
            found = {"scale": self.position.loss_scale, "_growth_tracker": self.position.loss_scale_steps}
            learner.scaler.load_state_dict({**state, **found})
        self._saved = {}

    def _tick(self, spared: float = 0.0) -> None:
        """Add the time since the last tick to the run's, and seconds that it was ``spared``."""
        now = time.monotonic()
        seconds = self.position.seconds + now - self._clock + spared
        self.position = self.position.model_copy(update={"seconds": seconds})
        self._clock = now

    def _time_is_up(self) -> bool:
        limit = self.job.seconds
        # The first process's clock counts, lest some go on and wait for those that do not.
        return limit is not None and bool(self.job.world.everywhere([self.position.seconds])[0, 0] >= limit)

    def _about(self, phase: Phase, rows: NDArray[np.intp], seen: SeenByLoss) -> dict[str, object]:
        positives = int(self.job.cancer[rows].sum())
        return {
            "phase": phase.name,
            "phase_number": self.position.phase + 1,
            "images": len(rows),
            "positives": positives,
            "pos_weight": seen.pos_weight,
            "head_bias": float(self.model.head.bias.detach()),
            "seconds": round(self.position.seconds, 3),
        }

    def _log(self, event: str, **values: object) -> None:
        if self.job.world.first:
            self.job.log.append(event, values)

    @contextmanager
    def _told_apart(self, phase: Phase) -> Iterator[None]:
        """Say in words, with phase, epoch and remedy, what went wrong while a phase ran."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            each = math.ceil(phase.batch_size / phase.accumulate)
            images = f"{each} images of {self.job.inputs.height} x {self.job.inputs.width} pixels"
            remedy = "raise accumulate (the same steps in smaller parts), lower batch_size, or prepare smaller images"
            raise InputError(self._where(phase), f"memory ran out with {images} at once; {remedy}") from None
        except InputError as error:
            if error.subject not in ("loss", "validation"):
                raise
            raise InputError(self._where(phase), f"{error.subject} {error.reason}") from None

    def _where(self, phase: Phase) -> str:
        return f"phase {phase.name}, epoch {self.position.phase_epoch + 1}"


def _out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """Whether a device or the machine had no more memory to give (torch's CPU allocator raises RuntimeError)."""
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in str(error) for word in words)
