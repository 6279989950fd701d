"""Separation power of two histograms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import count
from calogan.metrics.metric import Metric

__all__ = ["separation_power"]


def separation_power(
    reference: NDArray[Any], generated: NDArray[Any], edges: NDArray[np.float64], *, name: str = "separation power"
) -> Metric:
    r"""Separation power (triangular discrimination) of two samples.

    .. math:: S = \frac12 \sum_i \frac{(h_i - g_i)^2}{h_i + g_i}

    with histograms of unit sum; 0 for equal, 1 for disjoint ones. Values outside of the edges and NaN have bins
    of their own.

    Two samples of n and m showers of the same distribution have, with K filled bins, given their pooled counts
    (hypergeometric, exact for n = m, and near it for bins with several showers otherwise),

    .. math:: \langle S \rangle = c (K - 1) \frac{n + m}{n + m - 1},
        \quad \mathrm{Var}\,S \approx 2 c^2 (K - 1), \quad c = \tfrac14 (1/n + 1/m)

    which are the floor and the least error. For different distributions the error is that of linear propagation
    of the counts, corrected for the part that fluctuations give for equal ones, as for a non-central chi-squared.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        edges: Ascending edges.
        name: Name of the result.

    Returns:
        Value, error and floor.

    Raises:
        DataError: A sample without showers.

    Source:
        arXiv:2009.03796, equation 15, as used by arXiv:2410.21611.
    """
    counts = np.stack([count(reference, edges), count(generated, edges)]).astype(np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    n, m = counts.sum(axis=1)
    first, second = counts[0] / n, counts[1] / m
    both = first + second
    value = 0.5 * np.sum((first - second) ** 2 / both)
    scale, degrees = 0.25 * (1 / n + 1 / m), counts.shape[1] - 1
    slope_first = 0.5 * (first - second) * (first + 3 * second) / both**2
    slope_second = 0.5 * (second - first) * (second + 3 * first) / both**2
    linear = _multinomial_variance(slope_first, first) / n + _multinomial_variance(slope_second, second) / m
    least = 2 * scale**2 * degrees
    return Metric(
        name=name,
        value=float(value),
        error=math.sqrt(max(linear - least, least)),
        floor=float(scale * degrees * (n + m) / (n + m - 1)),
        floor_error=0.0,
        n_reference=int(n),
        n_generated=int(m),
        source="arXiv:2009.03796 eq. 15, arXiv:2410.21611",
        floor_note="expected for two samples of the same distribution at these sizes and bins",
    )


def _multinomial_variance(slopes: NDArray[np.float64], probabilities: NDArray[np.float64]) -> float:
    return float(np.sum(probabilities * slopes**2) - np.sum(probabilities * slopes) ** 2)
