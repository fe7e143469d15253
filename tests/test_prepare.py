"""From a data set on disk to a prepared set: the reader's own pixels, carried on, bad files listed, nothing twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mammo_core.dicom import read_mammogram
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings, model_input
from mammo_core.intake import Refusal
from mammo_core.study import assign
from mammo_train import prepare as module
from mammo_train.commands.prepare import prepare as command
from mammo_train.crew import Answer
from mammo_train.prepare import prepare
from mammo_train.prepared_picture import job_of, prepare_image
from mammo_train.prepared_set import open_prepared
from mammo_train.sources import open_source
from tiny_dicom import JPEG_2000, breast, write_mammogram

SMALL = InputSettings(height=96, width=64)
MANY = 200
"""Files to prepare: more than a fast machine finishes before it is interrupted."""


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Work in this process; the list says what was worked on."""
    done: list[str] = []

    def one_by_one(work: Any, jobs: list[Any], *, workers: int) -> Iterator[Answer]:
        assert workers >= 1
        for index, job in enumerate(jobs):
            done.append(job["name"])
            try:
                yield Answer(index, json.loads(json.dumps(work(job))))
            except InputError as error:
                yield Answer(index, trouble=error.reason)

    monkeypatch.setattr(module, "answers", one_by_one)
    return done


def made_source(folder: Path) -> Path:
    """A folder of two DICOM files, a PNG with a mask, a damaged file, and its table."""
    folder.mkdir(parents=True, exist_ok=True)
    stripped: dict[str, Any] = dict.fromkeys(
        ("ImageLaterality", "ViewPosition", "PatientOrientation", "Modality", "SOPClassUID")
    )
    write_mammogram(folder / "one.dcm", syntax=JPEG_2000, **stripped)
    inverted = 4095 - breast(96, 64, side="right")
    write_mammogram(folder / "two.dcm", inverted, PhotometricInterpretation="MONOCHROME1", **stripped)
    cv2.imwrite(str(folder / "three.png"), breast(96, 64, high=200).astype(np.uint8))
    mask = np.zeros((96, 64), np.uint8)
    mask[40:50, 10:20] = 255
    cv2.imwrite(str(folder / "three_mask.png"), mask)
    (folder / "bad.dcm").write_bytes((folder / "one.dcm").read_bytes()[:900])
    (folder / "table.csv").write_text(
        "file,patient_id,laterality,view,cancer,mask\n"
        "one.dcm,p1,L,MLO,0,\ntwo.dcm,p1,R,CC,1,\nthree.png,p2,L,CC,1,three_mask.png\nbad.dcm,p3,L,CC,0,\n",
        encoding="utf-8",
    )
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pictures_are_what_the_reader_gives_its_model(tmp_path: Path) -> None:
    source = made_source(tmp_path / "source")
    told: list[Refusal] = []
    calls: list[tuple[int, int]] = []
    record = prepare(
        open_source("folder", source),
        tmp_path / "out",
        SMALL,
        workers=2,
        tell=told.append,
        progress=lambda *call: calls.append(call),
    )
    assert record.counts is not None
    assert (record.counts["images"], record.counts["images_with_cancer"], record.counts["patients"]) == (3, 2, 2)
    assert [refusal.file for refusal in told] == [refusal.file for refusal in record.refused] == ["bad.dcm"]
    assert "holds no picture" in record.refused[0].reason
    assert (calls[0], calls[-1]) == ((0, 4), (4, 4))
    found = open_prepared(tmp_path / "out")
    assert found.table["image_id"].tolist() == ["one", "two", "three"]
    assert found.inputs == SMALL
    for row, (name, laterality, view) in enumerate((("one", "L", "MLO"), ("two", "R", "CC"))):
        mammogram = read_mammogram(source / f"{name}.dcm", target=SMALL.target)
        header = assign(mammogram.header, laterality=laterality, view=view)
        shown, _ = model_input(type(mammogram)(header, mammogram.pixels, mammogram.reduction), SMALL)
        assert np.array_equal(found.image(row), np.rint(shown[0] * 255))
        picture = found.image(row)
        assert picture[40:56, :8].min() > 150  # the chest wall is left, the breast is bright
        assert picture[:4, -8:].max() < 10
    assert found.mask(0) is None
    mask = found.mask(2)
    assert mask is not None
    assert mask.shape == (96, 64)
    assert mask.any()


def test_nothing_is_converted_twice(tmp_path: Path, in_process: list[str]) -> None:
    source = made_source(tmp_path / "source")
    prepare(open_source("folder", source), tmp_path / "out", SMALL)
    before = contents(tmp_path / "out")
    assert in_process == ["one.dcm", "two.dcm", "three.png", "bad.dcm"]
    in_process.clear()
    prepare(open_source("folder", source), tmp_path / "out", SMALL)
    assert in_process == ["bad.dcm"]  # a refused file is tried again
    assert contents(tmp_path / "out") == before


def test_what_changed_or_is_missing_is_converted_again(tmp_path: Path, in_process: list[str]) -> None:
    source = made_source(tmp_path / "source")
    (source / "bad.dcm").unlink()
    out = tmp_path / "out"
    prepare(open_source("folder", source), out, SMALL)
    whole = contents(out)

    def again() -> list[str]:
        in_process.clear()
        prepare(open_source("folder", source), out, SMALL)
        return list(in_process)

    (out / "images" / "two.png").unlink()
    assert again() == ["two.dcm"]
    (out / "images" / "one.png").write_bytes(b"cut off")
    assert again() == ["one.dcm"]
    (out / "masks" / "three.png").unlink()
    assert again() == ["three.png"]
    os.utime(source / "one.dcm", (1, 1))  # copied: another time, the same content
    assert again() == []
    write_mammogram(source / "two.dcm", breast(128, 64))
    assert again() == ["two.dcm"]
    assert (out / "images" / "one.png").read_bytes() == whole["images/one.png"]
    assert (out / "images" / "two.png").read_bytes() != whole["images/two.png"]


def test_other_settings_need_another_folder(tmp_path: Path, in_process: list[str]) -> None:
    source = open_source("folder", made_source(tmp_path / "source"))
    prepare(source, tmp_path / "out", SMALL)
    with pytest.raises(InputError, match="was made with inputs"):
        prepare(source, tmp_path / "out", InputSettings(height=96, width=96))
    with pytest.raises(InputError, match="was made with bits 8, not 16"):
        prepare(source, tmp_path / "out", SMALL, bits=16)
    assert len(in_process) == 4


def test_sixteen_bits_keep_more_levels(tmp_path: Path, in_process: list[str]) -> None:
    source = open_source("folder", made_source(tmp_path / "source"))
    prepare(source, tmp_path / "deep", SMALL, bits=16)
    prepare(source, tmp_path / "flat", SMALL)
    deep, flat = open_prepared(tmp_path / "deep").image(0), open_prepared(tmp_path / "flat").image(0)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257.0 - flat).max() <= 0.51
    assert len(np.unique(deep)) > len(np.unique(flat))
    assert in_process


def test_a_cut_off_ledger_costs_one_image(tmp_path: Path, in_process: list[str]) -> None:
    source = open_source("folder", made_source(tmp_path / "source"))
    out = tmp_path / "out"
    prepare(source, out, SMALL)
    whole = contents(out)
    ledger = (out / "ledger.jsonl").read_bytes()
    (out / "ledger.jsonl").write_bytes(ledger[:-40])  # as a killed run leaves it
    (out / "table.csv").unlink()
    (out / "images" / ".writing-abc").write_bytes(b"half")
    in_process.clear()
    prepare(source, out, SMALL)
    assert in_process == ["three.png", "bad.dcm"]
    after = contents(out)
    assert {name: after[name] for name in after if name != "ledger.jsonl"} == {
        name: whole[name] for name in whole if name != "ledger.jsonl"
    }
    in_process.clear()
    prepare(source, out, SMALL)
    assert in_process == ["bad.dcm"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills as on POSIX")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_is_carried_on(tmp_path: Path, how: signal.Signals) -> None:
    source = tmp_path / "source"
    source.mkdir()
    first = write_mammogram(source / "0.dcm", breast(1200, 800), syntax=JPEG_2000).read_bytes()
    for number in range(MANY):
        (source / f"{number}.dcm").write_bytes(first)
    lines = [f"{number}.dcm,p{number},L,CC,{number % 2}" for number in range(MANY)]
    (source / "table.csv").write_text("\n".join(["file,patient_id,laterality,view,cancer", *lines]), encoding="utf-8")
    program = (
        "import time, typer\nfrom mammo_train import prepare as work\n"
        "from mammo_train.commands.prepare import prepare\n"
        "tell = work._call\nwork._call = lambda *news: (tell(*news), time.sleep(0.05))\n"  # never done before the kill
        "app = typer.Typer(pretty_exceptions_enable=False); app.command()(prepare)\n"
        "if __name__ == '__main__': app()\n"
    )
    (tmp_path / "run.py").write_text(program, encoding="utf-8")
    arguments = ["folder", str(source), str(tmp_path / "out"), "--size", "96x64", "--workers", "1"]
    run = subprocess.Popen(
        [sys.executable, "run.py", *arguments], cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
    )
    ledger = tmp_path / "out" / "ledger.jsonl"
    deadline = time.monotonic() + 60
    while not ledger.exists() or ledger.read_bytes().count(b"\n") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(run.pid, how)  # as a terminal does: the workers get it too
    _, said = run.communicate(timeout=60)
    assert run.returncode == (130 if how == signal.SIGINT else -how)
    assert (b"interrupted" in said) == (how == signal.SIGINT)
    assert b"Traceback" not in said
    assert not (tmp_path / "out" / "table.csv").exists()
    finished = {name: data for name, data in contents(tmp_path / "out").items() if name.startswith("images/")}
    known = [json.loads(line)["image_id"] for line in ledger.read_bytes().splitlines()]
    assert 3 <= len(known) < MANY
    times = {name: (tmp_path / "out" / "images" / f"{name}.png").stat().st_mtime_ns for name in known}
    prepare(open_source("folder", source), tmp_path / "out", SMALL, workers=1)
    assert all((tmp_path / "out" / "images" / f"{name}.png").stat().st_mtime_ns == when for name, when in times.items())
    after = contents(tmp_path / "out")
    assert {name: after[name] for name in finished if ".writing" not in name} == {
        name: data for name, data in finished.items() if ".writing" not in name
    }
    assert len(open_prepared(tmp_path / "out").table) == MANY
    assert not list((tmp_path / "out").rglob(".writing-*"))


def test_a_file_that_says_otherwise_is_warned_about(tmp_path: Path, in_process: list[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_mammogram(source / "a.dcm")
    write_mammogram(source / "spot.dcm", EstimatedRadiographicMagnificationFactor=1.8)
    (source / "t.csv").write_text(
        "file,patient_id,laterality,view,cancer\na.dcm,p,R,MLO,0\nspot.dcm,p,L,CC,0\n", encoding="utf-8"
    )
    record = prepare(open_source("folder", source), tmp_path / "out", SMALL)
    warnings = record.warned[0].warnings
    assert "The file says L for its laterality, t.csv says R: the table counts." in warnings
    assert "The file says CC for its view, t.csv says MLO: the table counts." in warnings
    assert [(refusal.file, refusal.reason) for refusal in record.refused] == [("spot.dcm", "Magnification")]
    assert in_process == ["a.dcm", "spot.dcm"]


def test_a_set_of_bad_files_alone_is_an_error_in_words(tmp_path: Path, in_process: list[str]) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.dcm").write_bytes(b"")
    (source / "t.csv").write_text("file,patient_id,laterality,view,cancer\na.dcm,p,R,MLO,0\n", encoding="utf-8")
    with pytest.raises(InputError, match="has no image that can be used"):
        prepare(open_source("folder", source), tmp_path / "out", SMALL)
    assert json.loads((tmp_path / "out" / "prepared.json").read_text(encoding="utf-8"))["refused"]
    assert in_process == ["a.dcm"]
    with pytest.raises(InputError, match="is not finished"):
        open_prepared(tmp_path / "out")


def test_the_command_says_what_it_did(tmp_path: Path, in_process: list[str]) -> None:
    app = typer.Typer()
    app.command()(command)
    source, out = str(made_source(tmp_path / "source")), str(tmp_path / "out")
    done = CliRunner().invoke(app, ["folder", source, out, "--size", "96x64"])
    assert done.exit_code == 0
    assert "refused  bad.dcm: " in done.stderr
    assert "3 images of 3 breasts of 2 patients, 2 images and 2 breasts with cancer, 96 x 64, 8 bits" in done.stdout
    for arguments, said in (
        (["folder", source, out, "--size", "96"], "expected rows x columns"),
        (["folder", source, out, "--size", "96x96"], "was made with inputs"),
        (["rsna", source, out], "train.csv: does not exist"),
    ):
        wrong = CliRunner().invoke(app, arguments)
        assert wrong.exit_code == 2
        assert said in wrong.stderr
    assert len(in_process) == 4


def test_real_files_keep_the_contract(shared: Path, tmp_path: Path) -> None:
    name = "462822612"
    (tmp_path / "train_images" / "10006").mkdir(parents=True)
    (tmp_path / "train_images" / "10006" / f"{name}.dcm").symlink_to(shared / "dicom" / "rsna_10006" / f"{name}.dcm")
    lines = (shared / "rsna_train.csv").read_text(encoding="utf-8").splitlines()
    row = next(line for line in lines if name in line)
    (tmp_path / "train.csv").write_text(f"{lines[0]}\n{row}\n", encoding="utf-8")
    inputs = InputSettings(height=256, width=160)
    prepare(open_source("rsna", tmp_path), tmp_path / "out", inputs, workers=1)
    found = open_prepared(tmp_path / "out")
    whole = read_mammogram(shared / "dicom" / "rsna_10006" / f"{name}.dcm")
    header = assign(whole.header, laterality="L", view="CC")
    shown, _ = model_input(type(whole)(header, whole.pixels), inputs)
    assert np.abs(found.image(0) / 255.0 - shown[0]).max() < 0.01
    assert (found.image(0)[:, :3] > 20).mean() > 0.5
    assert found.table["cancer"].tolist() == [False]


def test_hostile_files_are_refused_and_the_run_goes_on(shared: Path, tmp_path: Path) -> None:
    files = sorted(path for path in (shared / "hostile").iterdir() if path.is_file())
    source = made_source(tmp_path / "source")
    lines = ["file,patient_id,laterality,view,cancer", "one.dcm,p,L,MLO,0"]
    for number, path in enumerate(files):
        (source / f"h{number}").symlink_to(path)
        lines.append(f"h{number},p,L,CC,0")
    (source / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    record = prepare(open_source("folder", source), tmp_path / "out", SMALL, workers=2)
    assert record.counts is not None
    assert record.counts["images"] + len(record.refused) == len(files) + 1
    assert all(refusal.reason for refusal in record.refused)
    assert "one" in open_prepared(tmp_path / "out").table["image_id"].tolist()


def test_a_missing_mask_file_refuses_its_image(tmp_path: Path) -> None:
    source = open_source("folder", made_source(tmp_path / "source"))
    image = next(image for image in source.images if image.mask is not None)
    (tmp_path / "source" / "three_mask.png").write_bytes(b"no picture")
    job = job_of(image)
    with pytest.raises(InputError, match=r"three\.png: its mask three_mask\.png: is not a whole PNG picture"):
        prepare_image(job, inputs=SMALL, bits=8, out=str(tmp_path / "out"))
    assert not (tmp_path / "out" / "images").exists()
