"""What lets one formula serve NumPy arrays and torch tensors alike, without importing torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "as_numpy",
    "bin_of",
    "count_by",
    "largest",
    "like",
    "logarithm",
    "nonzero",
    "positions",
    "ratio",
    "sum_by",
    "two_largest",
]


def like(constant: NDArray[Any], array: Any) -> Any:
    """The constant as an array of the same library, precision and device as `array`."""
    if isinstance(array, np.ndarray):
        return constant.astype(array.dtype, copy=False)
    return array.new_tensor(constant)


def as_numpy(array: Any) -> NDArray[Any]:
    """The values as a NumPy array, without a copy where they are one."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def ratio(numerator: Any, denominator: Any) -> Any:
    """Quotient of two arrays of one shape; NaN, without a warning, where the denominator is not above 0."""
    undefined = denominator <= 0
    quotient = numerator / (denominator * ~undefined + undefined)
    quotient[undefined] = float("nan")
    return quotient


def logarithm(array: Any) -> Any:
    """Natural logarithm of numbers above 0."""
    return np.log(array) if isinstance(array, np.ndarray) else array.log()


def nonzero(array: Any) -> Any:
    """Flat indices, ascending, of the entries that are not 0."""
    return np.flatnonzero(array) if isinstance(array, np.ndarray) else array.reshape(-1).nonzero()[:, 0]


def positions(index: Any, size: int) -> Any:
    """Place of each number in the list `index` of different ones, shape ``(size,)``; anything for those not in it."""
    if isinstance(index, np.ndarray):
        place = np.empty(size, dtype=index.dtype)
        place[index] = np.arange(len(index))
        return place
    place = index.new_zeros(size)
    place[index] = like(np.arange(len(index)), index)
    return place


def sum_by(group: Any, values: Any, groups: int) -> Any:
    """Sum of the values in each group, shape ``(groups,)``."""
    if isinstance(values, np.ndarray):
        return np.bincount(group, values, groups)
    return values.new_zeros(groups).index_add(0, group, values)


def count_by(group: Any, groups: int) -> Any:
    """Number of entries in each group; integers, shape ``(groups,)``."""
    return np.bincount(group, minlength=groups) if isinstance(group, np.ndarray) else group.bincount(minlength=groups)


def bin_of(values: Any, edges: ArrayLike) -> Any:
    """How many of the ascending edges are at or below each value; integers, shape ``(values,)``."""
    if isinstance(values, np.ndarray):
        return np.searchsorted(np.asarray(edges), values, side="right")
    return (values[:, None] >= like(np.asarray(edges), values)).sum(1)


def largest(array: Any) -> Any:
    """The largest entry of each row, shape ``(rows,)``."""
    return array.max(axis=1) if isinstance(array, np.ndarray) else array.amax(dim=1)


def two_largest(array: Any) -> tuple[Any, Any]:
    """The largest and the second-largest entry of each row, each of shape ``(rows,)``."""
    if not isinstance(array, np.ndarray):
        top = array.topk(2, dim=1).values
        return top[:, 0], top[:, 1]
    where = array.argmax(axis=1)[:, None]
    rest = array.copy()
    np.put_along_axis(rest, where, -np.inf, axis=1)
    return np.take_along_axis(array, where, axis=1)[:, 0], rest.max(axis=1)
