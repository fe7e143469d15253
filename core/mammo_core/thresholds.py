"""The threshold that a model's scores are read at: one for all, and others for the vendors that have their own.

Knows nothing of where it is kept.
"""

from pydantic import Field

from mammo_core.operating_point import OperatingPoint
from mammo_core.settings import Settings


class Thresholds(Settings):
    """An operating point as somebody chose it for use."""

    general: OperatingPoint
    """For every exam whose vendor has none of its own."""
    vendors: dict[str, OperatingPoint] = Field(default_factory=dict)
    """Manufacturer (0008,0070) -> its own operating point."""

    def of(self, manufacturer: str) -> OperatingPoint:
        """Return the operating point for an exam of this manufacturer."""
        return self.vendors.get(manufacturer, self.general)
