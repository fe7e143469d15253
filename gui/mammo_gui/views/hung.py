"""A study's images in hanging order, and what each is called on screen."""

from mammo_core.library import ImageRecord, StudyRecord, as_study
from mammo_core.study import hanging_order
from mammo_gui.views.words import label_words


def hung_images(study: StudyRecord) -> list[ImageRecord]:
    """Images in the order RCC, LCC, RMLO, LMLO, then the others."""
    by_hash = {image.sha256: image for image in study.images}
    return [by_hash[header.sha256] for row in hanging_order(as_study(study)) for header in row]


def labels(study: StudyRecord) -> dict[str, str]:
    """What each image is called, by its hash: ``RCC``, or ``R? 2`` where something is not known.

    The number tells the pictures apart that a question is asked about.
    """
    named: dict[str, str] = {}
    for number, image in enumerate(hung_images(study), start=1):
        name = label_words(image.header.laterality, image.header.view)
        named[image.sha256] = f"{name} {number}" if image.sha256 in study.unresolved else name
    return named
