"""Distances between two samples of one number without bins: Kolmogorov-Smirnov and Wasserstein."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.metrics.metric import Metric

__all__ = ["kolmogorov_smirnov", "wasserstein"]

_KOLMOGOROV_MEAN = math.sqrt(math.pi / 2) * math.log(2)


def kolmogorov_smirnov(reference: NDArray[Any], generated: NDArray[Any], *, name: str = "KS") -> Metric:
    """Largest difference of the two cumulative distributions, with the p-value.

    Made for continuous values; the p-value is too large for discrete ones. NaN ranks below all numbers. The floor
    is the mean of Kolmogorov's distribution, the error that of the two fractions where they differ most.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        name: Name of the result.

    Raises:
        DataError: A sample without showers.

    Source:
        scipy.stats.ks_2samp; Marsaglia, Tsang and Wang, J. Stat. Softw. 8 (2003) 18.
    """
    from scipy.stats import ks_2samp

    samples = [np.asarray(values, dtype=np.float64) for values in (reference, generated)]
    _check_filled(*samples)
    first, second = (np.where(np.isnan(values), -np.inf, values) for values in samples)
    test = ks_2samp(first, second, method="asymp")
    parts = [np.mean(values <= test.statistic_location) for values in (first, second)]
    variance = sum(part * (1 - part) / len(values) for part, values in zip(parts, samples, strict=True))
    width = math.sqrt(1 / len(first) + 1 / len(second))
    return Metric(
        name=name,
        value=float(test.statistic),
        error=math.sqrt(variance),
        floor=_KOLMOGOROV_MEAN * width,
        floor_error=0.0,
        n_reference=len(first),
        n_generated=len(second),
        source="scipy.stats.ks_2samp",
        floor_note="mean of Kolmogorov's distribution at these sizes",
        p_value=float(test.pvalue),
    )


def wasserstein(
    reference: NDArray[Any],
    generated: NDArray[Any],
    *,
    rng: np.random.Generator,
    resamplings: int = 100,
    name: str = "Wasserstein",
) -> Metric:
    r"""Wasserstein-1 distance in units of the reference's standard deviation.

    .. math:: W_1 / \sigma = \frac1\sigma \int |F(x) - G(x)|\,dx

    NaN values do not enter; the sizes of the result count what does. The error comes from resampling both samples,
    the floor from random partitions of the pooled samples at the same sizes.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        rng: Source of the resamplings.
        resamplings: Number of resamplings and of partitions.
        name: Name of the result.

    Returns:
        The distance; NaN if a sample has no numbers, or the reference no width.

    Raises:
        DataError: A sample without showers.

    Source:
        Ramdas, Garcia and Cuturi, arXiv:1509.02237.
    """
    samples = [np.asarray(values, dtype=np.float64) for values in (reference, generated)]
    _check_filled(*samples)
    first, second = (values[np.isfinite(values)] for values in samples)
    n, m = len(first), len(second)
    sigma = float(first.std()) if n and m else 0.0
    value = error = floor = floor_error = math.nan
    if sigma > 0:
        pooled = np.concatenate([first, second]) / sigma
        order = np.argsort(pooled)
        gaps = np.diff(pooled[order])
        value = _distance(np.repeat([1 / n, -1 / m], [n, m])[order], gaps)
        drawn = [_distance(_resampled(n, m, rng)[order], gaps) for _ in range(resamplings)]
        parted = [_distance(rng.permutation(np.repeat([1 / n, -1 / m], [n, m])), gaps) for _ in range(resamplings)]
        error = float(np.std(drawn, ddof=1))
        floor, floor_error = float(np.mean(parted)), float(np.std(parted, ddof=1) / math.sqrt(resamplings))
    return Metric(
        name=name,
        value=value,
        error=error,
        floor=floor,
        floor_error=floor_error,
        n_reference=n,
        n_generated=m,
        source="arXiv:1509.02237",
        floor_note=f"mean of {resamplings} random partitions of the pooled samples at these sizes",
    )


def _distance(weights: NDArray[np.float64], gaps: NDArray[np.float64]) -> float:
    """Area between two cumulative distributions of signed weights in ascending order of the values."""
    return float(np.abs(np.cumsum(weights)[:-1]) @ gaps)


def _resampled(n: int, m: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Signed weights of pooled samples, each drawn anew with replacement."""
    draws = [np.bincount(rng.integers(size, size=size), minlength=size) / size for size in (n, m)]
    return np.concatenate([draws[0], -draws[1]])


def _check_filled(*samples: NDArray[Any]) -> None:
    if any(values.size == 0 for values in samples):
        msg = "a sample without showers cannot be compared; give at least one"
        raise DataError(msg)
