"""Gray values, turns and the breast's outline, with answers worked out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mammo_core.mammogram import (
    Hanging,
    Mammogram,
    Voi,
    VoiLut,
    Window,
    breast_box,
    breast_mask,
    display_pixels,
    hang,
    mask_box,
    tissue_side,
    unhang,
    voi_table,
)
from tiny_dicom import breast, header


def shown(voi: Voi, values: list[int], **changes: object) -> list[float]:
    """What the pixel values show as."""
    table = voi_table(header(**changes), voi)
    return [float(table[value]) for value in values]


def test_linear_window_is_the_standards_formula() -> None:
    # C.11.2.1.2.1 with c=2048, w=4096: y = (x - 2047.5) / 4095 + 0.5
    assert_allclose(shown(Window(2048, 4096, "LINEAR", ""), [0, 4095, 1365]), [0.0, 1.0, 1365 / 4095], atol=1e-7)
    # c=50, w=11: black up to 44.5, white from above 54.5, else (x - 49.5) / 10 + 0.5
    assert_allclose(
        shown(Window(50, 11, "LINEAR", ""), [0, 44, 45, 49, 54, 55, 99]), [0, 0, 0.05, 0.45, 0.95, 1, 1], atol=1e-7
    )


def test_linear_window_of_width_one_is_a_step() -> None:
    assert shown(Window(50, 1, "LINEAR", ""), [49, 50, 51]) == [0.0, 1.0, 1.0]


def test_linear_exact_window_is_the_standards_formula() -> None:
    # C.11.2.1.3.2 with c=50, w=10: black up to 45, white above 55, else (x - 50) / 10 + 0.5
    assert_allclose(
        shown(Window(50, 10, "LINEAR_EXACT", ""), [44, 45, 46, 50, 55, 56]), [0, 0, 0.1, 0.5, 1, 1], atol=1e-7
    )


def test_sigmoid_window_is_the_standards_formula() -> None:
    # C.11.2.1.3.1 with c=50, w=20: 1 / (1 + exp(-4 (x - 50) / 20)); at 60 the exponent is -2
    assert_allclose(shown(Window(50, 20, "SIGMOID", ""), [50, 60, 40]), [0.5, 0.8807970780, 0.1192029220], atol=1e-7)
    assert shown(Window(30000, 1, "SIGMOID", ""), [0, 65535]) == [0.0, 1.0]


def test_voi_lut_clamps_to_its_ends() -> None:
    lut = VoiLut.of(100, (0, 51, 255), 8, "")
    assert_allclose(shown(lut, [0, 100, 101, 102, 65535]), [0, 0, 0.2, 1, 1], atol=1e-7)


def test_voi_lut_starts_at_a_negative_modality_value() -> None:
    lut = VoiLut.of(-2, (0, 1000, 2000, 4000), 12, "")
    # pixel 32768 is stored value 0 where values are signed: entry 2
    assert_allclose(
        shown(lut, [32766, 32767, 32768, 32769], intercept=-32768.0),
        [0, 1000 / 4095, 2000 / 4095, 4000 / 4095],
        atol=1e-7,
    )


def test_modality_values_go_into_the_window() -> None:
    # modality value 2 * 30 - 10 = 50 is the centre of an exact window
    assert shown(Window(50, 10, "LINEAR_EXACT", ""), [30], slope=2.0, intercept=-10.0) == [0.5]


def test_monochrome1_is_inverted_after_the_window() -> None:
    window = Window(50, 20, "SIGMOID", "")
    assert_allclose(shown(window, [50, 60], photometric="MONOCHROME1"), [0.5, 0.1192029220], atol=1e-7)


def test_padding_shows_black_in_both_polarities() -> None:
    window = Window(50, 10, "LINEAR_EXACT", "")
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        assert shown(window, [70, 71], padding=(70, 71), photometric=photometric) == [0.0, 0.0]
    assert shown(window, [69, 72], padding=(70, 71)) == [1.0, 1.0]


def test_display_pixels_takes_the_first_voi_unless_told() -> None:
    other = Window(1, 2, "LINEAR_EXACT", "")
    pixels = np.array([[0, 45, 50], [55, 60, 65535]], dtype=np.uint16)
    mammogram = Mammogram(header(vois=(Window(50, 10, "LINEAR_EXACT", ""), other)), pixels)
    displayed = display_pixels(mammogram)
    assert displayed.dtype == np.float32
    assert_array_equal(displayed, np.array([[0, 0, 0.5], [1, 1, 1]], dtype=np.float32))
    assert_array_equal(display_pixels(mammogram, other), np.array([[0, 1, 1], [1, 1, 1]], dtype=np.float32))


TURNS = {
    (False, False, False): [[1, 2, 3], [4, 5, 6]],
    (False, True, False): [[3, 2, 1], [6, 5, 4]],
    (False, False, True): [[4, 5, 6], [1, 2, 3]],
    (False, True, True): [[6, 5, 4], [3, 2, 1]],
    (True, False, False): [[1, 4], [2, 5], [3, 6]],
    (True, True, False): [[4, 1], [5, 2], [6, 3]],
    (True, False, True): [[3, 6], [2, 5], [1, 4]],
    (True, True, True): [[6, 3], [5, 2], [4, 1]],
}


@pytest.mark.parametrize("turn", TURNS)
def test_hang_and_unhang_all_eight_ways(turn: tuple[bool, bool, bool]) -> None:
    array = np.array([[1, 2, 3], [4, 5, 6]])
    hung = hang(array, Hanging(*turn, ""))
    assert_array_equal(hung, TURNS[turn])
    assert_array_equal(unhang(hung, Hanging(*turn, "")), array)
    assert hung.base is array


@pytest.mark.parametrize("high", [200, 4000, 65000])
@pytest.mark.parametrize("inverted", [False, True])
def test_breast_mask_leaves_out_air_label_and_edge_line(high: int, inverted: bool) -> None:
    picture = breast(192, 128, high=high)
    truth = picture > 0
    picture[10:16, 100:120] = high  # a label
    picture[:, 126] = high // 3  # a detector edge
    stored = (high - picture if inverted else picture).astype(np.uint16)
    mask = breast_mask(stored, inverted=inverted)
    assert (mask != truth).mean() < 0.01
    y0, x0, y1, x1 = breast_box(stored, inverted=inverted)
    ys, xs = np.nonzero(truth)
    assert_allclose((y0, x0, y1, x1), (ys.min(), xs.min(), ys.max() + 1, xs.max() + 1), atol=2)


def test_breast_mask_where_padding_has_replaced_the_air() -> None:
    # nothing but padding around tissue of two gray values: the darker must not be taken for air
    picture = breast(192, 128, high=4000)
    truth = picture > 0
    stored = np.where(truth, np.where(picture > 3000, 3500, 900), 0).astype(np.uint16)
    assert (breast_mask(stored, padding=(0, 0)) != truth).mean() < 0.01


def test_breast_mask_where_padding_only_frames_the_image() -> None:
    picture = breast(192, 128, high=4000) + 300
    truth = picture > 300
    picture[:8] = picture[-8:] = 0
    truth[:8] = truth[-8:] = False
    assert (breast_mask(picture.astype(np.uint16), padding=(0, 0)) != truth).mean() < 0.01


def test_no_breast_in_a_uniform_image() -> None:
    flat = np.full((64, 64), 7, dtype=np.uint16)
    assert not breast_mask(flat).any()
    assert breast_box(flat) == (0, 0, 64, 64)


def test_breast_mask_of_a_large_image_has_its_shape() -> None:
    picture = np.kron(breast(), np.ones((11, 11), dtype=np.int64))[:1051, :701].astype(np.uint16)
    mask = breast_mask(picture)
    assert mask.shape == (1051, 701)
    assert (mask != (picture > 0)).mean() < 0.02


def test_mask_box_is_rounded_outwards_in_full_resolution_pixels() -> None:
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:3, 2:4] = True
    assert mask_box(mask, (5, 6)) == (1, 2, 3, 4)
    # sample i of a mask at 1/4 covers pixels 4 i - 2 .. 4 i + 1
    assert mask_box(mask, (20, 24), 4) == (2, 6, 10, 14)
    mask[4, 5] = True
    assert mask_box(mask, (18, 22), 4) == (2, 6, 18, 22)
    assert mask_box(np.zeros((5, 6), dtype=bool), (20, 24), 4) == (0, 0, 20, 24)


def test_tissue_side() -> None:
    assert tissue_side(breast() > 0) == "left"
    assert tissue_side(breast(side="right") > 0) == "right"
    assert tissue_side(np.ones((20, 20), dtype=bool)) is None
    assert tissue_side(np.zeros((20, 20), dtype=bool)) is None
    floating = np.zeros((100, 100), dtype=bool)
    floating[30:60, 10:40] = True
    assert tissue_side(floating) == "left"
