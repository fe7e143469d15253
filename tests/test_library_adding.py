"""Adding files: the good are kept, the bad are named, and a process killed half-way leaves nothing broken."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammo_core.intake import Given, Refusal
from mammo_core.library import Library
from mammo_core.library.adding import Added, Step, add
from mammo_core.library.pixels import unpack
from mammo_core.sandbox import DecodeSandbox
from tiny_dicom import breast, mammogram_dataset, write, write_mammogram

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
    outcomes = add(library, [Given(exam, "exam")], sandbox, progress=steps.append)
    assert sorted(each.file for each in outcomes if isinstance(each, Refusal)) == ["exam/AAA.dcm", "exam/ZZZ.dcm"]
    assert len(library.worklist()[0].views) == 4
    assert [(step.done, step.total) for step in steps] == [(number, 6) for number in range(1, 7)]


def test_a_zip_is_looked_into(library, sandbox, tmp_path) -> None:
    exam = write_exam(tmp_path / "exam")
    with zipfile.ZipFile(tmp_path / "exam.zip", "w") as archive:
        for file in exam.iterdir():
            archive.write(file, f"inner/{file.name}")
    add(library, [Given(tmp_path / "exam.zip", "exam.zip")], sandbox, progress=silent)
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


MEASURED = """
import re, sys, time
from pathlib import Path
from mammo_core.library import Library
from mammo_core.library.adding import Added, add
from mammo_core.sandbox import DecodeSandbox

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1e3

with Library(Path(sys.argv[1])) as library, DecodeSandbox() as sandbox:
    before = peak_mb()
    (outcome,) = add(library, [Path(sys.argv[2])], sandbox, progress=lambda step: None)
    assert isinstance(outcome, Added), outcome
    started = time.process_time()
    study = library.study(outcome.study_id)
    print(peak_mb() - before, time.process_time() - started, len(study.images[0].header.vois))
"""


def measured(folder: Path, file: Path) -> tuple[float, float, int]:
    """Add a file: MB by which the process grew at most, CPU seconds to look the study up, VOI choices kept."""
    command = [sys.executable, "-c", MEASURED, str(folder / "library"), str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    grown, seconds, vois = done.stdout.split()
    return float(grown), float(seconds), int(vois)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of its memory from /proc")
def test_a_file_is_never_held_in_memory_as_a_whole(tmp_path) -> None:
    dataset = mammogram_dataset(breast())
    dataset.add_new(0x00090010, "LO", "PRIVATE")
    dataset.add_new(0x00091001, "OB", bytes(300_000_000))
    grown, _, _ = measured(tmp_path, write(tmp_path / "a.dcm", dataset))
    assert grown < 100


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of its memory from /proc")
def test_a_file_with_many_large_voi_tables_is_light_in_the_library(tmp_path) -> None:
    items = []
    for _ in range(120):
        item = Dataset()
        item.LUTDescriptor = [0, 0, 16]
        item.add_new("LUTData", "OW", np.arange(65536, dtype="<u2").tobytes())
        items.append(item)
    grown, seconds, vois = measured(tmp_path, write_mammogram(tmp_path / "a.dcm", VOILUTSequence=items))
    assert grown < 100
    assert seconds < 0.2
    assert vois == 9


KILLED = """
import os, signal, sys
from pathlib import Path
from mammo_core.library import Library
from mammo_core.library.adding import add
from mammo_core.sandbox import DecodeSandbox
from mammo_core.files import Staged

keep = Staged.keep
def dying_keep(self):
    if self.root.name == sys.argv[3] and any(self.root.glob("??/*")):
        os.kill(os.getpid(), signal.SIGKILL)
    keep(self)
Staged.keep = dying_keep

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
