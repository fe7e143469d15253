"""Whether an image is a mammogram that can be read at all, and what a reader must be told about it."""

from pydicom.dataset import Dataset

from mammo_core import attributes
from mammo_core.errors import InputError
from mammo_core.projection import Projection

FOR_PROCESSING = frozenset({"1.2.840.10008.5.1.4.1.1.1.2.1", "1.2.840.10008.5.1.4.1.1.1.1.1"})
"""Digital Mammography and Digital X-Ray Image Storage - For Processing."""

TOMOSYNTHESIS = frozenset(
    {"1.2.840.10008.5.1.4.1.1.13.1.3", "1.2.840.10008.5.1.4.1.1.13.1.4", "1.2.840.10008.5.1.4.1.1.13.1.5"}
)
"""Breast Tomosynthesis Image Storage, Breast Projection X-Ray Image Storage (For Presentation, For
Processing)."""

PLAIN_IMAGES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography, For Presentation
        "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray, For Presentation: RSNA's files
        "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture: digitised film
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte and Word Secondary Capture with one frame
        "1.2.840.10008.5.1.4.1.1.7.3",
    }
)

OTHER_RADIOGRAPHS = frozenset({"CR", "DX", "RG", "SC", "OT"})
"""Modalities under which mammograms are met: computed radiography, digitised film, secondary capture."""

GEOMETRIC_MAGNIFICATION = 1.3
"""From this Estimated Radiographic Magnification Factor on a view is a magnification view; contact views have
1.0 to 1.2."""


def refuse_other_images(dataset: Dataset, sop_class: str) -> tuple[str, ...]:
    """Raise `InputError` for what is no plain mammogram for presentation; return warnings for the odd ones.

    RSNA's files carry neither SOP Class nor Modality in their data set: an absent Modality is accepted.
    """
    intent = attributes.text(dataset, "PresentationIntentType").upper()
    if sop_class in FOR_PROCESSING or intent == "FOR PROCESSING":
        raise InputError(
            attributes.label("PresentationIntentType"),
            "is FOR PROCESSING: raw detector data is not for reading, expected FOR PRESENTATION",
        )
    frames = attributes.integer(dataset, "NumberOfFrames")
    if sop_class in TOMOSYNTHESIS or "TOMO_PROJ" in attributes.texts(dataset, "ImageType"):
        shown = f" of {frames} frames" if frames else ""
        raise InputError("image", f"is a tomosynthesis{shown}, expected a two-dimensional mammogram")
    if frames is not None and frames != 1:
        raise InputError(
            attributes.label("NumberOfFrames"), f"is {frames:,}, expected 1: multi-frame images are not read"
        )
    if attributes.text(dataset, "QualityControlImage").upper() == "YES":
        raise InputError(attributes.label("QualityControlImage"), "is YES: a test object, expected a breast")
    _refuse_color(dataset)
    return _check_modality(dataset, sop_class)


def _refuse_color(dataset: Dataset) -> None:
    samples = attributes.integer(dataset, "SamplesPerPixel")
    photometric = attributes.text(dataset, "PhotometricInterpretation").upper()
    if "PixelData" not in dataset:
        raise InputError(attributes.label("PixelData"), "is missing: the file holds no picture")
    if samples not in (None, 1) or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        found = f"is {photometric[:20] or 'missing'} with {samples or 1} sample(s) per pixel"
        raise InputError(attributes.label("PhotometricInterpretation"), f"{found}, expected MONOCHROME1 or MONOCHROME2")


def _check_modality(dataset: Dataset, sop_class: str) -> tuple[str, ...]:
    modality = attributes.text(dataset, "Modality").upper()
    if modality in ("", "MG"):
        if sop_class and sop_class not in PLAIN_IMAGES:
            name = attributes.uid_name(sop_class)
            raise InputError(attributes.label("SOPClassUID"), f"is {name}, expected a digital mammogram")
        return ()
    if modality in OTHER_RADIOGRAPHS and shows_breast(dataset):
        return (f"Modality (0008,0060) is {modality}, not MG; it is read because its header says breast.",)
    raise InputError(attributes.label("Modality"), f"is {modality[:20]}, expected MG")


def shows_breast(dataset: Dataset) -> bool:
    """Whether an attribute of anatomy says breast (SCT 76752008, SRT T-04000), or the view is CC or MLO."""
    for keyword in ("BodyPartExamined", "OrganExposed"):
        if "BREAST" in attributes.text(dataset, keyword).upper():
            return True
    for item in attributes.items(dataset, "AnatomicRegionSequence"):
        if attributes.text(item, "CodeValue").upper() in ("76752008", "T-04000"):
            return True
    return attributes.text(dataset, "ViewPosition").upper() in ("CC", "MLO")


def view_modifiers(dataset: Dataset, projection: Projection) -> tuple[str, ...]:
    """The view's coded modifiers, and Magnification where the geometry says so without a code."""
    factor = attributes.lenient_number(dataset, "EstimatedRadiographicMagnificationFactor")
    magnified = factor is not None and factor >= GEOMETRIC_MAGNIFICATION
    coded = projection.modifiers
    return (*coded, "Magnification") if magnified and "Magnification" not in coded else coded


def reading_warnings(dataset: Dataset, modifiers: tuple[str, ...]) -> tuple[str, ...]:
    """Sentences about what makes this image unlike the screening views that models are made for."""
    found = []
    if modifiers:
        found.append(f"Not a plain view: {', '.join(modifiers)}.")
    if attributes.text(dataset, "BreastImplantPresent").upper() == "YES":
        found.append("Breast Implant Present (0028,1300) is YES.")
    if attributes.text(dataset, "PartialView").upper() == "YES":
        found.append("Partial View (0028,1350) is YES: not all of the breast is in this image.")
    if "GENERATED_2D" in attributes.texts(dataset, "ImageType"):
        found.append("Synthesised from tomosynthesis (Image Type GENERATED_2D), not acquired as a mammogram.")
    if attributes.text(dataset, "LossyImageCompression") == "01":
        ratio = attributes.text(dataset, "LossyImageCompressionRatio")
        found.append(f"Lossy compression{f' {ratio}:1' if ratio else ''}: fine detail may be missing.")
    return tuple(found)
