"""How large a file may be before it is refused unopened."""

from mammo_core.settings import Settings


class Limits(Settings):
    """Bounds that no mammogram of any vendor comes near."""

    file_mb: int = 1024
    """Largest file, in MB."""
    megapixels: float = 80.0
    """Largest Rows x Columns, in millions. A 50 um film scan of 24 x 30 cm has 29."""
