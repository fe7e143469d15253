"""Many phantom exams: as DICOM exams, or as a prepared set to train on (`mammo_train.prepared_set`).

Knows nothing of models. Exams are made by several processes; what comes out does not depend on how many.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from mammo_core.errors import InputError
from mammo_core.files import write_atomic
from mammo_core.inputs import InputSettings, Placement, model_input
from mammo_core.mammogram import Mammogram, breast_box
from mammo_core.phantom import PhantomExam, PhantomSettings, PhantomView, make_exam, to_mammogram, write_exam
from mammo_core.phantom.write import truth
from mammo_train.console import progress as progress_bar
from mammo_train.prepared_picture import picture_png, placed_mask, quantised
from mammo_train.prepared_set import TABLE, Record, claim, size_of, write_record
from mammo_train.table import counts, normal_row, table_csv

Form = Literal["exams", "prepared"]
RECORD = "phantoms.json"
"""What a folder of exams was made from: another seed or other settings do not carry on in it."""
NOTE = "Every image is synthetic: what is found here says nothing of real breasts."


def phantom_command(
    out: Path,
    *,
    studies: int,
    seed: int,
    prevalence: float,
    form: Form,
    height: int,
    size: str = "512x320",
    workers: int | None = None,
) -> None:
    """Make ``studies`` phantom exams in ``out`` with a progress bar on stderr.

    Exams that are there already are kept, so an interrupted command is carried on by giving it again. ``height`` is
    the rows of every picture of an exam, ``size`` the rows x columns of the pictures of a prepared set. ``workers``
    is the number of processes, all cores if None. Raises InputError for a folder of something else.
    """
    settings = PhantomSettings(height=height, prevalence=prevalence)
    inputs = size_of(size)
    with progress_bar() as bar:
        task = bar.add_task("phantom exams", total=studies)
        write_set(
            settings,
            out,
            studies=studies,
            seed=seed,
            form=form,
            inputs=inputs,
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
    inputs: InputSettings | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write exams 0 to ``studies - 1`` of the set with ``seed`` into ``out``.

    ``form`` "exams": a folder of DICOM files, masks and truth.json per exam. "prepared": a prepared set whose
    pictures are what a model with these ``inputs`` sees of the exams' files, with masks, and truth/*.json per exam.
    ``progress`` is called with the number of exams done and their total.
    """
    if studies < 1:
        raise InputError("studies", f"is {studies}, expected 1 or more")
    plain = (inputs or InputSettings()).model_copy(update={"mean": (0.0,), "std": (1.0,)})
    if form == "exams":
        _claim(out, settings, seed)
    else:
        claim(out, _record(settings, plain, seed))
    missing = [index for index in range(studies) if not _finished(out, seed, index, form).is_file()]
    done = studies - len(missing)
    if progress:
        progress(done, studies)
    # Closed here: an interruption between two exams would leave the processes to finish all of them.
    with closing(_each(partial(_write_one, settings, seed, form, plain, out), missing, workers)) as made:
        for _ in made:
            done += 1
            if progress:
                progress(done, studies)
    if form == "prepared":
        _write_table(_record(settings, plain, seed), out, studies, seed)


def exam_name(seed: int, index: int) -> str:
    """Return the name of an exam's folder or files."""
    return f"phantom-{seed}-{index:05d}"


def _finished(out: Path, seed: int, index: int, form: Form) -> Path:
    """Return the file that an exam's last step writes."""
    name = exam_name(seed, index)
    return out / name / "truth.json" if form == "exams" else out / "truth" / f"{name}.json"


def _record(settings: PhantomSettings, inputs: InputSettings, seed: int) -> Record:
    """Return what the prepared form says of itself before it is made."""
    made_from = {"seed": seed, "phantom": settings.model_dump(mode="json")}
    return Record(source="phantom", inputs=inputs, made_from=made_from, notes=(NOTE,))


def _claim(out: Path, settings: PhantomSettings, seed: int) -> None:
    """Write down what a folder of exams is made from, or check that it is the same as before."""
    record = {"form": "exams", "seed": seed, "settings": settings.model_dump(mode="json")}
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


def _each(work: Callable[[int], None], indices: list[int], workers: int | None) -> Generator[None]:
    """Run ``work`` on every index; one worker stays in this process. Interrupted, it drops what is not begun."""
    processes = min(workers or os.cpu_count() or 1, len(indices))
    if processes <= 1:
        yield from map(work, indices)
        return
    # Started afresh, not forked: the same on every system, and no locks are copied from a process with threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker)
    try:
        for finished in as_completed([pool.submit(work, index) for index in indices]):
            yield finished.result()
    finally:
        # Once: leaving a `with` would take the cancelling back.
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which lets running exams finish; one thread each, there are enough processes."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _write_one(settings: PhantomSettings, seed: int, form: Form, inputs: InputSettings, out: Path, index: int) -> None:
    """Make one exam and write it; its truth is written last."""
    exam = make_exam(settings, seed, index)
    if form == "exams":
        write_exam(exam, out / exam_name(seed, index))
        return
    rows = [_prepare(exam, view, inputs, out, exam_name(seed, index)) for view in exam.views]
    text = json.dumps({**truth(exam, exam.views), "rows": rows}, indent=1) + "\n"
    write_atomic(_finished(out, seed, index, form), text.encode())


def _prepare(exam: PhantomExam, view: PhantomView, inputs: InputSettings, out: Path, name: str) -> dict[str, str]:
    """Write what a model sees of one view, and its mask; return its row of the table."""
    shown, placement = model_input(_as_read(exam, view), inputs)
    image_id = f"{name}-{view.laterality}{view.view}"
    mask = placed_mask(view.mask, placement, (view.mask.shape[0], view.mask.shape[1]))
    write_atomic(out / "images" / f"{image_id}.png", picture_png(quantised(shown[0], 8)))
    write_atomic(out / "masks" / f"{image_id}.png", picture_png(mask))
    row = {
        "image_id": image_id,
        "patient_id": exam.patient_id,
        "laterality": view.laterality,
        "view": view.view,
        "cancer": str(int(view.cancer)),
        "file": f"images/{image_id}.png",
        "age": str(exam.age),
        "density": exam.density,
        "implant": "0",
        "site_id": "phantom",
        "machine_id": exam.vendor.letter,
        "source": "phantom",
        "mask": f"masks/{image_id}.png",
    }
    return normal_row(row | _lesion_columns(exam, view, placement))


def _as_read(exam: PhantomExam, view: PhantomView) -> Mammogram:
    """Return a view with the breast box that reading its file would find, not the true one."""
    mammogram = to_mammogram(exam, view)
    header = mammogram.header
    box = breast_box(mammogram.pixels, inverted=header.photometric == "MONOCHROME1", padding=header.padding)
    return replace(mammogram, header=replace(header, breast_box=box))


def _lesion_columns(exam: PhantomExam, view: PhantomView, placement: Placement) -> dict[str, str]:
    """Return the view's lesions, one value each, joined by ";"; positions in pixels of the prepared picture."""
    kinds = [exam.lesions[seen.number - 1][1] for seen in view.lesions]
    places = placement.to_input(np.array([(seen.x, seen.y) for seen in view.lesions], np.float64).reshape(-1, 2))
    return {
        "lesion_type": ";".join(lesion.kind for lesion in kinds),
        "lesion_malignant": ";".join(str(int(lesion.malignant)) for lesion in kinds),
        "lesion_size_mm": ";".join(f"{lesion.size_mm:.1f}" for lesion in kinds),
        "lesion_x": ";".join(f"{x:.1f}" for x in places[:, 0]),
        "lesion_y": ";".join(f"{y:.1f}" for y in places[:, 1]),
        "lesion_visible": ";".join(str(int(seen.visible)) for seen in view.lesions),
    }


def _write_table(record: Record, out: Path, studies: int, seed: int) -> None:
    """Gather the rows of all exams into table.csv, and what was done into prepared.json."""
    rows: list[dict[str, str]] = []
    for index in range(studies):
        rows += json.loads(_finished(out, seed, index, "prepared").read_text(encoding="utf-8"))["rows"]
    write_atomic(out / TABLE, table_csv(rows))
    write_record(out, record.model_copy(update={"counts": counts(rows)}))
