"""One image of a data set -> its prepared picture and mask, on disk.

Imported by every worker process: no pandas here. Knows nothing of tables and of other images.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammo_core.dicom import read_mammogram
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings, Placement, model_input
from mammo_core.mammogram import Mammogram
from mammo_core.study import assign, unsuitable
from mammo_train.picture import PICTURES, read_mask, read_picture

if TYPE_CHECKING:
    from mammo_train.sources.listing import SourceImage

Entry = dict[str, Any]
"""What the ledger says of an image: size, time and hash of its file, sizes of what was written, warnings."""


def job_of(image: "SourceImage") -> dict[str, Any]:
    """What a process has to know of an image: a JSON value."""
    return {
        "path": str(image.path.absolute()),
        "name": image.name,
        "said_by": image.said_by,
        "chest_wall": image.chest_wall,
        "mask": str(image.mask.absolute()) if image.mask else "",
        "mask_file": image.row["mask"],
        **{name: image.row[name] for name in ("laterality", "view", "file")},
    }


def prepare_image(job: dict[str, Any], *, inputs: InputSettings, bits: int, out: str) -> Entry:
    """Prepare one image and its mask, in a worker process: job as `job_of` makes it, the ledger's entry back."""
    cv2.setNumThreads(1)
    folder, path, name = Path(out), Path(job["path"]), str(job["name"])
    status = _status(path, name)
    mammogram, odd = _read(job, path, inputs.target)
    reason = unsuitable(mammogram.header)
    if reason:
        raise InputError(name, reason)
    shown, placement = model_input(mammogram, inputs)
    picture = picture_png(quantised(shown[0], bits))
    entry = {
        **status,
        "sha256": mammogram.header.sha256,
        "image_bytes": len(picture),
        "warnings": [*mammogram.header.warnings, *odd],
    }
    if job["mask"]:
        mask_path, shape = Path(job["mask"]), (mammogram.header.rows, mammogram.header.columns)
        try:
            mask = read_mask(mask_path, name=mask_path.name, shape=shape)
        except InputError as error:
            raise InputError(name, f"its mask {error}") from error
        packed = picture_png(placed_mask(mask, placement, shape))
        _write_whole(folder / job["mask_file"], packed)
        entry |= {"mask": mask_path.name, "mask_size": mask_path.stat().st_size, "mask_bytes": len(packed)}
    _write_whole(folder / job["file"], picture)
    return entry


def picture_png(picture: NDArray[Any]) -> bytes:
    """A picture ``(H, W)``, uint8 or uint16, as PNG.

    Run lengths of the differences between rows: of OpenCV's, Pillow's and imagecodecs' lossless settings the
    fastest to write, with smaller files than their defaults, and read back in two thirds of the time.
    """
    how = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    return bytes(cv2.imencode(".png", picture, how)[1])


def quantised(shown: NDArray[np.float32], bits: int) -> NDArray[Any]:
    """Model input ``(H, W)`` in [0, 1] -> the nearest of 2 ** ``bits`` levels, uint8 or uint16."""
    levels = (1 << bits) - 1
    return np.rint(np.clip(shown, 0.0, 1.0) * levels).astype(np.uint8 if bits == 8 else np.uint16)


def placed_mask(mask: NDArray[np.uint8], placement: Placement, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Take a mask the way of its picture: uint8 of ``placement.input_size``, values as in ``mask``.

    ``mask`` covers the file's picture of ``shape``, in its orientation, with as many pixels as it likes. A pixel
    belongs to a lesion that covers at least half of it; a lesion too small for that keeps its best pixel.
    Where lesions meet, the later number counts.
    """
    placed = np.zeros(placement.input_size, np.uint8)
    y0, x0, y1, x1 = placement.crop
    down, across = mask.shape[0] / shape[0], mask.shape[1] / shape[1]
    box = (x0 * across, y0 * down, x1 * across, y1 * down)
    rows, columns = placement.size[::-1] if placement.transpose else placement.size
    (top, left), (height, width) = placement.offset, placement.size
    for value in np.unique(mask[mask > 0]):
        lesion = Image.fromarray((mask == value).astype(np.float32))
        cover = np.asarray(lesion.resize((columns, rows), Image.Resampling.BOX, box=box))
        if not cover.any():
            continue  # outside the crop
        inside = cover >= min(0.5, float(cover.max()))
        turned = inside.T if placement.transpose else inside
        turned = turned[:: -1 if placement.flip_vertical else 1, :: -1 if placement.flip_horizontal else 1]
        placed[top : top + height, left : left + width][turned] = value
    return placed


def _read(job: dict[str, Any], path: Path, target: int) -> tuple[Mammogram, list[str]]:
    """A mammogram that hangs as the table says, and a sentence for each point in which the file says otherwise."""
    laterality, view = str(job["laterality"]), str(job["view"])
    said_by, name = str(job["said_by"]), str(job["name"])
    if path.suffix.lower() in PICTURES:
        wall = job["chest_wall"]
        picture = read_picture(path, name=name, laterality=laterality, view=view, said_by=said_by, chest_wall=wall)
        return picture, []
    mammogram = read_mammogram(path, name=name, target=target)
    header = mammogram.header
    odd = [
        f"The file says {found} for its {what}, {said_by} says {said}: the table counts."
        for what, found, said in (("laterality", header.laterality, laterality), ("view", header.view, view))
        if found is not None and found != said
    ]
    return replace(mammogram, header=assign(header, laterality=laterality, view=view, source=said_by)), odd


def _status(path: Path, name: str) -> Entry:
    """Size and time of a file, by which a change is noticed without reading it."""
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(name, f"cannot be opened ({error.strerror})") from error
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` so that a killed process leaves no half file; what a power cut leaves, the ledger notices.

    Waiting for the disk after every picture (`files.write_atomic`) costs as much as a small picture itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".writing-{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
