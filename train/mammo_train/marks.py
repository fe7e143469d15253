"""What a training picture's mask says of every pixel: nothing there, a lesion of a cancer, or not known.

Knows nothing of networks. A prepared set's mask covers every lesion of its picture, benign ones too; only those of a
breast with cancer are asked for.
"""

import numpy as np
from numpy.typing import NDArray

from mammo_train.prepared_set import PreparedSet

EMPTY, LESION, UNKNOWN = 0, 1, 2

Marks = NDArray[np.uint8]
"""``(H, W)`` of these three."""


def teaching(data: PreparedSet) -> NDArray[np.bool_]:
    """Rows ``(N,)`` of which it is known where a cancer is, or that there is none.

    Not so a picture of a breast with cancer that has no mask, or whose lesions the source says cannot be seen in it.
    """
    return ~data.table["cancer"].to_numpy(np.bool_) | _shown(data)


def marks(data: PreparedSet, row: int) -> Marks:
    """Mark the picture of a row: where a lesion that cannot be seen lies nothing is known, the rest is empty."""
    shape = (data.inputs.height, data.inputs.width)
    if not data.table["cancer"].iat[row]:
        return np.full(shape, EMPTY, np.uint8)
    mask = data.mask(row)
    if mask is None:
        return np.full(shape, UNKNOWN, np.uint8)
    return np.where(mask, LESION if _shown(data)[row] else UNKNOWN, EMPTY).astype(np.uint8)


def _shown(data: PreparedSet) -> NDArray[np.bool_]:
    """Rows ``(N,)`` with a mask of lesions that can be seen in the picture, as far as the source says."""
    masked = (data.table["mask"] != "").to_numpy(np.bool_)
    if "lesion_visible" not in data.table.columns:
        return masked
    said = data.table["lesion_visible"].astype(str)
    return masked & ((said == "") | said.str.contains("1")).to_numpy(np.bool_)
