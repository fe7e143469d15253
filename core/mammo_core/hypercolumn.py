"""A backbone whose feature map holds several of its stages: what is fine and what is deep, cell by cell.

Knows nothing of pooling or heads.
"""

from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammo_core.errors import InputError


class Hypercolumn(nn.Module):
    """The maps of a timm backbone's last stages, stretched to the finest and put together.

    Hariharan et al., Hypercolumns for Object Segmentation and Fine-grained Localization, CVPR 2015. A small lesion is
    lost in the coarsest map, whose cells are larger than it; in the finest alone nothing is put in its context.
    What the backbone has after its last stage (a convolution to more channels, a norm) is left out.
    """

    def __init__(self, net: nn.Module, stages: int) -> None:
        """Take the last ``stages`` of ``net``; InputError where timm cannot tell them apart."""
        super().__init__()
        name = type(net).__name__
        if not hasattr(net, "forward_intermediates") or not hasattr(net, "prune_intermediate_layers"):
            raise InputError("stages", f"is {stages}, but timm gives only the last map of {name}: expected 1")
        self.net = net
        self._maps = {"indices": stages, **_every_stage(net)}
        prune: Any = net.prune_intermediate_layers
        try:
            prune(prune_norm=True, **self._maps)
        except AssertionError:
            raise InputError("stages", f"is {stages}, but {name} has not so many") from None

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> maps of all stages ``(N, K, h, w)`` on the grid of the finest, the first first."""
        intermediates: Any = self.net.forward_intermediates
        maps: list[Tensor] = intermediates(images, intermediates_only=True, **self._maps)
        size = maps[0].shape[2:]
        coarse = [functional.interpolate(part, size, mode="bilinear", align_corners=False) for part in maps[1:]]
        return torch.cat([maps[0], *coarse], 1)


def _every_stage(net: nn.Module) -> dict[str, bool]:
    """Ask for the map of every stage, where a family of timm's gives by itself one for each resolution only."""
    intermediates: Any = net.forward_intermediates
    return {"extra_blocks": True} if "extra_blocks" in signature(intermediates).parameters else {}
