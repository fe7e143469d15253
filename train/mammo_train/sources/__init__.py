"""Published data sets as they lie on disk, each in a module of its own, all turned into the same `Source`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from mammo_core.errors import InputError
from mammo_train.sources import cbis, folder, inbreast, rsna
from mammo_train.sources.listing import Source, SourceImage

__all__ = ["SOURCES", "TERMS", "Source", "SourceImage", "open_source"]

SOURCES: Mapping[str, Callable[[Path], Source]] = {
    "rsna": rsna.listed,
    "inbreast": inbreast.listed,
    "cbis": cbis.listed,
    "folder": folder.listed,
}
"""Name -> what lists the data set in a folder."""

TERMS: Mapping[str, str] = {
    "rsna": "RSNA Screening Mammography Breast Cancer Detection (2023): non-commercial research, by its rules.",
    "inbreast": "INbreast: given by its authors for research (Moreira et al., Academic Radiology 2012).",
    "cbis": "CBIS-DDSM: Creative Commons Attribution 3.0 (TCIA; Lee et al., Scientific Data 2017).",
    "folder": "Pictures of a folder: the terms of whoever gave them.",
    "phantom": "Synthetic pictures made by this software: no terms beyond its own licence.",
}
"""Name -> terms under which the pictures may be used; they go into the card of every model that learnt from them."""


def open_source(name: str, path: Path) -> Source:
    """List a data set; `InputError` where ``path`` does not hold one of this layout."""
    if not path.is_dir():
        raise InputError(str(path), "is not a folder; expected the data set's")
    return SOURCES[name](path)
