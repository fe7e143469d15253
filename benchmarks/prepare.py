"""How fast a data set is prepared, beside what people use today: images per second in one run, as ratios.

    python benchmarks/prepare.py [FOLDER] [--images N] [--rounds N] [--sizes 256x256 512x512 1024x512] [--packages DIR]

FOLDER holds JPEG 2000 mammograms such as RSNA's, which are copied until there are N; without it a synthetic exam of
3328 rows is made and copied. Beside the command ``mammo prepare`` (the start of Python and of its processes included)
are timed:

- the notebook: pydicom's ``pixel_array`` (pylibjpeg), ``apply_voi_lut``, ``cv2.resize``, ``cv2.imwrite`` in joblib;
- dicomsdl, ``cv2.resize``, ``cv2.imwrite`` in joblib (no VOI at all, as usual);
- PyPI's medip, 8-bit PNG, crop, the file's window (it does not resize: timed with the first size alone).

All have as many processes as cores; joblib's are warm in all rounds but the first. Rounds alternate, so
that a busy machine slows all alike. "processor time" compares the same files in one process, which other work on the
machine moves less (``--rounds 0`` measures nothing else); "decoding alone" is what the decoder needs at the resolution
that is decoded, so the most that any program around it could reach. RMS: prepared pixels against decoding the whole
file, VOI, crop and one antialiased resize, in per cent of full scale.

Needs the ``bench`` extra, and dicomsdl and medip, which may lie in a folder of their own:
``pip install --target DIR --no-deps dicomsdl medip pyyaml tqdm``, then ``--packages DIR``.
"""

import argparse
import importlib.util
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pydicom
from joblib import Parallel, delayed
from PIL import Image
from pydicom.pixels import apply_voi_lut
from transcoded import as_transfer_syntax, synthetic_exam

from mammo_core.codec import decode
from mammo_core.dicom import read_mammogram
from mammo_core.errors import InputError
from mammo_core.guard import open_file, open_frame
from mammo_core.inputs import InputSettings, model_input
from mammo_core.mammogram import display_pixels
from mammo_core.study import assign
from mammo_train.prepare import prepare
from mammo_train.prepared_picture import job_of, prepare_image
from mammo_train.prepared_set import open_prepared, size_of
from mammo_train.sources import open_source

CORES = os.cpu_count() or 1
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
MORE = 6
"""How many times more images ours gets in a round: it is timed from a cold start, and data sets are larger still."""


def notebook(path: Path, out: Path, inputs: InputSettings) -> None:
    """What most public notebooks do."""
    dataset = pydicom.dcmread(path)
    dataset.pixel_array_options(decoding_plugin="pylibjpeg")
    image = apply_voi_lut(dataset.pixel_array, dataset)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        image = image.max() - image
    image = image - image.min()
    image = (image / image.max() * 255).astype(np.uint8)
    cv2.imwrite(str(out / f"{path.stem}.png"), cv2.resize(image, (inputs.width, inputs.height)))


def with_dicomsdl(path: Path, out: Path, inputs: InputSettings) -> None:
    """What the faster public notebooks do."""
    import dicomsdl

    dataset = dicomsdl.open(str(path))
    image = dataset.pixelData(storedvalue=True)
    image = (image - image.min()) / (image.max() - image.min())
    if dataset.getPixelDataInfo()["PhotometricInterpretation"] == "MONOCHROME1":
        image = 1 - image
    small = (cv2.resize(image, (inputs.width, inputs.height)) * 255).astype(np.uint8)
    cv2.imwrite(str(out / f"{path.stem}.png"), small)


def with_medip(folder: Path, out: Path) -> None:
    """PyPI's medip on a whole folder, by its own processes."""
    import medip

    settings = out / "medip.yaml"
    settings.write_text(
        "profile: png16_minmax_masked\ndicom: {voi_policy: auto}\nroi: {crop_policy: bbox}\n"
        "export: {format: png8, dtype: uint8, save_metadata_json: false}\n"
        f"runtime: {{num_workers: {CORES}}}\n",
        encoding="utf-8",
    )
    with redirect_stderr(io.StringIO()):  # its progress
        found = medip.run(folder, out / "pictures", settings)
    if found["failures"]:
        raise RuntimeError(f"medip failed: {found['failures'][0]}")


def in_joblib(one: Callable[[Path, Path, InputSettings], None], files: Sequence[Path], inputs: InputSettings) -> None:
    """Run a notebook's function on every file with as many processes as cores."""
    with tempfile.TemporaryDirectory() as out:
        Parallel(n_jobs=CORES)(delayed(one)(file, Path(out), inputs) for file in files)


def main() -> None:
    """Measure and print every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", default=["256x256", "512x512", "1024x512"])
    parser.add_argument("--packages", type=Path)
    options = parser.parse_args()
    if options.packages:
        sys.path.append(str(options.packages))
        os.environ["PYTHONPATH"] = str(options.packages)  # joblib's processes start with it
    with tempfile.TemporaryDirectory() as scratch:
        files = usable(options.folder or synthetic_exam(Path(scratch) / "exam"))
        lossless = [as_transfer_syntax(file, JPEG_LOSSLESS, Path(scratch) / "lossless") for file in files]
        print(
            f"{len(files)} different files, {options.images} images a round ({MORE} times as many here), {CORES} cores"
        )
        print(f"load {os.getloadavg()[0]:.1f} before; medians of {options.rounds} rounds")
        for name, chosen in (("JPEG 2000", files), ("JPEG lossless", lossless)):
            few, many = (
                laid_out(chosen, n, Path(scratch) / f"{name}{n}") for n in (options.images, options.images * MORE)
            )
            for size in options.sizes:
                first = size == options.sizes[0]
                row(f"{name}, {size}", few, many, size_of(size), options.rounds, medip=first)


def usable(folder: Path) -> list[Path]:
    """Single-frame mammograms of a folder that both sides can read."""
    found = []
    for path in sorted(folder.rglob("*.dcm")):
        try:
            if read_mammogram(path).header.transfer_syntax.startswith("1.2.840.10008.1.2.4.9"):
                found.append(path)
        except InputError as error:
            print(f"left out: {error}")
    return found


def laid_out(files: Sequence[Path], count: int, folder: Path) -> Path:
    """Copy files until there are ``count``, as Kaggle lays them out."""
    lines = ["patient_id,image_id,laterality,view,cancer"]
    for number in range(count):
        source = files[number % len(files)]
        patient = folder / "train_images" / str(number)
        patient.mkdir(parents=True)
        shutil.copy(source, patient / f"{number}.dcm")
        side = "R" if read_mammogram(source, target=64).header.tissue_side == "right" else "L"
        lines.append(f"{number},{number},{side},CC,{number % 2}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Way:
    """One way to do it."""

    name: str
    run: Callable[[], None]
    images: int


def row(name: str, few: Path, many: Path, inputs: InputSettings, rounds: int, *, medip: bool) -> None:
    """Time every way in turn and print the medians with their ratios."""
    files = sorted((few / "train_images").rglob("*.dcm"))
    more = len(list((many / "train_images").rglob("*.dcm")))

    def medip_run() -> None:
        with tempfile.TemporaryDirectory() as out:
            with_medip(few / "train_images", Path(out))

    def ours() -> None:
        with tempfile.TemporaryDirectory() as out:
            size = f"{inputs.height}x{inputs.width}"
            command = [
                sys.executable,
                "-m",
                "mammo_train.cli",
                "prepare",
                "rsna",
                str(many),
                f"{out}/set",
                "--size",
                size,
            ]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            if f"{more} images" not in said:
                raise RuntimeError(said)

    ways = [Way("notebook", lambda: in_joblib(notebook, files, inputs), len(files))]
    if importlib.util.find_spec("dicomsdl"):
        ways.append(Way("dicomsdl", lambda: in_joblib(with_dicomsdl, files, inputs), len(files)))
    if medip and importlib.util.find_spec("medip"):
        ways.append(Way("medip", medip_run, len(files)))
    ways.append(Way("here", ours, more))
    rates: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            start = time.perf_counter()
            way.run()
            rates[way.name].append(way.images / (time.perf_counter() - start))
    rate = {name: statistics.median(found) for name, found in rates.items() if found}
    by_clock = "  ".join(f"{name} {value:.2f}" for name, value in rate.items())
    ratios = "  ".join(f"{rate['here'] / value:.1f}x {name}" for name, value in rate.items() if name != "here")
    print(name)
    if rate:
        print(f"  images per second     {by_clock}")
        print(f"  ratios                {ratios}")
    print(f"  processor time        {processor_ratios(few, inputs)}")
    print(f"  RMS                   {differences(few, inputs)}", flush=True)


def processor_ratios(few: Path, inputs: InputSettings) -> str:
    """Processor time in this process for the same few files, as ratios to ours."""
    images = open_source("rsna", few).images[:6]

    def seconds(one: Callable[[int], object]) -> float:
        one(0)
        start = time.process_time()
        for number in range(len(images)):
            one(number)
        return time.process_time() - start

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        jobs = [job_of(image) for image in images]
        paths = [image.path for image in images]
        spent = {"notebook": seconds(lambda number: notebook(paths[number], out, inputs))}
        if importlib.util.find_spec("dicomsdl"):
            spent["dicomsdl"] = seconds(lambda number: with_dicomsdl(paths[number], out, inputs))
        here = seconds(lambda number: prepare_image(jobs[number], inputs=inputs, bits=8, out=folder))
        frames = [open_frame(open_file(path)) for path in paths]
        kept = [read_mammogram(path, target=inputs.target).reduction for path in paths]
        bare = seconds(lambda number: decode(frames[number], min(kept[number], 1 << frames[number].levels)))
    each = "  ".join(f"{value / here:.1f}x {name}" for name, value in spent.items())
    milliseconds = f"{here / len(images) * 1000:.0f} ms an image here, {bare / len(images) * 1000:.0f} of them decoding"
    return f"{milliseconds};  {each}  (decoding alone: {spent['notebook'] / bare:.1f}x notebook)"


def differences(few: Path, inputs: InputSettings) -> str:
    """RMS of prepared pixels within the breast box against one antialiased resize of the whole, in per cent."""
    found = []
    with tempfile.TemporaryDirectory() as out:
        source = open_source("rsna", few)
        source = replace(source, images=source.images[:8])
        prepare(source, Path(out) / "set", inputs)
        prepared = open_prepared(Path(out) / "set")
        for row_number, image in enumerate(source.images):
            whole = read_mammogram(image.path)
            header = assign(whole.header, laterality=image.row["laterality"], view=image.row["view"])
            _, placement = model_input(replace(whole, header=header), inputs)
            y0, x0, y1, x1 = placement.crop
            shown = display_pixels(whole)[y0:y1, x0:x1]
            turned = shown.T if placement.transpose else shown
            turned = turned[:: -1 if placement.flip_vertical else 1, :: -1 if placement.flip_horizontal else 1]
            (top, left), (rows, columns) = placement.offset, placement.size
            wanted = np.asarray(Image.fromarray(turned).resize((columns, rows), Image.Resampling.BILINEAR))
            have = prepared.image(row_number)[top : top + rows, left : left + columns] / 255.0
            found.append(float(np.sqrt(np.mean((have - wanted) ** 2))) * 100)
    return f"{statistics.median(found):.2f} % median, {max(found):.2f} % most"


if __name__ == "__main__":
    main()
