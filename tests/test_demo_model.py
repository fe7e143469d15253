"""The demo checkpoint is made end to end, small; its parts against answers worked out by hand."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mammo_core.checkpoint import load_checkpoint, model_of
from mammo_core.inputs import InputSettings, model_input
from mammo_core.model import Architecture, build_model
from mammo_core.phantom import PhantomSettings, make_exam
from mammo_train.demo_model import (
    CellClassifier,
    DemoSettings,
    Phase,
    _in_cells,
    _normalised,
    _patch,
    _widen,
    make_demo,
)
from mammo_train.phantom_views import BENIGN, MALIGNANT, NOTHING, Views, ViewSet, as_read, views_of

INPUTS = InputSettings(height=256, width=160, mean=(0.25,), std=(0.25,))
SMALL = ViewSet(exams=2, seed=5, phantom=PhantomSettings(height=512, prevalence=1.0), inputs=INPUTS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("views")


@pytest.fixture(scope="module")
def views(cache) -> Views:
    return views_of(SMALL, cache, 1, lambda _: None)


def test_views_are_what_the_reader_would_show(views):
    exam = make_exam(SMALL.phantom, SMALL.seed, 1)
    for number, view in enumerate(exam.views):
        shown, _ = model_input(as_read(exam, view), INPUTS)
        kept = _normalised(views.images[4 + number : 5 + number], INPUTS)[0].numpy()
        np.testing.assert_allclose(kept, shown, atol=0.5 / 255 / 0.25 + 1e-6)
        assert views.cancer[4 + number] == view.cancer


def test_every_exam_of_prevalence_one_has_a_cancer_in_one_breast(views):
    assert views.cancer.reshape(-1, 2, 2).any(axis=1).sum(axis=1).tolist() == [1, 1]
    assert views.patients == ["0"] * 4 + ["1"] * 4


def test_marks_lie_on_the_lesions(views):
    for index in range(2):
        exam = make_exam(SMALL.phantom, SMALL.seed, index)
        for number, view in enumerate(exam.views):
            marks = views.marks[4 * index + number]
            _, placement = model_input(as_read(exam, view), INPUTS)
            for lesion in view.lesions:
                _, kind = exam.lesions[lesion.number - 1]
                mask = np.argwhere(view.mask == lesion.number)
                if len(mask) < 200:
                    continue
                y, x = mask.mean(axis=0) + 0.5
                column, row = (placement.to_input(np.array([[x, y]]))[0] / 8).astype(int)
                near = marks[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                assert (near >= BENIGN).any() if not kind.malignant else (near > BENIGN).any()


def test_the_same_views_are_not_made_twice(views, cache):
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    again = views_of(SMALL, cache, 1, lambda _: None)
    assert file.stat().st_mtime_ns == before
    np.testing.assert_array_equal(again.images, views.images)


def test_cells_see_marks_up_and_left_of_their_block():
    marks = torch.zeros(1, 16, 12, dtype=torch.bool)  # 128 x 96 pixels in steps of 8
    marks[0, 3, 3] = True  # pixels 24 to 31: seen by the cell whose block starts at 32 and looks at 32.5
    features = torch.zeros(1, 5, 4, 3)
    assert _in_cells(marks, features).nonzero().tolist() == [[0, 1, 1]]
    marks.zero_()
    marks[0, 0, 0] = True
    assert _in_cells(marks, features).nonzero().tolist() == [[0, 0, 0]]


def test_patches_hold_the_mark_that_they_are_cut_around():
    images = np.zeros((1, 512, 320), np.uint8)
    marks = np.full((1, 64, 40), NOTHING, np.uint8)
    for row, column in [(0, 0), (63, 39), (30, 20)]:
        marks[:] = NOTHING
        marks[0, row, column] = MALIGNANT
        images[:] = 0
        images[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 200
        for seed in range(5):
            image, mark = _patch(Views(images, marks, np.array([True])), 0, row, column, np.random.default_rng(seed))
            assert image.shape == (128, 128)
            assert mark.shape == (16, 16)
            np.testing.assert_array_equal(image[::8, ::8] == 200, mark == MALIGNANT)
            assert (mark == MALIGNANT).sum() == 1


def test_from_patches_to_views_a_lesion_adds_the_same_to_the_logit():
    model = build_model(Architecture(backbone="regnetx_002", in_channels=1))
    torch.nn.init.uniform_(model.head.weight)
    patch, view = (torch.zeros(1, model.head.in_features, *size) for size in [(4, 4), (16, 10)])
    patch[:, :, 1, 1] = view[:, :, 5, 5] = 1.0
    before = model.logits(patch).item()
    cells = CellClassifier()
    odds = cells(torch.einsum("k,nkhw->nhw", model.head.weight[0], patch))[0, 1, 1].item()
    _widen(model, cells, 10.0)
    assert model.logits(view).item() == pytest.approx(before, rel=1e-5)
    after = cells(torch.einsum("k,nkhw->nhw", model.head.weight[0], view))[0, 5, 5].item()
    assert after == pytest.approx(odds, rel=1e-5)


def test_end_to_end(tmp_path):
    said: list[str] = []
    settings = DemoSettings(
        height=128,
        width=128,
        training_height=192,
        phantom=PhantomSettings(height=192, conspicuity=3.0, benign_share=0.0, smallest_mass_mm=20.0),
        training_exams=12,
        validation_exams=12,
        test_exams=4,
        phases=(
            Phase(on="patches", steps=60, batch=8, rate=2e-3, cell_loss=1.0),
            Phase(on="views", steps=60, batch=8, rate=1e-3, cell_loss=0.3),
        ),
        workers=1,
    )
    path = make_demo(settings, tmp_path, said.append)
    header = load_checkpoint(path).header
    assert header.name == "phantom-demo"
    assert header.training_domain == "phantom"
    assert header.calibration is not None
    assert header.operating_point is not None
    assert header.operating_point.specificity.value >= 0.9
    assert header.validation is not None
    assert len(header.validation.scores) == 24  # breasts
    assert any("ROC-AUC" in line for line in header.card.results)
    assert any("phantoms only" in line for line in header.card.limits)
    assert torch.isfinite(model_of(load_checkpoint(path))(torch.zeros(1, 1, 128, 128))).all()
    assert any(line.startswith("views") for line in said)


def test_the_command_says_what_it_wants():
    done = subprocess.run(
        [sys.executable, "-m", "mammo_train.demo_model"],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"NO_COLOR": "1"},
    )
    assert done.returncode == 2
    assert "Missing argument" in done.stderr
