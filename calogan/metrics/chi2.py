"""Chi-squared test of two histograms of counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import count, joint_count, swap_covariance
from calogan.metrics.metric import Metric

__all__ = ["chi2_per_ndf"]

_LEAST_EXPECTED = 10.0

FloatArray = NDArray[np.float64]


def chi2_per_ndf(
    reference: NDArray[Any], generated: NDArray[Any], edges: FloatArray, *, paired: bool = False, name: str = "chi2/ndf"
) -> Metric:
    r"""Chi-squared per degree of freedom of two samples, with the p-value.

    .. math:: \chi^2 = \sum_i \frac{(\sqrt{m/n}\,a_i - \sqrt{n/m}\,b_i)^2}{a_i + b_i}

    for n and m showers with counts a and b; the degrees of freedom are the bins less one. Neighbouring bins are
    merged until at least 10 showers of each sample are expected in each.

    For pairs it is the test of Stuart and Maxwell, :math:`\chi^2 = (a - b)^T C^+ (a - b)`, with the covariance C of
    `swap_covariance` and its rank for the degrees of freedom. There, 10 pairs at least have just one shower in each
    merged bin.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        edges: Ascending edges; values outside of them and NaN have bins of their own.
        paired: Whether showers in the same place have the same incident particle.
        name: Name of the result.

    Returns:
        chi2/ndf with the p-value; value, error and p-value are NaN if one bin is left.

    Raises:
        DataError: A sample without showers.
        ShapeError: Pairs of different numbers.

    Source:
        Porter, arXiv:0804.0380; A. Stuart, Biometrika 42 (1955) 412.
    """
    from scipy.special import gammaincc

    if paired:
        chi2, degrees, linear = _stuart_maxwell(joint_count(reference, generated, edges))
    else:
        chi2, degrees, linear = _independent(np.stack([count(reference, edges), count(generated, edges)]))
    return Metric(
        name=name,
        value=chi2 / degrees if degrees else math.nan,
        error=math.sqrt(max(linear - 2 * degrees, 2 * degrees)) / degrees if degrees else math.nan,
        floor=1.0,
        floor_error=0.0,
        n_reference=len(reference),
        n_generated=len(generated),
        source="Biometrika 42 (1955) 412" if paired else "arXiv:0804.0380",
        floor_note="expected for two samples of the same distribution",
        p_value=float(gammaincc(degrees / 2, chi2 / 2)) if degrees else math.nan,
    )


def _independent(counts: NDArray[np.int64]) -> tuple[float, int, float]:
    """Chi-squared of counts (2, bins), its degrees of freedom and its variance by linear propagation."""
    n, m = (int(total) for total in counts.sum(axis=1))
    groups = _groups(counts, _LEAST_EXPECTED * (n + m) / min(n, m))
    a, b = (np.bincount(groups, row) for row in counts)
    chi2 = float(np.sum((math.sqrt(m / n) * a - math.sqrt(n / m) * b) ** 2 / (a + b)))
    relative = (m * a - n * b) / (a + b)  # of which both derivatives are made
    slopes = (2 * relative - relative**2 / m) / n, (-2 * relative - relative**2 / n) / m
    linear = sum(
        float(row @ slope**2 - (row @ slope) ** 2 / row.sum()) for row, slope in zip((a, b), slopes, strict=True)
    )
    return chi2, len(a) - 1, linear


def _stuart_maxwell(joint: NDArray[np.int64]) -> tuple[float, int, float]:
    """The same of counts of pairs, shape (bins, bins)."""
    from scipy.linalg import pinvh

    groups = _groups(np.stack([joint.sum(axis=1), joint.sum(axis=0)]), 2 * _LEAST_EXPECTED, joint)
    member = np.eye(groups[-1] + 1)[groups]
    pairs = member.T @ joint @ member
    difference = pairs.sum(axis=1) - pairs.sum(axis=0)
    inverse, rank = pinvh(swap_covariance(pairs), return_rank=True)
    pull = inverse @ difference
    chi2 = float(difference @ pull)
    apart = np.subtract.outer(pull, pull)
    linear = float(np.sum(pairs * (2 * apart - apart**2) ** 2)) - chi2**2 / pairs.sum()
    return chi2, int(rank), linear


def _groups(counts: NDArray[np.int64], least: float, joint: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Group of each bin: neighbours merged until the pooled count, and half as many torn pairs, are reached."""
    groups = np.zeros(counts.shape[1], dtype=np.int64)
    start = 0
    for stop in range(1, counts.shape[1] + 1):
        groups[start:stop] = groups[start - 1] + 1 if start else 0
        pooled = counts[:, start:stop].sum()
        torn = pooled if joint is None else pooled - 2 * joint[start:stop, start:stop].sum()
        if pooled >= least and 2 * torn >= least:
            start = stop
    if start and start < len(groups):  # the rest joins the last full group
        groups[start:] = groups[start - 1]
    return groups
