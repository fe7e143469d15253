"""The mammo command, run as a person runs it: exit codes, what is said where, and what is written."""

import errno
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from typer.testing import CliRunner

from made import made_checkpoint, made_point
from mammo_core import report
from mammo_core.checkpoint import load_checkpoint
from mammo_core.library import Library
from mammo_core.model_files import DEFAULT_MODEL
from mammo_core.thresholds import Thresholds
from mammo_train.cli import app
from mammo_train.commands import read as command

MAMMO = [sys.executable, "-m", "mammo_train.cli"]


def mammo(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAMMO, *map(str, arguments)], capture_output=True, text=True, timeout=300, encoding="utf-8")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "made.safetensors"
    made_checkpoint(path, operating_point=made_point(0.5))
    return path


def write_mammogram(path: Path, side: str, view: str, study: str, *, said: bool = True, patient: str = "p1") -> None:
    """A DICOM of 256 x 192 pixels: a bright half-disc at the chest wall on black."""
    y, x = np.indices((256, 192))
    pixels = np.where((y - 128) ** 2 + x**2 < 110**2, 2000 + 3 * (x + y), 0).astype(np.uint16)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = study
    dataset.PatientID = patient
    dataset.Modality = "MG"
    dataset.Manufacturer = "Vendor A"
    if said:
        dataset.ImageLaterality, dataset.ViewPosition = side, view
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = (pixels if side == "L" else pixels[:, ::-1]).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def test_an_exam_with_good_and_bad_files(tmp_path, model):
    for side, view in [("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")]:
        write_mammogram(tmp_path / "exam" / f"{side}{view}", side, view, "1.2.3")
    (tmp_path / "exam" / "broken.dcm").write_bytes(b"no DICOM")
    done = mammo("read", tmp_path / "exam", "--model", model, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    (study,) = result["studies"]
    assert [(view["laterality"], view["view"]) for view in study["views"]] == [
        ("R", "CC"),
        ("L", "CC"),
        ("R", "MLO"),
        ("L", "MLO"),
    ]
    assert all((tmp_path / "out" / view["heatmap"]).is_file() for view in study["views"])
    assert [refusal["file"] for refusal in result["refused"]] == [str(tmp_path / "exam" / "broken.dcm")]
    assert result["model"]["name"] == "made"
    assert f"{study['score']:.3f}" in done.stdout
    assert "refused" in done.stdout
    assert "trained on synthetic phantoms only" in done.stdout
    assert "Research use only - not for diagnosis" in done.stdout
    assert "Scoring" in done.stderr
    assert "Scoring" not in done.stdout


def test_the_point_saved_in_a_library_is_used(tmp_path, model):
    write_mammogram(tmp_path / "a.dcm", "L", "CC", "1.2")
    sha256 = load_checkpoint(model).sha256
    with Library(tmp_path / "library") as library:
        library.points.save(sha256, "Everybody", "to see it used", Thresholds(general=made_point(0.0)))
    arguments = ("read", tmp_path / "a.dcm", "--model", model, "--out", tmp_path / "out")
    point = []
    for more in ((), ("--library", tmp_path / "library")):
        assert mammo(*arguments, *more).returncode == 0
        point.append(json.loads((tmp_path / "out" / "result.json").read_text())["operating_point"])
    assert point[0] != point[1]
    assert point[1]["threshold"] == 0
    assert point[1]["source"].startswith("saved as 'Everybody', version 1: given. Reason: to see it used. ")


def test_a_promoted_model_is_the_one_that_reads(tmp_path, model):
    write_mammogram(tmp_path / "a.dcm", "L", "CC", "1.2")
    place = ("--library", tmp_path / "library")
    done = mammo("promote", model, "--reason", "to see it used", *place)
    assert done.returncode == 2
    assert "holds no library" in done.stderr
    with Library(tmp_path / "library"):
        pass
    done = mammo("promote", model, "--reason", "to see it used", *place)
    assert done.returncode == 0, done.stderr
    assert "made (" in done.stdout
    assert f"is in use now, instead of {DEFAULT_MODEL}." in done.stdout
    assert mammo("read", tmp_path / "a.dcm", "--out", tmp_path / "out", *place).returncode == 0
    sha256 = load_checkpoint(model).sha256
    assert json.loads((tmp_path / "out" / "result.json").read_text())["model"]["sha256"] == sha256
    listed = mammo("models", *place).stdout
    assert "made 1 (trained, in use)" in listed
    assert "phantom-demo 1 (bundled)" in listed
    done = mammo("promote", "phantom-demo", "--reason", " ", *place)
    assert done.returncode == 2
    assert "reason: is empty" in done.stderr
    assert mammo("promote", "phantom-demo", "--reason", "back", *place).returncode == 0
    with Library(tmp_path / "library") as library:
        assert [each.reason for each in library.models.promotions()] == ["back", "to see it used"]


def test_a_folder_without_a_library_is_2_and_stays_empty(tmp_path, model):
    (tmp_path / "empty").mkdir()
    done = mammo("read", tmp_path, "--model", model, "--library", tmp_path / "empty")
    assert done.returncode == 2
    assert "holds no library" in done.stderr
    assert list((tmp_path / "empty").iterdir()) == []


def test_zip_and_folder_csv(tmp_path, model):
    write_mammogram(tmp_path / "in" / "sub" / "a.dcm", "R", "CC", "1.2.3", said=False)
    write_mammogram(tmp_path / "z" / "b.dcm", "L", "MLO", "1.2.4")
    with zipfile.ZipFile(tmp_path / "in" / "more.zip", "w") as archive:
        archive.write(tmp_path / "z" / "b.dcm", "inner/b.dcm")
    asked = mammo("read", tmp_path / "in", "--model", model)
    assert asked.returncode == 0
    assert "put a folder.csv beside the files" in asked.stdout
    (tmp_path / "in" / "folder.csv").write_text("file,laterality,view\nsub/a.dcm,R,CC\n")
    told = mammo("read", tmp_path / "in", "--model", model, "--out", tmp_path / "out")
    assert told.returncode == 0
    assert "put a folder.csv beside the files" not in told.stdout
    studies = json.loads((tmp_path / "out" / "result.json").read_text())["studies"]
    views = {(view["laterality"], view["view"]) for study in studies for view in study["views"]}
    assert views == {("R", "CC"), ("L", "MLO")}


def test_the_same_file_twice_is_read_once(tmp_path, model):
    write_mammogram(tmp_path / "a.dcm", "R", "CC", "1.2.3")
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "a.dcm").read_bytes())
    assert mammo("read", tmp_path, "--model", model, "--out", tmp_path / "out").returncode == 0
    (study,) = json.loads((tmp_path / "out" / "result.json").read_text())["studies"]
    assert len(study["views"]) == 1


def test_a_file_that_goes_away_half_way_is_refused_and_the_rest_is_scored(tmp_path, model, monkeypatch):
    """Where memory does not hold all pixels, files are decoded a second time."""
    for number, view in enumerate(["CC", "MLO"]):
        write_mammogram(tmp_path / "in" / f"{number}.dcm", "R", view, "1.2.3")
        write_mammogram(tmp_path / "in" / f"lone{number}.dcm", "R", view, f"1.2.{number + 4}")
    monkeypatch.setattr(command, "_KEPT_BYTES", 0)
    decoded = command._Decoder.mammogram

    def losing(decoder, header):
        if Path(header.file).name in ("1.dcm", "lone0.dcm"):
            Path(header.file).unlink()
        return decoded(decoder, header)

    monkeypatch.setattr(command._Decoder, "mammogram", losing)
    done = CliRunner().invoke(app, ["read", f"{tmp_path / 'in'}", "--model", f"{model}", "--out", f"{tmp_path}"])
    assert done.exit_code == 0
    result = json.loads((tmp_path / "result.json").read_text())
    scored = [[Path(view["file"]).name for view in study["views"]] for study in result["studies"]]
    assert scored == [["0.dcm"], ["lone1.dcm"]]
    assert "Missing views: LCC, RMLO, LMLO." in result["studies"][0]["warnings"]
    assert sorted(Path(refusal["file"]).name for refusal in result["refused"]) == ["1.dcm", "lone0.dcm"]


@pytest.mark.parametrize(("out", "said"), [("file", "is a file; expected a folder"), ("file/in", "cannot be written")])
def test_an_out_that_cannot_be_is_refused_before_anything_is_scored(tmp_path, model, out, said):
    (tmp_path / "file").write_bytes(b"")
    write_mammogram(tmp_path / "exam" / "a.dcm", "R", "CC", "1.2.3")
    done = mammo("read", tmp_path / "exam", "--model", model, "--out", tmp_path / out)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mammo: --out: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_said_and_the_scores_are_not_lost(tmp_path, model, monkeypatch):
    write_mammogram(tmp_path / "exam" / "a.dcm", "R", "CC", "1.2.3")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report, "write_exam", full)
    arguments = ["read", f"{tmp_path / 'exam'}", "--model", f"{model}", "--out", f"{tmp_path / 'out'}"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "could not be written to the end: No space left on device" in done.stderr
    assert len(json.loads((tmp_path / "out" / "result.json").read_text())["studies"]) == 1
    assert "R breast" in done.stdout


def test_two_patients_under_one_study_uid_are_told_apart_aloud(tmp_path, model):
    write_mammogram(tmp_path / "exam" / "a.dcm", "R", "CC", "1.2.3")
    write_mammogram(tmp_path / "exam" / "b.dcm", "L", "CC", "1.2.3", patient="p2")
    done = mammo("read", tmp_path / "exam", "--model", model, "--out", tmp_path / "out")
    assert done.returncode == 0
    studies = json.loads((tmp_path / "out" / "result.json").read_text())["studies"]
    assert [study["patient_id"] for study in studies] == ["p1", "p2"]
    for study, other in zip(studies, ("p2", "p1"), strict=True):
        assert any(f"another patient ID ({other})" in warning for warning in study["warnings"])


def test_nothing_scored_is_1(tmp_path, model):
    (tmp_path / "x.dcm").write_bytes(b"no DICOM")
    done = mammo("read", tmp_path, "--model", model, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert json.loads((tmp_path / "out" / "result.json").read_text())["studies"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["read"], "Missing argument"),
        (["read", "absent-folder"], "absent-folder: does not exist"),
        (["read", ".", "--model", "nothing-like-it"], "model 'nothing-like-it': is neither a file nor"),
        (["read", ".", "--surprise"], "No such option"),
    ],
)
def test_a_wrong_command_is_2(arguments, message):
    done = mammo(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_checkpoint_is_2(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"nothing")
    done = mammo("read", tmp_path, "--model", tmp_path / "m.safetensors")
    assert done.returncode == 2
    assert done.stderr.startswith("mammo: m.safetensors: ")


def test_bundled_models_are_listed_with_their_limits():
    done = mammo("models")
    assert done.returncode == 0
    assert f"{DEFAULT_MODEL} 1 (bundled, in use)" in done.stdout
    assert "phantom-demo 1 (bundled, in use for synthetic exams)" in done.stdout
    assert "Knows phantoms only" in done.stdout
    assert "recipe phantom-demo" in done.stdout


def test_help_needs_no_heavy_package():
    code = "import sys, mammo_train.cli; print(sorted({'torch', 'timm', 'cv2', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_synthetic_exams_are_made_and_read_without_the_warning_for_real_ones(tmp_path, model):
    made = mammo("phantom", tmp_path / "set", "--studies", 1, "--height", 256, "--seed", 3)
    assert made.returncode == 0, made.stderr
    done = mammo("read", tmp_path / "set", "--model", model, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (study,) = json.loads((tmp_path / "out" / "result.json").read_text())["studies"]
    assert [(view["laterality"], view["view"]) for view in study["views"]] == [
        ("R", "CC"),
        ("L", "CC"),
        ("R", "MLO"),
        ("L", "MLO"),
    ]
    assert not any("phantoms only" in warning for warning in study["warnings"])


@pytest.mark.parametrize("exam", ["inbreast01", "inbreast03", "nyu00"])
def test_real_exams(shared, tmp_path, model, exam):
    done = mammo("read", shared / "exams" / exam, "--model", model, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (study,) = json.loads((tmp_path / "result.json").read_text())["studies"]
    assert len(study["views"]) == 4
    assert all(0 <= view["score"] <= 1 for view in study["views"])
    assert any("trained on synthetic phantoms only" in warning for warning in study["warnings"])


def test_real_files_of_every_kind(shared, tmp_path, model):
    done = mammo("read", shared / "dicom", "--model", model, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert sum(len(study["views"]) for study in result["studies"]) == 6
    refused = {Path(refusal["file"]).name: refusal["reason"] for refusal in result["refused"]}
    assert set(refused) == {"mg_calibration_profile.dcm", "tomosynthesis_4_frames.dcm"}
    assert "tomosynthesis" in refused["tomosynthesis_4_frames.dcm"]


def test_hostile_files_are_refused_and_the_good_one_is_read(shared, tmp_path, model):
    write_mammogram(tmp_path / "good.dcm", "R", "CC", "1.2.3")
    hostile = sorted((shared / "hostile").iterdir())
    done = mammo("read", *hostile, tmp_path / "good.dcm", "--model", model, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [view["file"] for study in result["studies"] for view in study["views"]] == [str(tmp_path / "good.dcm")]
    assert len(result["refused"]) == sum(file.suffix == ".dcm" for file in hostile)
