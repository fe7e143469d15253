"""The arithmetic of training: 16 bits where the device is faster at them, 32 where they matter.

Knows nothing of losses or steps.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from mammo_core.errors import InputError
from mammo_core.model import Model

Precision = Literal["auto", "float32", "bfloat16", "float16"]

_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def half_type(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return the 16-bit type that convolutions are computed in; None for float32.

    "auto" takes bfloat16 where there are units for it: GPUs from compute capability 8.0, CPUs with AMX or
    AVX512-BF16 (without them a CPU emulates it and is slower than with float32); float16 on older GPUs of
    capability 7.0; else float32. Raises InputError for float16 on Apple's GPUs, for which torch has no loss scaling.
    """
    if precision == "float16" and device.type == "mps":
        raise InputError("precision", 'is "float16", which needs loss scaling: not on this device; give "auto"')
    if precision != "auto":
        return _HALVES.get(precision)
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if capability >= (8, 0) else torch.float16 if capability >= (7, 0) else None
    gains = device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return torch.bfloat16 if gains else None


@contextmanager
def arithmetic(layers: nn.Module, device: torch.device, half: torch.dtype | None) -> Iterator[None]:
    """Let ``layers`` compute in 16 bits meanwhile, if wished, but for what a CPU is slower at in 16 than in 32.

    That are depthwise convolutions of more than 3 x 3 or with a stride, for whose gradients torch has no fast 16-bit
    code on CPUs: 2 to 7 times slower, which is half of the time that an inverted-residual network takes.
    """
    wide = _slow_in_half(layers) if half is not None and device.type == "cpu" else []
    for convolution in wide:
        # An attribute goes before the class's method; it is gone when the block is left.
        convolution.forward = partial(_in_float32, convolution)  # type: ignore[method-assign]
    try:
        with torch.autocast(device.type, half, enabled=half is not None):
            yield
    finally:
        for convolution in wide:
            del convolution.forward


def _slow_in_half(layers: nn.Module) -> list[nn.Conv2d]:
    found = [layer for layer in layers.modules() if isinstance(layer, nn.Conv2d)]
    depthwise = [layer for layer in found if layer.groups == layer.in_channels > 1]
    return [layer for layer in depthwise if max(layer.kernel_size) > 3 or max(layer.stride) > 1]


def _in_float32(convolution: nn.Conv2d, given: Tensor) -> Tensor:
    """Run a convolution in 32 bits, and hand on what the next layer takes."""
    with torch.autocast(given.device.type, enabled=False):
        found: Tensor = type(convolution).forward(convolution, given.float())
    return found.to(given.dtype)


class Network(nn.Module):
    """What a phase trains: layers that end in a feature map, in 16 bits if wished; pooling and head in float32.

    A logit in bfloat16 would have three digits, and half of the breasts the same score.
    """

    def __init__(self, model: Model, layers: nn.Module | None = None, half: torch.dtype | None = None) -> None:
        """``layers`` are what is left of the model's before its pooling, behind cached activations; None: all."""
        super().__init__()
        self.model = model
        self.layers = layers
        self.half_type = half
        self.cells: nn.Module | None = None
        """Head's weights ``(K,)`` and feature map -> answers of its cells; there while a phase asks them."""

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor | None]:
        """Images ``(N, C, H, W)``, or whatever ``layers`` take, -> logits float32 ``(N,)``, and of cells ``(N, h, w)``.

        None for the cells where none are asked.
        """
        layers = self.model.backbone if self.layers is None else self.layers
        features_of = self.model.features if self.layers is None else self.layers
        with arithmetic(layers, given.device, self.half_type):
            features = features_of(given).float()
        asked = None if self.cells is None else self.cells(self.model.head.weight[0], features)
        return self.model.logits(features), asked
