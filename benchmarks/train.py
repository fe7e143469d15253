"""How fast training is beside what people write: one run, one table, random pictures.

    python benchmarks/train.py [--height 256 --width 256 --rounds 3]

Four comparisons, each the product's own code against the same work done plainly in PyTorch:

- a step of ResNet-50 with all layers: `mammo_train.loop` as "auto" precision has it (16 bits where the device has
  units for them, channels last) against eager float32 as ``model(images)`` gives it;
- a whole phase of the head alone: activations computed once, then ``--epochs`` epochs, against the naive loop that
  runs every picture through the frozen backbone in every epoch, in float32 and without its gradients;
- a whole phase of the last stage and the head: from cached activations against the naive loop;
- a step of EfficientNet-lite0 with all layers, as on a machine without a GPU: `mammo_train.precision.arithmetic`
  against plain autocast to the same 16 bits (on a CPU that gains from 16 bits; elsewhere both are the same).

The pairs take turns, and each figure is the best of its rounds, so that other work on the machine harms both alike.
Pictures are made in memory: decoding and augmentation are no part of this. Downloads nothing: random weights.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mammo_core.model import Architecture, Model, build_model
from mammo_core.phases import Phase
from mammo_train.cut import cut
from mammo_train.distributed import World
from mammo_train.loop import Learner
from mammo_train.optimiser import layers_trained
from mammo_train.precision import Network, half_type
from mammo_train.prior import SeenByLoss

_GOALS = {"all layers": 2.3, "head alone": 10.0, "last stage": 2.0, "depthwise": 1.2}
_SEEN = SeenByLoss(prevalence=0.5, pos_weight=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50", help="a ResNet: the naive loop names its layer4")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--images", type=int, default=64, help="images of the set")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the phases whose layers are frozen")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = half_type("auto", device)
    print(f"{given.backbone}, {given.images} images of {given.height} x {given.width}, batches of {given.batch}")
    print(
        f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}, auto precision: {half or 'float32'}"
    )
    units = ("AMX", torch.cpu._is_amx_tile_supported()), ("AVX512-BF16", torch.cpu._is_avx512_bf16_supported())
    print("CPU units for bfloat16: " + ", ".join(f"{name} {'yes' if there else 'no'}" for name, there in units))
    images = torch.randn(given.images, 3, given.height, given.width, device=device)
    labels = (torch.arange(given.images, device=device) % 2).float()
    work = _Work(given.backbone, images, labels, given.batch, given.epochs, half, World(device=device))
    seen = given.images * given.epochs
    _compare("all layers", work.plain("all", 1), work.ours("all", 1), given.images, given.rounds)
    _compare("head alone", work.plain(1, given.epochs), work.ours(1, given.epochs), seen, given.rounds)
    _compare("last stage", work.plain(2, given.epochs), work.ours(2, given.epochs), seen, given.rounds)
    small = _Work("tf_efficientnet_lite0", images, labels, given.batch, 1, half, World(device=device))
    _compare("depthwise", small.autocast(), small.ours("all", 1), given.images, given.rounds)
    work.head_alone_rate()


def _compare(name: str, plain: Callable[[], None], ours: Callable[[], None], images: int, rounds: int) -> None:
    """Time both in turn; print images/s and how many times faster ours is."""
    took: list[list[float]] = [[], []]
    for _ in range(rounds):
        for kind, work in enumerate((plain, ours)):
            started = time.perf_counter()
            work()
            took[kind].append(time.perf_counter() - started)
    theirs, mine = (min(times) for times in took)
    goal = _GOALS[name]
    print(
        f"{name:<11} naive {images / theirs:8.1f} images/s   mammo {images / mine:8.1f} images/s   "
        f"{theirs / mine:5.1f}x (goal {goal:g}x)",
        flush=True,
    )


class _Plain(Network):
    """A network whose layers all compute in 16 bits."""

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor | None]:
        with torch.autocast(given.device.type, self.half_type, enabled=self.half_type is not None):
            features = self.layers(given)
        return self.model.logits(features.float()), None


class _Work:
    """The same pictures, trained on in either way."""

    def __init__(
        self,
        backbone: str,
        images: Tensor,
        labels: Tensor,
        batch: int,
        epochs: int,
        half: torch.dtype | None,
        world: World,
    ) -> None:
        self.architecture = Architecture(backbone=backbone)
        self.images, self.labels, self.batch, self.epochs = images, labels, batch, epochs
        self.half, self.world = half, world

    def model(self) -> Model:
        return build_model(self.architecture).to(self.world.device)

    def phase(self, trained: int | str) -> Phase:
        fields = {"name": "bench", "trained": trained, "epochs": self.epochs, "learning_rate": 1e-3}
        return Phase.model_validate(fields)

    def plain(self, trained: int | str, epochs: int) -> Callable[[], None]:
        """What a notebook does: eager float32; frozen layers run in every step."""
        model = self.model()
        layers = [model.backbone.layer4, model.head] if trained == 2 else [model.head] if trained == 1 else [model]
        model.requires_grad_(trained == "all")
        for layer in layers:
            layer.requires_grad_(True)
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)

        def work() -> None:
            model.train(trained == "all")
            for _ in range(epochs):
                for images, labels in zip(self.images.split(self.batch), self.labels.split(self.batch), strict=True):
                    optimiser.zero_grad()
                    loss = functional.binary_cross_entropy_with_logits(model(images), labels)
                    loss.backward()
                    optimiser.step()
                    loss.item()

        return work

    def autocast(self) -> Callable[[], None]:
        """The same learner with every convolution in 16 bits, as torch's autocast has it."""
        model = self.model().to(memory_format=torch.channels_last)
        network = _Plain(model, model.backbone, self.half)
        learner = Learner(model, network, self.phase("all"), _SEEN, self.world)

        def work() -> None:
            learner.network.train()
            for part, labels in zip(self.images.split(self.batch), self.labels.split(self.batch), strict=True):
                learner.learn(part.contiguous(memory_format=torch.channels_last), labels, len(part))

        return work

    def ours(self, trained: int | str, epochs: int) -> Callable[[], None]:
        """What `mammo train` does: the phase's frozen layers once, then its learner's steps."""
        model = self.model().to(memory_format=torch.channels_last)
        phase = self.phase(trained)

        def work() -> None:
            with layers_trained(model, phase):
                given, layers = self.given(model, phase)
                learner = Learner(model, Network(model, layers, self.half), phase, _SEEN, self.world)
                learner.network.train()
                for _ in range(epochs):
                    for part, labels in zip(given.split(self.batch), self.labels.split(self.batch), strict=True):
                        learner.learn(part.contiguous(memory_format=torch.channels_last), labels, len(part))

        return work

    def given(self, model: Model, phase: Phase) -> tuple[Tensor, nn.Module]:
        """Pictures, or activations of the frozen layers, and the layers that take them."""
        parts = cut(model, phase) if phase.trained != "all" else None
        if parts is None:
            return self.images, model.backbone
        parts.frozen.eval()
        with torch.no_grad(), torch.autocast(self.world.device.type, self.half, enabled=self.half is not None):
            kept = [
                parts.frozen(part.contiguous(memory_format=torch.channels_last))
                for part in self.images.split(self.batch)
            ]
        return torch.cat(kept), parts.rest

    def head_alone_rate(self) -> None:
        """How many cached images a second go through the head, once they are cached."""
        model, phase = self.model(), self.phase(1)
        channels, number, batch = model.head.in_features, 16384, 128
        vectors = torch.randn(number, channels, 1, 1, device=self.world.device)
        labels = torch.from_numpy((np.arange(number) % 2).astype(np.float32)).to(self.world.device)
        with layers_trained(model, phase):
            learner = Learner(model, Network(model, nn.Identity(), self.half), phase, _SEEN, self.world)
            started = time.perf_counter()
            for part, truth in zip(vectors.split(batch), labels.split(batch), strict=True):
                learner.learn(part, truth, len(part))
        rate = number / (time.perf_counter() - started)
        print(f"head alone, once cached: {rate:,.0f} images/s (goal: tens of thousands)")


if __name__ == "__main__":
    main()
