"""Separation power of two histograms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError, ShapeError
from calogan.metrics.binning import bin_index, count, joint_count, swap_covariance
from calogan.metrics.metric import Metric

__all__ = ["separation_power"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class _Moments:
    """What the histograms give: the value, and its mean and variances."""

    value: float
    floor: float  # mean for samples of one distribution
    least: float  # variance for samples of one distribution
    linear: float  # variance by linear propagation of the counts
    note: str


def separation_power(
    reference: NDArray[Any],
    generated: NDArray[Any],
    edges: FloatArray,
    *,
    paired: bool = False,
    weights: NDArray[Any] | None = None,
    name: str = "separation power",
) -> Metric:
    r"""Separation power (triangular discrimination) of two samples.

    .. math:: S = \frac12 \sum_i \frac{(h_i - g_i)^2}{h_i + g_i}

    with histograms of unit sum; 0 for equal, 1 for disjoint ones. Values outside of the edges and NaN have bins
    of their own.

    Two samples of n and m showers of the same distribution have, with K filled bins, given their pooled counts
    (hypergeometric, exact for n = m, and near it for bins with several showers otherwise),

    .. math:: \langle S \rangle = c (K - 1) \frac{n + m}{n + m - 1},
        \quad \mathrm{Var}\,S \approx 2 c^2 (K - 1), \quad c = \tfrac14 (1/n + 1/m)

    which are the floor and the least error. Of n pairs, with :math:`A_i` and :math:`B_i` showers in bin i and
    :math:`C` the covariance of :math:`A - B` when labels are exchanged within pairs (see `swap_covariance`), the
    floor and the variance are exact:

    .. math:: \langle S \rangle = \mathrm{tr}(WC), \quad \mathrm{Var}\,S = 2\,\mathrm{tr}(WCWC) -
        2 \sum_{i \ne j} N_{ij} (W_{ii} + W_{jj})^2, \quad W_{ii} = \frac{1}{2n (A_i + B_i)}

    For different distributions the error is that of linear propagation of the counts, less the part that
    fluctuations give for equal ones, as for a non-central chi-squared.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        edges: Ascending edges.
        paired: Whether showers in the same place have the same incident particle.
        weights: Weights of the generated showers, at least 0, shape ``(m,)``. The floor is then that of two samples
            of the weighted histogram's effective counts. Only for samples that count as independent.
        name: Name of the result.

    Returns:
        Value, error and floor.

    Raises:
        DataError: A sample without showers, negative weights or weights without a sum, or weights of pairs.
        ShapeError: Pairs or weights of different numbers.

    Source:
        arXiv:2009.03796, equation 15, as used by arXiv:2410.21611.
    """
    if weights is not None:
        if paired:
            msg = "weights of pairs are not supported; compare weighted showers as independent samples"
            raise DataError(msg)
        found = _weighted(reference, generated, edges, _checked_weights(weights, len(generated)))
    else:
        found = (_paired if paired else _independent)(reference, generated, edges)
    return Metric(
        name=name,
        value=found.value,
        error=math.sqrt(max(found.linear - found.least, found.least)),
        floor=found.floor,
        floor_error=0.0,
        n_reference=len(reference),
        n_generated=len(generated),
        source="arXiv:2009.03796 eq. 15, arXiv:2410.21611",
        floor_note=found.note,
    )


def _independent(reference: NDArray[Any], generated: NDArray[Any], edges: FloatArray) -> _Moments:
    counts = np.stack([count(reference, edges), count(generated, edges)]).astype(np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    n, m = counts.sum(axis=1)
    first, second = counts[0] / n, counts[1] / m
    slopes = _slopes(first, second)
    scale, degrees = 0.25 * (1 / n + 1 / m), counts.shape[1] - 1
    return _Moments(
        value=_separation(first, second),
        floor=float(scale * degrees * (n + m) / (n + m - 1)),
        least=2 * scale**2 * degrees,
        linear=_variance(slopes[0], first) / n + _variance(slopes[1], second) / m,
        note="expected for two samples of the same distribution at these sizes and bins",
    )


def _paired(reference: NDArray[Any], generated: NDArray[Any], edges: FloatArray) -> _Moments:
    joint = joint_count(reference, generated, edges).astype(np.float64)
    filled = joint.sum(axis=0) + joint.sum(axis=1) > 0
    joint = joint[np.ix_(filled, filled)]
    a, b, n = joint.sum(axis=1), joint.sum(axis=0), joint.sum()
    first, second = a / n, b / n
    slopes = _slopes(first, second)
    form, covariance = 0.5 / (n * (a + b)), swap_covariance(joint)
    apart = joint * (1 - np.eye(len(a)))
    return _Moments(
        value=_separation(first, second),
        floor=float(form @ covariance.diagonal()),
        least=2 * float(form @ covariance**2 @ form - np.sum(apart * np.add.outer(form, form) ** 2)),
        linear=_variance(np.add.outer(slopes[0], slopes[1]), joint / n) / n,
        note="expected when reference and generated shower of a particle are exchanged at random, at this size",
    )


def _weighted(reference: NDArray[Any], generated: NDArray[Any], edges: FloatArray, weights: FloatArray) -> _Moments:
    counts, slots = count(reference, edges), bin_index(generated, edges)
    sums, squares = (np.bincount(slots, weights**power, minlength=len(counts)) for power in (1, 2))
    filled = counts + sums > 0
    n, total = counts.sum(), sums.sum()
    first, second, squares = counts[filled] / n, sums[filled] / total, squares[filled] / total**2
    effective = 1 / squares.sum()
    pooled = (n * first + effective * second) / (n + effective)
    covariance = (np.diag(pooled) - np.outer(pooled, pooled)) / n + np.diag(squares)
    covariance += np.outer(second, second) / effective - np.outer(second, squares) - np.outer(squares, second)
    slopes, form = _slopes(first, second), 0.5 / (first + second)
    return _Moments(
        value=_separation(first, second),
        floor=float(form @ covariance.diagonal()),
        least=2 * float(form @ covariance**2 @ form),
        linear=float(_variance(slopes[0], first) / n + squares @ (slopes[1] - slopes[1] @ second) ** 2),
        note=f"expected for samples of the same distribution, {effective:.0f} effective generated showers",
    )


def _checked_weights(weights: NDArray[Any], showers: int) -> FloatArray:
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (showers,):
        msg = f"weights have shape {found.shape}, expected one for each of the {showers} generated showers"
        raise ShapeError(msg)
    if not (np.all(found >= 0) and 0 < found.sum() < math.inf):
        msg = "weights of generated showers must be finite, none below 0 and not all 0"
        raise DataError(msg)
    return found


def _separation(first: FloatArray, second: FloatArray) -> float:
    return float(0.5 * np.sum((first - second) ** 2 / (first + second)))


def _slopes(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Derivatives with respect to both histograms."""
    both = first + second
    return (
        0.5 * (first - second) * (first + 3 * second) / both**2,
        0.5 * (second - first) * (second + 3 * first) / both**2,
    )


def _variance(slopes: FloatArray, probabilities: FloatArray) -> float:
    """Variance of one draw with these probabilities."""
    return float(np.sum(probabilities * slopes**2) - np.sum(probabilities * slopes) ** 2)
