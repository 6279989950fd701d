"""Response and resolution in bins of the incident momentum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.metric import Estimate

__all__ = ["Comparison", "ResponseBin", "compare", "mean", "relative_width", "response_by_momentum", "sigma_effective"]

Statistic = Callable[[NDArray[np.float64]], float]
_CENTRAL = (0.158655, 0.841345)  # quantiles of a Gaussian at -1 and +1 standard deviation


@dataclass(frozen=True)
class Comparison:
    """A number of both samples and the relative difference ``generated / reference - 1``."""

    reference: Estimate
    generated: Estimate
    difference: Estimate


@dataclass(frozen=True)
class ResponseBin:
    """Response and resolution in one momentum bin.

    Attributes:
        low: Lower edge of |p| [GeV].
        high: Upper edge of |p| [GeV].
        n_reference: Reference showers in the bin.
        n_generated: Generated showers in the bin.
        response: Mean of E_visible/|p|.
        resolution: Standard deviation of E_visible/|p| over its mean.
        sigma_effective: Half the central 68.27% interval of E_visible/|p| over its median.
    """

    low: float
    high: float
    n_reference: int
    n_generated: int
    response: Comparison
    resolution: Comparison
    sigma_effective: Comparison


def mean(values: NDArray[np.float64]) -> float:
    """Mean."""
    return float(values.mean())


def relative_width(values: NDArray[np.float64]) -> float:
    """Standard deviation over the mean; NaN where the mean is not above 0."""
    return _over(float(values.std(ddof=1)), float(values.mean()))


def sigma_effective(values: NDArray[np.float64]) -> float:
    """Half the central 68.27% interval over the median; NaN where the median is not above 0."""
    low, middle, high = (float(quantile) for quantile in np.quantile(values, [_CENTRAL[0], 0.5, _CENTRAL[1]]))
    return _over((high - low) / 2, middle)


def response_by_momentum(
    reference: NDArray[Any],
    generated: NDArray[Any],
    momentum_reference: NDArray[Any],
    momentum_generated: NDArray[Any],
    edges: Sequence[float],
    *,
    rng: np.random.Generator,
    resamplings: int = 100,
) -> tuple[ResponseBin, ...]:
    """Compare response and resolution bin by bin.

    Args:
        reference: E_visible/|p| of the reference, shape ``(n,)``.
        generated: E_visible/|p| of the generated showers, shape ``(m,)``.
        momentum_reference: |p| [GeV], shape ``(n,)``.
        momentum_generated: |p| [GeV], shape ``(m,)``.
        edges: Ascending |p| [GeV]; a bin has its lower edge, the last one both. Showers outside are in no bin.
        rng: Source of the resamplings that give the errors.
        resamplings: Their number.

    Returns:
        The bins in ascending order; values are NaN where a sample has fewer than two showers.
    """
    bins = []
    for number, (low, high) in enumerate(pairwise(edges)):
        last = number == len(edges) - 2
        first, second = (
            np.asarray(values, dtype=np.float64)[(size >= low) & ((size < high) | (last & (size == high)))]
            for values, size in ((reference, momentum_reference), (generated, momentum_generated))
        )
        compared = [
            compare(first, second, statistic, rng=rng, resamplings=resamplings)
            for statistic in (mean, relative_width, sigma_effective)
        ]
        bins.append(ResponseBin(float(low), float(high), len(first), len(second), *compared))
    return tuple(bins)


def compare(
    reference: NDArray[Any],
    generated: NDArray[Any],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    resamplings: int = 100,
) -> Comparison:
    """Compare a positive statistic of two samples, e.g. their `mean`.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        statistic: Function from values to a number.
        rng: Source of the resamplings that give the errors.
        resamplings: Their number.

    Returns:
        Both numbers and their relative difference; NaN where a sample has fewer than two showers.
    """
    first, second = (_estimate(values, statistic, rng, resamplings) for values in (reference, generated))
    quotient = _over(second.value, first.value)
    error = abs(quotient) * math.hypot(_over(first.error, first.value), _over(second.error, second.value))
    return Comparison(first, second, Estimate(quotient - 1, error))


def _estimate(values: NDArray[Any], statistic: Statistic, rng: np.random.Generator, resamplings: int) -> Estimate:
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return Estimate(math.nan, math.nan)
    drawn = [statistic(sample[rng.integers(len(sample), size=len(sample))]) for _ in range(resamplings)]
    return Estimate(statistic(sample), float(np.std(drawn, ddof=1)))


def _over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan
