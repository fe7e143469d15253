"""Train the bundled demo checkpoint on this project's own phantoms: ``python -m mammo_train.demo_model OUT``.

Two steps, after Shen et al. (Sci Rep 9:12495, 2019): first small patches around lesions and elsewhere, then
whole views. Knows only phantoms, and says so in the model card.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings
from mammo_core.model import Architecture, Model, build_model, cell_shift
from mammo_core.phantom import PhantomSettings
from mammo_core.settings import Settings
from mammo_train.demo_checkpoint import demo_checkpoint
from mammo_train.phantom_views import BENIGN, MALIGNANT, MARK_STEP, NOTHING, Views, ViewSet, views_of

_STRIDE = 32
_PATCH = 128


class Phase(Settings):
    """One stretch of training: AdamW with a one-cycle learning rate, every layer learning."""

    on: Literal["patches", "views"]
    """Patches around lesions and elsewhere, or whole views."""
    steps: int = Field(ge=1)
    """Optimiser steps."""
    batch: int = Field(ge=4)
    """Patches or views in a step; half of the patches lie around a malignant lesion."""
    rate: float = Field(gt=0)
    """Highest learning rate of the backbone; the head's is ten times that."""
    cell_loss: float = Field(ge=0)
    """Weight of the loss that asks every cell of the feature map whether a malignant lesion lies there."""


class DemoSettings(Settings):
    """How the demo checkpoint is made. The defaults make the bundled one."""

    backbone: str = "regnetx_002"
    """timm's name of the backbone, trained from random weights."""
    height: int = 512
    """Rows of the model input."""
    width: int = 320
    """Columns of the model input."""
    training_height: int = 768
    """Rows of the synthetic pictures to learn from: enough for the input, and quicker to draw."""
    phantom: PhantomSettings = PhantomSettings()
    """The pictures for validation and test, as `mammo phantom` makes them."""
    training_exams: int = Field(default=1500, ge=4)
    """Exams to learn from, all with a cancer in one breast, so that half of the breasts are positive."""
    validation_exams: int = Field(default=200, ge=4)
    """Exams for calibration and operating point, half of them with a cancer."""
    test_exams: int = Field(default=200, ge=4)
    """Exams for the figures in the model card, half of them with a cancer, used once."""
    phases: tuple[Phase, ...] = (
        Phase(on="patches", steps=900, batch=64, rate=2e-3, cell_loss=1.0),
        Phase(on="views", steps=1125, batch=16, rate=6e-4, cell_loss=1.0),
    )
    """What is trained on, one after the other: with 1,500 exams, 375 steps on views are one pass over all."""
    specificity: float = Field(default=0.9, gt=0, lt=1)
    """Specificity on the validation exams at which the operating point is chosen."""
    seed: int = 1
    """Seed of everything that is drawn; the sets of exams have seeds of their own, derived from it."""
    workers: int = Field(default=2, ge=1)
    """Processes that draw phantoms."""

    @property
    def inputs(self) -> InputSettings:
        """How the views are shown: mean and deviation are those of a breast on black."""
        return InputSettings(height=self.height, width=self.width, mean=(0.25,), std=(0.25,))

    def training_set(self) -> ViewSet:
        """Choose the exams to learn from: a cancer in every one."""
        phantom = self.phantom.model_copy(update={"height": self.training_height, "prevalence": 1.0})
        return ViewSet(exams=self.training_exams, seed=self.seed, phantom=phantom, inputs=self.inputs)

    def validation_set(self) -> ViewSet:
        """Choose the exams for calibration and operating point; their seed is no training seed's."""
        return ViewSet(
            exams=self.validation_exams, seed=self.seed + 1_000_000, phantom=self.phantom, inputs=self.inputs
        )

    def test_set(self) -> ViewSet:
        """Choose the exams for the figures in the model card."""
        return self.validation_set().model_copy(update={"exams": self.test_exams, "seed": self.seed + 2_000_000})


class CellClassifier(nn.Module):
    """Turns a cell's share of the logit into the log-odds of a lesion in it; used while training only."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))
        self.offset = nn.Parameter(torch.tensor(-3.0))

    def forward(self, evidence: Tensor) -> Tensor:
        """Evidence ``(N, h, w)`` -> log-odds ``(N, h, w)``."""
        return self.scale * evidence + self.offset


def train(settings: DemoSettings, training: Views, tell: Callable[[str], None]) -> Model:
    """Train on patches, then on whole views."""
    torch.manual_seed(settings.seed)
    generator = np.random.default_rng(settings.seed)
    model = build_model(Architecture(backbone=settings.backbone, in_channels=1))
    nn.init.uniform_(model.head.weight, 0, 0.05)
    model.to(memory_format=torch.channels_last)
    cells = CellClassifier()
    for number, phase in enumerate(settings.phases):
        if phase.on == "views" and number and settings.phases[number - 1].on == "patches":
            _widen(model, cells, settings.height * settings.width / _PATCH**2)
        _fit(phase, settings.inputs, model, cells, _batches(phase, training, generator), tell)
    return model.eval()


def _widen(model: Model, cells: CellClassifier, ratio: float) -> None:
    """Keep what one lesion adds to the logit, now that it is averaged over ``ratio`` times as many cells."""
    with torch.no_grad():
        model.head.weight.mul_(ratio)
        cells.scale.div_(ratio)


Batch = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]
"""Images (N, H, W), marks (N, H / 8, W / 8), whether cancer (N,)."""


def _fit(
    phase: Phase,
    inputs: InputSettings,
    model: Model,
    cells: CellClassifier,
    batches: Iterator[Batch],
    tell: Callable[[str], None],
) -> None:
    """Run one phase."""
    rate, steps = phase.rate, phase.steps
    groups = [
        {"params": model.backbone.parameters(), "lr": rate},
        {"params": [*model.head.parameters(), *cells.parameters()], "lr": 10 * rate, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=[rate, 10 * rate], total_steps=steps, pct_start=0.2
    )
    half = torch.cpu._is_avx512_bf16_supported()
    model.train()
    started, total = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        images, marks, cancer = next(batches)
        shown = _normalised(images, inputs)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            features = model.features(shown)
        loss = _loss(phase, model, cells, features.float(), torch.from_numpy(marks), torch.from_numpy(cancer))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 50 == 0 or step == steps:
            left = (time.monotonic() - started) / step * (steps - step)
            count = 50 if step % 50 == 0 else step % 50
            tell(f"{phase.on} {step}/{steps}: loss {total / count:.4f}, {left / 60:.1f} min left")
            total = 0.0


def _loss(phase: Phase, model: Model, cells: CellClassifier, features: Tensor, marks: Tensor, cancer: Tensor) -> Tensor:
    """Cross-entropy of the logit, and of every cell whose truth the view shows."""
    whole = functional.binary_cross_entropy_with_logits(model.logits(features), cancer.float())
    evidence = torch.einsum("k,nkhw->nhw", model.head.weight[0], features)
    there = _in_cells(marks == MALIGNANT, features)
    hidden = _in_cells((marks != NOTHING) & (marks != BENIGN), features) & ~there
    each = functional.binary_cross_entropy_with_logits(cells(evidence), there.float(), reduction="none")
    # Lesions fill about one cell in a hundred: the two kinds of cells are averaged apart.
    found = (each * there).sum() / there.sum().clamp(min=1)
    empty = ~there & ~hidden
    spared = (each * empty).sum() / empty.sum().clamp(min=1)
    return whole + phase.cell_loss * (0.2 * found + 0.8 * spared)


def _in_cells(marks: Tensor, features: Tensor) -> Tensor:
    """Marks ``(N, H / 8, W / 8)`` -> which cells ``(N, h, w)`` see one, 16 px up and left of themselves."""
    ahead = (_STRIDE // 2) // MARK_STEP
    moved = functional.pad(marks.float()[:, None], (ahead, 0, ahead, 0))[:, :, : marks.shape[1], : marks.shape[2]]
    cells: Tensor = functional.adaptive_max_pool2d(moved, features.shape[2:])[:, 0] > 0
    return cells


def _normalised(images: NDArray[np.uint8], inputs: InputSettings) -> Tensor:
    """Images ``(N, H, W)`` -> ``(N, 1, H, W)`` as `model_input` gives them."""
    shown = torch.from_numpy(images)[:, None].float() / 255
    return ((shown - inputs.mean[0]) / inputs.std[0]).contiguous(memory_format=torch.channels_last)


def _varied(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Vary contrast and brightness a little, each image its own way; black stays black."""
    gain = generator.uniform(0.85, 1.15, (len(images), 1, 1)).astype(np.float32)
    power = generator.uniform(0.85, 1.18, (len(images), 1, 1)).astype(np.float32)
    varied = 255 * gain * (images.astype(np.float32) / 255) ** power
    return np.clip(varied, 0, 255).astype(np.uint8)


def _batches(phase: Phase, views: Views, generator: np.random.Generator) -> Iterator[Batch]:
    make = _patches if phase.on == "patches" else _whole_views
    return make(phase.batch, views, generator)


def _whole_views(batch: int, views: Views, generator: np.random.Generator) -> Iterator[Batch]:
    """Shuffled batches for ever, half of the views upside down."""
    if len(views.cancer) < batch:
        raise InputError("batch", f"{batch} views are wanted, the set has {len(views.cancer)}")
    while True:
        order = generator.permutation(len(views.cancer))
        for start in range(0, len(order) - batch + 1, batch):
            chosen = np.sort(order[start : start + batch])
            images, marks = views.images[chosen].copy(), views.marks[chosen].copy()
            turned = generator.random(len(chosen)) < 0.5
            images[turned], marks[turned] = images[turned, ::-1], marks[turned, ::-1]
            yield _varied(images, generator), marks, views.cancer[chosen]


def _patches(batch: int, views: Views, generator: np.random.Generator) -> Iterator[Batch]:
    """Batches for ever: half around malignant lesions, an eighth around benign ones, the rest anywhere."""
    malignant, benign = np.argwhere(views.marks == MALIGNANT), np.argwhere(views.marks == BENIGN)
    tissue = np.argwhere((views.marks == NOTHING) & (views.images[:, ::MARK_STEP, ::MARK_STEP] > 40))
    shares = [batch // 2, batch // 8]
    shares.append(batch - sum(shares))
    while True:
        # A set without benign lesions has more patches of plain tissue instead.
        kinds = zip((malignant, benign if len(benign) else tissue, tissue), shares, strict=True)
        chosen = np.concatenate([kind[generator.integers(len(kind), size=share)] for kind, share in kinds])
        cut = [_patch(views, view, row, column, generator) for view, row, column in chosen.tolist()]
        images, marks = (np.stack(part) for part in zip(*cut, strict=True))
        yield _varied(images, generator), marks, (marks == MALIGNANT).any((1, 2))


def _patch(
    views: Views, view: int, row: int, column: int, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut a patch with a mark somewhere in its middle, and turn it at random."""
    size, reach = _PATCH // MARK_STEP, _PATCH // MARK_STEP // 4
    rows, columns = views.marks.shape[1:]
    jitter = generator.integers(-reach, reach + 1, 2)
    top = int(np.clip(row - size // 2 + jitter[0], 0, rows - size))
    left = int(np.clip(column - size // 2 + jitter[1], 0, columns - size))
    marks = views.marks[view, top : top + size, left : left + size]
    y, x = top * MARK_STEP, left * MARK_STEP
    image = views.images[view, y : y + _PATCH, x : x + _PATCH]
    turns, mirror = int(generator.integers(4)), -1 if generator.random() < 0.5 else 1
    return np.rot90(image, turns)[:, ::mirror], np.rot90(marks, turns)[:, ::mirror]


def main(
    out: Annotated[Path, typer.Argument(help="Folder for the checkpoint and the cached views.")],
) -> None:
    """Make the demo checkpoint: draw phantoms, train, calibrate, measure, write."""
    make_demo(DemoSettings(), out, lambda text: typer.echo(text, err=True))


def make_demo(settings: DemoSettings, out: Path, tell: Callable[[str], None]) -> Path:
    """Make the demo checkpoint in ``out`` and return its path."""
    training = views_of(settings.training_set(), out, settings.workers, tell)
    validation = views_of(settings.validation_set(), out, settings.workers, tell)
    model = train(settings, training, tell)
    shift = cell_shift(model)
    tell(f"cells look {shift[0]:.1f} px down and {shift[1]:.1f} px right of their block's middle")
    logits = _logits(model, validation, settings.inputs)
    return demo_checkpoint(
        model,
        shift,
        validation,
        logits,
        training_exams=settings.training_exams,
        test=settings.test_set(),
        wanted_specificity=settings.specificity,
        workers=settings.workers,
        out=out,
        tell=tell,
    )


def _logits(model: Model, views: Views, inputs: InputSettings) -> NDArray[np.float64]:
    """Logits ``(N,)`` of a whole set, in evaluation mode."""
    parts = (views.images[start : start + 16] for start in range(0, len(views.cancer), 16))
    with torch.inference_mode():
        return np.concatenate([model(_normalised(part, inputs)).double().numpy() for part in parts])


if __name__ == "__main__":
    typer.run(main)
