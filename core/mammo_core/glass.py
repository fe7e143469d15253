"""What stands between a picture and a backbone: markers painted over, and a magnifying glass."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammo_core.unmarked import unmarked

_STEP = 32
"""Enlarged sides are multiples of it, as those of pictures are: every map of a backbone then divides them evenly."""


class Glass(nn.Module):
    """Paints over markers where it is to, and enlarges pictures, between their pixels bilinearly.

    Nothing is seen that was not there, but a backbone halves its picture five times: what is a few pixels wide gets
    through its first layers with more of them, and the feature map has more cells.
    """

    def __init__(self, factor: float, *, without_markers: bool) -> None:
        super().__init__()
        self.factor = factor
        self.without_markers = without_markers

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> the same as the backbone sees them, each side the nearest multiple of 32."""
        images = self.cleared(images)
        if self.factor == 1:
            return images
        size = [round(side * self.factor / _STEP) * _STEP for side in images.shape[2:]]
        large = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        return large.contiguous(memory_format=torch.channels_last)

    def cleared(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> the same at their own size, without markers where those are painted over."""
        return unmarked(images) if self.without_markers else images
