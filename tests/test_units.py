"""Scores per image -> per breast and per patient, by hand."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from mammo_core.errors import InputError
from mammo_train.units import by_breast, by_image, by_patient, stacked

TABLE = pd.DataFrame(
    {
        "image_id": ["i5", "i4", "i3", "i2", "i1", "i0"],
        "patient_id": ["b", "b", "b", "a", "a", "c"],
        "laterality": ["R", "L", "R", "L", "L", "R"],
        "cancer": [True, False, False, False, False, True],
    }
)
ROWS = np.array([0, 1, 2, 3, 4])
SCORES = np.array([0.9, 0.4, 0.3, 0.2, 0.6])


def test_by_image():
    units = by_image(TABLE, ROWS, SCORES)
    assert units.keys == ("i1", "i2", "i3", "i4", "i5")
    assert units.patients == ("a", "a", "b", "b", "b")
    np.testing.assert_array_equal(units.scores, [0.6, 0.2, 0.3, 0.4, 0.9])
    np.testing.assert_array_equal(units.labels, [False, False, False, False, True])


def test_by_breast():
    units = by_breast(TABLE, ROWS, SCORES)
    assert (units.keys, units.patients, units.unit) == (("a/L", "b/L", "b/R"), ("a", "b", "b"), "breast")
    np.testing.assert_allclose(units.scores, [0.4, 0.4, 0.6])
    # One image of b's right breast shows the cancer: the breast has it.
    np.testing.assert_array_equal(units.labels, [False, False, True])
    np.testing.assert_array_equal(by_breast(TABLE, ROWS, SCORES, "max").scores, [0.6, 0.4, 0.9])


def test_one_view_of_a_breast_is_the_same_for_every_model():
    units = by_breast(TABLE, ROWS, SCORES, "one_view")
    assert (units.keys, units.patients, units.unit) == (("a/L", "b/L", "b/R"), ("a", "b", "b"), "breast")
    # Drawn by name: of i2 and i1 the one whose name's SHA-256 comes first, of i5 and i3 likewise; the label is the
    # breast's, whichever view was drawn.
    first = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("i1", "i2", "i3", "i5")}
    of = {"i5": 0.9, "i3": 0.3, "i2": 0.2, "i1": 0.6}
    drawn = [min(("i1", "i2"), key=first.get), min(("i3", "i5"), key=first.get)]
    np.testing.assert_array_equal(units.scores, [of[drawn[0]], 0.4, of[drawn[1]]])
    np.testing.assert_array_equal(units.labels, [False, False, True])
    other = by_breast(TABLE, ROWS[::-1], 1 - SCORES[::-1], "one_view")
    np.testing.assert_allclose(other.scores, 1 - units.scores)


def test_by_patient_is_the_higher_breast():
    units = by_patient(TABLE, ROWS, SCORES)
    assert (units.keys, units.patients) == (("a", "b"), ("a", "b"))
    np.testing.assert_allclose(units.scores, [0.4, 0.6])
    np.testing.assert_array_equal(units.labels, [False, True])


def test_runs_are_stacked_on_the_same_units_only():
    first, second = by_breast(TABLE, ROWS, SCORES), by_breast(TABLE, ROWS, 1 - SCORES)
    units, scores = stacked([first, second])
    assert units is first
    np.testing.assert_allclose(scores, [[0.4, 0.4, 0.6], [0.6, 0.6, 0.4]])
    with pytest.raises(InputError, match=r"run 2: are not of the same units as those of run 1 \(3 and 1 breast"):
        stacked([first, by_breast(TABLE, np.array([5]), np.array([0.1]))])


def test_scores_of_another_length_are_refused():
    with pytest.raises(InputError, match=r"\(4,\), the rows of the table \(5,\)"):
        by_image(TABLE, ROWS, SCORES[:4])
