"""``mammo card``: a model's card on the screen, and a copy of the model with more on it."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from made import made_checkpoint, made_point
from mammo_core.checkpoint import load_checkpoint, save_checkpoint
from mammo_train.cli import app

RESULT = "ROC-AUC 0.67 (0.59 to 0.76) on 190 breasts of a set from elsewhere."
LIMIT = "Its heatmaps do not point."


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "made.safetensors"
    made_checkpoint(path, operating_point=made_point(0.5))
    return path


def card(*arguments: object):
    return CliRunner().invoke(app, ["card", *map(str, arguments)])


def test_a_card_is_printed(model: Path) -> None:
    done = card(model)
    assert done.exit_code == 0
    assert "made 1\n" in done.stdout
    assert "limit    Knows nothing." in done.stdout


@pytest.mark.parametrize("half", [False, True])
def test_the_copy_says_more_and_is_the_same_model(model: Path, tmp_path: Path, half: bool) -> None:
    old = load_checkpoint(model)
    if half:
        old = save_checkpoint(model, old.header, old.weights, half=True)
    out = tmp_path / "copy.safetensors"
    done = card(model, out, "--result", RESULT, "--limit", LIMIT, "--limit", "Nor does it know dates.")
    assert done.exit_code == 0, done.output
    assert f"limit    {LIMIT}" in done.stdout
    new = load_checkpoint(out)
    assert new.header.card.results == (RESULT,)
    assert new.header.card.limits == ("Knows nothing.", LIMIT, "Nor does it know dates.")
    assert new.header.model_copy(update={"card": old.header.card}) == old.header
    assert all(torch.equal(tensor, old.weights[name]) for name, tensor in new.weights.items())
    assert set(new.weights) == set(old.weights)
    assert abs(out.stat().st_size - model.stat().st_size) < 1000
    assert new.sha256 != old.sha256


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--limit", LIMIT], "OUT: is missing: a model is never changed, give the file for the copy"),
        (["{out}"], "copy.safetensors: would be the same model: give a --result or a --limit"),
        (["{out}", "--result", " "], "--result or --limit: is empty, expected a sentence"),
        (["{model}", "--limit", LIMIT], "made.safetensors: is there already and is not written over"),
    ],
)
def test_what_makes_no_sense_is_said_and_writes_nothing(
    model: Path, tmp_path: Path, arguments: list[str], reason: str
) -> None:
    before = model.read_bytes()
    out = tmp_path / "copy.safetensors"
    done = card(model, *(each.format(out=out, model=model) for each in arguments))
    assert done.exit_code == 2
    assert reason in done.output
    assert not out.exists()
    assert model.read_bytes() == before


def test_what_is_no_checkpoint_has_no_card(tmp_path: Path) -> None:
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    done = card(tmp_path / "none.safetensors", tmp_path / "copy.safetensors", "--limit", LIMIT)
    assert done.exit_code == 2
    assert not (tmp_path / "copy.safetensors").exists()
