"""Cases to look at: chosen by a rule and not by hand, drawn with heatmap and lesion outline.

Knows nothing of HTML or statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mammo_core.banner import BANNER
from mammo_core.heatmap import Heatmap, on_file
from mammo_core.report import heat_color

Picture = NDArray[np.uint8]

_OPACITY = 150
"""Of the strongest heat over the picture, of 255."""
_OUTLINE = (70, 205, 255)


@dataclass(frozen=True)
class Group:
    """Cases that were chosen by one rule."""

    title: str
    """Says the rule."""
    rows: tuple[int, ...]
    """Of the prepared set's table, in the order in which they are shown."""


@dataclass(frozen=True)
class Layers:
    """One case as layers of the same size, uint8, with the banner burnt into the lowest."""

    picture: Picture
    """``(H, W)``, grey."""
    heat: Picture
    """``(H, W, 4)``, transparent where there is no heat."""
    outline: Picture | None
    """``(H, W, 4)``: edges of the lesion mask; None without one."""


def chosen(table: pd.DataFrame, rows: NDArray[np.intp], scores: NDArray[np.float64], each: int) -> tuple[Group, ...]:
    """Choose ``each`` cases of four kinds among ``rows`` ``(N,)`` with their images' ``scores`` ``(N,)``.

    At most one image of a breast is shown, and none twice: the highest first, then the lowest.
    """
    cancer = table["cancer"].to_numpy(bool)[rows]
    breasts = list(zip(table["patient_id"].iloc[rows], table["laterality"].iloc[rows], strict=True))
    falling = np.argsort(-scores, kind="stable")
    shown: set[tuple[str, str]] = set()

    def taken(positive: bool, order: NDArray[np.intp]) -> tuple[int, ...]:
        found: list[int] = []
        for place in order:
            if len(found) < each and cancer[place] == positive and breasts[place] not in shown:
                shown.add(breasts[place])
                found.append(int(rows[place]))
        return tuple(found)

    return (
        Group("Positive (malignant), highest scores", taken(True, falling)),
        Group("Positive (malignant), lowest scores", taken(True, falling[::-1])),
        Group("Negative (benign or no finding), highest scores", taken(False, falling)),
        Group("Negative (benign or no finding), lowest scores", taken(False, falling[::-1])),
    )


def heat_scale(peaks: Sequence[float]) -> float:
    """Give the heat that is drawn at full strength: one for all cases, so that a quiet view looks quiet.

    The 95th percentile of the peaks above 0, so that one loud view does not darken all others; 1 without any.
    """
    loud = [peak for peak in peaks if peak > 0]
    return float(np.quantile(loud, 0.95)) if loud else 1.0


def layers(
    picture: NDArray[np.uint8] | NDArray[np.uint16], heat: Heatmap, lesion: NDArray[np.bool_] | None, scale: float
) -> Layers:
    """Draw one case: the prepared picture ``(H, W)``, its heat (``scale`` at full strength), its lesion's edge."""
    grey = (picture / 257 if picture.dtype == np.uint16 else picture).astype(np.uint8)
    rows, columns = grey.shape
    strength = np.clip(on_file(heat, rows, columns) / scale, 0, 1)
    alpha = np.where(grey > 0, strength * _OPACITY, 0).astype(np.uint8)
    colored = np.dstack([heat_color(strength), alpha])
    strip = _banner(columns)
    below = ((0, strip.shape[0]), (0, 0))
    return Layers(
        picture=np.concatenate([grey, strip]),
        heat=np.pad(colored, (*below, (0, 0))),
        outline=None if lesion is None or not lesion.any() else np.pad(_outline(lesion), (*below, (0, 0))),
    )


def _outline(lesion: NDArray[np.bool_]) -> Picture:
    """Edge just outside a mask ``(H, W)``, as wide as a small picture shows and a large one needs."""
    width = max(1, max(lesion.shape) // 400)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    mask = lesion.astype(np.uint8)
    edge = cv2.dilate(mask, kernel) > mask
    found = np.zeros((*lesion.shape, 4), np.uint8)
    found[edge] = (*_OUTLINE, 255)
    return found


def _banner(width: int) -> Picture:
    """Draw the banner as a grey strip of ``width`` pixels, its text as large as fits."""
    font = ImageFont.load_default(28)
    length = int(font.getlength(BANNER)) + 20
    strip = Image.new("L", (length, 44), 60)
    ImageDraw.Draw(strip).text((length / 2, 22), BANNER, fill=255, font=font, anchor="mm")
    height = max(7, round(44 * width / length))
    return np.asarray(strip.resize((width, height), Image.Resampling.LANCZOS), np.uint8)
