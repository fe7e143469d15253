"""Mammogram -> model input, and coordinates both ways between that input and the file's own pixels.

Knows nothing of models: plain arrays, no torch. A point is ``(x, y)``, x along columns and y along rows,
measured continuously from the outer corner of the first pixel, so that the centre of pixel ``(row i, column
j)`` is ``(j + 0.5, i + 0.5)``, in the file and in the input alike.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from mammo_core.errors import InputError
from mammo_core.low_band import halvings_within
from mammo_core.mammogram import Header, Mammogram, display_pixels, reduced
from mammo_core.settings import Settings


class InputSettings(Settings):
    """What a model wants to see. A checkpoint carries the one it was trained with."""

    height: int = Field(default=512, ge=64, le=8192, multiple_of=32)
    """Rows of the model input: a multiple of 32, so that the cells of a feature map divide it evenly."""
    width: int = Field(default=320, ge=64, le=8192, multiple_of=32)
    """Columns of the model input: a multiple of 32."""
    margin: float = Field(default=0.02, ge=0, le=0.5)
    """Kept around the breast box on each side, as a part of the box's longer side."""
    mean: tuple[float, ...] = (0.0,)
    """Subtracted from the shown image in [0, 1]; one number per channel of the input."""
    std: tuple[float, ...] = (1.0,)
    """What the difference is divided by; as many numbers as ``mean``."""

    def model_post_init(self, _context: object) -> None:
        """Refuse channel statistics that no image could be normalised with."""
        if len(self.mean) not in (1, 3) or len(self.mean) != len(self.std):
            raise ValueError(f"mean and std need one or three numbers each, got {self.mean} and {self.std}")
        if not all(map(math.isfinite, self.mean + self.std)) or min(self.std) <= 0:
            raise ValueError(f"mean must be finite and std positive, got {self.mean} and {self.std}")

    @property
    def channels(self) -> int:
        """Channels of the model input: 1, or 3 equal ones for a backbone that learnt from colour pictures."""
        return len(self.mean)

    @property
    def target(self) -> int:
        """Longer side of the input in pixels: files are read at the reduction that leaves twice as many."""
        return max(self.height, self.width)


@dataclass(frozen=True)
class Placement:
    """Where a model input came from: crop, dihedral turn, scale, then padding to the input's size."""

    crop: tuple[int, int, int, int]
    """Box ``(y0, x0, y1, x1)``, half-open, in the file's pixels at full resolution."""
    transpose: bool
    """The turn from the file to the input: first this, then the flips, as in `Hanging`."""
    flip_horizontal: bool
    flip_vertical: bool
    size: tuple[int, int]
    """Rows and columns that the turned crop fills in the input."""
    offset: tuple[int, int]
    """Row and column of the input at which it starts; the rest of the input is padding."""
    input_size: tuple[int, int]
    """Rows and columns of the whole input."""

    def to_input(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points ``(N, 2)`` as ``(x, y)`` in the file's pixels -> points in the input's pixels."""
        matrix, shift = self._affine()
        return points @ matrix.T + shift

    def to_file(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points ``(N, 2)`` as ``(x, y)`` in the input's pixels -> points in the file's pixels."""
        matrix, shift = self._affine()
        return (points - shift) @ np.linalg.inv(matrix).T

    def _affine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Matrix and shift with ``input = matrix @ file + shift`` on ``(x, y)``."""
        y0, x0, y1, x1 = self.crop
        turned = np.array([[0.0, 1.0], [1.0, 0.0]]) if self.transpose else np.eye(2)
        columns, rows = (y1 - y0, x1 - x0) if self.transpose else (x1 - x0, y1 - y0)
        scale = np.array([self.size[1] / columns, self.size[0] / rows])
        flips = np.array([self.flip_horizontal, self.flip_vertical])
        matrix = (np.where(flips, -1.0, 1.0) * scale)[:, None] * turned
        start = np.where(flips, [self.size[1], self.size[0]], 0.0) + np.array([self.offset[1], self.offset[0]])
        return matrix, start - matrix @ np.array([x0, y0], np.float64)


def model_input(mammogram: Mammogram, settings: InputSettings) -> tuple[NDArray[np.float32], Placement]:
    """Make what the model sees of a mammogram, and say where each of its pixels came from.

    Returns float32 ``(channels, height, width)``, normalised, and its `Placement`. The breast box with its
    margin is halved as often as twice ``settings.target`` samples are left along the breast box, shown
    through the file's first VOI choice as MONOCHROME2, turned as for hanging and then with the chest wall to
    the left, scaled with its aspect kept, and padded with black: right of the breast, and above and below
    alike. The halving is that of `low_band`, whatever the file was compressed with: a mammogram read with
    ``target`` and one read whole give the same input.

    The VOI comes before the last scaling, although scaling first would be cheaper: what a sigmoid or a clipping
    window shows of a mean is not the mean of what it shows, and the model is to see what the radiologist
    sees. Raises InputError where the crop is empty.
    """
    placement = _place(mammogram.header, settings)
    y0, x0, y1, x1 = mammogram.header.breast_box
    halvings = halvings_within(max(y1 - y0, x1 - x0), settings.target)
    small = _scaled(reduced(mammogram, halvings), placement)
    turned = small.T if placement.transpose else small
    turned = turned[:: -1 if placement.flip_vertical else 1, :: -1 if placement.flip_horizontal else 1]
    shown = np.zeros((settings.height, settings.width), np.float32)
    (top, left), (rows, columns) = placement.offset, placement.size
    shown[top : top + rows, left : left + columns] = turned
    mean = np.asarray(settings.mean, np.float32)[:, None, None]
    std = np.asarray(settings.std, np.float32)[:, None, None]
    return (shown[None] - mean) / std, placement


def _place(header: Header, settings: InputSettings) -> Placement:
    crop = _with_margin(header, settings.margin)
    hanging = header.hanging
    rows, columns = crop[2] - crop[0], crop[3] - crop[1]
    if hanging.transpose:
        rows, columns = columns, rows
    scale = min(settings.height / rows, settings.width / columns)
    size = (
        min(max(round(rows * scale), 1), settings.height),
        min(max(round(columns * scale), 1), settings.width),
    )
    return Placement(
        crop=crop,
        transpose=hanging.transpose,
        flip_horizontal=hanging.flip_horizontal != _chest_wall_right(header),
        flip_vertical=hanging.flip_vertical,
        size=size,
        offset=((settings.height - size[0]) // 2, 0),
        input_size=(settings.height, settings.width),
    )


def _with_margin(header: Header, margin: float) -> tuple[int, int, int, int]:
    y0, x0, y1, x1 = header.breast_box
    extra = round(margin * max(y1 - y0, x1 - x0))
    crop = (
        max(y0 - extra, 0),
        max(x0 - extra, 0),
        min(y1 + extra, header.rows),
        min(x1 + extra, header.columns),
    )
    if crop[0] >= crop[2] or crop[1] >= crop[3]:
        reason = f"breast box {header.breast_box} is empty in {header.rows} x {header.columns} pixels"
        raise InputError(header.file, reason)
    return crop


def _chest_wall_right(header: Header) -> bool:
    """Whether the hung chest wall is on the right; an image of unknown laterality hangs as it is stored."""
    return header.tissue_side == "right" if header.laterality is None else header.laterality == "R"


def _scaled(mammogram: Mammogram, placement: Placement) -> NDArray[np.float32]:
    """Cut the crop out, show it, and scale it in the file's orientation.

    ``(rows, columns)`` of ``placement.size``, turned back. Sample ``i`` of pixels at ``1 / reduction`` sits
    at ``i * reduction + 0.5`` in the file's coordinates, so an edge at ``x`` there is at ``(x - 0.5) /
    reduction + 0.5`` here: a fraction of a sample, which Pillow's float ``box`` takes as it is.
    """
    reduction = mammogram.reduction
    y0, x0, y1, x1 = ((edge - 0.5) / reduction + 0.5 for edge in placement.crop)
    rows, columns = placement.size[::-1] if placement.transpose else placement.size
    height, width = mammogram.pixels.shape
    # The triangle filter reaches one output pixel beyond each edge: show that much more, and nothing beyond.
    reach = math.ceil(max((y1 - y0) / rows, (x1 - x0) / columns, 1.0)) + 1
    top, left = max(math.floor(y0) - reach, 0), max(math.floor(x0) - reach, 0)
    bottom, right = min(math.ceil(y1) + reach, height), min(math.ceil(x1) + reach, width)
    part = display_pixels(replace(mammogram, pixels=mammogram.pixels[top:bottom, left:right]))
    # At a reduced resolution the file's last edge lies up to half a sample beyond the last sample.
    part = np.pad(part, ((0, max(math.ceil(y1) - height, 0)), (0, max(math.ceil(x1) - width, 0))), mode="edge")
    box = (x0 - left, y0 - top, x1 - left, y1 - top)
    return np.asarray(Image.fromarray(part).resize((columns, rows), Image.Resampling.BILINEAR, box=box), np.float32)
