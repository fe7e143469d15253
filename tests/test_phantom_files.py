"""Phantoms as files: DICOM that other readers decode to the same bits, whole exams or none, the demo library."""

import json
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from mammo_core.dicom import read_mammogram
from mammo_core.phantom import VENDORS, PhantomSettings, Vendor, demo, demo_library, make_exam, to_mammogram, write
from mammo_core.phantom.write import write_exam
from mammo_core.study import group_studies, priors

SMALL = PhantomSettings(height=256)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.letter)
def test_every_vendor_is_read_back_bit_for_bit(vendor: Vendor, tmp_path: Path) -> None:
    """By pydicom, with decoders that the product does not use first, and by the product's reader."""
    exam = make_exam(SMALL, 4, 1, vendor=vendor)
    write_exam(exam, tmp_path / "exam")
    for view in exam.views:
        path = tmp_path / "exam" / f"{view.laterality}{view.view}.dcm"
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.TransferSyntaxUID == UID(vendor.syntax)
        np.testing.assert_array_equal(pixel_array(dataset, raw=True), view.pixels)
        mammogram, made = read_mammogram(path), to_mammogram(exam, view)
        np.testing.assert_array_equal(mammogram.pixels, view.pixels)
        for name in ("laterality", "view", "photometric", "bits_stored", "padding", "study_uid", "patient_id"):
            assert getattr(mammogram.header, name) == getattr(made.header, name), name
        assert mammogram.header.hanging == made.header.hanging
        assert [type(voi) for voi in mammogram.header.vois] == [type(voi) for voi in made.header.vois]
        assert mammogram.header.vois == made.header.vois
        assert mammogram.header.warnings == ()
        assert mammogram.header.spacing is not None
        assert mammogram.header.spacing.row_mm == pytest.approx(exam.spacing, rel=1e-9)
        # The reader may leave out the strip of abdomen below the breast, never the breast.
        (y0, x0, y1, x1), (top, left, bottom, right) = mammogram.header.breast_box, view.breast_box
        assert [x0, x1] == pytest.approx([left, right], abs=12)
        assert y1 - y0 > 0.8 * (bottom - top)


def test_vendors_differ_as_makers_do() -> None:
    assert len({vendor.syntax for vendor in VENDORS}) == 5
    assert {vendor.photometric for vendor in VENDORS} == {"MONOCHROME1", "MONOCHROME2"}
    assert {vendor.scale for vendor in VENDORS} == {"windows", "one window", "sigmoid", "lut"}
    assert {vendor.bits for vendor in VENDORS} == {10, 12, 14}
    assert len({vendor.spacing for vendor in VENDORS}) >= 3


def test_data_set_is_a_mammogram_for_presentation() -> None:
    exam = make_exam(SMALL, 4, 1, vendor=VENDORS[0])
    made = write.dataset(exam, exam.views[2])
    assert made.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2"
    assert (made.Modality, made.PresentationIntentType, made.PatientSex) == ("MG", "FOR PRESENTATION", "F")
    assert (made.ImageLaterality, made.ViewCodeSequence[0].CodeValue) == ("R", "399368009")
    assert list(made.PatientOrientation) == ["P", "FL"]
    assert made.Manufacturer == "mammo-gui phantom A"
    assert [float(mm) for mm in made.ImagerPixelSpacing] == pytest.approx([0.07 * 3328 / 256] * 2)
    assert made.StudyDescription == "Synthetic mammography, not a patient"


def test_masks_and_truth_lie_beside_the_views(tmp_path: Path) -> None:
    exam = make_exam(SMALL, 4, 3, cancer=True)
    write_exam(exam, tmp_path / "exam")
    truth = json.loads((tmp_path / "exam" / "truth.json").read_text(encoding="utf-8"))
    assert truth["cancer"] is True
    assert any(lesion["malignant"] for lesion in truth["lesions"])
    for view, said in zip(exam.views, truth["views"], strict=True):
        mask = cv2.imread(str(tmp_path / "exam" / said["mask"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, view.mask)
        assert {seen["number"] for seen in said["lesions"]} >= set(np.unique(view.mask).tolist()) - {0}


def test_an_exam_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exam = make_exam(SMALL, 4, 1, vendor=VENDORS[0])

    def broken(*_: object) -> bytes:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setitem(write.ENCODERS, VENDORS[0].syntax, broken)
        with pytest.raises(OSError, match="disk full"):
            write_exam(exam, tmp_path / "exam")
    assert not (tmp_path / "exam").exists()
    write_exam(exam, tmp_path / "exam")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exam"]
    assert len(list((tmp_path / "exam").glob("*.dcm"))) == 4


def test_demo_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small here; what must hold is the same: progress, one missing view, one prior, kept when made again."""
    monkeypatch.setattr(demo, "HEIGHT", 192)
    calls: list[tuple[int, int]] = []
    folders = demo_library(tmp_path, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 8) for done in range(9)]
    headers = [read_mammogram(path).header for folder in folders for path in sorted(folder.glob("*.dcm"))]
    studies = group_studies(headers)
    assert len(studies) == 8
    assert sorted(len(study.headers) for study in studies) == [3, 4, 4, 4, 4, 4, 4, 4]
    assert sum(bool(priors(study, studies)) for study in studies) == 1
    assert len({header.manufacturer for header in headers}) == 5

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.dcm")}
    demo_library(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.dcm")} == before
