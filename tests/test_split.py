"""Splits: patients never cross, strata keep their shares, published files are accepted or refused in words."""

import time

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from mammo_core.errors import InputError
from mammo_train.split import Split, SplitSettings, make_split, read_split, write_split


def table_of(patients, *, with_cancer, sites=1):
    """Four images of each patient; the first ``with_cancer`` patients have one in the right breast."""
    rows = [
        {
            "image_id": f"{patient}-{side}{view}",
            "patient_id": f"p{patient:03}",
            "laterality": side,
            "view": view,
            "cancer": patient < with_cancer and side == "R",
            "site_id": str(patient % sites),
        }
        for patient in range(patients)
        for side in "LR"
        for view in ("CC", "MLO")
    ]
    return pd.DataFrame(rows)


def held(split, part):
    return sorted(patient for patient, found in split.part_of.items() if found == part)


def test_parts_have_their_shares_of_patients_with_and_without_cancer():
    table = table_of(100, with_cancer=20)
    split = make_split(table, SplitSettings(validation=0.15, test=0.15))
    sick = {f"p{i:03}" for i in range(20)}
    sizes = {part: len(held(split, part)) for part in split.parts()}
    assert sizes == {"train": 70, "validation": 15, "test": 15}
    assert {part: len(sick & set(held(split, part))) for part in split.parts()} == {
        "train": 14,
        "validation": 3,
        "test": 3,
    }


def test_every_image_of_a_patient_is_in_one_part():
    table = table_of(40, with_cancer=12, sites=3)
    split = make_split(table, SplitSettings())
    rows = [split.rows(table, part) for part in split.parts()]
    assert sorted(np.concatenate(rows).tolist()) == list(range(160))
    patients = [set(table["patient_id"].iloc[part]) for part in rows]
    assert not patients[0] & patients[1]
    assert not patients[0] & patients[2]
    assert not patients[1] & patients[2]


def test_sites_keep_their_shares():
    table = table_of(300, with_cancer=60, sites=3)
    split = make_split(table, SplitSettings(validation=0.2, test=0.1))
    for part, wanted in (("train", 70), ("validation", 20), ("test", 10)):
        sites = table.iloc[split.rows(table, part)].groupby("site_id")["patient_id"].nunique()
        assert (sites - wanted).abs().max() <= 2, part


def test_the_order_of_rows_does_not_matter_and_the_seed_does():
    table = table_of(40, with_cancer=12)
    split = make_split(table, SplitSettings(seed=3))
    mixed = make_split(table.sample(frac=1, random_state=0).reset_index(drop=True), SplitSettings(seed=3))
    other = make_split(table, SplitSettings(seed=4))
    assert mixed.part_of == split.part_of
    assert mixed.sha256 == split.sha256
    assert other.sha256 != split.sha256


def test_folds_hold_every_patient_out_once():
    table = table_of(53, with_cancer=11)
    splits = [make_split(table, SplitSettings(folds=5, fold=fold)) for fold in range(5)]
    assert sorted(p for split in splits for p in held(split, "validation")) == sorted(set(table["patient_id"]))
    sick = {f"p{i:03}" for i in range(11)}
    assert sorted(len(sick & set(held(split, "validation"))) for split in splits) == [2, 2, 2, 2, 3]
    assert all(split.parts() == ("train", "validation") for split in splits)


def test_a_fold_for_the_test_leaves_the_next_one_for_choosing():
    table = table_of(50, with_cancer=20)
    plain = [make_split(table, SplitSettings(folds=5, fold=fold)) for fold in range(5)]
    last = make_split(table, SplitSettings(folds=5, fold=4, held_out="test"))
    assert held(last, "test") == held(plain[4], "validation")
    assert held(last, "validation") == held(plain[0], "validation")


def test_a_part_without_cancer_is_refused():
    with pytest.raises(InputError, match=r"validation part 0 patients with cancer and \d without, of 2 and 38"):
        make_split(table_of(40, with_cancer=2), SplitSettings())


def test_settings_that_leave_nothing_are_refused():
    for wrong in ({"validation": 0.5, "test": 0.5}, {"folds": 5, "fold": 5}, {"folds": 2, "held_out": "test"}):
        with pytest.raises(ValidationError):
            SplitSettings(**wrong)


def test_written_and_read_back(tmp_path):
    table = table_of(40, with_cancer=12)
    split = make_split(table, SplitSettings())
    write_split(tmp_path / "split.csv", split)
    assert (tmp_path / "split.csv").read_text().startswith("patient_id,part\np000,")
    back = read_split(tmp_path / "split.csv", table)
    assert (back.part_of, back.sha256) == (split.part_of, split.sha256)


def test_published_folds_by_image(tmp_path):
    table = table_of(6, with_cancer=3)
    path = tmp_path / "train_with_fold.csv"
    folds = [int(patient[1:]) % 3 for patient in table["patient_id"]]
    pd.DataFrame({"image_id": table["image_id"], "fold": folds}).to_csv(path, index=False)
    split = read_split(path, table, fold=1)
    assert held(split, "validation") == ["p001", "p004"]
    assert held(split, "train") == ["p000", "p002", "p003", "p005"]
    tested = make_split(table, SplitSettings(file=str(path), fold=1, held_out="test"))
    assert (held(tested, "test"), held(tested, "validation")) == (["p001", "p004"], ["p002", "p005"])
    with pytest.raises(InputError, match="holding out fold 7 for validation is not possible: it has fold 0, 1, 2"):
        read_split(path, table, fold=7)


def test_a_published_test_part_leaves_validation_to_be_drawn(tmp_path):
    table = table_of(40, with_cancer=20)
    path = tmp_path / "official.csv"
    parts = ["Test" if int(patient[1:]) % 4 == 0 else "Training" for patient in table["patient_id"]]
    pd.DataFrame({"patient_id": table["patient_id"], "split": parts}).to_csv(path, index=False)
    split = make_split(table, SplitSettings(file=str(path), validation=0.2))
    assert held(split, "test") == [f"p{i:03}" for i in range(0, 40, 4)]
    assert (len(held(split, "train")), len(held(split, "validation"))) == (24, 6)


def test_a_file_that_shares_a_patient_is_refused_by_name(tmp_path):
    table = table_of(4, with_cancer=2)
    path = tmp_path / "by_breast.csv"
    sides = table["laterality"].map({"L": "train", "R": "validation"})
    sides[table["patient_id"] != "p002"] = "train"
    pd.DataFrame({"image_id": table["image_id"], "part": sides}).to_csv(path, index=False)
    with pytest.raises(
        InputError, match=r"by_breast.csv: shares patient 'p002' between part train and validation \(1 "
    ):
        read_split(path, table)
    # Two folds that are both for learning share a patient as well: the next fold held out would not.
    pd.DataFrame({"image_id": table["image_id"], "fold": [0, 1, *range(2), *[2] * 12]}).to_csv(path, index=False)
    with pytest.raises(InputError, match="shares patient 'p000' between fold 0 and 1"):
        read_split(path, table, fold=2)


def test_what_a_file_lacks_is_named(tmp_path):
    table = table_of(4, with_cancer=2)
    path = tmp_path / "split.csv"
    path.write_text("patient_id,part\np000,train\np001,validation\np003,train\n")
    with pytest.raises(InputError, match="lacks patient 'p002'"):
        read_split(path, table)
    path.write_text("patient_id,part\np000,train\np001,later\np002,train\np003,train\n")
    with pytest.raises(InputError, match="column part holds 'later', expected one of train"):
        read_split(path, table)
    path.write_text("patient,part\np000,train\n")
    with pytest.raises(InputError, match="has no column patient_id or image_id; it has patient, part"):
        read_split(path, table)
    path.write_text("patient_id,week\np000,1\n")
    with pytest.raises(InputError, match="has no column part or split or fold"):
        read_split(path, table)
    with pytest.raises(InputError, match="cannot be read"):
        read_split(tmp_path / "none.csv", table)


def test_a_table_with_other_patients_is_refused():
    table = table_of(4, with_cancer=2)
    split = Split({"p000": "train", "p001": "validation", "p002": "train"})
    with pytest.raises(InputError, match=r"no part for patient 'p003' \(1 such"):
        split.rows(table, "train")
    with pytest.raises(InputError, match="is 'dev', expected one of train, validation, test"):
        split.rows(table, "dev")


def test_the_full_rsna_table_splits_quickly(shared):
    table = pd.read_csv(shared / "rsna_train.csv", dtype=str)
    table["cancer"] = table["cancer"] == "1"
    started = time.process_time()
    split = make_split(table, SplitSettings())
    rows = {part: split.rows(table, part) for part in split.parts()}
    assert time.process_time() - started < 2
    assert sum(map(len, rows.values())) == 54_706
    patients = {part: table.iloc[found].groupby("patient_id")["cancer"].max() for part, found in rows.items()}
    assert {part: len(found) for part, found in patients.items()} == {"train": 8339, "validation": 1787, "test": 1787}
    # 486 patients with cancer.
    assert {part: int(found.sum()) for part, found in patients.items()} == {"train": 340, "validation": 73, "test": 73}
