"""One study in, one reading out: scores per view, breast and exam, and what the reader must be told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM

from made import made_checkpoint, made_exam, made_point
from mammo_core.calibration import Calibration
from mammo_core.checkpoint import ValidationScores, model_of
from mammo_core.errors import InputError
from mammo_core.heatmap import on_file
from mammo_core.inputs import model_input
from mammo_core.mammogram import VoiLut
from mammo_core.model import Model
from mammo_core.reader import Reader
from mammo_core.thresholds import Thresholds


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return made_checkpoint(tmp_path_factory.mktemp("model") / "made.safetensors", operating_point=made_point(0.5))


@pytest.fixture(scope="module")
def reader(checkpoint):
    return Reader(checkpoint)


def changed(mammogram, **fields):
    return replace(mammogram, header=replace(mammogram.header, **fields))


def test_breast_is_the_mean_of_its_views_and_exam_the_larger_breast(reader):
    reading = reader.read(made_exam())
    scores = {(v.laterality, v.view): v.score for v in reading.views}
    breasts = {breast.laterality: breast for breast in reading.breasts}
    assert list(breasts) == ["R", "L"]
    for side, breast in breasts.items():
        assert breast.score == pytest.approx((scores[side, "CC"] + scores[side, "MLO"]) / 2)
        assert breast.flagged is (breast.score >= 0.5)
    assert reading.score == max(breast.score for breast in reading.breasts)
    assert reading.flagged is (reading.score >= 0.5)
    assert (reading.study_uid, reading.patient_id) == ("1.2.3", "p1")


def test_the_score_is_the_sigmoid_of_the_networks_logit(reader, checkpoint):
    exam = made_exam()
    shown = np.stack([model_input(view, checkpoint.header.inputs)[0] for view in exam])
    with torch.inference_mode():
        logits = model_of(checkpoint)(torch.from_numpy(shown)).numpy()
    found = reader.read(exam).views
    np.testing.assert_allclose([view.logit for view in found], logits, atol=1e-5)
    np.testing.assert_allclose([view.score for view in found], 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_the_score_is_calibrated_where_the_checkpoint_says_how(tmp_path):
    calibration = Calibration(
        slope=2.0,
        intercept=-1.0,
        fitted_prevalence=0.5,
        stated_prevalence=0.2,
        unit="view",
        n=10,
        source="made",
    )
    view = Reader(made_checkpoint(tmp_path / "m.safetensors", calibration=calibration)).read(made_exam()).views[0]
    odds = np.exp(2.0 * view.logit - 1.0) / 4
    assert view.score == pytest.approx(odds / (1 + odds))


def test_a_views_logit_does_not_depend_on_its_company(reader):
    exam = made_exam()
    together = [view.logit for view in reader.read(exam).views]
    alone = [reader.read([view]).views[0].logit for view in exam]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    many = [changed(exam[i % 4], sha256=f"{i:064x}") for i in range(10)]
    np.testing.assert_allclose([v.logit for v in reader.read(many).views], (together * 3)[:10], atol=1e-5)


def test_what_the_model_saw_is_recorded(reader):
    right, left = reader.read(made_exam()).views[:2]
    assert (right.flipped, left.flipped) == (True, False)
    assert right.crop == (0, 25, 160, 128)  # box from 28, margin of 2 % of 160 pixels
    assert right.voi == "LINEAR_EXACT window 32768/65536 (full range)"
    assert right.heatmap is not None
    assert right.heatmap.placement == right.placement
    assert right.inverted is False


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_every_method_draws_from_the_one_forward_pass(tmp_path, monkeypatch, pooling):
    checkpoint = made_checkpoint(tmp_path / "m.safetensors", pooling=pooling)
    kinds = {"gradcam": GradCAM, "hirescam": HiResCAM, "layercam": LayerCAM}
    reader = Reader(checkpoint, methods=tuple(kinds))
    exam, passes, features = made_exam(), [], Model.features
    monkeypatch.setattr(Model, "features", lambda model, images: passes.append(len(images)) or features(model, images))
    views = reader.read(exam).views
    assert passes == [4]
    shown = torch.from_numpy(np.stack([model_input(view, checkpoint.header.inputs)[0] for view in exam]))
    model = model_of(checkpoint)
    for number, (method, kind) in enumerate(kinds.items()):
        with kind(model, [model.backbone]) as cam:
            cam.activations_and_grads(shown.requires_grad_()).sum().backward()
            (activations,), (gradients,) = cam.activations_and_grads.activations, cam.activations_and_grads.gradients
            maps = cam.get_cam_image(shown, None, None, activations.numpy(), gradients.numpy(), False)
        found = [view.heatmaps[number] for view in views]
        assert [heatmap.method for heatmap in found] == [method] * 4
        np.testing.assert_allclose([heatmap.grid for heatmap in found], np.maximum(maps, 0), atol=1e-5)


def test_heat_of_a_model_that_pools_over_the_breast_lies_on_the_breast(tmp_path):
    """Half of the picture is air: where the input shows none of the breast, no heat is drawn in the file."""
    checkpoint = made_checkpoint(tmp_path / "m.safetensors", pooling="breast")
    (view, *rest) = made_exam()
    pixels = view.pixels.copy()
    pixels[len(pixels) // 2 :] = pixels.min()
    view = replace(view, pixels=pixels)
    rows, columns = pixels.shape
    found = Reader(checkpoint).read([view, *rest]).views[0]
    assert found.heatmap.localised
    drawn = on_file(found.heatmap, rows, columns)
    free = on_file(replace(found.heatmap, counted=None), rows, columns)
    air = slice(rows // 2 + rows // 32, None)  # a few pixels of the input from the skin
    assert free[air].any(), "drawn smoothly it would reach into the air"
    assert drawn.any()
    assert not drawn[air].any()


def test_an_unsuitable_view_is_shown_but_not_scored(reader):
    exam = made_exam()
    exam[0] = changed(exam[0], view_modifiers=("Spot Compression",))
    reading = reader.read(exam)
    spot = reading.views[0]
    assert (spot.scored, spot.score, spot.heatmap) == (False, None, None)
    assert "Not scored: Spot Compression." in spot.warnings
    assert reading.breasts[0].score == reading.views[2].score  # the right MLO alone
    assert any("is not scored" in warning for warning in reading.warnings)


def test_nothing_but_unsuitable_views_gives_no_score(reader):
    reading = reader.read([changed(made_exam()[0], view_modifiers=("Magnification",))])
    assert (reading.score, reading.flagged, reading.breasts) == (None, None, ())


def test_a_view_of_unknown_laterality_is_scored_but_counts_for_no_breast(reader):
    reading = reader.read([changed(made_exam()[1], laterality=None, tissue_side="left")])
    assert reading.views[0].score is not None
    assert (reading.score, reading.breasts) == (None, ())
    assert any("Laterality or view is not known" in warning for warning in reading.warnings)


PHANTOM_ONLY = "The model in use (made) was trained on synthetic phantoms only"


def test_a_phantom_model_says_so_on_every_real_exam(reader):
    exam = made_exam()
    assert not any("phantom" in warning for warning in reader.read(exam).warnings)
    real = [changed(view, manufacturer="HOLOGIC, Inc.") for view in exam]
    assert any(warning.startswith(PHANTOM_ONLY) for warning in reader.read(real).warnings)
    mixed = [real[0], *exam[1:]]
    assert any(warning.startswith(PHANTOM_ONLY) for warning in reader.read(mixed).warnings)
    unnamed = [changed(view, manufacturer="") for view in exam]
    assert any(warning.startswith(PHANTOM_ONLY) for warning in reader.read(unnamed).warnings)


def test_a_vendor_or_view_unseen_in_training_is_warned_about(tmp_path):
    reader = Reader(made_checkpoint(tmp_path / "m.safetensors", training_domain="mammogram"))
    exam = [changed(view, manufacturer="Vendor A") for view in made_exam()]
    exam[0] = changed(exam[0], manufacturer="Vendor B", view="XCCL")
    reading = reader.read(exam)
    assert "Manufacturer Vendor B was not seen in training." in reading.warnings
    assert not any("Vendor A" in warning for warning in reading.warnings)
    assert any(warning.startswith("View XCCL is not among") for warning in reading.views[0].warnings)
    synthetic = reader.read(made_exam()).warnings
    assert any(warning.startswith("This is a synthetic exam") for warning in synthetic)


def test_without_an_operating_point_nothing_is_flagged(tmp_path):
    reading = Reader(made_checkpoint(tmp_path / "m.safetensors")).read(made_exam())
    assert reading.score is not None
    assert reading.flagged is None
    assert [breast.flagged for breast in reading.breasts] == [None, None]


def test_thresholds_of_a_library_count_instead_of_the_checkpoints(checkpoint):
    exam = made_exam()
    vendor = exam[0].header.manufacturer
    score = Reader(checkpoint).read(exam).score
    above, below = made_point(score + 0.01), made_point(score)
    for thresholds, flagged in (
        (Thresholds(general=above), False),
        (Thresholds(general=below), True),
        (Thresholds(general=above, vendors={vendor: below}), True),
        (Thresholds(general=below, vendors={vendor: above}), False),
        (Thresholds(general=below, vendors={"Another": above}), True),
    ):
        reading = Reader(checkpoint, thresholds=thresholds).read(exam)
        assert reading.flagged is flagged
        assert any(breast.flagged for breast in reading.breasts) is flagged
        assert reading.operating_point == thresholds.of(vendor)


def test_a_vendor_that_the_threshold_was_never_measured_on_is_said(tmp_path):
    exam = made_exam()
    vendor = exam[0].header.manufacturer
    for manufacturers, told in (((vendor, "Other"), False), (("Other", ""), True), ((), False)):
        validation = ValidationScores(
            unit="breast",
            patients=("a", "b"),
            labels=(True, False),
            scores=(0.9, 0.1),
            groups={"manufacturer": manufacturers} if manufacturers else {},
        )
        warnings = Reader(made_checkpoint(tmp_path / "m.safetensors", validation=validation)).read(exam).warnings
        assert any("is not among the validation cases" in warning for warning in warnings) is told


def test_views_of_several_studies_are_refused(reader):
    exam = made_exam()
    exam[3] = changed(exam[3], study_uid="9.9")
    with pytest.raises(InputError, match="4 views of 2 studies, expected those of one"):
        reader.read(exam)
    with pytest.raises(InputError, match="0 views of 0 studies"):
        reader.read([])


def test_an_unknown_method_is_refused(checkpoint):
    with pytest.raises(InputError, match="'scorecam' is not one of gradcam, layercam"):
        Reader(checkpoint, methods=["gradcam", "scorecam"])
    same = Reader(checkpoint, methods=["hirescam"]).read(made_exam()).views[0].heatmap
    np.testing.assert_array_equal(same.grid, Reader(checkpoint).read(made_exam()).views[0].heatmap.grid)


def test_a_lookup_table_in_words(reader):
    exam = [changed(made_exam()[0], vois=(VoiLut.of(0, (0, 1, 2), 12, "NORMAL"),))]
    assert reader.read(exam).views[0].voi == "VOI LUT of 3 entries (NORMAL)"
