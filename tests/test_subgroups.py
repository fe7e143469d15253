"""Groups of breasts and images, their order, and what is said of small ones."""

import numpy as np
import pandas as pd

from mammo_core.metrics import roc_auc
from mammo_core.threshold_groups import age_band
from mammo_train.measures import Resampling
from mammo_train.subgroups import groups_of_breasts, groups_of_images, subgroups
from mammo_train.units import by_breast, by_image

BANDS = (40.0, 50.0, 60.0, 70.0)
QUICK = Resampling(draws=50, seed=0, prevalence=None)


def made(count: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "image_id": [f"i{i:03}" for i in range(count)][::-1],
            "patient_id": [f"p{i // 4}" for i in range(count)],
            "laterality": ["L", "L", "R", "R"] * (count // 4),
            "view": ["CC", "MLO"] * (count // 2),
            "cancer": np.repeat(rng.random(count // 2) < 0.5, 2),
            "age": np.repeat(rng.uniform(35, 75, count // 4), 4),
            "density": ["A", "A", "", ""] * (count // 4),
            "machine_id": ["9", "10", "9", "9"] * (count // 4),
            "site_id": ["s"] * count,
            "source": ["made"] * count,
        }
    )


def test_bands_of_age():
    assert age_band(39.9, BANDS) == "under 40"
    assert age_band(40, BANDS) == "40 to 49"
    assert age_band(69.5, BANDS) == "60 to 69"
    assert age_band(70, BANDS) == "70 and over"
    assert age_band(float("nan"), BANDS) == ""


def test_groups_are_in_the_order_of_the_units():
    table, rows = made(), np.arange(80)
    breasts = by_breast(table, rows, np.zeros(80))
    density = groups_of_breasts(table, rows, BANDS)["density"]
    assert [(key[-1], group) for key, group in zip(breasts.keys, density, strict=True)] == [
        ("L", "A"),
        ("R", "not stated"),
    ] * 20
    machine = groups_of_breasts(table, rows, BANDS)["machine"]
    assert machine[:2] == ["several", "9"]  # the left breast's views come from two machines
    images = by_image(table, rows, np.zeros(80))
    view_of = dict(zip(table["image_id"], table["view"], strict=True))
    assert groups_of_images(table, rows)["view"] == [view_of[key] for key in images.keys]


def test_a_group_is_measured_on_its_own_units():
    table, rows = made(), np.arange(80)
    scores = np.random.default_rng(1).random(80)
    breasts = by_breast(table, rows, scores)
    found = subgroups(breasts, groups_of_breasts(table, rows, BANDS), 0.5, 10, QUICK)
    left = next(group for group in found if (group.by, group.value) == ("density", "A"))
    own = np.array([key.endswith("L") for key in breasts.keys])
    assert left.roc_auc.value == roc_auc(breasts.scores[own], breasts.labels[own])
    assert left.sensitivity.value == (breasts.scores[own & breasts.labels] >= 0.5).mean()
    assert (left.n, left.positives, left.unit) == (20, int(breasts.labels[own].sum()), "breast")
    assert not {group.by for group in found} & {"site", "source"}  # all alike
    ages = [group.value for group in found if group.by == "age"]
    assert ages == sorted(ages, key=lambda name: (not name.startswith("under"), name))


def test_small_and_one_sided_groups_are_said_to_be():
    table, rows = made(), np.arange(80)
    table.loc[table["laterality"] == "R", "cancer"] = False
    breasts = by_breast(table, rows, np.random.default_rng(1).random(80))
    found = subgroups(breasts, {"density": groups_of_breasts(table, rows, BANDS)["density"]}, None, 10, QUICK)
    unknown = next(group for group in found if group.value == "not stated")
    assert found[-1] is unknown
    assert unknown.warning == "only 0 positive"
    assert np.isnan(unknown.roc_auc.value)
    assert np.isnan(unknown.sensitivity.value)
