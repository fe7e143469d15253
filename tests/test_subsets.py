"""Subsets: the study's balanced sets, the 1:1 warm-up, and the control of the same size."""

import numpy as np
import pandas as pd
import pytest

from mammo_core.errors import InputError
from mammo_core.phases import Subset
from mammo_train.split import SplitSettings, make_split
from mammo_train.subsets import subset_rows


def made_table():
    """50 patients, two breasts of two images each, one breast of three; the left ones of five have a cancer."""
    rows = [
        {"image_id": f"{p}{side}{i}", "patient_id": f"p{p}", "laterality": side, "cancer": p < 5 and side == "L"}
        for p in range(50)
        for side in "LR"
        for i in range(3 if (p, side) == (0, "L") else 2)
    ]
    return pd.DataFrame(rows)


TABLE = made_table()
ALL = np.arange(len(TABLE))


def breasts_of(rows):
    return TABLE.iloc[rows].groupby(["patient_id", "laterality"])["cancer"].agg(["max", "size"])


def test_all_is_all():
    np.testing.assert_array_equal(subset_rows(TABLE, ALL[::-1], Subset()), ALL)


def test_balanced_groups_hold_every_positive_breast_and_as_many_others_whole():
    rows = subset_rows(TABLE, ALL, Subset(kind="balanced_groups"))
    found = breasts_of(rows)
    assert found["max"].sum() == 5
    assert len(found) == 10
    assert len(rows) == 5 * 2 + 1 + 5 * 2  # whole breasts, one of three images
    assert (np.diff(rows) > 0).all()


def test_balanced_images_are_half_from_positive_breasts():
    rows = subset_rows(TABLE, ALL, Subset(kind="balanced_images", images=9))
    assert TABLE["cancer"].iloc[rows].tolist().count(True) == 4
    assert len(rows) == 9
    # Eleven images come from positive breasts: no more than 22 can be balanced.
    rows = subset_rows(TABLE, ALL, Subset(kind="balanced_images", images=421))
    assert len(rows) == 22
    assert TABLE["cancer"].iloc[rows].sum() == 11


def test_natural_is_as_large_as_balanced_groups_at_the_prevalence_of_the_whole():
    rows = subset_rows(TABLE, ALL, Subset(kind="natural"))
    assert len(rows) == 21
    # 11 of 201 images are from positive breasts: 21 * 11 / 201 = 1.1.
    assert TABLE["cancer"].iloc[rows].sum() == 1
    more = subset_rows(TABLE, ALL, Subset(kind="natural", images=100))
    assert len(more) == 100
    assert TABLE["cancer"].iloc[more].sum() == 5
    np.testing.assert_array_equal(subset_rows(TABLE, ALL, Subset(kind="natural", images=900)), ALL)


def test_the_lot_depends_on_the_seed_and_not_on_the_order_of_the_table():
    subset = Subset(kind="balanced_groups", seed=1)
    chosen = set(TABLE["image_id"].iloc[subset_rows(TABLE, ALL, subset)])
    mixed = TABLE.sample(frac=1, random_state=0).reset_index(drop=True)
    assert set(mixed["image_id"].iloc[subset_rows(mixed, ALL, subset)]) == chosen
    other = subset_rows(TABLE, ALL, Subset(kind="balanced_groups", seed=2))
    assert set(TABLE["image_id"].iloc[other]) != chosen


def test_only_the_rows_given_are_chosen_from():
    given = ALL[TABLE["patient_id"].isin([f"p{i}" for i in (1, 2, 10, 11, 12, 13)])]
    for kind in ("balanced_groups", "natural"):
        assert set(subset_rows(TABLE, given, Subset(kind=kind))) <= set(given)


def test_a_missing_class_is_named():
    with pytest.raises(InputError, match="subset balanced_groups: there is no breast with cancer among 2 images"):
        subset_rows(TABLE, ALL[-2:], Subset(kind="balanced_groups"))


def test_the_study_sizes_on_the_full_rsna_table(shared):
    table = pd.read_csv(shared / "rsna_train.csv", dtype=str)
    table["cancer"] = table["cancer"] == "1"
    rows = make_split(table, SplitSettings()).rows(table, "train")
    # The training part has 792 images of cancers: the study's 2,300 needs nearly all 1,158 of the whole set.
    for images, found in ((421, 210), (2300, 792)):
        chosen = table.iloc[subset_rows(table, rows, Subset(kind="balanced_images", images=images))]
        assert chosen["cancer"].sum() == found
        assert len(chosen) == (images if images == 421 else 2 * found)
    groups = table.iloc[subset_rows(table, rows, Subset(kind="balanced_groups"))]
    natural = table.iloc[subset_rows(table, rows, Subset(kind="natural"))]
    assert len(groups) == len(natural)
    assert groups.groupby(["patient_id", "laterality"])["cancer"].max().mean() == 0.5
    assert natural["cancer"].mean() == pytest.approx(table["cancer"].iloc[rows].mean(), abs=5e-4)
