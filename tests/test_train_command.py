"""``mammo train``: what it makes of its arguments, and how it ends."""

import os
import signal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import mammo_train.evaluate
import mammo_train.fit
from mammo_train.commands.train import train
from mammo_train.recipe import dump_recipe, load_recipe
from mammo_train.run import Stopped, read_log
from tiny_set import phase, tiny_recipe, tiny_set

app = typer.Typer()
app.command()(train)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A recipe, a set and a run folder; evaluation is tested elsewhere."""
    monkeypatch.setattr(mammo_train.evaluate, "evaluate", lambda *_given, **_named: {})
    data = tiny_set(tmp_path / "set")
    recipe = tiny_recipe(phase("head", trained=1, epochs=9), split={"validation": 0.5, "test": 0.0})
    (tmp_path / "recipe.toml").write_text(dump_recipe(recipe))
    return [str(tmp_path / "recipe.toml"), str(data.folder), str(tmp_path / "run")]


def test_it_trains_what_was_set_and_is_carried_on(given: list[str], tmp_path: Path) -> None:
    found = CliRunner().invoke(app, [*given, "--set", "phases.0.epochs=1"])
    assert found.exit_code == 0, found.output
    assert "checkpoint.safetensors" in found.stdout
    assert load_recipe(tmp_path / "run" / "recipe.toml").phases[0].epochs == 1
    again = CliRunner().invoke(app, [*given, "--set", "phases.0.epochs=1"])
    assert again.exit_code == 2
    assert "--resume" in again.stderr
    assert CliRunner().invoke(app, [*given, "--set", "phases.0.epochs=1", "--resume"]).exit_code == 0
    assert read_log(tmp_path / "run")[-1]["event"] == "finished"


def test_a_split_file_is_taken(given: list[str], tmp_path: Path) -> None:
    lines = [f"p{number:03d},{'train' if number < 8 else 'validation'}" for number in range(16)]
    (tmp_path / "split.csv").write_text("\n".join(["patient_id,part", *lines]) + "\n")
    command = [*given, "--set", "phases.0.epochs=1", "--split", str(tmp_path / "split.csv")]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (tmp_path / "run" / "split.csv").read_text() == (tmp_path / "split.csv").read_text()


@pytest.mark.parametrize(("number", "code"), [(0, 0), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_being_stopped_is_said_and_told_by_the_exit_code(
    given: list[str], monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def stopped(*_given: object, **_named: object) -> Path:
        raise Stopped("asked to by somebody", number)

    monkeypatch.setattr(mammo_train.fit, "fit", stopped)
    found = CliRunner().invoke(app, given)
    assert (found.exit_code, "carry on with --resume" in found.stderr) == (code, True)


def test_an_unknown_recipe_names_the_bundled_ones(given: list[str]) -> None:
    found = CliRunner().invoke(app, ["nothing", *given[1:]])
    assert found.exit_code == 2
    assert "single_stage" in found.stderr


def test_other_processes_of_torchrun_say_nothing(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "RANK", "1")
    monkeypatch.setattr(mammo_train.fit, "fit", lambda *_given, **_named: Path())
    assert CliRunner().invoke(app, given).output == ""
