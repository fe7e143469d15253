"""What was decided on the way from a file to the model, in words: one (name, value) pair each."""

from mammo_core.library import ImageRecord, ViewResult
from mammo_core.mammogram import Hanging, Header, voi_in_words

_SYNTAXES = {
    "1.2.840.10008.1.2": "implicit little endian",
    "1.2.840.10008.1.2.1": "explicit little endian",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first order",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.5": "RLE lossless",
}


def facts_of(image: ImageRecord, view: ViewResult | None) -> list[tuple[str, str]]:
    """Facts of one image, and of what the model was given where it has read it."""
    header = image.header
    return [
        ("File", header.file),
        ("Laterality", f"{header.laterality or 'not known'} – {header.laterality_source}"),
        ("View", f"{_view(header)} – {header.view_source}"),
        ("Photometric", _photometric(header)),
        ("VOI", _voi(header)),
        ("Hung", f"{_hanging(header.hanging)} – {header.hanging.source}"),
        ("Size", f"{header.columns} x {header.rows}, {header.bits_stored} bits"),
        ("Breast box", _box(header.breast_box)),
        ("Padding", "none" if header.padding is None else f"values {header.padding[0]} to {header.padding[1]}"),
        ("Spacing", _spacing(header)),
        ("Equipment", f"{header.manufacturer} {header.manufacturer_model}".strip() or "not stated"),
        ("Encoding", _SYNTAXES.get(header.transfer_syntax, header.transfer_syntax)),
        ("Content hash", header.sha256[:16]),
        *(() if view is None else view.facts),
    ]


def _view(header: Header) -> str:
    return " ".join([header.view or "not known", *(f"({modifier})" for modifier in header.view_modifiers)])


def _photometric(header: Header) -> str:
    return f"{header.photometric}, {'inverted' if header.photometric == 'MONOCHROME1' else 'not inverted'}"


def _voi(header: Header) -> str:
    words = voi_in_words(header.vois[0])
    return words if len(header.vois) == 1 else f"{words}, first of {len(header.vois)}"


def _hanging(hanging: Hanging) -> str:
    turns = {
        "transposed": hanging.transpose,
        "flipped left-right": hanging.flip_horizontal,
        "flipped top-bottom": hanging.flip_vertical,
    }
    return ", ".join(name for name, done in turns.items() if done) or "as stored"


def _box(box: tuple[int, int, int, int]) -> str:
    y0, x0, y1, x1 = box
    return f"columns {x0} to {x1}, rows {y0} to {y1}"


def _spacing(header: Header) -> str:
    spacing = header.spacing
    if spacing is None:
        return "not stated"
    return f"{spacing.column_mm:g} x {spacing.row_mm:g} mm – {spacing.source}"
