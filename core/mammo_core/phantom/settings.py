"""What a person may choose about synthetic exams."""

from typing import Annotated

from pydantic import Field

from mammo_core.settings import Settings

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class PhantomSettings(Settings):
    """How synthetic four-view exams are drawn. Every exam follows from these settings, a seed and its index."""

    height: int = Field(default=1024, ge=128, le=4800)
    """Rows of every image. Columns follow from the vendor's detector, pixel spacing from its size in mm."""
    prevalence: Share = 0.5
    """Share of exams with a cancer: exact to within one exam in any run of consecutive exam indices."""
    density_shares: tuple[Share, Share, Share, Share] = (0.10, 0.40, 0.40, 0.10)
    """Relative frequency of breast density A, B, C and D (ACR BI-RADS Atlas, 5th edition)."""
    texture_beta: float = Field(default=3.2, ge=2.0, le=4.5)
    """Exponent of the power law 1/f^beta of the tissue texture; real mammograms have about 3
    (Burgess, Jacobson and Judy, Med Phys 28:419, 2001)."""
    symmetry: float = Field(default=0.65, ge=0.0, le=0.99)
    """Correlation of the gland pattern of the left breast with the mirrored right one."""
    benign_share: Share = 0.45
    """Share of breasts without cancer that carry a benign mass or benign calcifications."""
    smallest_mass_mm: float = Field(default=6.0, ge=2.0, le=20.0)
    """Smallest diameter of a mass core."""
    largest_mass_mm: float = Field(default=24.0, ge=4.0, le=50.0)
    """Largest diameter of a mass core."""
    conspicuity: float = Field(default=1.0, ge=0.0, le=3.0)
    """Scales what lesions add to the attenuation: 0 hides them, 1 is drawn after published coefficients."""
    quanta_per_mm2: float = Field(default=9.0e4, gt=0.0)
    """Detected x-ray quanta per mm2 behind an unattenuated pixel relative to the mean breast; sets the noise."""
    marker_share: Share = 0.7
    """Share of exams with side and view markers in the picture."""
