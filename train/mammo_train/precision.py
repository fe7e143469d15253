"""The arithmetic of training: 16 bits where the device is faster at them, 32 where they matter.

Knows nothing of losses or steps.
"""

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


class Network(nn.Module):
    """What a phase trains: layers that end in a feature map, in 16 bits if wished; pooling and head in float32.

    A logit in bfloat16 would have three digits, and half of the breasts the same score.
    """

    def __init__(self, model: Model, layers: nn.Module, half: torch.dtype | None = None) -> None:
        """``layers`` are the model's backbone, or what is left of it behind cached activations."""
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
        with torch.autocast(given.device.type, self.half_type, enabled=self.half_type is not None):
            features = self.layers(given)
        features = features.float()
        asked = None if self.cells is None else self.cells(self.model.head.weight[0], features)
        return self.model.logits(features), asked
