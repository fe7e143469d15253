"""Which cases are shown, and how they are drawn."""

import numpy as np
import pandas as pd

from mammo_core.heatmap import heatmap
from mammo_train.gallery import chosen, heat_scale, layers
from mammo_train.localise import whole


def test_highest_and_lowest_of_both_classes_one_image_of_a_breast():
    table = pd.DataFrame(
        {
            "patient_id": ["a", "a", "b", "c", "d", "e", "f", "g"],
            "laterality": ["L"] * 8,
            "cancer": [True, True, True, True, False, False, False, False],
        }
    )
    rows = np.arange(8)
    scores = np.array([0.9, 0.8, 0.7, 0.1, 0.6, 0.5, 0.4, 0.3])
    first, last, loud, quiet = chosen(table, rows, scores, 1)
    assert [group.rows for group in (first, last, loud, quiet)] == [(0,), (3,), (4,), (7,)]
    groups = chosen(table, rows, scores, 2)
    assert groups[0].rows == (0, 2)  # the second image of breast a is left out
    assert groups[1].rows == (3,)  # a and b are shown already
    assert groups[2].rows + groups[3].rows == (4, 5, 7, 6)
    part = chosen(table, np.array([6, 2]), np.array([0.4, 0.7]), 3)
    assert [group.rows for group in part] == [(2,), (), (6,), ()]
    assert all(group.rows == () for group in chosen(table, rows, scores, 0))


def test_one_scale_for_all():
    assert heat_scale([0.0, 0.0]) == 1.0
    assert heat_scale([0.0, 2.0]) == 2.0
    assert heat_scale(list(range(1, 101))) < 100


def test_layers_lie_on_each_other():
    picture = np.full((64, 64), 100, np.uint8)
    picture[:, 40:] = 0
    lesion = np.zeros((64, 64), bool)
    lesion[10:20, 10:20] = True
    heat = heatmap(np.array([[4, 0], [0, 0]], np.float32), "gradcam", whole(64, 64))
    drawn = layers(picture, heat, lesion, 4.0)
    assert drawn.outline is not None
    assert drawn.picture.shape[:2] == drawn.heat.shape[:2] == drawn.outline.shape[:2]
    assert drawn.picture.shape[0] > 64  # the banner is burnt in below
    assert (drawn.picture[64:] > 150).any()
    np.testing.assert_array_equal(drawn.picture[:64], picture)
    assert drawn.heat[8, 8, 3] == 150  # at full strength
    assert drawn.heat[60, 30, 3] == 0
    assert (drawn.heat[:64, 40:, 3] == 0).all()  # none on black
    assert (drawn.heat[64:, :, 3] == 0).all()
    edge = drawn.outline[:64, :, 3] > 0
    assert edge[9, 15]
    assert not edge[10:20, 10:20].any()  # the lesion itself stays free
    assert layers(picture, heat, None, 4.0).outline is None


def test_sixteen_bits_are_shown_as_eight():
    heat = heatmap(np.zeros((2, 2), np.float32), "gradcam", whole(64, 64))
    drawn = layers(np.full((64, 64), 65535, np.uint16), heat, None, 1.0)
    assert (drawn.picture[:64] == 255).all()
    assert not drawn.heat[..., 3].any()
