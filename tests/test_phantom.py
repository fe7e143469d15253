"""Synthetic exams in memory: repeatable, true to their truth, the same breast in both views."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from mammo_core.mammogram import Mammogram, display_pixels, hang
from mammo_core.phantom import (
    VENDORS,
    PhantomExam,
    PhantomSettings,
    PhantomView,
    Vendor,
    make_exam,
    to_mammogram,
)
from mammo_core.phantom.anatomy import DENSITIES, draw_patient
from mammo_core.phantom.geometry import VIEWS, Plate, Projection, draw_geometry
from mammo_core.phantom.gland import draw_glands, on_picture, shadow
from mammo_core.phantom.lesions import NO_SPECKS, NO_SPICULES, Lesion, cast
from mammo_core.phantom.seeds import ExamSeed, has_cancer
from mammo_core.phantom.vendors import encode, patient_orientation

SMALL = PhantomSettings(height=256)


@cache
def exam(index: int = 0, *, prior: bool = False) -> PhantomExam:
    return make_exam(SMALL, 5, index, prior=prior)


def shown(made: PhantomExam, view: PhantomView) -> NDArray[np.float32]:
    return display_pixels(to_mammogram(made, view))


def test_the_same_seed_gives_the_same_bits() -> None:
    again = make_exam(SMALL, 5, 0)
    for first, second in zip(exam().views, again.views, strict=True):
        np.testing.assert_array_equal(first.pixels, second.pixels)
        np.testing.assert_array_equal(first.mask, second.mask)
    assert replace(again, views=(), lesions=()) == replace(exam(), views=(), lesions=())


def test_other_seeds_and_indices_give_other_exams() -> None:
    others = [exam(1), make_exam(SMALL, 6, 0)]
    assert all(other.patient_id != exam().patient_id for other in others)
    assert all(other.views[0].pixels.tobytes() != exam().views[0].pixels.tobytes() for other in others)


def test_views_are_the_four_of_a_screening_exam() -> None:
    assert [view.laterality + view.view for view in exam().views] == ["RCC", "LCC", "RMLO", "LMLO"]
    assert all(view.pixels.dtype == np.uint16 and view.pixels.shape[0] == 256 for view in exam().views)


@pytest.mark.parametrize("prevalence", [0.0, 0.008, 0.3, 1.0])
def test_any_run_of_exams_has_the_prevalence(prevalence: float) -> None:
    sick = np.array([has_cancer(11, index, prevalence) for index in range(2000)])
    for start, length in itertools.product((0, 17, 900), (100, 1000)):
        assert abs(sick[start : start + length].sum() - length * prevalence) <= 1


def test_cancer_is_what_the_malignant_lesions_say() -> None:
    drawn = [exam(index) for index in range(6)]
    assert [made.cancer for made in drawn] == [has_cancer(5, index, 0.5) for index in range(6)]
    for made in drawn:
        sides = {side for side, lesion in made.lesions if lesion.malignant}
        assert made.cancer == bool(sides)
        assert all(view.cancer == (view.laterality in sides) for view in made.views)


def test_projection_by_hand() -> None:
    """40 mm deep, 10 lateral, 5 above: CC shows the lateral offset, a true lateral the height, 45 degrees both."""
    point = np.array([[40.0, 10.0, 5.0]])
    cc = Projection("CC", (100.0, 60.0), 0.0, 0.0)
    lateral = Projection("MLO", (100.0, 60.0), 0.0, np.pi / 2)
    oblique = Projection("MLO", (100.0, 60.0), 0.0, np.pi / 4)
    tilted = Projection("MLO", (100.0, 60.0), np.pi / 2, np.pi / 2)
    np.testing.assert_allclose(cc.on_plate(point), [[60, 50]])
    np.testing.assert_allclose(lateral.on_plate(point), [[60, 55]])
    np.testing.assert_allclose(oblique.on_plate(point), [[60, 60 - 15 / np.sqrt(2)]])
    np.testing.assert_allclose(tilted.on_plate(point), [[105, 20]], atol=1e-12)


def test_from_plate_undoes_on_plate() -> None:
    projection = Projection("MLO", (90.0, 120.0), 0.3, 0.9)
    points = np.array([[40.0, 10.0, 5.0], [3.0, -20.0, 40.0]])
    x, y = projection.on_plate(points).astype(np.float32).T
    depth, across = projection.from_plate(x, y)
    np.testing.assert_allclose(depth, points[:, 0], atol=1e-4)
    np.testing.assert_allclose(across, projection.across(points), atol=1e-4)


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.letter)
def test_both_views_show_a_lesion_at_the_same_depth(vendor: Vendor) -> None:
    """The distance from nipple to lesion in stored pixels follows from the one position in the breast."""
    made = make_exam(SMALL, 5, 3, cancer=True, vendor=vendor)
    breasts = {breast.laterality: breast for breast in draw_patient(SMALL, ExamSeed(5, 3)).breasts}
    checked = 0
    for view in made.views:
        tube = 0.0 if view.view == "CC" else np.deg2rad(breasts[view.laterality].tube_angle)
        for seen in view.lesions:
            depth, lateral, above = made.lesions[seen.number - 1][1].position
            across = lateral * np.cos(tube) + above * np.sin(tube)
            distance = np.hypot(seen.x - view.nipple[0], seen.y - view.nipple[1]) * made.spacing
            assert distance == pytest.approx(np.hypot(depth, across), abs=1e-6)
            checked += 1
    assert checked >= 2


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.letter)
def test_masks_lie_where_the_lesion_is(vendor: Vendor) -> None:
    made = make_exam(SMALL, 5, 3, cancer=True, vendor=vendor)
    number = next(n for n, (_, lesion) in enumerate(made.lesions, 1) if lesion.malignant)
    views = [view for view in made.views if any(seen.number == number for seen in view.lesions)]
    assert [view.view for view in views] == ["CC", "MLO"]
    for view in views:
        seen = next(seen for seen in view.lesions if seen.number == number)
        rows, columns = np.nonzero(view.mask == number)
        assert rows.mean() + 0.5 == pytest.approx(seen.y, abs=4)
        assert columns.mean() + 0.5 == pytest.approx(seen.x, abs=4)


def test_lesions_are_brighter_than_the_same_breast_without_them() -> None:
    """The same exam at conspicuity 0 is the same picture but for the lesion."""
    fatty = {"height": 384, "density_shares": (1.0, 0.0, 0.0, 0.0)}
    checked = 0
    for index in range(4):
        made = make_exam(PhantomSettings(**fatty), 9, index, cancer=True)
        hidden = make_exam(PhantomSettings(**fatty, conspicuity=0.0), 9, index, cancer=True)
        for view, plain in zip(made.views, hidden.views, strict=True):
            for seen in view.lesions:
                kind = made.lesions[seen.number - 1][1].kind
                if not (seen.visible and kind.endswith("mass")):
                    continue
                area, picture = view.mask == seen.number, shown(made, view)
                added = picture - shown(hidden, plain)
                around = ring(area)
                assert added[area].mean() > 0.02 + added[around].mean()
                assert picture[area].mean() > picture[around].mean()
                checked += 1
    assert checked >= 4


def ring(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels 6 to 12 away from an area, by shifting it."""

    def grown(by: int) -> NDArray[np.bool_]:
        shifts = itertools.product((-by, 0, by), repeat=2)
        moved: NDArray[np.bool_] = np.any([np.roll(area, shift, (0, 1)) for shift in shifts], axis=0)
        return moved

    return grown(12) & ~grown(6) & ~area


def test_a_mass_has_the_length_of_a_flattened_ball() -> None:
    """A ball 20 mm wide, 0.6 as high: 12 mm on the central ray, nothing outside, pi * 10^2 mm2 of mask."""
    lesion = Lesion("round mass", (30.0, 0.0, 0.0), 20.0, 1.0, np.zeros((1, 2)), NO_SPICULES, NO_SPECKS)
    shadow = cast(lesion, Projection("CC", (80.0, 50.0), 0.0, 0.0), Plate(400, 400, 0.25))
    assert shadow.mass[200, 200] == pytest.approx(12.0, abs=0.1)
    assert shadow.mass[200, 200 + 46] == 0.0
    assert shadow.mask.sum() * 0.25**2 == pytest.approx(np.pi * (1.05 * 10) ** 2, rel=0.01)
    assert not shadow.calcium.any()


def test_denser_classes_have_more_gland() -> None:
    """Mean gland on the rays through the breast, over ten patients each."""

    def mean_gland(density: str) -> float:
        shares = tuple(float(density == name) for name in DENSITIES)
        settings = PhantomSettings(density_shares=(shares[0], shares[1], shares[2], shares[3]))
        means = []
        for index in range(10):
            seed = ExamSeed(3, index)
            breasts = draw_patient(settings, seed).breasts
            gland = draw_glands(breasts, 3.2, 0.6, seed.stream("gland"))[0]
            geometry = draw_geometry(breasts[0], "CC", Plate(128, 110, 1.9), seed.stream("position"))
            mean = on_picture(shadow(gland, geometry.projection), geometry.depth, geometry.across)
            means.append(float(mean[geometry.inside > 0.5].mean()))
        return float(np.mean(means))

    a, b, c, d = (mean_gland(density) for density in DENSITIES)
    assert 0 < 2 * a < b
    assert b < c < d


def test_left_and_right_glands_are_alike_but_not_the_same() -> None:
    breasts = draw_patient(SMALL, ExamSeed(1, 1)).breasts
    alike = (breasts[0], replace(breasts[0], laterality="L"))

    def correlation(symmetry: float) -> float:
        right, left = draw_glands(alike, 3.2, symmetry, np.random.default_rng(8))
        inside = (right.fraction > 0.01) | (left.fraction > 0.01)
        return float(np.corrcoef(right.fraction[inside], left.fraction[inside])[0, 1])

    assert correlation(0.0) < correlation(0.65) < correlation(0.95) < 0.999


def test_outline_muscle_and_background() -> None:
    """Chest wall at the edge, black outside, muscle in the upper inner corner of an MLO alone."""
    seed = ExamSeed(2, 0)
    breast = draw_patient(SMALL, seed).breasts[1]
    for view in VIEWS:
        geometry = draw_geometry(breast, view, Plate(256, 200, 0.9), seed.stream("position"))
        assert geometry.inside[128, 0] == 1.0
        assert not geometry.thickness[geometry.inside == 0].any()
        if view == "MLO":
            assert geometry.pectoral[4, 4] > 3.0
            assert geometry.pectoral[:, -40:].max() == 0.0
            assert geometry.pectoral[250, :].max() == 0.0


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.letter)
def test_the_first_voi_choice_shows_the_picture_as_drawn(vendor: Vendor) -> None:
    view = exam().views[0]
    header = to_mammogram(make_exam(SMALL, 5, 0, vendor=vendor), view).header
    ramp = np.linspace(0, 1, 512, dtype=np.float32).reshape(2, 256)
    stored = encode(vendor, ramp, np.ones(ramp.shape, np.bool_))
    mammogram = Mammogram(replace(header, rows=2, columns=256), stored)
    np.testing.assert_allclose(display_pixels(mammogram), ramp, atol=0.008)
    outside = encode(vendor, ramp, np.zeros(ramp.shape, np.bool_))
    assert display_pixels(Mammogram(header, outside)).max() < 0.01


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.letter)
def test_every_storage_hangs_with_the_chest_walls_in_the_middle(vendor: Vendor) -> None:
    made = make_exam(SMALL, 5, 2, vendor=vendor)
    for view in made.views:
        picture = hang(shown(made, view), view.hanging)
        left, right = picture[64:200, 2:6].mean(), picture[64:200, -6:-2].mean()
        assert (right > left + 0.2) if view.laterality == "R" else (left > right + 0.2)


def test_patient_orientation_of_stored_pictures() -> None:
    assert patient_orientation("hung", "R", "CC") == ("P", "L")
    assert patient_orientation("hung", "L", "MLO") == ("A", "FR")
    assert patient_orientation("upside down", "R", "MLO") == ("P", "HR")
    assert patient_orientation("chest wall left", "R", "CC") == ("A", "L")
    assert patient_orientation("chest wall left", "L", "CC") == ("A", "R")
    assert patient_orientation("mirrored", "L", "CC") == ("P", "R")


def test_a_prior_is_the_same_woman_earlier() -> None:
    now = make_exam(SMALL, 5, 0, cancer=True)
    before = make_exam(SMALL, 5, 0, cancer=True, prior=True)
    assert (before.patient_id, before.density) == (now.patient_id, now.density)
    assert before.study_date < now.study_date
    assert before.age < now.age
    sizes = {lesion.kind: lesion.size_mm for _, lesion in now.lesions if lesion.malignant}
    assert sizes
    assert all(lesion.size_mm < 0.7 * sizes[lesion.kind] for _, lesion in before.lesions if lesion.malignant)
    uids = {to_mammogram(made, made.views[0]).header.study_uid for made in (now, before)}
    assert len(uids) == 2


def test_uids_are_dicom_uids_and_differ() -> None:
    headers = [to_mammogram(exam(index), view).header for index in (0, 1) for view in exam(index).views]
    uids = {header.sop_uid for header in headers}
    assert len(uids) == 8
    for uid in uids:
        assert uid.startswith("2.25.")
        assert len(uid) <= 64
        assert int(uid.removeprefix("2.25.")) < 2**128


def test_streams_differ_by_purpose_and_number() -> None:
    seed = ExamSeed(1, 2)

    def first(stream: Callable[..., np.random.Generator], *which: int) -> float:
        return float(stream("noise", *which).random())

    draws = [first(seed.stream), first(seed.stream, 0), first(seed.stream, 0, 1), first(ExamSeed(2, 1).stream)]
    assert len({*draws, float(seed.stream("gland").random())}) == 5
    assert first(seed.stream, 0) == draws[1]
