"""A magnifying glass before a backbone.

Knows nothing of what the pictures show.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_STEP = 32
"""Enlarged sides are multiples of it, as those of pictures are: every map of a backbone then divides them evenly."""


class Glass(nn.Module):
    """Enlarges pictures, between their pixels bilinearly.

    Nothing is seen that was not there, but a backbone halves its picture five times: what is a few pixels wide gets
    through its first layers with more of them, and the feature map has more cells.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> the same enlarged, each side to the nearest multiple of 32."""
        if self.factor == 1:
            return images
        size = [round(side * self.factor / _STEP) * _STEP for side in images.shape[2:]]
        large = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        return large.contiguous(memory_format=torch.channels_last)
