"""How well radiologists read, as published, to lay beside a model's curve. A mark, not a comparison: other women."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedReaders:
    """Sensitivity and specificity of a published group of readers."""

    sensitivity: float
    specificity: float
    source: str


RADIOLOGISTS = PublishedReaders(
    sensitivity=0.869,
    specificity=0.889,
    source="Radiologists of the BCSC, digital screening, per exam: Lehman et al., Radiology 283:49 (2017)",
)
