"""Frechet physics distance: how far apart two samples are in many observables at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.metrics.features import standardise
from calogan.metrics.metric import Metric
from calogan.metrics.resampling import SQUARED, Resampling, measured

__all__ = ["extrapolated_frechet_distance", "frechet_distance", "frechet_physics_distance"]

_SOURCE = "arXiv:2211.10295"
_LIMIT = 5.0  # standard deviations
_GROUPS = 12  # parts of a sample; every divisor makes smaller samples of whole parts
_FRACTIONS = (2, 3, 4)  # sizes of the smaller samples: a half, a third, a quarter
_PARTITIONS = 8
_EXCHANGES = 8


def frechet_distance(
    mean_1: NDArray[np.float64],
    covariance_1: NDArray[np.float64],
    mean_2: NDArray[np.float64],
    covariance_2: NDArray[np.float64],
) -> float:
    r"""Squared Frechet (2-Wasserstein) distance of two Gaussians.

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}(C_1 + C_2 - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2})

    Args:
        mean_1: Mean, shape ``(k,)``.
        covariance_1: Covariance, shape ``(k, k)``; may be singular.
        mean_2: Mean, shape ``(k,)``.
        covariance_2: Covariance, shape ``(k, k)``; may be singular.

    Source:
        Dowson and Landau, J. Multivariate Anal. 12 (1982) 450.

    Example:
        >>> frechet_distance(np.zeros(1), np.eye(1), np.array([3.0]), 4 * np.eye(1))
        10.0
    """
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariance_2 @ root).clip(0)).sum()
    shift = mean_1 - mean_2
    return float(shift @ shift + np.trace(covariance_1) + np.trace(covariance_2) - 2 * cross)


def frechet_physics_distance(
    reference: NDArray[np.float64], generated: NDArray[np.float64], resampling: Resampling, *, name: str = "FPD"
) -> Metric:
    """Squared Frechet distance of Gaussians fitted to vectors of observables, at the sizes given.

    The vectors are in units of the standard deviations of the reference, in each draw of those of the drawn one.
    Observables may depend on each other and need not exist for every shower, see `standardise`. Numbers beyond five
    standard deviations are brought there: else a few showers in long tails would rule covariances and floor.

    Args:
        reference: Observables of the reference, shape ``(n, observables)``.
        generated: Observables of the generated showers, shape ``(m, observables)``.
        resampling: How to draw.
        name: Name of the result.

    Raises:
        DataError: Fewer than four showers in a sample.

    Source:
        arXiv:2211.10295, at fixed size. The units, and the bound at five standard deviations, are others than there,
        so values cannot be compared with published ones.
    """
    _refuse_few(reference, generated, 4, name)
    # sums of squares in single precision are good to a millionth, far below any floor
    first, second = (values.astype(np.float32) for values in standardise(reference, generated, limit=_LIMIT))
    source = f"{_SOURCE}, at fixed size"
    return measured(_sample_distance, first, second, resampling, share=SQUARED, name=name, source=source)


def extrapolated_frechet_distance(
    reference: NDArray[np.float64],
    generated: NDArray[np.float64],
    finite: Metric,
    *,
    rng: np.random.Generator,
    paired: bool,
    name: str = "FPD extrapolated",
) -> Metric:
    """The Frechet distance of infinitely large samples, by a straight line in one over the size.

    The line goes through the distances of the whole samples and of their halves, thirds and quarters, each averaged
    over several random partitions. Its error is that of the distance at full size, since the bias that it takes
    away hardly fluctuates, and the scatter between partitions. The floor is the mean of the same distance after a few
    exchanges of labels, within pairs where the samples are paired, so it has the sizes of the value.

    Args:
        reference: Observables of the reference, shape ``(n, observables)``.
        generated: Observables of the generated showers, shape ``(m, observables)``.
        finite: `frechet_physics_distance` of these samples.
        rng: Source of the partitions.
        paired: Whether showers in the same place have the same particle; they then stay together.
        name: Name of the result.

    Raises:
        DataError: Fewer than 48 showers in a sample.

    Source:
        arXiv:2211.10295, with disjoint parts instead of draws with replacement.
    """
    _refuse_few(reference, generated, 4 * _GROUPS, name)
    first, second = (values.astype(np.float32) for values in standardise(reference, generated, limit=_LIMIT))
    values = [_intercept(first, second, rng, paired=paired) for _ in range(_PARTITIONS)]
    floors = []
    pooled = np.concatenate([first, second])
    exchanges = Resampling(len(first), len(second), paired, _EXCHANGES, int(rng.integers(2**63)))
    for left, right in exchanges.exchange():
        floors.append(_intercept(pooled[left], pooled[right], rng, paired=paired))
    return replace(
        finite,
        name=name,
        value=float(np.mean(values)),
        error=math.hypot(finite.error, float(np.std(values, ddof=1)) / math.sqrt(len(values))),
        floor=float(np.mean(floors)),
        floor_error=float(np.std(floors, ddof=1)) / math.sqrt(len(floors)),
        source=f"{_SOURCE}, extrapolated to infinite size",
        floor_note=f"mean of {_EXCHANGES} exchanges of labels{' within pairs' if paired else ''}, extrapolated too",
        p_value=None,
    )


@dataclass(frozen=True)
class _Moments:
    """Number of vectors, their sum ``(k,)`` and their sum of products ``(k, k)``; of several groups in a row."""

    count: NDArray[np.float64]
    total: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(cls, sample: NDArray[Any]) -> _Moments:
        total = sample.sum(axis=0, dtype=np.float64)
        return cls(np.array(float(len(sample))), total, (sample.T @ sample).astype(np.float64))

    @classmethod
    def of_groups(cls, sample: NDArray[Any], order: NDArray[np.int64]) -> _Moments:
        groups = [cls.of(sample[part]) for part in np.array_split(order, _GROUPS)]
        return cls(*(np.stack([getattr(group, key) for group in groups]) for key in ("count", "total", "products")))

    def added(self, start: int, stop: int) -> _Moments:
        return _Moments(*(values[start:stop].sum(axis=0) for values in (self.count, self.total, self.products)))

    def gaussian(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        mean = self.total / self.count
        return mean, (self.products - self.count * np.outer(mean, mean)) / (self.count - 1)


def _sample_distance(reference: NDArray[Any], generated: NDArray[Any]) -> float:
    return _distance(_Moments.of(reference), _Moments.of(generated))


def _distance(reference: _Moments, generated: _Moments) -> float:
    (mean_1, covariance_1), (mean_2, covariance_2) = reference.gaussian(), generated.gaussian()
    width = np.sqrt(np.diag(covariance_1).clip(0))
    unit = np.where(width > 1e-3, width, 1.0)  # a column without width is only shifted, see `standardise`
    square = np.outer(unit, unit)
    return frechet_distance(mean_1 / unit, covariance_1 / square, mean_2 / unit, covariance_2 / square)


def _intercept(
    reference: NDArray[np.float32], generated: NDArray[np.float32], rng: np.random.Generator, *, paired: bool
) -> float:
    """Distance at infinite size by one random partition of both samples."""
    order = rng.permutation(len(reference))
    other = order if paired else rng.permutation(len(generated))
    first, second = _Moments.of_groups(reference, order), _Moments.of_groups(generated, other)
    means = [_distance(first.added(0, _GROUPS), second.added(0, _GROUPS))]
    for parts in _FRACTIONS:
        step = _GROUPS // parts
        starts = range(0, _GROUPS, step)
        means.append(float(np.mean([_distance(first.added(s, s + step), second.added(s, s + step)) for s in starts])))
    return float(np.polyfit([1, *_FRACTIONS], means, 1)[1])


def _refuse_few(reference: NDArray[np.float64], generated: NDArray[np.float64], least: int, name: str) -> None:
    if min(len(reference), len(generated)) < least:
        msg = (
            f"{name}: {len(reference)} reference and {len(generated)} generated showers; give at least {least} of each"
        )
        raise DataError(msg)
