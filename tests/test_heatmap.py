"""Heatmaps: equal to pytorch-grad-cam, exact on the file's pixels, honest when there is nothing to show."""

from dataclasses import replace
from itertools import product

import cv2
import numpy as np
import pytest
import torch
from pytorch_grad_cam import GradCAM, HiResCAM, LayerCAM

from made import made_checkpoint, made_header
from mammo_core.heatmap import closed_form, counted_pixels, heatmap, methods, normalise, on_file, peak_point, raw_maps
from mammo_core.inputs import InputSettings, Placement, model_input
from mammo_core.mammogram import Hanging, Mammogram
from mammo_core.model import Architecture, build_model, cell_shift

BACKBONES = ["resnet10t", "tf_efficientnet_lite0", "mobilenetv4_conv_small", "convnext_atto", "regnetx_002"]
LIBRARY = {"gradcam": GradCAM, "hirescam": HiResCAM, "layercam": LayerCAM}
WHOLE = Placement((0, 0, 128, 96), False, False, False, (128, 96), (0, 0), (128, 96))


def random_model(backbone: str, pooling: str = "avg"):
    torch.manual_seed(0)
    model = build_model(Architecture(backbone=backbone, pooling=pooling, in_channels=1)).eval()
    torch.nn.init.normal_(model.head.weight, mean=0.3)
    return model


class OneLogit(torch.nn.Module):
    """The model with logits (N, 1), as the library's targets want them."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images)[:, None]


def stretched(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Both of pytorch-grad-cam's rescalings: each map to [0, 1], resized, and to [0, 1] again."""

    def rescaled(image: np.ndarray) -> np.ndarray:
        image = image - image.min()
        return image / (1e-7 + image.max())

    return np.stack([rescaled(cv2.resize(rescaled(grid), size[::-1])) for grid in maps])


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_closed_form_is_pytorch_grad_cams(backbone, method):
    model = random_model(backbone)
    images = torch.randn(2, 1, 128, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = closed_form(model, model.features(images), method)
    with LIBRARY[method](OneLogit(model), [model.backbone]) as cam:
        theirs = cam(images, None)  # the only logit
    assert ours.max() > 0
    np.testing.assert_allclose(stretched(ours, (128, 96)), theirs, atol=1e-4)


def test_a_cell_shows_what_it_adds_to_the_logit():
    model = random_model("resnet10t")
    features = torch.rand(1, 512, 4, 3)
    model.head.weight.data.abs_()
    added = closed_form(model, features, "gradcam").sum() + model.head.bias.item()
    assert added == pytest.approx(model.logits(features).item(), rel=1e-5)


def test_layercam_by_hand():
    model = random_model("resnet10t")
    model.head.weight.data.zero_()
    model.head.weight.data[0, 0], model.head.weight.data[0, 1] = 2.0, -1.0
    features = torch.zeros(1, 512, 2, 1)
    features[0, 0, :, 0] = torch.tensor([1.0, 3.0])
    features[0, 1, :, 0] = torch.tensor([4.0, 1.0])
    # Grad-CAM: relu(2*1 - 4) = 0 and 2*3 - 1 = 5; LayerCAM leaves the negative channel out: 2 and 6; 2 cells.
    np.testing.assert_allclose(closed_form(model, features, "gradcam")[0, :, 0], [0, 2.5])
    np.testing.assert_allclose(closed_form(model, features, "layercam")[0, :, 0], [1, 3])


def test_methods_that_coincide_are_offered_once(tmp_path):
    offered = methods(made_checkpoint(tmp_path / "avg.safetensors"))
    assert [choice.method for choice in offered] == ["gradcam", "layercam"]
    assert "HiResCAM gives the same map" in offered[0].note
    for pooling in ("max", "gem"):
        offered = methods(made_checkpoint(tmp_path / f"{pooling}.safetensors", pooling=pooling))
        assert [choice.method for choice in offered] == ["gradcam", "hirescam", "layercam"]


@pytest.mark.parametrize("pooling", ["max", "gem"])
def test_behind_other_pooling_the_methods_differ(pooling):
    model = random_model("resnet10t", pooling)
    images = torch.randn(1, 1, 128, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features = model.features(images)
        maps = {method: raw_maps(model, features, method) for method in LIBRARY}
    assert not np.allclose(maps["gradcam"], maps["hirescam"])
    for method, kind in LIBRARY.items():
        with kind(OneLogit(model), [model.backbone]) as cam:
            np.testing.assert_allclose(stretched(maps[method], (128, 96)), cam(images, None), atol=1e-4)
    with torch.inference_mode(), pytest.raises(ValueError, match=f"no closed form behind {pooling} pooling"):
        closed_form(model, model.features(images), "gradcam")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_of_no_numbers_localises_nothing(bad):
    grid = np.zeros((4, 3), np.float32)
    grid[1, 1] = bad
    found = heatmap(grid, "gradcam", WHOLE)
    assert not found.localised
    assert found.reason == "no localisation: the map holds values that are not numbers"
    assert not on_file(found, 128, 96).any()


def test_an_empty_map_localises_nothing():
    found = heatmap(np.zeros((4, 3), np.float32), "gradcam", WHOLE)
    assert (found.localised, found.peak) == (False, 0.0)
    assert found.reason.startswith("no localisation: no place")
    assert peak_point(found) is None


def test_a_quiet_view_looks_quiet():
    loud, quiet = (heatmap(np.full((4, 3), v, np.float32), "gradcam", WHOLE) for v in (4.0, 1.0))
    empty = heatmap(np.zeros((4, 3), np.float32), "gradcam", WHOLE)
    assert normalise([loud, quiet, empty, None]) == [0.25, 0.25, 0.0, 0.0]
    assert normalise([loud, quiet, empty, None], common=False) == [0.25, 1.0, 0.0, 0.0]
    assert normalise([]) == []


def test_bilinear_between_cell_centres_by_hand():
    # Cells of 32 x 32: (0, 0) looks at (16, 16), (0, 1) at (48, 16). Half-way lies half of the value.
    grid = np.zeros((4, 3), np.float32)
    grid[0, 0] = 1.0
    drawn = on_file(heatmap(grid, "gradcam", WHOLE), 128, 96)
    assert drawn.shape == (128, 96)
    assert drawn[5, 3] == 1.0  # nearer to the corner than the first centre: its value goes on
    assert drawn[8, 32] == pytest.approx(1 - 16.5 / 32)  # x = 32.5
    assert drawn[32, 32] == pytest.approx((1 - 16.5 / 32) ** 2)
    assert drawn[64, 10] == 0.0


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("turn", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("side", ["L", "R"])
def test_an_impulse_in_the_file_comes_back_to_its_pixel(turn, side, step):
    """Through the real input, a network that only copies, and the map back: the light stays where it was."""
    pixels = np.zeros((400, 320), np.uint16)
    pixels[118:122, 198:202] = 65535  # centred on the corner (200, 120)
    header = made_header(
        400, 320, laterality=side, breast_box=(16, 32, 376, 302), hanging=Hanging(*turn, source="test")
    )
    shown, placement = model_input(Mammogram(header, pixels), InputSettings(height=192, width=160, margin=0.0))
    found = heatmap(shown[0], "gradcam", placement)
    drawn = on_file(found, 400, 320, step=step)
    ys, xs = (np.indices(drawn.shape) + 0.5) * step
    centre = (float((xs * drawn).sum() / drawn.sum()), float((ys * drawn).sum() / drawn.sum()))
    assert centre == pytest.approx((200.0, 120.0), abs=0.5)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert abs((column + 0.5) * step - 200) <= 2 * step
    assert abs((row + 0.5) * step - 120) <= 2 * step


def test_the_peak_of_one_cell_is_one_pixel_of_the_file():
    # A grid as fine as the file: every cell is one of its pixels, mirrored.
    mirrored = replace(WHOLE, flip_horizontal=True)
    grid = np.zeros((128, 96), np.float32)
    grid[40, 10] = 2.0
    found = heatmap(grid, "gradcam", mirrored)
    assert peak_point(found) == pytest.approx((85.5, 40.5))
    drawn = on_file(found, 128, 96)
    assert np.argwhere(drawn == 2.0).tolist() == [[40, 85]]
    assert np.count_nonzero(drawn > 1e-5) == 1


def test_nothing_is_drawn_outside_what_the_model_saw():
    found = heatmap(np.ones((4, 3), np.float32), "gradcam", replace(WHOLE, crop=(20, 30, 120, 80)))
    drawn = on_file(found, 200, 100)
    assert drawn[20:120, 30:80].min() == pytest.approx(1.0)
    assert drawn.sum() == pytest.approx(100 * 50)


def test_nothing_is_drawn_off_what_the_model_counts():
    """One cell at the skin, half of it air: its heat ends where the breast does, in the file's own pixels."""
    turned = Placement((0, 0, 192, 256), True, True, False, (256, 192), (0, 0), (256, 192))
    counted = np.zeros((256, 192), np.bool_)
    counted[:, :48] = True
    grid = np.zeros((8, 6), np.float32)
    grid[3, 1] = 1.0
    free = on_file(heatmap(grid, "gradcam", turned), 192, 256)
    drawn = on_file(heatmap(grid, "gradcam", turned, counted=counted), 192, 256)
    seen = turned.to_input(np.argwhere(np.ones_like(drawn))[:, ::-1] + 0.5)[:, 0].reshape(drawn.shape) < 48
    assert free[~seen].max() > 0.9
    assert drawn[~seen].max() <= 0.5  # within a pixel of the skin it falls to nothing
    assert np.array_equal(drawn > 0.5, (free > 0.5) & seen)


@pytest.mark.parametrize("pooling", ["avg", "breast"])
def test_a_model_that_pools_over_the_breast_counts_its_pixels_alone(pooling):
    model = random_model("resnet10t", pooling)
    shown = np.zeros((1, 64, 64), np.float32)
    assert counted_pixels(model, shown) is None  # no breast at all: all are counted
    shown[:, :, :20] = np.linspace(0.3, 0.9, 20)
    counted = counted_pixels(model, shown)
    if pooling == "avg":
        assert counted is None
    else:
        assert np.array_equal(counted, shown[0] > 0)


def with_open_branches(backbone: str):
    """Give a random model residual branches that do something: timm starts them at zero."""
    torch.manual_seed(0)
    model = build_model(Architecture(backbone=backbone, in_channels=1)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    return model


def test_cells_look_where_their_backbone_makes_them_look():
    # Five halvings, each centred on the first of two samples: (1 + 2 + 4 + 8 + 16) / 2 = 15.5 pixels early.
    assert cell_shift(with_open_branches("resnet18")) == pytest.approx((-15.5, -15.5), abs=1.5)
    # Patches that do not overlap are centred on their block.
    assert cell_shift(with_open_branches("convnext_atto")) == pytest.approx((0.0, 0.0), abs=1.5)


def test_the_shift_moves_the_map():
    grid = np.zeros((4, 3), np.float32)
    grid[1, 1] = 1.0
    found = heatmap(grid, "gradcam", WHOLE, (-15.5, -3.0))
    assert peak_point(found) == pytest.approx((45.0, 32.5))  # block middle (48, 48)
    drawn = on_file(found, 128, 96)
    assert np.unravel_index(drawn.argmax(), drawn.shape) == (32, 44)


def test_a_spot_seen_by_a_real_backbone_is_drawn_where_it_lies():
    """The centroid of what a spot changes in the feature map, drawn with the measured shift, is the spot."""
    model = with_open_branches("resnet18")
    right_of_middle, plain = cell_shift(model)[1], torch.zeros(1, 1, 256, 512)
    errors = []
    for x in (200, 208, 216, 224, 232, 240, 248, 256):
        spotted = plain.clone()
        spotted[0, 0, 120:136, x - 8 : x + 8] = 1.0
        with torch.inference_mode():
            change = (model.features(spotted) - model.features(plain)).square().sum((0, 1, 2)).numpy()
        middles = np.arange(16) * 32 + 16
        errors.append(float((middles * change).sum() / change.sum()) + right_of_middle - x)
    assert abs(np.mean(errors)) < 4  # without the shift it is 15.5
