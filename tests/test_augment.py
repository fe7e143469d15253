"""Varied pictures: the same for the same key, exact where they can be, and black where black was."""

import numpy as np
import pytest

from mammo_core.phases import Augmentation
from mammo_train.augment import shown, varied

ALL = Augmentation(
    flip_vertical=0.5,
    flip_horizontal=0.5,
    rotation=20,
    scale=0.2,
    translation=0.1,
    brightness=0.2,
    contrast=0.2,
    gamma=0.2,
    blur=0.5,
    noise=0.05,
    erase=0.5,
)


def breast(dtype: type = np.uint8) -> np.ndarray:
    """A half-disc of tissue at the left edge of 96 x 64 pixels, with a bright spot above its middle."""
    y, x = np.mgrid[:96, :64]
    picture = np.where((y - 48) ** 2 + x**2 < 40**2, 90 + x, 0)
    picture[(y - 30) ** 2 + (x - 15) ** 2 < 9] = 240
    return (picture * (np.iinfo(dtype).max // 255)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_without_augmentation_nothing_changes(dtype):
    picture = breast(dtype)
    same = varied(picture, Augmentation(), key=(0, 1, 2, 3))
    assert (same.dtype, same.shape) == (np.float32, (96, 64))
    np.testing.assert_allclose(same, picture / np.iinfo(dtype).max, atol=1e-6)
    np.testing.assert_allclose(shown(picture), same, atol=1e-6)


def test_a_key_gives_always_the_same_picture_and_another_key_another():
    keys = [(seed, epoch, row, copy) for seed in (0, 1) for epoch in (0, 1) for row in (0, 1) for copy in (0, 1)]
    first = [varied(breast(), ALL, key=key) for key in keys]
    again = [varied(breast(), ALL, key=key) for key in reversed(keys)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({picture.tobytes() for picture in first}) == len(keys)


def test_varied_pictures_stay_pictures():
    for row in range(50):
        picture = varied(breast(), ALL, key=(0, 0, row, 0))
        assert picture.shape == (96, 64)
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert picture.max() <= 1


def test_flips_are_exact_and_as_frequent_as_asked():
    picture = shown(breast())
    both = Augmentation(flip_vertical=1.0, flip_horizontal=1.0)
    np.testing.assert_array_equal(varied(breast(), both, key=(0,)), picture[::-1, ::-1])
    quarter = Augmentation(flip_vertical=0.25)
    turned = [np.array_equal(varied(breast(), quarter, key=(0, row)), picture[::-1]) for row in range(400)]
    assert 70 < sum(turned) < 130


def centre(picture: np.ndarray) -> tuple[float, float]:
    """Middle (y, x) of what is brighter than half."""
    y, x = np.nonzero(picture > 0.75)
    return float(y.mean()), float(x.mean())


def test_rotation_is_about_the_middle_within_its_range():
    turns = []
    for row in range(60):
        y, x = centre(varied(breast(), Augmentation(rotation=30), key=(0, row)))
        angle = np.degrees(np.arctan2(y - 47.5, x - 31.5) - np.arctan2(30 - 47.5, 15 - 31.5))
        turns.append((angle + 180) % 360 - 180)
        assert np.hypot(y - 47.5, x - 31.5) == pytest.approx(np.hypot(30 - 47.5, 15 - 31.5), abs=0.7)
    assert -31.5 < min(turns) < -20
    assert 20 < max(turns) < 31.5


def test_scale_and_shift_are_within_their_ranges():
    distances, shifts = [], []
    for row in range(60):
        y, x = centre(varied(breast(), Augmentation(scale=0.2), key=(0, row)))
        distances.append(np.hypot(y - 47.5, x - 31.5) / np.hypot(30 - 47.5, 15 - 31.5))
        y, x = centre(varied(breast(), Augmentation(translation=0.1), key=(0, row)))
        shifts.append(((y - 30) / 96, (x - 15) / 64))
    assert 0.78 < min(distances) < 0.87
    assert 1.13 < max(distances) < 1.22
    assert 0.08 < np.abs(shifts).max() <= 0.11


def test_what_comes_in_from_outside_is_black():
    bright = np.full((64, 64), 200, np.uint8)
    turned = varied(bright, Augmentation(rotation=45), key=(0, 3))
    assert turned[0, 0] == turned[-1, -1] == 0
    assert set(np.round(turned[20:44, 20:44].ravel() * 255)) == {200}
    shifted = varied(bright, Augmentation(translation=0.5), key=(0, 3))
    assert (shifted == 0).any()


@pytest.mark.parametrize("field", ["brightness", "contrast", "gamma"])
def test_tones_keep_black_and_order_and_invent_no_edge(field):
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(2, 0)
    curves = [varied(ramp, Augmentation(**{field: 0.3}), key=(0, row))[0] for row in range(100)]
    for curve in curves:
        assert curve[0] == 0
        assert (np.diff(curve) >= 0).all()
        assert np.diff(curve).max() < 0.025  # one step of grey is nowhere more than six
    spread = np.array(curves)[:, 64]
    assert spread.max() - spread.min() > 0.05


def test_tone_ranges_by_hand():
    ramp = np.arange(256, dtype=np.uint8)[None]
    draws = range(300)
    factors = [varied(ramp, Augmentation(brightness=0.2), key=(0, row))[0, 100] / (100 / 255) for row in draws]
    assert (min(factors), max(factors)) == pytest.approx((0.8, 1.2), abs=0.01)
    powers = [np.log(varied(ramp, Augmentation(gamma=0.25), key=(0, row))[0, 100]) / np.log(100 / 255) for row in draws]
    assert (min(powers), max(powers)) == pytest.approx((0.8, 1.25), abs=0.01)
    curves = [varied(ramp, Augmentation(contrast=0.3), key=(0, row))[0] for row in draws]
    slopes = [(curve[130] - curve[125]) * 255 / 5 for curve in curves]
    assert (min(slopes), max(slopes)) == pytest.approx((0.7, 1.3), abs=0.02)


def test_noise_lies_on_the_breast_alone():
    picture = breast()
    noisy = varied(picture, Augmentation(noise=0.1), key=(0, 5))
    assert not noisy[picture == 0].any()
    difference = (noisy - shown(picture))[(picture > 0) & (picture < 200)]
    assert 0.005 < difference.std() < 0.1
    assert abs(difference.mean()) < 0.01


def test_blur_keeps_the_sum_and_lowers_the_peak():
    picture = np.zeros((65, 65), np.uint8)
    picture[32, 32] = 255
    blurred = varied(picture, Augmentation(blur=1.0, blur_sigma=2.0), key=(0, 1))
    assert blurred.sum() == pytest.approx(1.0, abs=1e-3)
    assert blurred.max() < 0.9
    assert np.unravel_index(blurred.argmax(), blurred.shape) == (32, 32)


def test_an_erased_rectangle_is_black_and_no_larger_than_allowed():
    bright = np.full((100, 80), 255, np.uint8)
    areas = []
    for row in range(100):
        hole = varied(bright, Augmentation(erase=1.0, erase_area=0.2), key=(0, row)) == 0
        y, x = np.nonzero(hole)
        assert hole.sum() == (np.ptp(y) + 1) * (np.ptp(x) + 1)
        areas.append(hole.mean())
    assert min(areas) < 0.05
    assert 0.17 < max(areas) < 0.21


def test_the_input_is_left_alone():
    picture = breast()
    before = picture.copy()
    varied(picture, ALL, key=(0,))
    np.testing.assert_array_equal(picture, before)
