"""Errors, floors and p-values of any distance of two samples, by drawing showers anew and by exchanging labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError, ShapeError
from calogan.metrics.metric import Metric

__all__ = ["ABSOLUTE", "SQUARED", "Resampling", "distance_error", "measured"]

SQUARED = 1.5
"""Share of the null variance in the bootstrap variance of a sum of squares (chi-squared, Frechet)."""
ABSOLUTE = 0.0
"""The same of one that is a sum of, or the largest of, absolute differences (Wasserstein, Kolmogorov-Smirnov)."""
_FAR = 3.0  # standard deviations of chance from the floor, from which on the bootstrap is trusted alone

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Resampling:
    """How two samples are drawn anew; every iteration makes the same draws, one at a time.

    Attributes:
        n: Reference showers.
        m: Generated showers.
        paired: Whether showers in the same place have the same incident particle. They are then drawn in pairs, and
            labels are exchanged within pairs only, which leaves the particles of each sample as they are.
        repeats: Number of draws.
        seed: Seed of all draws.
    """

    n: int
    m: int
    paired: bool
    repeats: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse empty samples and pairs that are none."""
        if min(self.n, self.m) < 2:
            msg = f"samples of {self.n} and {self.m} showers cannot be compared; give at least 2 of each"
            raise DataError(msg)
        if self.paired and self.n != self.m:
            msg = f"{self.n} reference and {self.m} generated showers are no pairs; give as many of each"
            raise ShapeError(msg)

    def bootstrap(self) -> Iterator[tuple[Index, Index]]:
        """Indices of showers drawn with replacement, of the reference ``(n,)`` and of the generated sample ``(m,)``."""
        rng = np.random.default_rng([self.seed, 0])
        for _ in range(self.repeats):
            first = rng.integers(self.n, size=self.n)
            yield first, first if self.paired else rng.integers(self.m, size=self.m)

    def exchange(self) -> Iterator[tuple[Index, Index]]:
        """Indices into both samples in a row, reference first, after random exchange of labels: ``(n,)``, ``(m,)``.

        Where reference and generated showers follow one distribution, each draw is as likely as the samples
        themselves, which makes the p-values exact (Fisher's randomisation test).
        """
        rng = np.random.default_rng([self.seed, 1])
        for _ in range(self.repeats):
            if self.paired:
                swap = rng.random(self.n) < 0.5
                place = np.arange(self.n)
                yield place + self.n * swap, place + self.n * ~swap
            else:
                order = rng.permutation(self.n + self.m)
                yield order[: self.n], order[self.n :]


def distance_error(excess: float, drawn: float, null: float, share: float) -> float:
    r"""Standard error of a distance that is never negative, from the variances of its resamplings.

    .. math:: \sigma^2 = V_0 + w \max(V_{boot} - (1 + s) V_0, 0), \quad w = \min(\max(x / 3 \sqrt{V_0}, 0), 1)

    Near the floor (excess x about 0) chance alone makes the variance :math:`V_0`. Drawing showers anew from samples
    that differ by chance adds chance to chance, so there the bootstrap variance is too large: for a squared distance
    :math:`c \chi^2_k(\lambda)` the variance is :math:`c^2 (2k + 4\lambda)`, and that of its bootstrap
    :math:`c^2 (2k + 4(\lambda + k))`, twice the null variance more. The share taken off is 1.5, not 2, since the
    estimated variance grows with the value. ``benchmarks/validation_power.py pulls`` checks the errors.

    Args:
        excess: Distance less its floor.
        drawn: Variance over bootstrap draws.
        null: Variance over exchanges of labels.
        share: `SQUARED` or `ABSOLUTE`.
    """
    far = min(max(excess / (_FAR * math.sqrt(null)), 0.0), 1.0) if null > 0 else 1.0
    return math.sqrt(null + far * max(drawn - (1 + share) * null, 0.0))


def measured(
    statistic: Callable[[NDArray[Any], NDArray[Any]], float],
    reference: NDArray[Any],
    generated: NDArray[Any],
    resampling: Resampling,
    *,
    share: float,
    name: str,
    source: str,
) -> Metric:
    """A distance with error, floor and p-value, all by resampling; memory does not grow with the repeats.

    Args:
        statistic: Function of two samples, showers first, to a distance.
        reference: Values or vectors of the reference, shape ``(n, ...)``.
        generated: The same of the generated showers, shape ``(m, ...)``.
        resampling: How to draw.
        share: See `distance_error`.
        name: Name of the result.
        source: Where the definition comes from.

    Returns:
        The distance; its floor is the mean over exchanges of labels, its p-value the fraction of them that come as
        high. If a draw has no distance (too few showers that have the number), there is neither.
    """
    pooled = np.concatenate([reference, generated])
    value = statistic(reference, generated)
    null = np.array([statistic(pooled[first], pooled[second]) for first, second in resampling.exchange()])
    drawn = np.array([statistic(reference[first], generated[second]) for first, second in resampling.bootstrap()])
    return Metric(
        name=name,
        value=value,
        error=distance_error(value - float(null.mean()), float(drawn.var(ddof=1)), float(null.var(ddof=1)), share),
        floor=float(null.mean()),
        floor_error=float(null.std(ddof=1) / math.sqrt(len(null))),
        n_reference=resampling.n,
        n_generated=resampling.m,
        source=source,
        floor_note=f"mean of {resampling.repeats} exchanges of labels{' within pairs' if resampling.paired else ''}",
        p_value=float((1 + np.sum(null >= value)) / (1 + len(null))) if np.isfinite(null).all() else None,
    )
