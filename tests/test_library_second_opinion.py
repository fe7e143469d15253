"""The AI's answer in the library is the one that the model gives without a library."""

import json
from pathlib import Path

import numpy as np
import pytest

from made import made_checkpoint, made_point
from mammo_core.checkpoint import load_checkpoint, model_of, save_checkpoint
from mammo_core.dicom import read_mammogram
from mammo_core.library import AiResult, Library, ModelRecord
from mammo_core.library.adding import add
from mammo_core.library.rows import ai_columns, ai_result
from mammo_core.library.second_opinion import SecondOpinion
from mammo_core.reader import Reader
from mammo_core.sandbox import DecodeSandbox
from tiny_dicom import breast, write_mammogram


@pytest.fixture(scope="module")
def sandbox():
    with DecodeSandbox() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "made.safetensors"
    made_checkpoint(path, operating_point=made_point(0.5))
    return path


@pytest.fixture(scope="module")
def checkpoint(file: Path):
    return load_checkpoint(file)


@pytest.fixture
def library(tmp_path: Path, file: Path):
    with Library(tmp_path / "library") as opened:
        opened.models.only_now(file)
        yield opened


def two_views(folder: Path) -> list[Path]:
    folder.mkdir()
    rng = np.random.default_rng(3)
    files = []
    for number, (side, orientation) in enumerate([("R", ["P", "L"]), ("L", ["A", "R"])], start=1):
        pixels = breast(120, 96, side="right" if side == "R" else "left")
        pixels = np.where(pixels > 0, pixels + rng.integers(0, 400, pixels.shape), 0)
        options = {"ImageLaterality": side, "PatientOrientation": orientation, "SOPInstanceUID": f"1.2.{number}"}
        files.append(write_mammogram(folder / f"{side}.dcm", pixels, **options))
    return files


def test_scores_and_heatmaps_are_those_of_the_reader(library, sandbox, checkpoint, tmp_path) -> None:
    files = two_views(tmp_path / "exam")
    add(library, files, sandbox, progress=lambda _: None)
    opinion = SecondOpinion(checkpoint)
    assert library.unread_by(opinion.sha256) == [1]
    assert opinion.read(library, 1, sandbox)
    assert library.unread_by(opinion.sha256) == []
    ai = library.study(1).ai
    assert ai is not None
    alone = Reader(checkpoint).read([read_mammogram(file, target=checkpoint.header.inputs.target) for file in files])
    # The order of views in a batch may move the last bits of a float32 sum.
    assert ai.result.score == pytest.approx(alone.score, abs=1e-6)
    scores = {view.sha256: view.score for view in ai.result.views}
    assert scores == pytest.approx({view.sha256: view.score for view in alone.views}, abs=1e-6)
    assert [breast.laterality for breast in ai.result.breasts] == ["R", "L"]
    assert ai.result.flagged is (alone.score >= 0.5)
    assert ai.result.model.limits == checkpoint.header.card.limits == ("Knows nothing.",)
    assert {method for _, method in ai.heats} == {"gradcam", "layercam"}
    for view in alone.views:
        heat = ai.heats[(view.sha256, "gradcam")]
        assert heat.peak == pytest.approx(view.heatmap.peak, rel=1e-4)
        stored = np.frombuffer(library.heat(heat), np.uint8).reshape(heat.rows, heat.columns)
        assert stored.max() >= 250


def test_a_result_from_before_limits_were_kept_is_read() -> None:
    model = ModelRecord("made", "1", "0" * 64, "phantom", made_point(0.5), ("Knows nothing.",))
    kept = json.loads(ai_columns(AiResult(model, 0.5, True, (), (), (), ()))["result"])
    assert ai_result(json.dumps(kept)).model.limits == ("Knows nothing.",)
    del kept["model"]["limits"]
    assert ai_result(json.dumps(kept)).model.limits == ()


def test_a_method_that_localises_nothing_says_so_and_is_not_replaced(library, sandbox, checkpoint, tmp_path) -> None:
    """Half of the channels speak strongly against a finding, half faintly for one: LayerCAM leaves those out."""
    model = model_of(checkpoint)
    weights = model.state_dict()
    head = next(name for name in weights if name.startswith("head") and name.endswith("weight"))
    weights[head] = -weights[head].abs()
    weights[head][0, ::2] = 1e-4
    quiet = save_checkpoint(tmp_path / "quiet.safetensors", checkpoint.header, weights)
    library.models.only_now(tmp_path / "quiet.safetensors")
    add(library, two_views(tmp_path / "exam"), sandbox, progress=lambda _: None)
    SecondOpinion(quiet).read(library, 1, sandbox)
    ai = library.study(1).ai
    assert ai is not None
    assert ai.result.methods == ("gradcam", "layercam")
    assert {method for _, method in ai.heats} == {"layercam"}
    for view in ai.result.views:
        assert view.heat_reason("gradcam").startswith("no localisation: no place")
        assert view.heat_reason("layercam") == ""


def test_the_side_that_the_reader_entered_is_the_breast_that_is_scored(library, sandbox, checkpoint, tmp_path) -> None:
    folder = tmp_path / "exam"
    folder.mkdir()
    write_mammogram(folder / "a.dcm", breast(120, 96), ImageLaterality=None, PatientOrientation=None, ViewPosition=None)
    add(library, [folder], sandbox, progress=lambda _: None)
    (image,) = library.study(1).images
    library.correct(image.sha256, "R", "CC")
    SecondOpinion(checkpoint).read(library, 1, sandbox)
    ai = library.study(1).ai
    assert ai is not None
    assert [breast.laterality for breast in ai.result.breasts] == ["R"]
    assert [(view.laterality, view.view) for view in ai.result.views] == [("R", "CC")]
