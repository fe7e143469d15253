"""Adding files: the good are kept, the bad are named, and a process killed half-way leaves nothing broken."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mammo_core.intake import Refusal
from mammo_core.library import Library
from mammo_core.library.adding import Added, Step, add
from mammo_core.library.pixels import unpack
from mammo_core.sandbox import DecodeSandbox
from tiny_dicom import breast, write_mammogram

VIEWS = {
    "RCC": ("R", "CC", "P\\L"),
    "LCC": ("L", "CC", "A\\R"),
    "RMLO": ("R", "MLO", "P\\FL"),
    "LMLO": ("L", "MLO", "A\\FR"),
}


def write_exam(folder: Path, *, patient: str = "P1", study: str = "1.2.3") -> Path:
    """Four views of one exam, different from each other."""
    folder.mkdir(parents=True)
    for number, (label, (side, view, orientation)) in enumerate(VIEWS.items(), start=1):
        write_mammogram(
            folder / f"{label}.dcm",
            breast(side="right" if side == "R" else "left", high=2000 + number),
            ImageLaterality=side,
            ViewPosition=view,
            PatientOrientation=orientation.split("\\"),
            SOPInstanceUID=f"{study}.{number}",
            StudyInstanceUID=study,
            PatientID=patient,
        )
    return folder


@pytest.fixture(scope="module")
def sandbox():
    with DecodeSandbox() as started:
        yield started


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as opened:
        yield opened


def silent(_: Step) -> None:
    pass


def test_an_exam_becomes_one_study_with_its_pixels_as_hung(library, sandbox, tmp_path) -> None:
    outcomes = add(library, [write_exam(tmp_path / "exam")], sandbox, progress=silent)
    (line,) = library.worklist()
    assert {(each.study_id, each.known) for each in outcomes if isinstance(each, Added)} == {(line.id, False)}
    assert sorted(line.views) == [("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO")]
    for image in library.study(line.id).images:
        label = f"{image.header.laterality}{image.header.view}"
        number = 1 + list(VIEWS).index(label)
        stored = breast(side="right" if label[0] == "R" else "left", high=2000 + number)
        np.testing.assert_array_equal(unpack(library.pixels(image.sha256), image.rows, image.columns), stored)


def test_the_same_exam_twice_is_known(library, sandbox, tmp_path) -> None:
    exam = write_exam(tmp_path / "exam")
    add(library, [exam], sandbox, progress=silent)
    events = library.events()
    again = add(library, [exam], sandbox, progress=silent)
    assert [isinstance(each, Added) and each.known for each in again] == [True] * 4
    assert library.events() == events


def test_bad_files_are_named_and_the_good_beside_them_are_added(library, sandbox, tmp_path) -> None:
    exam = write_exam(tmp_path / "exam")
    (exam / "AAA.dcm").write_bytes(b"no DICOM")
    (exam / "ZZZ.dcm").write_bytes((exam / "RCC.dcm").read_bytes()[:900])
    steps: list[Step] = []
    outcomes = add(library, [exam], sandbox, progress=steps.append, shown_below=tmp_path)
    assert sorted(each.file for each in outcomes if isinstance(each, Refusal)) == ["exam/AAA.dcm", "exam/ZZZ.dcm"]
    assert len(library.worklist()[0].views) == 4
    assert [(step.done, step.total) for step in steps] == [(number, 6) for number in range(1, 7)]


def test_a_zip_is_looked_into(library, sandbox, tmp_path) -> None:
    exam = write_exam(tmp_path / "exam")
    with zipfile.ZipFile(tmp_path / "exam.zip", "w") as archive:
        for file in exam.iterdir():
            archive.write(file, f"inner/{file.name}")
    add(library, [tmp_path / "exam.zip"], sandbox, progress=silent, shown_below=tmp_path)
    (line,) = library.worklist()
    files = {image.header.file for image in library.study(line.id).images}
    assert files == {f"exam.zip/inner/{label}.dcm" for label in VIEWS}


def test_folder_csv_says_side_and_view(library, sandbox, tmp_path) -> None:
    folder = tmp_path / "exam"
    folder.mkdir()
    write_mammogram(folder / "a.dcm", ImageLaterality=None, ViewPosition=None, PatientOrientation=None)
    (folder / "folder.csv").write_text("file,laterality,view\na.dcm,L,MLO\n")
    add(library, [tmp_path], sandbox, progress=silent)
    (line,) = library.worklist()
    assert (line.views, line.status) == ((("L", "MLO"),), "new")
    assert "folder.csv" in library.study(line.id).images[0].header.view_source


def test_a_broken_folder_csv_is_refused_and_the_files_are_added(library, sandbox, tmp_path) -> None:
    exam = write_exam(tmp_path / "exam")
    (exam / "folder.csv").write_text("file,laterality\nnowhere.dcm,L\n")
    outcomes = add(library, [exam], sandbox, progress=silent)
    (refused,) = [each for each in outcomes if isinstance(each, Refusal)]
    assert "nowhere.dcm" in refused.reason
    assert len(library.worklist()[0].views) == 4


def test_phantoms_are_marked(library, sandbox, tmp_path) -> None:
    folder = tmp_path / "exam"
    folder.mkdir()
    write_mammogram(folder / "a.dcm", Manufacturer="mammo-gui phantom A")
    add(library, [folder], sandbox, progress=silent)
    assert library.worklist()[0].phantom


KILLED = """
import os, signal, sys
from pathlib import Path
from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.sandbox import DecodeSandbox
import mammo_core.library.library as module

put = module.store_put
def dying_put(root, data, suffix=""):
    if root.name == sys.argv[3] and len(list((root).rglob("*"))) >= 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(root, data, suffix)
module.store_put = dying_put

with Library(Path(sys.argv[1])) as library, DecodeSandbox() as sandbox:
    add(library, [Path(sys.argv[2])], sandbox, progress=lambda step: print(step.done, flush=True))
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a POSIX signal")
@pytest.mark.parametrize("moment", ["originals", "pixels"])
def test_a_library_killed_while_adding_opens_and_adding_again_completes_it(tmp_path, sandbox, moment) -> None:
    exam, folder = write_exam(tmp_path / "exam"), tmp_path / "library"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(exam), moment],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.split() == ["1"]
    with Library(folder) as library:
        assert [len(line.views) for line in library.worklist()] == [1]
        outcomes = add(library, [exam], sandbox, progress=silent)
        assert [isinstance(each, Added) and each.known for each in outcomes] == [True, False, False, False]
        assert [len(line.views) for line in library.worklist()] == [4]
        assert library.reader
