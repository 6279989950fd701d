"""Chi-squared test of two histograms of counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import count
from calogan.metrics.metric import Metric

__all__ = ["chi2_per_ndf"]

_LEAST_EXPECTED = 10.0


def chi2_per_ndf(
    reference: NDArray[Any], generated: NDArray[Any], edges: NDArray[np.float64], *, name: str = "chi2/ndf"
) -> Metric:
    r"""Chi-squared per degree of freedom of two samples, with the p-value.

    .. math:: \chi^2 = \sum_i \frac{(\sqrt{m/n}\,a_i - \sqrt{n/m}\,b_i)^2}{a_i + b_i}

    for n and m showers with counts a and b; the degrees of freedom are the bins less one. Neighbouring bins are
    merged until at least 10 showers of each sample are expected in each.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        edges: Ascending edges; values outside of them and NaN have bins of their own.
        name: Name of the result.

    Returns:
        chi2/ndf with the p-value; value, error and p-value are NaN if one bin is left.

    Raises:
        DataError: A sample without showers.

    Source:
        Numerical Recipes, section 14.3; Porter, arXiv:0804.0380.
    """
    from scipy.special import gammaincc

    counts = np.stack([count(reference, edges), count(generated, edges)])
    n, m = (int(total) for total in counts.sum(axis=1))
    a, b = _merged(counts, _LEAST_EXPECTED * (n + m) / min(n, m))
    degrees = len(a) - 1
    chi2 = float(np.sum((math.sqrt(m / n) * a - math.sqrt(n / m) * b) ** 2 / (a + b)))
    return Metric(
        name=name,
        value=chi2 / degrees if degrees else math.nan,
        error=math.sqrt(2 * degrees + 4 * max(chi2 - degrees, 0.0)) / degrees if degrees else math.nan,
        floor=1.0,
        floor_error=0.0,
        n_reference=n,
        n_generated=m,
        source="arXiv:0804.0380",
        floor_note="expected for two samples of the same distribution",
        p_value=float(gammaincc(degrees / 2, chi2 / 2)) if degrees else math.nan,
    )


def _merged(counts: NDArray[np.int64], least: float) -> NDArray[np.float64]:
    """Counts (2, bins) with neighbours merged until each pooled count reaches `least`."""
    groups = [np.zeros(2)]
    for pair in counts.T:
        groups[-1] = groups[-1] + pair
        if groups[-1].sum() >= least:
            groups.append(np.zeros(2))
    rest = groups.pop()
    if groups:
        groups[-1] = groups[-1] + rest
    else:
        groups.append(rest)
    return np.stack(groups, axis=1)
