"""Which spacing is used to measure with (PS3.3 10.7.1.1)."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

from mammo_core.mammogram import Spacing
from mammo_core.spacing import spacing_of

DETECTOR = "Imager Pixel Spacing (0018,1164)"
PIXEL = "Pixel Spacing (0028,0030)"


def dataset(**fields: Any) -> Dataset:
    made = Dataset()
    for keyword, value in fields.items():
        setattr(made, keyword, value)
    return made


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"ImagerPixelSpacing": ["0.07", "0.08"]}, Spacing(0.07, 0.08, f"{DETECTOR}, at the detector")),
        (
            {"ImagerPixelSpacing": ["0.07", "0.07"], "PixelSpacing": ["0.07", "0.07"]},
            Spacing(0.07, 0.07, f"{DETECTOR}, at the detector"),
        ),
        (
            {"ImagerPixelSpacing": ["0.5", "0.5"], "EstimatedRadiographicMagnificationFactor": "1.25"},
            Spacing(0.4, 0.4, f"{DETECTOR} divided by Estimated Radiographic Magnification Factor 1.25"),
        ),
        (
            {
                "ImagerPixelSpacing": ["0.5", "0.5"],
                "PixelSpacing": ["0.25", "0.25"],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            Spacing(0.25, 0.25, f"{PIXEL}, calibrated (FIDUCIAL)"),
        ),
        (
            {"ImagerPixelSpacing": ["0.5", "0.5"], "PixelSpacing": ["0.25", "0.25"]},
            Spacing(0.25, 0.25, f"{PIXEL}, calibrated, it does not say how"),
        ),
        ({"PixelSpacing": ["0.1", "0.1"]}, Spacing(0.1, 0.1, f"{PIXEL}, it does not say at which plane")),
        (
            {"NominalScannedPixelSpacing": ["0.05", "0.05"]},
            Spacing(0.05, 0.05, "Nominal Scanned Pixel Spacing (0018,2010), on the film"),
        ),
    ],
)
def test_spacing_and_its_source(fields: dict[str, Any], expected: Spacing | None) -> None:
    assert spacing_of(dataset(**fields)) == (expected, ())


@pytest.mark.parametrize("bad", [["0", "0.07"], ["0.07"], ["-1", "-1"], ["70", "70"]])
def test_impossible_spacing_is_not_measured_with(bad: list[str]) -> None:
    spacing, warnings = spacing_of(dataset(ImagerPixelSpacing=bad))
    assert spacing is None
    assert warnings[0].startswith(f"{DETECTOR} is ")
    assert warnings[0].endswith("not used for measuring.")
