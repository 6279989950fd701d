"""Histogram bins from the reference sample, and counts that drop nothing."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.physics.observables import OBSERVABLES

__all__ = ["count", "logarithmic_edges", "make_edges", "observable_edges"]

MAX_BINS = 50
_QUANTILES = (0.001, 0.999)
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


def observable_edges(name: str, reference: NDArray[Any], *, max_bins: int = MAX_BINS) -> NDArray[np.float64]:
    """Edges for a registered observable, with its own spacing; see `make_edges`."""
    observable = OBSERVABLES[name]
    return make_edges(reference, discrete=observable.discrete, scale=observable.scale, max_bins=max_bins)


def logarithmic_edges(low: float, high: float, bins: int = 4) -> list[float]:
    """Edges of bins that are equal in the logarithm, the inner ones rounded to two digits.

    There are fewer bins where rounding makes two edges equal, and one, a percent wide on each side, where `low` is
    `high`.

    Example:
        >>> logarithmic_edges(1.0, 64.0)
        [1.0, 2.8, 8.0, 23.0, 64.0]
    """
    if high <= low:
        return [0.99 * low, 1.01 * high]
    inner = (float(f"{edge:.1e}") for edge in np.geomspace(low, high, bins + 1)[1:-1])
    return [low, *sorted({edge for edge in inner if low < edge < high}), high]


def count(values: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Histogram that holds every value.

    Args:
        values: Values, shape ``(showers,)``.
        edges: Ascending edges, shape ``(bins + 1,)``.

    Returns:
        Counts below the first edge, in each bin (lower edge included), from the last edge on, and of NaN;
        shape ``(bins + 3,)``.

    Raises:
        DataError: No values at all.

    Example:
        >>> count(np.array([-1.0, 0.0, 0.5, 1.0, np.nan]), np.array([0.0, 1.0]))
        array([1, 2, 1, 1])
    """
    found = np.asarray(values, dtype=np.float64)
    if found.size == 0:
        msg = "a sample without showers cannot be compared; give at least one"
        raise DataError(msg)
    slots = np.searchsorted(edges, found, side="right")
    return np.bincount(np.where(np.isnan(found), len(edges) + 1, slots), minlength=len(edges) + 2)
