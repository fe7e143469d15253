"""Many phantom exams: as DICOM exams, or as a prepared set to train on.

Knows nothing of models. Exams are made by several processes; what comes out does not depend on how many.
"""

import csv
import io
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.mammogram import display_pixels, hang
from mammo_core.phantom import PhantomExam, PhantomSettings, PhantomView, make_exam, to_mammogram, write_exam
from mammo_core.phantom.write import png, truth

Form = Literal["exams", "prepared"]
RECORD = "phantoms.json"
"""What a folder was made from: another seed or other settings do not carry on in it."""
COLUMNS = (
    "image_id",
    "patient_id",
    "laterality",
    "view",
    "cancer",
    "file",
    "age",
    "density",
    "implant",
    "site_id",
    "machine_id",
    "source",
    "mask",
    "lesion_type",
    "lesion_malignant",
    "lesion_size_mm",
    "lesion_x",
    "lesion_y",
    "lesion_visible",
)


def phantom_command(
    out: Path, *, studies: int, seed: int, prevalence: float, form: Form, height: int, workers: int | None = None
) -> None:
    """Make ``studies`` phantom exams in ``out`` with a progress bar on stderr.

    Exams that are there already are kept, so an interrupted command is carried on by giving it again.
    ``workers`` is the number of processes, all cores if None. Raises InputError for a folder of something else.
    """
    settings = PhantomSettings(height=height, prevalence=prevalence)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("phantom exams", total=studies)
        write_set(
            settings,
            out,
            studies=studies,
            seed=seed,
            form=form,
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def write_set(
    settings: PhantomSettings,
    out: Path,
    *,
    studies: int,
    seed: int,
    form: Form,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write exams 0 to ``studies - 1`` of the set with ``seed`` into ``out``.

    ``form`` "exams": a folder of DICOM files, masks and truth.json per exam. "prepared": table.csv, images/*.png
    (hung, breast-cropped, 8 bit, MONOCHROME2), masks/*.png of the same size, truth/*.json per exam, prepared.json.
    ``progress`` is called with the number of exams done and their total.
    """
    if studies < 1:
        raise InputError("studies", f"is {studies}, expected 1 or more")
    _claim(out, settings, seed, form)
    missing = [index for index in range(studies) if not _finished(out, seed, index, form).is_file()]
    done = studies - len(missing)
    if progress:
        progress(done, studies)
    for _ in _each(partial(_write_one, settings, seed, form, out), missing, workers):
        done += 1
        if progress:
            progress(done, studies)
    if form == "prepared":
        _write_table(settings, out, studies, seed)


def exam_name(seed: int, index: int) -> str:
    """Return the name of an exam's folder or files."""
    return f"phantom-{seed}-{index:05d}"


def _finished(out: Path, seed: int, index: int, form: Form) -> Path:
    """Return the file that an exam's last step writes."""
    name = exam_name(seed, index)
    return out / name / "truth.json" if form == "exams" else out / "truth" / f"{name}.json"


def _claim(out: Path, settings: PhantomSettings, seed: int, form: Form) -> None:
    """Write down what the folder is made from, or check that it is the same as before."""
    record = {"form": form, "seed": seed, "settings": settings.model_dump(mode="json")}
    path = out / RECORD
    if not path.exists():
        if out.is_file():
            raise InputError(str(out), "is a file; expected a folder")
        if out.is_dir() and any(out.iterdir()):
            raise InputError(str(out), f"holds something else; expected an empty folder or one with {RECORD}")
        write_atomic(path, (json.dumps(record, indent=1) + "\n").encode())
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"is not JSON ({error}); expected the record of a phantom set") from None
    if found != record:
        expected = "the same seed, form and settings, or another folder"
        raise InputError(str(path), f"was made from {json.dumps(found)}; expected {expected}")


def _each(work: Callable[[int], None], indices: list[int], workers: int | None) -> Iterator[None]:
    """Run ``work`` on every index; one worker stays in this process. Interrupted, it drops what is not begun."""
    processes = min(workers or os.cpu_count() or 1, len(indices))
    if processes <= 1:
        yield from map(work, indices)
        return
    # Started afresh, not forked: the same on every system, and no locks are copied from a process with threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker) as pool:
        try:
            for finished in as_completed([pool.submit(work, index) for index in indices]):
                yield finished.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which lets running exams finish; one thread each, there are enough processes."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _write_one(settings: PhantomSettings, seed: int, form: Form, out: Path, index: int) -> None:
    """Make one exam and write it; its truth is written last."""
    exam = make_exam(settings, seed, index)
    if form == "exams":
        write_exam(exam, out / exam_name(seed, index))
        return
    rows = [_prepare(exam, view, out, exam_name(seed, index)) for view in exam.views]
    text = json.dumps({**truth(exam, exam.views), "rows": rows}, indent=1) + "\n"
    write_atomic(_finished(out, seed, index, form), text.encode())


def _prepare(exam: PhantomExam, view: PhantomView, out: Path, name: str) -> dict[str, Any]:
    """Write one view's picture and mask, hung and cropped to the breast; return its row of the table."""
    mammogram = to_mammogram(exam, view)
    y0, x0, y1, x1 = mammogram.header.breast_box
    shown = np.rint(display_pixels(mammogram)[y0:y1, x0:x1] * 255).astype(np.uint8)
    image_id = f"{name}-{view.laterality}{view.view}"
    for folder, picture in (("images", shown), ("masks", view.mask[y0:y1, x0:x1])):
        turned = np.ascontiguousarray(hang(picture, view.hanging))
        write_atomic(out / folder / f"{image_id}.png", png(turned))
    return {
        "image_id": image_id,
        "patient_id": exam.patient_id,
        "laterality": view.laterality,
        "view": view.view,
        "cancer": int(view.cancer),
        "file": f"images/{image_id}.png",
        "age": exam.age,
        "density": exam.density,
        "implant": 0,
        "site_id": "phantom",
        "machine_id": exam.vendor.letter,
        "source": "phantom",
        "mask": f"masks/{image_id}.png",
        **_lesion_columns(exam, view, (y0, x0, y1, x1)),
    }


def _lesion_columns(exam: PhantomExam, view: PhantomView, box: tuple[int, int, int, int]) -> dict[str, str]:
    """Return the view's lesions, one value each, joined by ";"; positions in pixels of the prepared picture."""
    y0, x0, y1, x1 = box
    kinds = [exam.lesions[seen.number - 1][1] for seen in view.lesions]
    across = [x1 - seen.x if view.hanging.flip_horizontal else seen.x - x0 for seen in view.lesions]
    down = [y1 - seen.y if view.hanging.flip_vertical else seen.y - y0 for seen in view.lesions]
    return {
        "lesion_type": ";".join(lesion.kind for lesion in kinds),
        "lesion_malignant": ";".join(str(int(lesion.malignant)) for lesion in kinds),
        "lesion_size_mm": ";".join(f"{lesion.size_mm:.1f}" for lesion in kinds),
        "lesion_x": ";".join(f"{value:.1f}" for value in across),
        "lesion_y": ";".join(f"{value:.1f}" for value in down),
        "lesion_visible": ";".join(str(int(seen.visible)) for seen in view.lesions),
    }


def _write_table(settings: PhantomSettings, out: Path, studies: int, seed: int) -> None:
    """Gather the rows of all exams into table.csv, and what was done into prepared.json."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    sick = 0
    for index in range(studies):
        exam = json.loads(_finished(out, seed, index, "prepared").read_text(encoding="utf-8"))
        sick += bool(exam["cancer"])
        writer.writerows(exam["rows"])
    write_atomic(out / "table.csv", stream.getvalue().encode())
    prepared = {
        "schema": 1,
        "source": "phantom",
        "settings": settings.model_dump(mode="json"),
        "seed": seed,
        "orientation": "hung",
        "counts": {"exams": studies, "images": 4 * studies, "exams_with_cancer": sick},
        "refused": [],
    }
    write_atomic(out / "prepared.json", (json.dumps(prepared, indent=1) + "\n").encode())
