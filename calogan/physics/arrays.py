"""What lets one formula serve NumPy arrays and torch tensors alike, without importing torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["largest", "like", "ratio"]


def like(constant: NDArray[Any], array: Any) -> Any:
    """The constant as an array of the same library, precision and device as `array`."""
    if isinstance(array, np.ndarray):
        return constant.astype(array.dtype, copy=False)
    return array.new_tensor(constant)


def ratio(numerator: Any, denominator: Any) -> Any:
    """Quotient of two arrays of shape ``(showers,)``; NaN, without a warning, where the denominator is not above 0."""
    undefined = denominator <= 0
    quotient = numerator / (denominator * ~undefined + undefined)
    quotient[undefined] = float("nan")
    return quotient


def largest(array: Any, count: int) -> Any:
    """The `count` largest entries of each row in descending order, shape ``(rows, count)``."""
    if isinstance(array, np.ndarray):
        return np.sort(np.partition(array, -count, axis=1)[:, -count:], axis=1)[:, ::-1]
    return array.topk(count, dim=1).values
