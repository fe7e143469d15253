"""A study as the viewer takes it: where the breast hangs, and scores in the app's own words."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

from made import MODEL_IN_USE, made_header, made_point
from mammo_core.banner import BANNER
from mammo_core.library import AiResult, BreastResult, Library, ModelRecord, ViewResult
from mammo_core.mammogram import Hanging, Mammogram, hang
from mammo_gui.views.payload import payload
from mammo_gui.views.words import score_words

THRESHOLD = 0.3284


@pytest.fixture
def library(tmp_path: Path):
    with Library(tmp_path / "library") as made:
        yield made


def add(library: Library, **changes: object) -> int:
    content = repr(changes).encode()
    file = library.folder.parent / "file.dcm"
    file.write_bytes(content)
    header = made_header(6, 9, **({"sha256": hashlib.sha256(content).hexdigest()} | changes))
    return library.add_image(Mammogram(header, np.zeros((6, 9), np.uint16)), file, phantom=False)


def read_by_ai(library: Library, study_id: int, scores: list[float | None]) -> None:
    study = library.study(study_id)
    views = tuple(
        ViewResult(image.sha256, "L", "CC", score, (), (), ())
        for image, score in zip(study.images, scores, strict=True)
    )
    model = ModelRecord("model", "1", MODEL_IN_USE, "phantom", made_point(THRESHOLD))
    known = [score for score in scores if score is not None]
    score = sum(known) / len(known)
    breasts = (BreastResult("L", score, score >= THRESHOLD),)
    result = AiResult(model, score, score >= THRESHOLD, breasts, views, (), ("gradcam",))
    assert library.record_ai(study, result, [])


@pytest.mark.parametrize(("transpose", "horizontal", "vertical"), list(itertools.product([False, True], repeat=3)))
def test_the_breast_is_where_the_turned_picture_has_it(library, transpose, horizontal, vertical) -> None:
    box = (1, 2, 4, 9)
    hanging = Hanging(transpose=transpose, flip_horizontal=horizontal, flip_vertical=vertical, source="test")
    stored = np.zeros((6, 9), bool)
    stored[box[0] : box[2], box[1] : box[3]] = True
    rows, columns = np.nonzero(hang(stored, hanging))
    (image,) = payload(library.study(add(library, hanging=hanging, breast_box=box)), None, "gradcam")["images"]
    assert image["breast"] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_a_view_has_a_written_score_and_no_flag_of_its_own(library) -> None:
    study = add(library)
    add(library, view="MLO")
    add(library, view="ML")
    read_by_ai(library, study, [0.3312, 0.9, None])
    made = payload(library.study(study), None, "gradcam")
    assert sorted(str(image["score"]) for image in made["images"]) == [
        score_words(0.3312, THRESHOLD),
        score_words(0.9, THRESHOLD),
        "None",
    ]
    assert not any("flagged" in image for image in made["images"])
    assert made["model"] == {"name": "model", "version": "1", "threshold": score_words(THRESHOLD)}


def test_the_banner_is_always_in_it(library) -> None:
    study = library.study(add(library))
    assert {payload(None, None, "gradcam")["banner"], payload(study, None, "gradcam")["banner"]} == {BANNER}
