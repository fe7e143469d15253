"""Synthetic exams -> what a model would see of them, with their truth, kept in one file for many epochs.

Knows nothing of networks. The way from pixels to model input is the one that reading takes.
"""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mammo_core.files import write_atomic
from mammo_core.inputs import InputSettings, model_input
from mammo_core.mammogram import Mammogram, Window, breast_box
from mammo_core.phantom import PhantomExam, PhantomSettings, PhantomView, make_exam, to_mammogram
from mammo_core.settings import Settings

MARK_STEP = 8
"""Input pixels per mark, in both directions."""
NOTHING, BENIGN, HIDDEN, MALIGNANT = 0, 1, 2, 3
"""Marks: no lesion, a benign one, a malignant one that this view hardly shows, a malignant one."""


class ViewSet(Settings):
    """Which synthetic exams a set holds, and how they are shown."""

    exams: int = Field(ge=1)
    """Number of four-view exams."""
    seed: int
    """Seed of the exams: sets of different seeds share no patient."""
    phantom: PhantomSettings
    inputs: InputSettings


@dataclass(frozen=True)
class Views:
    """Model inputs of many exams, four views each: RCC, LCC, RMLO, LMLO."""

    images: NDArray[np.uint8]
    """``(N, height, width)``, shown intensity times 255, before normalisation."""
    marks: NDArray[np.uint8]
    """``(N, height / 8, width / 8)``: what lies there."""
    cancer: NDArray[np.bool_]
    """``(N,)``: whether the breast has a malignant lesion."""

    @property
    def patients(self) -> list[str]:
        """Number of the exam of each view, which is that of its patient."""
        return [str(i // 4) for i in range(len(self.cancer))]


def views_of(wanted: ViewSet, cache: Path, workers: int, tell: Callable[[str], None]) -> Views:
    """Make a set of views with ``workers`` processes, or read it from ``cache`` if it was made before.

    ``tell`` is called with how far it is.
    """
    key = hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()[:16]
    path = cache / f"views-{key}.npz"
    if not path.exists():
        stream = io.BytesIO()
        images, marks, cancer = _made(wanted, workers, tell)
        np.savez(stream, images=images, marks=marks, cancer=cancer)
        write_atomic(path, stream.getvalue())
    with np.load(path, allow_pickle=False) as found:
        return Views(found["images"], found["marks"], found["cancer"])


def processes(workers: int) -> ProcessPoolExecutor:
    """Start processes afresh: a copy of one whose threads run (torch, OpenCV) may hang."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def as_read(exam: PhantomExam, view: PhantomView) -> Mammogram:
    """Return a view with the breast box that reading its file would find, not the true one."""
    mammogram = to_mammogram(exam, view)
    header = mammogram.header
    inverted = header.photometric == "MONOCHROME1"
    box = breast_box(mammogram.pixels, inverted=inverted, padding=header.padding)
    return replace(mammogram, header=replace(header, breast_box=box))


def _made(
    wanted: ViewSet, workers: int, tell: Callable[[str], None]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    size = (wanted.inputs.height, wanted.inputs.width)
    images = np.empty((4 * wanted.exams, *size), np.uint8)
    marks = np.empty((4 * wanted.exams, size[0] // MARK_STEP, size[1] // MARK_STEP), np.uint8)
    cancer = np.empty(4 * wanted.exams, np.bool_)
    with processes(workers) as pool:
        for index, views in enumerate(pool.map(partial(_exam_views, wanted), range(wanted.exams))):
            for number, (image, mark, sick) in enumerate(views, start=4 * index):
                images[number], marks[number], cancer[number] = image, mark, sick
            if (index + 1) % 50 == 0 or index + 1 == wanted.exams:
                tell(f"exams of seed {wanted.seed}: {index + 1}/{wanted.exams}")
    return images, marks, cancer


def _exam_views(wanted: ViewSet, index: int) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8], bool]]:
    """Draw one exam and show its views as the model sees them."""
    exam = make_exam(wanted.phantom, wanted.seed, index)
    plain = wanted.inputs.model_copy(update={"mean": (0.0,), "std": (1.0,)})
    found = []
    for view in exam.views:
        mammogram = as_read(exam, view)
        shown = model_input(mammogram, plain)[0][0]
        image = np.clip(shown * 255 + 0.5, 0, 255).astype(np.uint8)
        found.append((image, _marks(exam, view, mammogram, plain), view.cancer))
    return found


def _marks(exam: PhantomExam, view: PhantomView, mammogram: Mammogram, plain: InputSettings) -> NDArray[np.uint8]:
    """Take each lesion's mask the way of the image, and mark the places that it covers to a tenth or more."""
    rows, columns = plain.height // MARK_STEP, plain.width // MARK_STEP
    marks = np.full((rows, columns), NOTHING, np.uint8)
    for lesion in view.lesions:
        _, kind = exam.lesions[lesion.number - 1]
        mark = (MALIGNANT if lesion.visible else HIDDEN) if kind.malignant else BENIGN
        mask = np.where(view.mask == lesion.number, 65535, 0).astype(np.uint16)
        header = replace(
            mammogram.header,
            vois=(Window(32768.0, 65536.0, "LINEAR_EXACT", "mask"),),
            photometric="MONOCHROME2",
            padding=None,
        )
        shown = model_input(Mammogram(header, mask), plain)[0][0]
        cover = shown.reshape(rows, MARK_STEP, columns, MARK_STEP).mean((1, 3))
        marks[cover >= 0.1] = np.maximum(marks[cover >= 0.1], mark)
    return marks
