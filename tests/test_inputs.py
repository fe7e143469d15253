"""The model input: chest wall left, aspect kept, and every coordinate exact in both directions."""

from itertools import product

import numpy as np
import pytest

from made import made_header
from mammo_core.errors import InputError
from mammo_core.inputs import InputSettings, Placement, model_input
from mammo_core.mammogram import Hanging, Mammogram, reduced

SETTINGS = InputSettings(height=96, width=64, margin=0.0)
BOX = (10, 20, 190, 140)
"""180 x 120 pixels, which fill 96 x 64 exactly at a scale of 8/15."""


def impulse(column: int, row: int, **changes: object) -> Mammogram:
    """200 x 160 pixels, one 4 x 4 white spot centred on the corner (column, row)."""
    pixels = np.zeros((200, 160), np.uint16)
    pixels[row - 2 : row + 2, column - 2 : column + 2] = 65535
    return Mammogram(made_header(200, 160, **({"breast_box": BOX} | changes)), pixels)


def centre_of_light(shown: np.ndarray) -> tuple[float, float]:
    """Centroid (x, y) of the light in the first channel, pixel centres at .5."""
    ys, xs = np.indices(shown.shape[1:]) + 0.5
    total = shown[0].sum()
    return float((xs * shown[0]).sum() / total), float((ys * shown[0]).sum() / total)


@pytest.mark.parametrize("turn", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("side", ["L", "R"])
def test_an_impulse_lands_where_the_placement_says(turn, side):
    hanging = Hanging(*turn, "test")
    shown, placement = model_input(impulse(96, 40, hanging=hanging, laterality=side), SETTINGS)
    expected = placement.to_input(np.array([[96.0, 40.0]]))[0]
    assert centre_of_light(shown) == pytest.approx(tuple(expected), abs=0.02)


def test_known_coordinates_for_a_left_breast():
    _, placement = model_input(impulse(96, 40), SETTINGS)
    assert placement.crop == BOX
    assert (placement.size, placement.offset) == ((96, 64), (0, 0))
    points = placement.to_input(np.array([[20.0, 10.0], [140.0, 190.0], [50.0, 40.0]]))
    np.testing.assert_allclose(points, [[0, 0], [64, 96], [16, 16]], atol=1e-12)


def test_a_right_breast_is_mirrored_so_that_its_chest_wall_is_left():
    _, placement = model_input(impulse(96, 40, laterality="R"), SETTINGS)
    points = placement.to_input(np.array([[140.0, 10.0], [20.0, 190.0]]))
    np.testing.assert_allclose(points, [[0, 0], [64, 96]], atol=1e-12)


def test_a_wide_crop_is_padded_above_and_below_alike():
    shown, placement = model_input(impulse(96, 60, breast_box=(45, 20, 75, 140)), SETTINGS)
    assert placement.size == (16, 64)
    assert placement.offset == (40, 0)
    assert not shown[:, :40].any()
    assert not shown[:, 56:].any()


def test_there_and_back_again():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 150, (50, 2))
    for transpose, horizontal, vertical in product([False, True], repeat=3):
        placement = Placement((10, 20, 190, 150), transpose, horizontal, vertical, (61, 47), (3, 0), (96, 64))
        np.testing.assert_allclose(placement.to_file(placement.to_input(points)), points, atol=1e-9)


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_reduced_image_lands_on_the_same_input_pixels(reduction):
    # A smooth blob sampled where the JPEG 2000 low band samples it: at full-resolution pixel i * reduction.
    mirrored = Hanging(False, True, False, "test")
    full = made_header(1600, 1280, breast_box=(100, 60, 1500, 1200), hanging=mirrored)

    def blob(step: int) -> np.ndarray:
        y, x = np.arange(0, 1600, step)[:, None], np.arange(0, 1280, step)[None]
        light = np.exp(-((x - 700.0) ** 2 + (y - 411.0) ** 2) / (2 * 60.0**2))
        return np.round(60000 * light).astype(np.uint16)

    sharp, placement = model_input(Mammogram(full, blob(1)), SETTINGS)
    coarse, same = model_input(Mammogram(full, blob(reduction), reduction), SETTINGS)
    assert same == placement
    expected = placement.to_input(np.array([[700.5, 411.5]]))[0]
    assert centre_of_light(sharp) == pytest.approx(tuple(expected), abs=0.01)
    assert centre_of_light(coarse) == pytest.approx(tuple(expected), abs=0.01)
    assert np.abs(sharp - coarse).max() < 0.01


def test_a_whole_image_gives_the_input_of_its_reduced_one():
    pixels = np.random.default_rng(0).integers(20000, 45000, (1600, 1280)).astype(np.uint16)
    whole = Mammogram(made_header(1600, 1280, breast_box=(100, 60, 1500, 1200)), pixels)
    wanted, placement = model_input(whole, SETTINGS)
    for halvings in (1, 2):
        found, same = model_input(reduced(whole, halvings), SETTINGS)
        assert same == placement
        assert np.array_equal(found, wanted)


def test_a_reduced_image_keeps_its_scale_up_to_the_last_edge():
    # A ramp over the whole width: every sample at x shows x, and so must the input, edges apart.
    ramp = np.broadcast_to(np.arange(0, 1280, 8), (200, 160)).astype(np.uint16)
    whole = made_header(1600, 1280)
    shown, placement = model_input(Mammogram(whole, ramp, 8), SETTINGS)
    xs = placement.to_file(np.stack([np.arange(64) + 0.5, np.full(64, 48.0)], axis=1))[:, 0] - 0.5
    np.testing.assert_allclose(shown[0, 48, 1:-1] * 65536, xs[1:-1], atol=0.3)  # the triangle filter is not exact


@pytest.mark.parametrize(("side", "mirrored"), [("right", True), ("left", False), (None, False)])
def test_an_unknown_laterality_goes_by_where_the_tissue_is(side, mirrored):
    _, placement = model_input(impulse(96, 40, laterality=None, tissue_side=side), SETTINGS)
    assert placement.flip_horizontal is mirrored


def test_normalisation_and_channels():
    settings = InputSettings(height=96, width=64, mean=(0.5, 0.4, 0.3), std=(0.5, 0.2, 0.1))
    white = np.full((200, 160), 65535, np.uint16)
    shown, _ = model_input(Mammogram(made_header(200, 160), white), settings)
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown[:, 32, 10], [1, 3, 7], atol=1e-3)  # (1 - mean) / std
    with pytest.raises(ValueError, match="one or three"):
        InputSettings(mean=(0.5, 0.5), std=(1.0, 1.0))
    with pytest.raises(ValueError, match="std positive"):
        InputSettings(std=(0.0,))


def test_monochrome1_is_shown_inverted():
    made = impulse(96, 40, photometric="MONOCHROME1")
    shown, placement = model_input(made, SETTINGS)
    x, y = placement.to_input(np.array([[96.0, 40.0]]))[0]
    assert shown[0, int(y), int(x)] < 0.5
    assert shown[0, 90, 5] == pytest.approx(1.0, abs=1e-4)


def test_the_margin_stops_at_the_border():
    wide = InputSettings(height=96, width=64, margin=0.1)
    _, placement = model_input(impulse(96, 40, breast_box=(10, 0, 190, 100)), wide)
    assert placement.crop == (0, 0, 200, 118)


def test_an_empty_crop_is_an_error():
    with pytest.raises(InputError, match="empty"):
        model_input(impulse(96, 40, breast_box=(50, 50, 50, 50)), SETTINGS)
