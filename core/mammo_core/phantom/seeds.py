"""Independent random streams of one exam, named by what they are for.

Every stream follows from the set's seed, the exam's index and the purpose alone, so that exams come out the
same in any order and on any number of workers (NumPy's SeedSequence, O'Neill's hash of entropy words).
"""

import hashlib
import uuid
from dataclasses import dataclass

import numpy as np

PURPOSES = (
    "cancer",
    "patient",
    "anatomy",
    "symmetry",
    "gland",
    "curves",
    "position",
    "texture",
    "lesions",
    "noise",
    "vendor",
    "marker",
)


@dataclass(frozen=True)
class ExamSeed:
    """Identity of one synthetic exam: the set's seed and the exam's index in it."""

    seed: int
    index: int

    def stream(self, purpose: str, *which: int) -> np.random.Generator:
        """Return the generator for ``purpose`` (one of PURPOSES) and its numbers, such as a breast and a view."""
        key = (PURPOSES.index(purpose), *which)
        return np.random.default_rng(np.random.SeedSequence([self.seed, self.index], spawn_key=key))

    def uid(self, *parts: object) -> str:
        """Return a DICOM UID under the UUID arc 2.25 (PS3.5 B.2) that follows from the seed and ``parts``."""
        return f"2.25.{self.uuid(*parts).int}"

    def uuid(self, *parts: object) -> uuid.UUID:
        """Return a version-8 UUID (RFC 9562) that follows from the seed and ``parts``."""
        text = "/".join(str(part) for part in ("mammo-gui phantom", self.seed, self.index, *parts))
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
        number = number & ~(0xF << 76) | (0x8 << 76)
        number = number & ~(0x3 << 62) | (0x2 << 62)
        return uuid.UUID(int=number)


def has_cancer(seed: int, index: int, prevalence: float) -> bool:
    """Say whether exam ``index`` has a cancer, so that any run of n exams holds n * prevalence, within one.

    Systematic sampling: the cumulated prevalence passes a whole number exactly at the exams with cancer. The
    start of the count is drawn from the seed.
    """
    start = float(np.random.default_rng(np.random.SeedSequence([seed, 0x5EED])).random())
    return int(np.floor((index + 1) * prevalence + start)) > int(np.floor(index * prevalence + start))
