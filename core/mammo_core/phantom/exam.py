"""One synthetic exam with its truth, in memory."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mammo_core.mammogram import Hanging, Laterality
from mammo_core.phantom import lesions as lesion_drawing
from mammo_core.phantom.anatomy import Breast, Density, Patient, draw_patient
from mammo_core.phantom.curves import draw_curves
from mammo_core.phantom.geometry import VIEWS, Geometry, View, draw_geometry
from mammo_core.phantom.gland import draw_glands
from mammo_core.phantom.lesions import Lesion
from mammo_core.phantom.placement import draw_lesions, earlier
from mammo_core.phantom.seeds import ExamSeed, has_cancer
from mammo_core.phantom.settings import PhantomSettings
from mammo_core.phantom.texture import Field
from mammo_core.phantom.tiles import draw_tiles
from mammo_core.phantom.tissue import Tissue, draw_tissue
from mammo_core.phantom.vendors import VENDORS, Vendor, encode, flips, hanging
from mammo_core.phantom.xray import FAT_PER_MM, attenuation, detect, present

VISIBLE = 0.6
"""Conspicuity from which a lesion counts as visible in a view."""


@dataclass(frozen=True)
class LesionInView:
    """What one view shows of one lesion."""

    number: int
    """Its value in the mask: 1 for the exam's first lesion."""
    x: float
    y: float
    """Projected centre in stored pixels, continuous, pixel centres at .5; may lie off the picture."""
    conspicuity: float
    """Mean brightness that the lesion adds within its mask, over the deviation of brightness around it."""
    visible: bool


@dataclass(frozen=True)
class PhantomView:
    """One picture. Arrays are as stored in the file: see ``hanging`` for how they hang."""

    laterality: Laterality
    view: View
    pixels: NDArray[np.uint16]
    """Stored values (H, W), not inverted."""
    mask: NDArray[np.uint8]
    """Number of the lesion at each pixel (H, W), 0 where there is none."""
    cancer: bool
    """Whether this breast has a malignant lesion."""
    hanging: Hanging
    breast_box: tuple[int, int, int, int]
    """Half-open (y0, x0, y1, x1) around the breast, stored pixels."""
    nipple: tuple[float, float]
    """(x, y) in stored pixels, pixel centres at .5."""
    lesions: tuple[LesionInView, ...]


@dataclass(frozen=True)
class PhantomExam:
    """Four views of one patient and the truth about her."""

    seed: ExamSeed
    prior: bool
    """Whether this is her earlier exam."""
    vendor: Vendor
    spacing: float
    """Distance between pixel centres in mm at the detector."""
    patient_id: str
    study_date: str
    age: int
    density: Density
    cancer: bool
    lesions: tuple[tuple[Laterality, Lesion], ...]
    views: tuple[PhantomView, ...]
    """RCC, LCC, RMLO, LMLO."""


@dataclass(frozen=True)
class _Visit:
    """What the four views of one visit have in common."""

    settings: PhantomSettings
    found: tuple[tuple[Laterality, Lesion], ...]
    vendor: Vendor
    marked: bool
    when: int
    """0 now, 1 for the prior."""


def make_exam(
    settings: PhantomSettings,
    seed: int,
    index: int = 0,
    *,
    prior: bool = False,
    cancer: bool | None = None,
    vendor: Vendor | None = None,
) -> PhantomExam:
    """Draw exam ``index`` of the set with ``seed``; the same arguments give the same bits.

    ``prior`` draws the same woman one to three years earlier, her cancer smaller or not there yet; ``cancer``
    overrides what the prevalence says, ``vendor`` what the seed says.
    """
    stream = ExamSeed(seed, index)
    patient = draw_patient(settings, stream)
    sick = has_cancer(seed, index, settings.prevalence) if cancer is None else cancer
    found = draw_lesions(settings, patient, sick, stream)
    chooser = stream.stream("vendor")
    drawn = VENDORS[int(chooser.integers(len(VENDORS)))]
    maker = vendor or drawn
    marked = bool(chooser.random() < settings.marker_share)
    year, month, day = 2019 + int(chooser.integers(5)), int(chooser.integers(1, 13)), int(chooser.integers(1, 29))
    gap = int(chooser.integers(1, 4))
    if prior:
        found, year = earlier(found, stream), year - gap
    visit = _Visit(settings, found, maker, marked, int(prior))
    return PhantomExam(
        seed=stream,
        prior=prior,
        vendor=maker,
        spacing=maker.plate(settings.height).spacing,
        patient_id=f"PHANTOM-{seed}-{index:05d}",
        study_date=f"{year:04d}{month:02d}{day:02d}",
        age=patient.age - (gap if prior else 0),
        density=patient.density,
        cancer=any(lesion.malignant for _, lesion in found),
        lesions=found,
        views=_draw_views(stream, patient, visit),
    )


def _draw_views(stream: ExamSeed, patient: Patient, visit: _Visit) -> tuple[PhantomView, ...]:
    """Draw RCC, LCC, RMLO, LMLO."""
    settings = visit.settings
    plate = visit.vendor.plate(settings.height)
    glands = draw_glands(patient.breasts, settings.texture_beta, settings.symmetry, stream.stream("gland"))
    curves = [draw_curves(breast, stream.stream("curves", i)) for i, breast in enumerate(patient.breasts)]
    tiles = draw_tiles(plate, settings.texture_beta, stream.stream("texture"))
    views = []
    for j, view in enumerate(VIEWS):
        for i, breast in enumerate(patient.breasts):
            geometry = draw_geometry(breast, view, plate, stream.stream("position", i, j, visit.when))
            detail = stream.stream("texture", i, j)
            tissue = draw_tissue(breast, glands[i], curves[i], tiles, geometry, detail)
            noise = stream.stream("noise", i, j, visit.when)
            views.append(_expose(visit, breast, view, geometry, tissue, noise))
    return tuple(views)


def _expose(
    visit: _Visit, breast: Breast, view: View, geometry: Geometry, tissue: Tissue, noise: np.random.Generator
) -> PhantomView:
    """Add the breast's lesions to its tissue, take the x-ray and store it the vendor's way."""
    mass, calcium = np.zeros_like(tissue.gland), np.zeros_like(tissue.gland)
    mask = np.zeros(mass.shape, np.uint8)
    own = [(n, lesion) for n, (side, lesion) in enumerate(visit.found, start=1) if side == breast.laterality]
    areas = []
    for number, lesion in own:
        shadow = lesion_drawing.cast(lesion, geometry.projection, geometry.plate)
        strength = np.float32(lesion.contrast * visit.settings.conspicuity)
        mass += strength * shadow.mass
        calcium += strength * shadow.calcium
        areas.append(shadow.mask & (geometry.inside > 0.5))
        mask[areas[-1]] = number
    clean = attenuation(tissue, np.zeros_like(mass), np.zeros_like(mass))
    total = attenuation(tissue, mass, calcium) if own else clean
    signal = detect(total, geometry.inside, geometry.plate.spacing, visit.settings.quanta_per_mm2, noise)
    picture = present(signal, geometry)
    pattern = clean - np.float32(FAT_PER_MM) * tissue.thickness
    added = total - clean
    seen = [_seen(*one, geometry, area, added, pattern) for one, area in zip(own, areas, strict=True)]
    return _store(visit, breast, view, geometry, picture, mask, seen)


def _seen(
    number: int, lesion: Lesion, geometry: Geometry, area: NDArray[np.bool_], added: Field, pattern: Field
) -> LesionInView:
    """Measure one lesion in one view (before storage flips)."""
    x, y = geometry.projection.on_plate(np.array([lesion.position]))[0] / geometry.plate.spacing
    conspicuity = 0.0
    if area.any():
        reach = 2 * round(5.0 / geometry.plate.spacing) + 1
        around = cv2.dilate(area.astype(np.uint8), np.ones((reach, reach), np.uint8)).astype(bool) & ~area
        around &= geometry.skin > 2.0
        spread = float(pattern[around].std()) if around.any() else 1.0
        conspicuity = float(added[area].mean()) / max(spread, 0.01)
        if len(lesion.specks.radii):
            # Calcifications are found by their grains, not by the mean over the cluster's hull.
            grains = added[area & (added > 0.02)]
            conspicuity = float(np.median(grains)) / max(spread, 0.01) if grains.size else 0.0
    return LesionInView(number, float(x), float(y), conspicuity, conspicuity >= VISIBLE)


def _store(
    visit: _Visit,
    breast: Breast,
    view: View,
    geometry: Geometry,
    picture: Field,
    mask: NDArray[np.uint8],
    seen: list[LesionInView],
) -> PhantomView:
    """Mirror a right breast, burn in the marker, flip as the vendor does and turn the picture into stored values."""
    right, vendor = breast.laterality == "R", visit.vendor
    inside = geometry.inside > 0.02
    rows, columns = picture.shape[0], vendor.plate(picture.shape[0]).columns
    aside = ((0, 0), (0, columns - picture.shape[1]))
    picture, inside, mask = np.pad(picture, aside), np.pad(inside, aside), np.pad(mask, aside)
    horizontal, vertical = flips(vendor.storage, breast.laterality)
    if right:
        picture, inside, mask = picture[:, ::-1], inside[:, ::-1], mask[:, ::-1]
    box = inside
    if visit.marked:
        picture, inside = _burn_in(picture, inside, breast.laterality, view)
    step_y, step_x = (-1 if vertical else 1), (-1 if horizontal else 1)

    def turned(x: float, y: float) -> tuple[float, float]:
        return (columns - x if right != horizontal else x), (rows - y if vertical else y)

    nipple = geometry.projection.nipple
    moved = tuple(replace(s, x=turned(s.x, s.y)[0], y=turned(s.x, s.y)[1]) for s in seen)
    return PhantomView(
        laterality=breast.laterality,
        view=view,
        pixels=np.ascontiguousarray(encode(vendor, picture, inside)[::step_y, ::step_x]),
        mask=np.ascontiguousarray(mask[::step_y, ::step_x]),
        cancer=any(lesion.malignant for side, lesion in visit.found if side == breast.laterality),
        hanging=hanging(vendor.storage, breast.laterality, view),
        breast_box=_box(box[::step_y, ::step_x]),
        nipple=turned(nipple[0] / geometry.plate.spacing, nipple[1] / geometry.plate.spacing),
        lesions=moved,
    )


def _box(inside: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the half-open box (y0, x0, y1, x1) of the true pixels."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _burn_in(
    picture: Field, inside: NDArray[np.bool_], laterality: Laterality, view: View
) -> tuple[Field, NDArray[np.bool_]]:
    """Write "R CC" and the like where a technician puts the marker: axillary side, away from the chest wall."""
    rows, columns = picture.shape
    scale = rows / 900.0
    text = f"{laterality} {view}"
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, max(1, round(2 * scale)))
    edge = round(0.035 * columns)
    x = edge if laterality == "R" else columns - edge - width
    layer = np.zeros(picture.shape, np.uint8)
    at = (x, round(0.05 * rows) + height)
    cv2.putText(layer, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, 240, max(1, round(2 * scale)), cv2.LINE_AA)
    layer[inside] = 0
    marked = np.maximum(picture, layer.astype(np.float32) / np.float32(255))
    return marked, inside | (layer > 0)
