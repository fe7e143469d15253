"""A backbone whose feature map holds several of its resolutions: what is fine and what is deep, cell by cell.

Knows nothing of pooling or heads.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammo_core.errors import InputError


class Hypercolumn(nn.Module):
    """The last maps of a timm backbone, one for each resolution, stretched to the finest and put together.

    Hariharan et al., Hypercolumns for Object Segmentation and Fine-grained Localization, CVPR 2015. A small lesion is
    lost in the coarsest map, whose cells are larger than it; in the finest alone nothing is put in its context.
    What the backbone has after its last stage (a convolution to more channels, a norm) is left out.
    """

    def __init__(self, net: nn.Module, levels: int) -> None:
        """Take the last ``levels`` resolutions of ``net``; InputError where timm cannot tell them apart."""
        super().__init__()
        name = type(net).__name__
        if not hasattr(net, "forward_intermediates") or not hasattr(net, "prune_intermediate_layers"):
            raise InputError("levels", f"is {levels}, but timm gives only the last map of {name}: expected 1")
        count = len(net.feature_info)  # type: ignore[arg-type]  # timm types its models per class
        if levels > count:
            raise InputError("levels", f"is {levels}, but {name} has {count} resolutions")
        self.levels = levels
        self.net = net
        prune: Any = net.prune_intermediate_layers
        prune(levels, prune_norm=True)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> maps of all levels ``(N, K, h, w)`` on the grid of the finest, finest first."""
        intermediates: Any = self.net.forward_intermediates
        maps: list[Tensor] = intermediates(images, indices=self.levels, intermediates_only=True)
        size = maps[0].shape[2:]
        coarse = [functional.interpolate(part, size, mode="bilinear", align_corners=False) for part in maps[1:]]
        return torch.cat([maps[0], *coarse], 1)
