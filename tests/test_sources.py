"""Published data sets as they lie on disk: labels, ids and masks by their own rules, and what is left out said."""

from collections import Counter
from pathlib import Path

import pytest

from mammo_core.errors import InputError
from mammo_train.sources import Source, open_source
from mammo_train.sources.listing import read_rows

RSNA_HEAD = (
    "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,"
    "difficult_negative_case"
)
CBIS_HEAD = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,assessment,"
    "pathology,subtlety,image file path,cropped image file path,ROI mask file path"
)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def refusals(source: Source) -> list[tuple[str, str]]:
    return [(refusal.file, refusal.reason) for refusal in source.refused]


def test_rsna_as_kaggle_lays_it_out(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        f"{RSNA_HEAD}\n"
        "2,10006,11,L,CC,61.0,0,0,0,,0,,29,False\n"
        "2,10006,12,L,MLO,61.0,0,0,0,,0,,29,False\n"
        "1,20001,13,R,AT,,1,1,1,0.0,1,B,49,True\n"
        "1,20001,14,R,MLO,50,1,1,1,0.0,1,B,49,True\n"
        "1,20001,13,R,CC,50,1,1,1,0.0,1,B,49,True\n"
        "1,20001,15,X,CC,50,1,1,1,0.0,1,B,49,True\n",
        encoding="utf-8",
    )
    for name in ("10006/11.dcm", "10006/12.png", "20001/13.dcm", "20001/13.png", "20001/15.dcm"):
        touch(tmp_path / "train_images" / name)
    found = open_source("rsna", tmp_path)
    assert [image.name for image in found.images] == [
        "train_images/10006/11.dcm",
        "train_images/10006/12.png",
        "train_images/20001/13.dcm",
    ]
    row = found.images[2].row
    assert {
        name: row[name] for name in ("patient_id", "laterality", "view", "cancer", "age", "implant", "density")
    } == {
        "patient_id": "20001",
        "laterality": "R",
        "view": "AT",
        "cancer": "1",
        "age": "",
        "implant": "1",
        "density": "B",
    }
    assert {name: row[name] for name in ("birads", "invasive", "machine_id", "source")} == {
        "birads": "0.0",
        "invasive": "1",
        "machine_id": "49",
        "source": "rsna",
    }
    assert refusals(found) == [
        ("train_images/20001/14.dcm", "is named by train.csv line 5, but is not there"),
        ("train_images/20001/13.dcm", "train.csv line 6: image_id '13' is named a second time"),
        ("train_images/20001/15.dcm", "train.csv line 7: laterality is 'X', expected L or R"),
    ]
    assert found.notes == ("1 images were converted to PNG before: their window is not the file's own.",)


def test_inbreast_by_its_file_names(tmp_path: Path) -> None:
    (tmp_path / "INbreast.csv").write_text(
        "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads \n"
        "removed;removed;R;CC;201001;20;4;1\n"
        "removed;removed;L;MLO;201001;21;  ;4a\n"
        "removed;removed;L;CC;201001;22;2;3\n"
        "removed;removed;L;CC;201001;23;2;6\n"
        "removed;removed;R;CC;201001;24;2;2\n"
        "removed;removed;R;CC;201001;25;2;9\n",
        encoding="utf-8",
    )
    touch(tmp_path / "AllDICOMs" / "20_aa11_MG_R_CC_ANON.dcm")
    touch(tmp_path / "png" / "20_aa11_MG_R_CC_ANON.png")
    touch(tmp_path / "png" / "21_bb22_MG_L_ML_ANON.png")
    touch(tmp_path / "png" / "22_bb22_MG_L_CC_ANON.png")
    touch(tmp_path / "png" / "24_cc33_MG_L_CC_ANON.png")
    touch(tmp_path / "png" / "25_cc33_MG_R_CC_ANON.png")
    touch(tmp_path / "png" / "99_cc33_MG_R_CC_ANON.png")
    touch(tmp_path / "masks" / "21_mask.png")
    touch(tmp_path / "AllXML" / "21.xml")
    touch(tmp_path / "AllXML" / "22.xml")
    found = open_source("inbreast", tmp_path)
    said = [
        (i.image_id, i.path.suffix, *(i.row[n] for n in ("patient_id", "view", "cancer", "density", "birads")))
        for i in found.images
    ]
    assert said == [
        ("20", ".dcm", "aa11", "CC", "0", "D", "1"),
        ("21", ".png", "bb22", "MLO", "1", "", "4a"),
        ("22", ".png", "bb22", "CC", "0", "B", "3"),
    ]
    assert [image.mask and image.mask.name for image in found.images] == [None, "21_mask.png", "22.xml"]
    assert [image.row["mask"] for image in found.images] == ["", "masks/21.png", "masks/22.png"]
    assert refusals(found) == [
        ("23", "is named by INbreast.csv line 5, but has no file"),
        (
            "24_cc33_MG_L_CC_ANON.png",
            "INbreast.csv line 6: laterality and view: are R CC in the table, but L CC in the file name",
        ),
        (
            "25_cc33_MG_R_CC_ANON.png",
            "INbreast.csv line 7: Bi-Rads: is '9', expected 1, 2, 3, 4a, 4b, 4c, 5 or 6",
        ),
        ("99_cc33_MG_R_CC_ANON.png", "is not in INbreast.csv"),
    ]


def cbis_row(image: str, number: int, pathology: str, *, side: str = "LEFT", density: str = "3") -> str:
    path = f"{image}/1.2/3.4/000000.dcm"
    return f'P_00001,{density},{side},CC,{number},mass,OVAL,4,{pathology},5,{path},crop,"mask\n"\n'


def test_cbis_merges_the_rows_of_one_image(tmp_path: Path) -> None:
    train, test = "Mass-Training_P_00001_LEFT_CC", "Mass-Test_P_00001_LEFT_CC"
    (tmp_path / "mass_case_description_train_set.csv").write_text(
        CBIS_HEAD + "\n" + cbis_row(train, 1, "BENIGN") + cbis_row(train, 2, "MALIGNANT"), encoding="utf-8"
    )
    (tmp_path / "mass_case_description_test_set.csv").write_text(
        CBIS_HEAD.replace(" ", "_") + "\n" + cbis_row(test, 1, "BENIGN_WITHOUT_CALLBACK", density="0"), encoding="utf-8"
    )
    (tmp_path / "calc_case_description_test_set.csv").write_text(
        CBIS_HEAD + "\n" + cbis_row("Calc-Test_P_00009_LEFT_CC", 1, "BENIGN"), encoding="utf-8"
    )
    touch(tmp_path / "CBIS-DDSM" / train / "07-20-2016-DDSM" / "1.000000-full" / "1-1.dcm")
    touch(tmp_path / "test" / f"{test}_FULL___PRE.png")
    found = open_source("cbis", tmp_path)
    first, second = sorted(found.images, key=lambda image: image.path.suffix)
    assert (first.path.name, first.chest_wall, first.row["cancer"], first.row["lesion_malignant"]) == (
        "1-1.dcm",
        None,
        "1",
        "0;1",
    )
    assert (first.row["lesion_type"], first.row["density"], first.row["published_part"]) == ("mass;mass", "C", "train")
    assert (second.chest_wall, second.row["cancer"], second.row["density"]) == ("left", "0", "")
    assert second.row["published_part"] == "test"
    assert refusals(found) == []  # the calcifications were not copied at all
    assert found.notes[1].startswith("1 images were turned chest wall left and stretched to squares before")
    assert found.notes[2] == "1 patients are in both published parts, for example P_00001."


def test_cbis_refuses_what_contradicts_itself(tmp_path: Path) -> None:
    one, two = "Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00002_LEFT_CC"
    rows = [
        cbis_row(one, 1, "BENIGN"),
        cbis_row(one, 2, "BENIGN", side="RIGHT"),
        cbis_row(two, 1, "UNPROVEN"),
        cbis_row("Mass-Training_P_00003_LEFT_CC", 1, "BENIGN"),
        cbis_row("elsewhere", 1, "BENIGN"),
    ]
    (tmp_path / "mass_case_description_train_set.csv").write_text(CBIS_HEAD + "\n" + "".join(rows), encoding="utf-8")
    for name in (one, two):
        touch(tmp_path / name / "1-1.dcm")
    reasons = [reason for _, reason in refusals(open_source("cbis", tmp_path))]
    assert "left_or_right_breast: is contradictory" in reasons[1]
    assert "pathology: is 'UNPROVEN'" in reasons[2]
    assert "but has no file" in reasons[3]
    assert "expected a path like" in reasons[0]


def test_a_folder_with_a_table(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        "File,patient_id,laterality,view,cancer,mask,reader\n"
        "a/x 1.dcm,p1,right,cc,1,,me\n"
        "a/y.png,p1,L,MLO,0,m.png,you\n"
        "../z.png,p2,L,CC,0,,\n"
        "a/y.png,p2,L,CC,0,none.png,\n"
        "a/y.png,p2,L,CC,,,\n"
        "a/gone.png,p2,L,CC,0,,\n",
        encoding="utf-8-sig",
    )
    for name in ("a/x 1.dcm", "a/y.png", "m.png"):
        touch(tmp_path / name)
    found = open_source("folder", tmp_path)
    assert [(i.image_id, i.row["laterality"], i.row["view"], i.row["reader"]) for i in found.images] == [
        ("a_x_1", "R", "CC", "me"),
        ("a_y", "L", "MLO", "you"),
    ]
    assert found.images[1].mask == tmp_path / "m.png"
    assert refusals(found) == [
        ("../z.png", "mine.csv line 4: file and mask must lie in the folder, expected a relative path"),
        ("a/y.png", "mine.csv line 5: its mask none.png is not there"),
        ("a/y.png", "mine.csv line 6: cancer is '', expected 0 or 1"),
        ("a/gone.png", "is named by mine.csv line 7, but is not there"),
    ]
    (tmp_path / "other.csv").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"has 2 CSV files \(mine\.csv, other\.csv\); expected one"):
        open_source("folder", tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.csv: does not exist"):
        open_source("rsna", tmp_path)
    with pytest.raises(InputError, match="has none of mass_case"):
        open_source("cbis", tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        open_source("rsna", tmp_path / "none")
    (tmp_path / "train.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="has no column patient_id, image_id, laterality, view, cancer"):
        open_source("rsna", tmp_path)
    (tmp_path / "train.csv").write_text(RSNA_HEAD + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no image of the data set rsna"):
        open_source("rsna", tmp_path)
    (tmp_path / "train.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_rows(tmp_path / "train.csv", ())


def test_the_published_sets_have_their_published_numbers(shared: Path) -> None:
    rsna = open_source("rsna", shared / "rsna256")
    assert Counter(image.row["cancer"] for image in rsna.images) == {"1": 941, "0": 938}
    assert len({image.row["patient_id"] for image in rsna.images}) == 1290
    inbreast = open_source("inbreast", shared / "inbreast")
    birads = Counter(image.row["birads"] for image in inbreast.images)
    assert birads == {"1": 67, "2": 220, "3": 23, "4a": 13, "4b": 8, "4c": 22, "5": 49, "6": 8}
    assert sum(image.row["cancer"] == "1" for image in inbreast.images) == 13 + 8 + 22 + 49 + 8
    assert len({image.row["patient_id"] for image in inbreast.images}) == 108
    assert sum(image.mask is not None for image in inbreast.images) == 107
    cbis = open_source("cbis", shared / "cbis256")
    parts = Counter((image.row["published_part"], image.row["cancer"]) for image in cbis.images)
    assert parts == {("train", "0"): 629, ("train", "1"): 602, ("test", "0"): 216, ("test", "1"): 145}
    assert not [*rsna.refused, *inbreast.refused, *cbis.refused]
