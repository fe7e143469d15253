"""Markers and lettering painted over before a network looks: what goes, and what must not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from mammo_core.checkpoint import load_checkpoint
from mammo_core.dicom import read_mammogram
from mammo_core.heatmap import counted_pixels
from mammo_core.inputs import InputSettings, model_input
from mammo_core.model import Architecture, build_model
from mammo_core.model_files import bundled_models
from mammo_core.pooling import shows_breast
from mammo_core.reader import Reader
from mammo_core.unmarked import unmarked

SIZE = (256, 192)
SKIN = (128, 100)
"""Where a nipple marker lies: on the outline of the breast below."""
INSIDE = (128, 60)
NIPPLE_MARKERS = {"RCC": (151, 83), "LMLO": (189, 82), "LCC": (112, 90)}
"""Row and column of the markers of ``nyu00`` in pictures of `SIZE`."""


def breast(scale=1):
    """Half an ellipse with its chest wall to the left, in air; brighter towards the chest wall: ``(1, 1, H, W)``."""
    rows, columns = SIZE[0] * scale, SIZE[1] * scale
    y, x = np.mgrid[:rows, :columns]
    inside = ((y / scale - 128) / 110) ** 2 + (x / scale / 100) ** 2 < 1
    return torch.from_numpy(np.where(inside, 0.5 - 0.2 * x / columns, 0.0).astype(np.float32))[None, None]


def disc(picture, centre, radius=2.0, scale=1):
    y, x = np.mgrid[: picture.shape[2], : picture.shape[3]]
    marked = (y - centre[0] * scale) ** 2 + (x - centre[1] * scale) ** 2 <= (radius * scale) ** 2
    found = picture.clone()
    found[..., torch.from_numpy(marked)] = 1.0
    return found


def lettered(picture):
    """An "L" with strokes of two pixels, in the air."""
    found = picture.clone()
    found[..., 40:60, 160:162] = 0.8
    found[..., 58:60, 160:172] = 0.8
    return found


@pytest.mark.parametrize("scale", [1, 2])
def test_a_marker_at_the_skin_goes_and_a_calcification_stays(scale):
    plain = breast(scale)
    both = disc(disc(plain, SKIN, scale=scale), INSIDE, scale=scale)
    seen = unmarked(both)
    there = [slice(at * scale - 2 * scale, at * scale + 2 * scale) for at in INSIDE]
    assert torch.equal(seen[..., there[0], there[1]], both[..., there[0], there[1]])
    at_skin = seen[..., 116 * scale : 140 * scale, 90 * scale : 110 * scale]
    assert at_skin.max() < 0.5
    changed = (seen != both)[0, 0]
    y, x = np.nonzero(changed.numpy())
    assert np.hypot(y - SKIN[0] * scale, x - SKIN[1] * scale).max() < 8 * scale


def test_lettering_becomes_air_and_the_breast_stays_as_it_is():
    plain = breast()
    assert torch.equal(unmarked(lettered(plain)), plain)


def test_a_dot_at_the_end_of_a_thread_leaves_no_grey_patch():
    threaded = breast()
    threaded[..., 127:129, 90:130] = 0.5
    seen = unmarked(disc(threaded, (128, 132)))
    assert seen[..., 122:135, 129:140].max() == 0


def test_a_picture_without_markers_stays_as_it_is():
    assert torch.equal(unmarked(breast()), breast())
    grey = torch.full((1, 3, 64, 64), 0.4)
    assert torch.equal(unmarked(grey), grey)
    thin = torch.zeros(1, 1, 64, 64)
    thin[..., 30:32, :] = 0.5  # nothing wide: nothing to tell lettering from
    assert torch.equal(unmarked(thin), thin)


@pytest.mark.parametrize("axis", [2, 3])
def test_a_mirrored_picture_is_painted_over_in_the_same_places(axis):
    marked = lettered(disc(breast(), SKIN))
    torch.testing.assert_close(unmarked(marked.flip(axis)), unmarked(marked).flip(axis))


def test_it_does_not_matter_what_pictures_are_normalised_by_or_come_with():
    marked = lettered(disc(breast(), SKIN))
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    batch = torch.cat([(breast().expand(-1, 3, -1, -1) - mean) / std, (marked.expand(-1, 3, -1, -1) - mean) / std])
    seen = unmarked(batch.contiguous(memory_format=torch.channels_last)) * std + mean
    torch.testing.assert_close(seen[1:], unmarked(marked).expand(-1, 3, -1, -1), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:1], breast().expand(-1, 3, -1, -1), atol=1e-5, rtol=0)


def test_a_network_that_paints_over_sees_neither_lettering_nor_heat_on_it():
    torch.manual_seed(0)
    model = build_model(
        Architecture(backbone="resnet10t", in_channels=1, pooling="breast", without_markers=True)
    ).eval()
    with torch.inference_mode():
        plain, written = model(breast()), model(lettered(breast()))
        model.glass.without_markers = False
        assert model(lettered(breast())) != plain
    assert torch.equal(plain, written)
    assert "markers painted over" in model.architecture.in_words
    model.glass.without_markers = True
    counted = counted_pixels(model, lettered(breast())[0].numpy())
    assert np.array_equal(counted, shows_breast(breast())[0, 0].numpy())


@pytest.mark.parametrize(("view", "where"), NIPPLE_MARKERS.items())
def test_the_nipple_markers_of_a_real_exam_go(shared, view, where):
    file = shared / "exams" / "nyu00" / f"{view}.dcm"
    settings = InputSettings(height=SIZE[0], width=SIZE[1])
    shown, _ = model_input(read_mammogram(file, name=file.name, target=settings.target), settings)
    seen = unmarked(torch.from_numpy(shown[None]))[0, 0].numpy()
    row, column = where
    around = (slice(row - 3, row + 4), slice(column - 3, column + 4))
    assert shown[0][around].max() > 0.85
    assert seen[around].max() < 0.8
    changed = seen != shown[0]
    assert changed.sum() < 150
    assert (seen <= shown[0]).all()


def test_no_heat_of_the_bundled_model_lies_on_the_markers_of_a_real_exam(shared):
    exams = [read_mammogram(shared / "exams" / "nyu00" / f"{view}.dcm", name=view) for view in NIPPLE_MARKERS]
    reading = Reader(load_checkpoint(bundled_models()["screening256"])).read(exams)
    heats = {view.file: view.heatmap for view in reading.views}
    highest = max(heat.peak for heat in heats.values() if heat is not None)
    for view, (row, column) in NIPPLE_MARKERS.items():
        grid = heats[view].grid
        height, width = (side // cells for side, cells in zip(SIZE, grid.shape, strict=True))
        around = grid[row // height - 1 : row // height + 2, column // width - 1 : column // width + 2]
        assert around.size == 9
        assert around.max() < 0.1 * highest, view


def test_a_marker_painted_over_is_a_marker_that_was_never_there(shared):
    """As far as the bundled model's score goes: the marker is taken out of the file's own pixels."""
    file = shared / "exams" / "nyu00" / "RCC.dcm"
    mammogram = read_mammogram(file, name=file.name)
    cleaned = replace(mammogram, pixels=without_metal(mammogram.pixels))
    reader = Reader(load_checkpoint(bundled_models()["screening256"]))
    found, expected = (reader.read([exam]).views[0].score for exam in (mammogram, cleaned))
    assert found == pytest.approx(expected, rel=0.05)


def without_metal(pixels):
    """Pixels ``(H, W)`` with the one round spot of the highest values filled in from around it."""
    bright = (pixels > 0.97 * pixels.max()).astype(np.uint8)
    _, parts, facts, _ = cv2.connectedComponentsWithStats(bright)
    (spot,) = [i for i, (_, _, wide, high, area) in enumerate(facts) if 300 < area < 1000 and abs(wide - high) < 3]
    hole = cv2.dilate((parts == spot).astype(np.uint8), np.ones((9, 9), np.uint8))
    return cv2.inpaint(pixels, hole, 5, cv2.INPAINT_TELEA)
