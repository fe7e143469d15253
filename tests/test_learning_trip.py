"""The whole learning flow through the command line: phantoms, a prepared set, training, evaluation, reading.

Exams are DICOM files with known truth; the prepared set is made from these very files, so that a view gets the same
score in the evaluation as from ``mammo read``.
"""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from mammo_core.checkpoint import load_checkpoint
from mammo_train.cli import app

STUDIES = 24
RECIPE = """
name = "trip"
weights = "none"
normalisation = "breast"
seed = 1

[architecture]
backbone = "test_resnet"
in_channels = 1

[split]
validation = 0.25
test = 0.25

[[phases]]
name = "head"
trained = 1
subset = { kind = "balanced_groups" }
epochs = 2
batch_size = 16
learning_rate = 1e-2

[[phases]]
name = "all"
epochs = 2
batch_size = 16
learning_rate = 1e-3
pos_weight = "balance"
"""


def mammo(*arguments: object) -> str:
    """Run the command, and give what it says on stdout; an exit code other than 0 fails the test."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    return done.stdout


def write_table(exams: Path) -> None:
    """Write the table of a folder of phantom exams, as a person would for a collection of their own."""
    with (exams / "table.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        columns = (
            "file",
            "patient_id",
            "laterality",
            "view",
            "cancer",
            "age",
            "density",
            "machine_id",
            "mask",
            "source",
        )
        writer.writerow(columns)
        for path in sorted(exams.glob("*/truth.json")):
            truth = json.loads(path.read_text())
            sick = {lesion["laterality"] for lesion in truth["lesions"] if lesion["malignant"]}
            for side in ("R", "L"):
                for view in ("CC", "MLO"):
                    name = f"{path.parent.name}/{side}{view}.dcm"
                    mask = f"{path.parent.name}/masks/{side}{view}.png"
                    known = (truth["age"], truth["density"], truth["vendor"], mask, "phantom")
                    writer.writerow((name, truth["patient_id"], side, view, int(side in sick), *known))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Make exams, prepare them and train on them."""
    home = tmp_path_factory.mktemp("trip")
    mammo("phantom", home / "exams", "--studies", STUDIES, "--height", 256, "--prevalence", 0.6)
    write_table(home / "exams")
    said = mammo("prepare", "folder", home / "exams", home / "set", "--size", "128x96", "--workers", 1)
    assert f"{4 * STUDIES} images of {2 * STUDIES} breasts of {STUDIES} patients" in said
    (home / "trip.toml").write_text(RECIPE)
    said = mammo("train", home / "trip.toml", home / "set", home / "run", "--set", "phases.1.epochs=1")
    assert "report" in said
    return home


def result(folder: Path) -> dict:
    return json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))


def parts(home: Path) -> dict[str, str]:
    table = pd.read_csv(home / "run" / "split.csv", dtype=str)
    return dict(zip(table["patient_id"], table["part"], strict=True))


def test_training_leaves_an_evaluated_run(home):
    run = home / "run"
    for name in ("recipe.toml", "split.csv", "log.jsonl", "validation.csv", "status.json", "evaluation.html"):
        assert (run / name).is_file(), name
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [event["phase"] for event in events if event["event"] == "epoch"] == ["head", "head", "all"]
    found = result(run)
    test = {patient for patient, part in parts(home).items() if part == "test"}
    scored = pd.read_csv(run / "evaluation" / "scores_image.csv", dtype={"patient_id": str})
    assert set(scored["patient_id"]) == test
    assert found["subject"]["part"] == "test"
    assert found["operating_points"]
    assert "Learning curves" in (run / "evaluation.html").read_text(encoding="utf-8")
    header = load_checkpoint(run / "checkpoint.safetensors").header
    assert header.training_domain == "phantom"
    assert header.validation is not None


def test_the_command_evaluates_the_same_part_alike(home):
    said = mammo(
        "evaluate", home / "run" / "checkpoint.safetensors", home / "set", home / "again", "--prevalence", 0.01
    )
    assert "ROC-AUC" in said
    assert "Research use only - not for diagnosis" in said
    before, again = result(home / "run"), result(home / "again")
    assert again["subject"]["stated_prevalence"] == 0.01
    assert again["subject"]["split_sha256"] == before["subject"]["split_sha256"]
    for first, second in zip(before["levels"], again["levels"], strict=True):
        assert [figure["own"] for figure in first["figures"]] == [figure["own"] for figure in second["figures"]]


def test_reading_gives_the_scores_of_the_evaluation(home):
    test = sorted(patient for patient, part in parts(home).items() if part == "test")
    exams = [path.parent for path in sorted((home / "exams").glob("*/truth.json"))]
    exam = next(e for e in exams if json.loads((e / "truth.json").read_text())["patient_id"] == test[0])
    mammo("read", exam, "--model", home / "run" / "checkpoint.safetensors", "--out", home / "read")
    (study,) = json.loads((home / "read" / "result.json").read_text(encoding="utf-8"))["studies"]
    scored = pd.read_csv(home / "run" / "evaluation" / "scores_image.csv", dtype={"patient_id": str})
    scored = scored[scored["patient_id"] == test[0]].set_index(["laterality", "view"])["score"]
    assert len(study["views"]) == 4
    for view in study["views"]:
        # The prepared picture is rounded to 8 bits, the view that is read is not.
        assert view["score"] == pytest.approx(scored[view["laterality"], view["view"]], abs=0.02)
    breasts = pd.read_csv(home / "run" / "evaluation" / "scores_breast.csv").set_index("key")["mean"]
    for breast in study["breasts"]:
        assert breast["score"] == pytest.approx(breasts[f"{test[0]}/{breast['laterality']}"], abs=0.02)


def test_what_is_wrong_with_the_command_is_said(home):
    for arguments, reason in (
        (["evaluate", home / "nothing", home / "set", home / "x"], "is neither a file nor a bundled model"),
        (["evaluate", "phantom-demo", home / "set", home / "x"], "prepare it again with --size 512x320"),
        (["evaluate", "phantom-demo", home / "exams", home / "x"], "is no prepared set"),
        (["evaluate", "phantom-demo", home / "set", home / "x", "--prevalence", 2], "expected a share between 0 and 1"),
    ):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 2
        assert reason in done.stderr
    assert not (home / "x").exists()
