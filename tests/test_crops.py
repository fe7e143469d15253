"""Crops: around the lesion that is to be learnt, else in tissue, always inside the picture."""

import numpy as np

from mammo_train.crops import cropped
from mammo_train.marks import LESION


def picture() -> np.ndarray:
    """Tissue in the left half, each pixel telling where it comes from."""
    found = np.zeros((100, 80), np.uint16)
    found[:, :40] = 20_000 + np.arange(100)[:, None] * 100 + np.arange(40)
    return found


def lesion(rows: slice, columns: slice) -> np.ndarray:
    found = np.zeros((100, 80), np.uint8)
    found[rows, columns] = LESION
    return found


def test_a_crop_of_a_cancer_shows_it_and_marks_stay_in_step():
    pixels, marks = picture(), lesion(slice(70, 74), slice(20, 24))
    for seed in range(50):
        part, where = cropped(pixels, marks, marks > 0, 32, np.random.default_rng(seed))
        assert part.shape == where.shape == (32, 32)
        assert (where == LESION).any()
        # The pixels under the marks are those of the lesion.
        assert set(part[where == LESION].tolist()) <= set(pixels[marks == LESION].tolist())


def test_crops_of_a_lesion_differ():
    pixels, marks = picture(), lesion(slice(50, 52), slice(20, 22))
    corners = {int(cropped(pixels, marks, None, 32, np.random.default_rng(seed))[0][0, 0]) for seed in range(20)}
    assert len(corners) > 10


def test_a_negative_is_cropped_in_tissue_and_now_and_then_around_its_benign_lesion():
    pixels, none = picture(), np.zeros((100, 80), np.uint8)
    benign = lesion(slice(90, 92), slice(2, 4)) > 0
    around = 0
    for seed in range(200):
        part, where = cropped(pixels, none, benign, 32, np.random.default_rng(seed))
        assert (part > 0).mean() > 0.2
        assert not where.any()
        around += bool(np.isin(part, pixels[benign]).any())
    # A quarter on purpose, some of the others by chance.
    assert 50 <= around <= 120


def test_a_picture_smaller_than_the_crop_is_kept_whole():
    part, where = cropped(picture(), np.zeros((100, 80), np.uint8), None, 96, np.random.default_rng(0))
    assert part.shape == where.shape == (96, 80)


def test_a_black_picture_has_a_crop_too():
    black = np.zeros((100, 80), np.uint8)
    assert cropped(black, black, None, 32, np.random.default_rng(0))[0].shape == (32, 32)
