"""From a feature map to one vector per picture: where the breast is in it, and a mean that learns what to stress.

Knows nothing of backbones or heads.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_GEM_START = math.log(math.expm1(2.0))
"""Excess at which the exponent of GeM pooling is 3."""
_GEM_LEAST = 1e-6
"""Smallest value that GeM pooling counts, as its authors chose."""

_LIT = 0.02
"""Part of a picture's range by which a pixel must be brighter than its darkest to show breast and not air."""


class GeneralisedMean(nn.Module):
    """``(mean(x^p))^(1/p)`` over the cells of each channel, with one learnt exponent for all (GeM).

    Radenovic, Tolias and Chum, TPAMI 2019: 1 is the mean, infinity the largest value, 3 their start. The exponent
    is ``1 + softplus(excess)`` and so never falls below the mean's. Negative values count as none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.excess = nn.Parameter(torch.tensor(_GEM_START))

    @property
    def exponent(self) -> Tensor:
        """The exponent, more than 1, as a scalar."""
        return 1 + functional.softplus(self.excess)

    def forward(self, features: Tensor) -> Tensor:
        """Feature map ``(N, K, h, w)`` -> ``(N, K)``, float32 whatever the autocast."""
        with torch.autocast(features.device.type, enabled=False):
            positive = features.float().clamp(min=_GEM_LEAST)
            # The mean is the same whatever it is scaled by in between; by its peak no power over- or underflows.
            peak = positive.detach().amax((2, 3), keepdim=True)
            mean = (positive / peak).pow(self.exponent).mean((2, 3)).pow(1 / self.exponent)
            return mean * peak[:, :, 0, 0]


def shows_breast(images: Tensor) -> Tensor:
    """Images ``(N, C, H, W)`` -> which pixels show breast: bool ``(N, 1, H, W)``.

    A picture's darkest pixels are the air and the padding around the breast, whatever it is normalised by; one
    without any loses its darkest spot. A picture of one grey has no breast: nowhere.
    """
    grey = images[:, :1].float()
    darkest, brightest = grey.amin((2, 3), keepdim=True), grey.amax((2, 3), keepdim=True)
    return grey > darkest + _LIT * (brightest - darkest)


def breast_share(images: Tensor, rows: int, columns: int) -> Tensor:
    """Images ``(N, C, H, W)`` -> the part of each of ``rows x columns`` cells that shows breast: ``(N, 1, h, w)``."""
    return functional.adaptive_avg_pool2d(shows_breast(images).float(), (rows, columns))


def on_breast(features: Tensor, share: Tensor) -> Tensor:
    """Weigh a feature map ``(N, K, h, w)`` so that its mean is that over the breast: ``(N, K, h, w)``, 0 outside it.

    ``share`` ``(N, 1, H, W)`` is `breast_share` at this resolution or a finer one. Where there is no breast at all
    the map stays as it is.
    """
    cells = functional.adaptive_avg_pool2d(share.float(), (features.shape[2], features.shape[3]))
    mean = cells.mean((2, 3), keepdim=True)
    found: Tensor = features.float() * torch.where(mean > 0, cells / mean.clamp(min=_GEM_LEAST), 1.0)
    return found
