"""Histogram bins, and counts that drop nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError, ShapeError

if TYPE_CHECKING:
    from calogan.physics.observable import Observable

__all__ = [
    "bin_index",
    "count",
    "joint_count",
    "logarithmic_edges",
    "make_edges",
    "observable_edges",
    "quantile_edges",
    "swap_covariance",
]

MAX_BINS = 50
_QUANTILES = (0.001, 0.999)
_ROUNDING = 1e-5  # relative, of momenta from float32 components
_MARGIN = 0.05  # of the quantiles' range, on each side


def make_edges(
    reference: NDArray[Any],
    *,
    discrete: bool = False,
    scale: Literal["linear", "log"] = "linear",
    max_bins: int = MAX_BINS,
) -> NDArray[np.float64]:
    """Edges of equal bins over the central 99.8% of the reference, widened by 5% of that range on each side.

    There are as many bins as the square root of the number of showers, from 10 to `max_bins`. Discrete values
    get edges at half-integers, a whole number apart. With the log scale only positive values set the range.
    Values that are not finite do not; if none are left, one bin from 0 to 1 is returned.

    Args:
        reference: Values, shape ``(showers,)``.
        discrete: Whether the values are whole numbers.
        scale: Whether bins are equal in the value or in its logarithm.
        max_bins: Largest number of bins.

    Returns:
        Ascending edges, shape ``(bins + 1,)``.

    Example:
        >>> make_edges(np.arange(8.0), discrete=True)
        array([-0.5,  0.5,  1.5,  2.5,  3.5,  4.5,  5.5,  6.5,  7.5])
    """
    values = np.asarray(reference, dtype=np.float64)
    values = values[np.isfinite(values) & ((values > 0) | (scale == "linear"))]
    if values.size == 0:
        return np.array([0.0, 1.0])
    bins = min(max_bins, max(10, math.isqrt(values.size)))
    if discrete:
        return _integer_edges(values, bins)
    if scale == "log":
        values = np.log(values)
    low, high = np.quantile(values, _QUANTILES)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        edges = low + max(abs(low), 1e-6) * np.array([-1e-6, 1e-6])
    else:
        margin = _MARGIN * (high - low)
        edges = np.linspace(low - margin, high + margin, bins + 1)
    return np.asarray(np.exp(edges) if scale == "log" else edges)


def _integer_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    low, high = (float(quantile) for quantile in np.quantile(values, _QUANTILES))
    first, last = math.floor(low), math.ceil(high)
    step = math.ceil((last - first + 1) / bins)
    number = math.ceil((last - first + 1) / step)
    return first - 0.5 + step * np.arange(number + 1.0)


def observable_edges(
    observable: Observable, reference: NDArray[Any], *, max_bins: int = MAX_BINS
) -> NDArray[np.float64]:
    """Edges for an observable, with its own spacing; see `make_edges`."""
    return make_edges(reference, discrete=observable.discrete, scale=observable.scale, max_bins=max_bins)


def quantile_edges(values: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """Inner edges of at most `bins` bins that hold about as many values each, shape ``(bins - 1,)`` or shorter.

    Values that are not finite set no edge. Where many values are the same there are fewer bins, and none is empty.

    Example:
        >>> quantile_edges(np.arange(8.0), 4)
        array([2., 4., 6.])
        >>> quantile_edges(np.array([3.0, 3.0, 3.0, 5.0]), 4)
        array([5.])
    """
    known: NDArray[np.float64] = np.sort(values[np.isfinite(values)])
    if known.size == 0:
        return np.empty(0)
    edges = np.unique(known[(len(known) * np.arange(1, bins)) // bins])
    edges = edges[edges > known[0]]
    # a frequent lowest value has every lower quantile: the next larger value then ends its bin
    above = known[known > known[0]]
    found: NDArray[np.float64] = above[:1] if above.size and not edges.size else edges
    return found


def logarithmic_edges(low: float, high: float, bins: int = 4) -> list[float]:
    """Edges of bins that are equal in the logarithm, the inner ones rounded to two digits.

    There are fewer bins where rounding makes two edges equal, and one, a percent wide on each side, where `low` is
    `high` but for rounding.

    Example:
        >>> logarithmic_edges(1.0, 64.0)
        [1.0, 2.8, 8.0, 23.0, 64.0]
    """
    if high <= low * (1 + _ROUNDING):
        return [0.99 * low, 1.01 * high]
    inner = (float(f"{edge:.1e}") for edge in np.geomspace(low, high, bins + 1)[1:-1])
    return [low, *sorted({edge for edge in inner if low < edge < high}), high]


def bin_index(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of the bin of each value.

    Args:
        values: Values, shape ``(showers,)``.
        edges: Ascending edges, shape ``(bins + 1,)``.

    Returns:
        0 below the first edge, 1 to ``bins`` inside (lower edge included), ``bins + 1`` from the last edge on and
        ``bins + 2`` for NaN; shape ``(showers,)``.

    Raises:
        DataError: No values at all.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.size == 0:
        msg = "a sample without showers cannot be compared; give at least one"
        raise DataError(msg)
    slots = np.searchsorted(edges, found, side="right")
    return np.where(np.isnan(found), len(edges) + 1, slots)


def count(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Histogram that holds every value, with the bins of `bin_index`; shape ``(bins + 3,)``.

    Raises:
        DataError: No values at all.

    Example:
        >>> count(np.array([-1.0, 0.0, 0.5, 1.0, np.nan]), np.array([0.0, 1.0]))
        array([1, 2, 1, 1])
    """
    return np.bincount(bin_index(values, edges), minlength=len(edges) + 2)


def joint_count(reference: NDArray[Any], generated: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of pairs with the reference in the first and the generated shower in the second of two bins.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers of the same particles, shape ``(n,)``.
        edges: Ascending edges, shape ``(bins + 1,)``.

    Returns:
        Counts with the bins of `bin_index`, shape ``(bins + 3, bins + 3)``.

    Raises:
        DataError: No values at all.
        ShapeError: Different numbers of showers.

    Example:
        >>> joint_count(np.array([0.5, 0.5]), np.array([0.5, 1.5]), np.array([0.0, 1.0, 2.0]))[1:3, 1:3]
        array([[1, 1],
               [0, 0]])
    """
    if len(reference) != len(generated):
        msg = f"{len(reference)} reference and {len(generated)} generated showers are no pairs; give as many of each"
        raise ShapeError(msg)
    bins = len(edges) + 2
    flat = bin_index(reference, edges) * bins + bin_index(generated, edges)
    return np.bincount(flat, minlength=bins * bins).reshape(bins, bins)


def swap_covariance(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of the differences of two histograms of pairs whose labels are exchanged at random.

    A pair in bins i and j adds 1 to one difference and takes it from the other, with a random sign. The variance of
    a bin is hence the number of pairs that have exactly one shower in it.

    Args:
        joint: Counts of pairs, shape ``(bins, bins)``; see `joint_count`.

    Returns:
        Covariance, shape ``(bins, bins)``.

    Source:
        A. Stuart, Biometrika 42 (1955) 412; A. E. Maxwell, Br. J. Psychiatry 116 (1970) 651.
    """
    covariance: NDArray[np.float64] = np.diag(joint.sum(axis=0) + joint.sum(axis=1)) - joint - joint.T
    return covariance
