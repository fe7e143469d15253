"""Values made by hand that several tests start from."""

from pathlib import Path

import numpy as np
import torch

from mammo_core.checkpoint import Checkpoint, CheckpointHeader, ModelCard, save_checkpoint
from mammo_core.files import sha256_of
from mammo_core.inputs import InputSettings
from mammo_core.mammogram import Hanging, Header, Mammogram, Window
from mammo_core.model import Architecture, build_model
from mammo_core.model_files import find_model
from mammo_core.operating_point import OperatingPoint, Rate

MODEL_IN_USE = sha256_of(find_model())
"""The model whose results a new library shows."""

STRAIGHT = Hanging(transpose=False, flip_horizontal=False, flip_vertical=False, source="test")


def made_header(rows: int, columns: int, **changes: object) -> Header:
    """Header of a left CC view, 16 bits, full range, the breast filling the image; then changed."""
    fields: dict[str, object] = {
        "file": "made.dcm",
        "sha256": "0" * 64,
        "study_uid": "1.2.3",
        "study_uid_source": "test",
        "series_uid": "",
        "sop_uid": "",
        "patient_id": "p1",
        "study_date": "20260102",
        "manufacturer": "mammo-gui phantom A",
        "manufacturer_model": "",
        "patient_age": "",
        "laterality": "L",
        "laterality_source": "test",
        "view": "CC",
        "view_source": "test",
        "view_modifiers": (),
        "rows": rows,
        "columns": columns,
        "bits_stored": 16,
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "photometric": "MONOCHROME2",
        "stored_offset": 0,
        "slope": 1.0,
        "intercept": 0.0,
        "padding": None,
        "vois": (Window(32768.0, 65536.0, "LINEAR_EXACT", "full range"),),
        "spacing": None,
        "hanging": STRAIGHT,
        "breast_box": (0, 0, rows, columns),
        "warnings": (),
    }
    return Header(**(fields | changes))


def made_checkpoint(
    path: Path, *, pooling: str = "avg", backbone: str = "resnet10t", stages: int = 1, **changes: object
) -> Checkpoint:
    """Write a small checkpoint with random weights, always the same, for inputs of 128 x 96."""
    torch.manual_seed(0)
    architecture = Architecture(backbone=backbone, pooling=pooling, stages=stages, in_channels=1)
    model = build_model(architecture)
    torch.nn.init.normal_(model.head.weight)
    fields: dict[str, object] = {
        "name": "made",
        "version": "1",
        "architecture": architecture,
        "inputs": InputSettings(height=128, width=96, mean=(0.5,), std=(0.25,)),
        "calibration": None,
        "operating_point": None,
        "training_domain": "phantom",
        "card": ModelCard(
            summary="Random weights.",
            training_data="None.",
            limits=("Knows nothing.",),
            results=(),
            manufacturers=("Vendor A",),
            views=("CC", "MLO"),
            reproduce="none",
        ),
        "validation": None,
    }
    return save_checkpoint(path, CheckpointHeader(**(fields | changes)), model.state_dict())


def made_point(threshold: float) -> OperatingPoint:
    """An operating point at a given threshold of the score."""
    rate = Rate(value=0.8, low=0.7, high=0.9)
    return OperatingPoint(
        threshold=threshold,
        rule="given",
        sensitivity=rate,
        specificity=rate,
        unit="breast",
        n=10,
        positives=5,
        source="Made by hand.",
    )


def made_exam() -> list[Mammogram]:
    """Four views of 160 x 128 pixels: noise beside the chest wall, which is right in right breasts."""
    rng = np.random.default_rng(0)
    views = []
    for number, (side, view) in enumerate([("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")]):
        pixels = rng.integers(0, 65536, (160, 128)).astype(np.uint16)
        pixels[:, 100:] = 0
        if side == "R":
            pixels = pixels[:, ::-1].copy()
        box = (0, 28, 160, 128) if side == "R" else (0, 0, 160, 100)
        sha256 = f"{number + 1:x}" * 64
        header = made_header(
            160, 128, laterality=side, view=view, sha256=sha256, file=f"{side}{view}.dcm", breast_box=box
        )
        views.append(Mammogram(header, pixels))
    return views
