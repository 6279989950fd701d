"""Response and resolution in bins of the incident momentum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.resampling import ABSOLUTE, Resampling, measured

__all__ = [
    "LEAST_SHOWERS",
    "Comparison",
    "ResponseBin",
    "averaged",
    "compare",
    "linearity",
    "mean",
    "momentum_bin",
    "relative_width",
    "response_by_momentum",
    "sigma_effective",
]

Statistic = Callable[[NDArray[np.float64]], float]
LEAST_SHOWERS = 30  # of each sample in a momentum bin: the bootstrap error of fewer is too small too often
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
        edges: Ascending |p| [GeV]; see `momentum_bin`.
        rng: Source of the resamplings that give the errors.
        resamplings: Their number.
        paired: Whether showers in the same place have the same particle; see `compare`.

    Returns:
        The bins in ascending order; values are NaN where a sample has fewer than two showers, and there is no
        difference where one has fewer than 30, whose error would not be known.
    """
    bins = []
    places = [momentum_bin(momentum, edges) for momentum in (momentum_reference, momentum_generated)]
    for number, (low, high) in enumerate(pairwise(edges)):
        first, second = (
            np.asarray(values, dtype=np.float64)[place == number]
            for values, place in zip((reference, generated), places, strict=True)
        )
        compared = [
            compare(first, second, statistic, rng=rng, resamplings=resamplings, paired=paired)
            for statistic in (mean, relative_width, sigma_effective)
        ]
        if min(len(first), len(second)) < LEAST_SHOWERS:
            compared = [replace(one, difference=Estimate(math.nan, math.nan)) for one in compared]
        bins.append(ResponseBin(float(low), float(high), len(first), len(second), *compared))
    return tuple(bins)


def momentum_bin(momentum: NDArray[Any], edges: Sequence[float]) -> NDArray[np.int64]:
    """Number of the bin of each momentum [GeV], shape ``(showers,)``; -1 outside of all.

    A bin has its lower edge, the last one both. The outermost ones take in the float32 rounding of the momentum.
    """
    widened = np.array(edges, dtype=np.float64)
    widened[0] *= 1 - _ROUNDING
    widened[-1] *= 1 + _ROUNDING
    place = np.searchsorted(widened, momentum, side="right") - 1
    return np.where(place < len(edges) - 1, place, -1)


def averaged(bins: Sequence[ResponseBin], which: Literal["response", "resolution", "sigma_effective"]) -> Comparison:
    """Mean of a quantity over momentum bins, weighted with the precision of the reference in each.

    The bins' relative differences enter, not the difference of the means, so that a difference of the momenta does
    not count. As the weights come from the reference, bins where the generated value fluctuates down weigh no more.

    Returns:
        Means of both samples and of the relative differences; NaN if no bin has a difference with an error.
    """
    compared = [getattr(one, which) for one in bins]
    table = np.array([
        [number for one in (both.reference, both.generated, both.difference) for number in (one.value, one.error)]
        for both in compared
    ])  # fmt: skip
    table = table[np.isfinite(table).all(axis=1) & (table[:, 0] > 0) & (table[:, 1] > 0)]
    if not len(table):
        unknown = Estimate(math.nan, math.nan)
        return Comparison(unknown, unknown, unknown)
    weight = (table[:, 0] / table[:, 1]) ** 2
    weight /= weight.sum()
    means, errors = weight @ table[:, ::2], np.sqrt(weight**2 @ table[:, 1::2] ** 2)
    return Comparison(*(Estimate(float(value), float(error)) for value, error in zip(means, errors, strict=True)))


def linearity(
    reference: NDArray[Any],
    generated: NDArray[Any],
    momentum_reference: NDArray[Any],
    momentum_generated: NDArray[Any],
    edges: Sequence[float],
    resampling: Resampling,
    *,
    name: str = "linearity",
) -> Metric:
    r"""Largest difference of two linearities, i.e. of the response in momentum bins over its mean over the bins.

    .. math:: L = \max_b \left| \frac{g_b / \bar g}{f_b / \bar f} - 1 \right|

    Args:
        reference: E_visible/\|p\| of the reference, shape ``(n,)``.
        generated: The same of the generated showers, shape ``(m,)``.
        momentum_reference: \|p\| [GeV], shape ``(n,)``.
        momentum_generated: \|p\| [GeV], shape ``(m,)``.
        edges: Ascending \|p\| [GeV]; see `momentum_bin`.
        resampling: How to draw for the error, the floor and the p-value.
        name: Name of the result.

    Returns:
        The difference; bins without showers of either sample are left out.
    """
    bins = len(edges) - 1
    tables = (
        np.column_stack([values, momentum_bin(momentum, edges)])
        for values, momentum in ((reference, momentum_reference), (generated, momentum_generated))
    )

    def largest(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        means = np.stack([_bin_means(first, bins), _bin_means(second, bins)])
        means = means[:, np.isfinite(means).all(axis=0)]
        if not means.size or (means <= 0).any():
            return math.nan
        relative = means / means.mean(axis=1, keepdims=True)
        return float(np.abs(relative[1] / relative[0] - 1).max())

    one, other = tables
    return measured(largest, one, other, resampling, share=ABSOLUTE, name=name, source="definition of calogan")


def _bin_means(table: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Mean of the first column in each bin, whose number is in the second; NaN where there is none."""
    inside = table[table[:, 1] >= 0]
    place = inside[:, 1].astype(np.int64)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = np.bincount(place, inside[:, 0], bins) / np.bincount(place, minlength=bins)
    return means


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
