"""result.json to the letter of the contract, and pictures that cannot leave without their banner."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from made import made_checkpoint, made_exam, made_point
from mammo_core.banner import BANNER
from mammo_core.heatmap import heatmap, normalise
from mammo_core.intake import Refusal
from mammo_core.reader import Reader
from mammo_core.report import heat_color, picture, result_json, summary, write_exam, write_result
from mammo_core.thresholds import Thresholds


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "made.safetensors"
    return Reader(made_checkpoint(path, operating_point=made_point(0.5)))


def test_the_contract(reader, tmp_path):
    exam = made_exam()
    reading = reader.read(exam)
    names = write_exam(tmp_path, reading, exam)
    path = write_result(
        tmp_path,
        result_json([reading], [Refusal("x.dcm", "is no DICOM")], reader, heatmaps=names),
    )
    result = json.loads(path.read_text(encoding="utf-8"))
    assert list(result) == ["schema", "software", "model", "operating_point", "studies", "refused"]
    assert result["schema"] == 1
    assert list(result["software"]) == ["name", "version"]
    assert result["model"] == {
        "name": "made",
        "sha256": reader.checkpoint.sha256,
        "training_domain": "phantom",
    }
    assert result["operating_point"] == {
        "threshold": 0.5,
        "sensitivity": 0.8,
        "specificity": 0.8,
        "source": "Made by hand.",
    }
    assert result["refused"] == [{"file": "x.dcm", "reason": "is no DICOM"}]
    (study,) = result["studies"]
    assert list(study) == ["study_uid", "patient_id", "score", "flagged", "warnings", "breasts", "views"]
    assert study["breasts"][0] == {
        "laterality": "R",
        "score": reading.breasts[0].score,
        "flagged": reading.breasts[0].flagged,
    }
    view = study["views"][0]
    assert view == {
        "file": "RCC.dcm",
        "laterality": "R",
        "view": "CC",
        "score": reading.views[0].score,
        "photometric": "MONOCHROME2",
        "inverted": False,
        "voi": "LINEAR_EXACT window 32768/65536 (full range)",
        "flipped": True,
        "crop": [0, 25, 160, 128],
        "heatmap": f"{'1' * 16}-RCC.png",
        "warnings": view["warnings"],
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [*(v["heatmap"] for v in study["views"]), f"{'1' * 16}-exam.png", "result.json"]
    )


def test_no_outside_text_reaches_a_file_name(reader, tmp_path):
    exam = made_exam()
    evil = replace(exam[0].header, view="../../evil", file="../../evil.dcm", patient_id="/etc")
    exam = [replace(exam[0], header=evil)]
    names = write_exam(tmp_path, reader.read(exam), exam)
    assert names == {"1" * 64: f"{'1' * 16}-Rview.png"}


def test_a_map_without_localisation_says_so(reader):
    reading = reader.read(made_exam())
    view = reading.views[0]
    empty = heatmap(np.zeros_like(view.heatmap.grid), "gradcam", view.placement)
    reading = replace(reading, views=(replace(view, heatmaps=(empty,)), *reading.views[1:]))
    result = result_json([reading], [], reader)
    assert any(w.startswith("no localisation") for w in result["studies"][0]["views"][0]["warnings"])
    assert result["studies"][0]["views"][0]["heatmap"] is None


def test_the_operating_point_is_the_models_even_if_every_file_was_refused(reader):
    result = result_json([], [Refusal("x.dcm", "is no DICOM")], reader)
    assert result["operating_point"]["threshold"] == 0.5
    assert (result["model"]["name"], result["studies"]) == ("made", [])


def banner_pixels(image: Image.Image) -> np.ndarray:
    """The lowest strip of a picture."""
    return np.asarray(image)[-28:]


def test_the_banner_is_burnt_into_every_picture(reader):
    exam = made_exam()
    reading = reader.read(exam)
    scales = normalise([view.heatmap for view in reading.views])
    pictures = [picture(m, v, s) for m, v, s in zip(exam, reading.views, scales, strict=True)]
    for drawn in [*pictures, summary(pictures, reading)]:
        strip = banner_pixels(drawn)
        assert (strip[0, 0] == (0x5A, 0x3C, 0x00)).all()
        # The banner's letters cover as many pixels as the same text drawn on its own.
        assert (strip > 128).all(axis=-1).sum() > 300
    assert BANNER == "Research use only - not for diagnosis"


def test_the_picture_is_hung_and_scaled(reader):
    exam = made_exam()
    reading = reader.read(exam)
    drawn = np.asarray(picture(exam[0], reading.views[0], 0.0, size=320))
    assert drawn.shape == (320 + 56, 256, 3)
    body = drawn[28:-28]
    assert body[:, :50].max() == 0  # a right breast: air on the left
    assert body[:, 60:].mean() > 60
    assert (body[..., 0] == body[..., 1]).all()  # scale 0: no heat, grey only


def test_heat_lies_where_the_map_is_and_nowhere_else(reader):
    exam = made_exam()
    view = reader.read(exam).views[1]  # left breast: input and file are not mirrored
    grid = np.zeros((4, 3), np.float32)
    grid[0, 0] = 2.0
    view = replace(view, heatmaps=(heatmap(grid, "gradcam", view.placement),))
    drawn = np.asarray(picture(exam[1], view, 0.5, size=320))[28:-28].astype(int)
    colored = drawn[..., 0] - drawn[..., 2] > 8
    assert colored[:60, :60].mean() > 0.9
    assert not colored[180:].any()


def test_colors_rise_from_dark_to_light():
    ramp = heat_color(np.linspace(0, 1, 50, dtype=np.float32)).astype(int).sum(axis=-1)
    assert (np.diff(ramp) >= 0).all()
    assert heat_color(np.float32([1.0])).tolist() == [[255, 250, 180]]


def test_a_tiny_picture_keeps_its_banner(reader):
    exam = made_exam()
    drawn = picture(exam[0], reader.read(exam).views[0], 0.0, size=120)
    assert ImageDraw.Draw(drawn).textlength(BANNER) > 0
    assert (banner_pixels(drawn) > 100).all(axis=-1).any()


def test_a_saved_operating_point_names_itself_and_lists_its_vendors(tmp_path) -> None:
    own, saved = made_point(0.5), made_point(0.7).model_copy(update={"rule": "saved as 'Fewer', version 2: given"})
    checkpoint = made_checkpoint(tmp_path / "made.safetensors", operating_point=own)
    reader = Reader(checkpoint, thresholds=Thresholds(general=saved, vendors={"Acme": made_point(0.8)}))
    found = result_json([reader.read(made_exam())], [], reader)
    assert found["operating_point"] == {
        "threshold": 0.7,
        "sensitivity": 0.8,
        "specificity": 0.8,
        "source": "saved as 'Fewer', version 2: given. Made by hand.",
        "vendors": {"Acme": 0.8},
    }
