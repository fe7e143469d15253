"""How long a four-view exam takes, beside the usual idiom, as ratios within one run.

    python benchmarks/read.py [EXAM_FOLDER] [--rounds N] [--backbone NAME]

EXAM_FOLDER holds the views of one exam as JPEG 2000; without it a synthetic exam of 3328 rows is made. The idiom is
what notebooks do: pydicom's ``pixel_array`` through pylibjpeg, ``apply_voi_lut``, ``cv2.resize``, one eager forward
pass per view and then pytorch-grad-cam. Both sides are timed in turn, so that a busy machine slows both. Last comes
what a reader waits for in the browser, as ``app.py`` measures it: it has no idiom beside it.

Needs the ``bench`` and ``dev`` extras, ``pip install -e ".[dev,bench]"``, and Chromium for the last part.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pydicom
import torch
from app import waits
from numpy.typing import NDArray
from PIL import Image
from pydicom.misc import is_dicom
from pydicom.pixels import apply_voi_lut
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import RawScoresOutputTarget
from transcoded import as_transfer_syntax, synthetic_exam

from mammo_core.calibration import sigmoid
from mammo_core.checkpoint import load_checkpoint, model_of, save_checkpoint
from mammo_core.dicom import read_mammogram
from mammo_core.inputs import InputSettings, model_input
from mammo_core.mammogram import Mammogram, display_pixels
from mammo_core.model import Architecture, Model, build_model
from mammo_core.model_files import find_model
from mammo_core.reader import Reader

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def main() -> None:
    """Measure and print every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exam", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backbone", default="", help="a timm backbone instead of the bundled model, e.g. resnet101")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.exam or synthetic_exam(Path(scratch) / "exam")
        files = sorted(path for path in folder.iterdir() if path.is_file() and is_dicom(path))
        threads = torch.get_num_threads()
        print(f"{len(files)} views, {threads} threads, medians of {options.rounds} rounds, milliseconds per exam")
        print(f"{'':44}{'idiom':>9}{'here':>9}{'ratio':>8}")
        decoding(files, Path(scratch), options.rounds)
        shown = [read_mammogram(file) for file in files]
        windowing(files, shown, options.rounds)
        for size in (256, 512):
            preparing(files, InputSettings(height=size, width=max(size * 5 // 8 // 32 * 32, 64)), options.rounds)
        scoring(shown, options.backbone, Path(scratch), options.rounds)
        moved_scores(files, shown)
    waits(options.rounds)


def compare(name: str, idiom: Callable[[], object], here: Callable[[], object], rounds: int) -> None:
    """Time both in turn and print the medians with their ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for action in (idiom, here):
        action()
    for _ in range(rounds):
        for action, found in zip((idiom, here), times, strict=True):
            start = time.perf_counter()
            action()
            found.append((time.perf_counter() - start) * 1000)
    slow, fast = statistics.median(times[0]), statistics.median(times[1])
    print(f"{name:44}{slow:9.1f}{fast:9.1f}{slow / fast:7.1f}x")


def stored_pixels(file: Path) -> NDArray[np.generic]:
    """Decode as notebooks do."""
    dataset = pydicom.dcmread(file)
    dataset.pixel_array_options(decoding_plugin="pylibjpeg")
    return dataset.pixel_array


def decoding(files: list[Path], scratch: Path, rounds: int) -> None:
    """Full-resolution pixels, the whole reader against the bare decoder of the idiom."""
    compare(
        "full pixels, as the files come",
        lambda: [stored_pixels(f) for f in files],
        lambda: [read_mammogram(f) for f in files],
        rounds,
    )
    for name, syntax in (("JPEG lossless", JPEG_LOSSLESS), ("JPEG-LS", JPEG_LS)):
        coded = [as_transfer_syntax(file, syntax, scratch / syntax) for file in files]
        for file in coded:
            if not np.array_equal(stored_pixels(file), read_mammogram(file).pixels):
                raise AssertionError(f"{file.name} in {name} decodes to other pixels than pylibjpeg's")
        compare(
            f"full pixels, {name} (bit-exact)",
            lambda coded=coded: [stored_pixels(f) for f in coded],
            lambda coded=coded: [read_mammogram(f) for f in coded],
            rounds,
        )


def windowing(files: list[Path], shown: list[Mammogram], rounds: int) -> None:
    """Grey levels of every pixel."""
    datasets = [pydicom.dcmread(file) for file in files]
    arrays = [dataset.pixel_array for dataset in datasets]
    compare(
        "VOI at full resolution",
        lambda: [apply_voi_lut(array, dataset) for array, dataset in zip(arrays, datasets, strict=True)],
        lambda: [display_pixels(mammogram) for mammogram in shown],
        rounds,
    )


def preparing(files: list[Path], settings: InputSettings, rounds: int) -> None:
    """From the file to the model's input."""

    def notebook(file: Path) -> NDArray[np.floating]:
        dataset = pydicom.dcmread(file)
        dataset.pixel_array_options(decoding_plugin="pylibjpeg")
        image = apply_voi_lut(dataset.pixel_array, dataset).astype(np.float32)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            image = image.max() - image
        image = (image - image.min()) / (image.max() - image.min())
        return cv2.resize(image, (settings.width, settings.height))

    compare(
        f"file to model input, {settings.height} x {settings.width}",
        lambda: [notebook(file) for file in files],
        lambda: [model_input(read_mammogram(file, target=settings.target), settings) for file in files],
        rounds,
    )


def scoring(shown: list[Mammogram], backbone: str, scratch: Path, rounds: int) -> None:
    """Scores and heatmaps of the exam: eager predict, then pytorch-grad-cam, against what the reader does."""
    checkpoint = load_checkpoint(find_model())
    if backbone:
        model = build_model(Architecture(backbone=backbone))
        inputs = InputSettings(mean=(0.5,) * 3, std=(0.25,) * 3)
        changes = {"architecture": model.architecture, "inputs": inputs, "cell_shift": (0.0, 0.0)}
        header = checkpoint.header.model_copy(update=changes)
        checkpoint = save_checkpoint(scratch / "backbone.safetensors", header, model.state_dict())
    reader = Reader(checkpoint)
    images = [model_input(mammogram, checkpoint.header.inputs)[0] for mammogram in shown]
    eager = model_of(checkpoint).to(reader.device)
    batch = torch.from_numpy(np.stack(images)).to(reader.device)
    name = backbone or "bundled model"
    compare(
        f"scores and heatmaps, {name}",
        lambda: notebook_scores(eager, batch),
        lambda: reader.logits_and_maps(images),
        rounds,
    )
    (logits, maps), (wanted, wanted_maps) = reader.logits_and_maps(images), notebook_scores(eager, batch)
    difference = max(float(np.abs(logits - wanted).max()), float(np.abs(maps["gradcam"] - wanted_maps).max()))
    print(f"{'  largest difference of logits and maps':44}{difference:18.1e}")


def notebook_scores(model: Model, batch: torch.Tensor) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Predict view by view, then explain view by view; the maps before pytorch-grad-cam stretches them."""
    logits, maps = [], []
    for image in batch:
        with torch.no_grad():
            logits.append(float(model(image[None])))
        with GradCAM(model, [model.backbone]) as cam:
            cam(image[None].clone().requires_grad_(), [RawScoresOutputTarget()])
            activations, gradients = cam.activations_and_grads.activations[0], cam.activations_and_grads.gradients[0]
            weighted = (activations * gradients.mean((2, 3), keepdim=True)).sum(1).relu()
            maps.append(weighted[0].detach().cpu().numpy())
    return np.array(logits), np.stack(maps)


def moved_scores(files: list[Path], shown: list[Mammogram]) -> None:
    """By how much the model's input moves its scores (goal: less than 0.005), and the input's pixels.

    Decoding at a reduced resolution against decoding whole: both are made from the same low band. That band
    against scaling the whole image at once, as done here, without any of the product's own scaling.
    """
    checkpoint = load_checkpoint(find_model())
    settings, reader = checkpoint.header.inputs, Reader(checkpoint)

    def scores(images: list[NDArray[np.float32]]) -> NDArray[np.float64]:
        return sigmoid(reader.logits_and_maps(images)[0])

    reduced = [read_mammogram(file, target=settings.target) for file in files]
    small = [model_input(mammogram, settings)[0] for mammogram in reduced]
    whole = [model_input(mammogram, settings)[0] for mammogram in shown]
    plain = [plainly_scaled(mammogram, settings) for mammogram in shown]
    print(
        f"reductions {[mammogram.reduction for mammogram in reduced]}; scores move by at most, pixels (of 0..1) by RMS"
    )
    spread = np.asarray(settings.std)[:, None, None]
    for name, one, other in (
        ("decoded reduced, against decoded whole", small, whole),
        ("low band, against plain antialiased scaling", small, plain),
    ):
        moved = float(np.abs(scores(one) - scores(other)).max())
        pixels = float(np.sqrt(np.mean([((a - b) * spread) ** 2 for a, b in zip(one, other, strict=True)])))
        print(f"{'  ' + name:44}{moved:18.4f}{pixels:9.4f}")


def plainly_scaled(mammogram: Mammogram, settings: InputSettings) -> NDArray[np.float32]:
    """The model's input from every pixel of the image, in one antialiased step by Pillow."""
    _, placement = model_input(mammogram, settings)
    y0, x0, y1, x1 = placement.crop
    picture = Image.fromarray(display_pixels(mammogram)[y0:y1, x0:x1])
    rows, columns = placement.size[::-1] if placement.transpose else placement.size
    scaled = np.asarray(picture.resize((columns, rows), Image.Resampling.BILINEAR))
    scaled = scaled.T if placement.transpose else scaled
    scaled = np.flip(
        scaled, [axis for axis, flip in enumerate((placement.flip_vertical, placement.flip_horizontal)) if flip]
    )
    shown = np.zeros((settings.height, settings.width), np.float32)
    (top, left), (height, width) = placement.offset, placement.size
    shown[top : top + height, left : left + width] = scaled
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (settings.mean, settings.std))
    return (shown[None] - mean) / std


if __name__ == "__main__":
    main()
