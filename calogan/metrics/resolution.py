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
_ROUNDING = 1e-5  # relative
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
    paired: bool = False,
) -> tuple[ResponseBin, ...]:
    """Compare response and resolution bin by bin.

    Args:
        reference: E_visible/|p| of the reference, shape ``(n,)``.
        generated: E_visible/|p| of the generated showers, shape ``(m,)``.
        momentum_reference: |p| [GeV], shape ``(n,)``.
        momentum_generated: |p| [GeV], shape ``(m,)``.
        edges: Ascending |p| [GeV]; a bin has its lower edge, the last one both. The outermost ones take in the float32
            rounding of |p|; showers beyond are in no bin.
        rng: Source of the resamplings that give the errors.
        resamplings: Their number.
        paired: Whether showers in the same place have the same particle; see `compare`.

    Returns:
        The bins in ascending order; values are NaN where a sample has fewer than two showers.
    """
    bins = []
    for number, (low, high) in enumerate(pairwise(edges)):
        least = low * (1 - _ROUNDING) if number == 0 else low
        most = high * (1 + _ROUNDING) if number == len(edges) - 2 else high
        first, second = (
            np.asarray(values, dtype=np.float64)[(size >= least) & (size < most)]
            for values, size in ((reference, momentum_reference), (generated, momentum_generated))
        )
        compared = [
            compare(first, second, statistic, rng=rng, resamplings=resamplings, paired=paired)
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
    paired: bool = False,
) -> Comparison:
    """Compare a positive statistic of two samples, e.g. their `mean`.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        statistic: Function from values to a number.
        rng: Source of the resamplings that give the errors.
        resamplings: Their number.
        paired: Whether showers in the same place have the same particle. They are then resampled in pairs, so that
            the error is that of the difference of both, to which the choice of particles adds less.

    Returns:
        Both numbers and their relative difference; NaN where a sample has fewer than two showers.
    """
    samples = [np.asarray(values, dtype=np.float64) for values in (reference, generated)]
    seeds = rng.integers(2**63, size=2)
    if paired:
        seeds[1] = seeds[0]
    drawn = [_resampled(values, statistic, int(seed), resamplings) for values, seed in zip(samples, seeds, strict=True)]
    first, second = (
        Estimate(statistic(values), float(np.std(trials, ddof=1))) if len(values) > 1 else Estimate(math.nan, math.nan)
        for values, trials in zip(samples, drawn, strict=True)
    )
    quotients = [_over(*trial) for trial in zip(drawn[1], drawn[0], strict=True)]
    return Comparison(first, second, Estimate(_over(second.value, first.value) - 1, float(np.std(quotients, ddof=1))))


def _resampled(values: NDArray[np.float64], statistic: Statistic, seed: int, resamplings: int) -> NDArray[np.float64]:
    """The statistic of samples drawn with replacement; the same showers for the same seed and number of showers."""
    if len(values) < 2:
        return np.full(resamplings, np.nan)
    rng = np.random.default_rng(seed)
    return np.array([statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(resamplings)])


def _over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else math.nan
