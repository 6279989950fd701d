"""How many reference showers a generated sample is worth for a histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import count, quantile_edges
from calogan.metrics.metric import Metric
from calogan.metrics.separation import separation_power

__all__ = ["MAX_BINS", "Worth", "showers_worth"]

MAX_BINS = 20
_LEAST_SHOWERS = 40  # of both samples together in a bin
_ONE_SIDED = 1.6449  # standard deviations of a Gaussian's upper 5%


@dataclass(frozen=True)
class Worth:
    """Worth of a generated sample for one histogram, in reference showers.

    Attributes:
        name: What the histogram shows.
        bins: Filled bins K.
        n_generated: Generated showers m.
        bias: Squared difference B of the two distributions, without the fluctuations of the samples.
        endless: Reference showers that an endless generated sample is worth, (K - 1)/B; None where B is compatible
            with 0, and only the lower limit holds.
        endless_low: Lower limit at 95% confidence.
        endless_high: Upper limit at 95% confidence; None where there is none.
        sample: Reference showers that the generated sample is worth, at most m.
        sample_low: Lower limit at 95% confidence.
        sample_high: Upper limit at 95% confidence, at most m.
    """

    name: str
    bins: int
    n_generated: int
    bias: Metric
    endless: float | None
    endless_low: float | None
    endless_high: float | None
    sample: float
    sample_low: float
    sample_high: float


def showers_worth(
    reference: NDArray[Any],
    generated: NDArray[Any],
    *,
    paired: bool = False,
    max_bins: int = MAX_BINS,
    name: str = "histogram",
) -> Worth | None:
    r"""Compare a generated sample with reference samples of any size as an estimate of the true histogram.

    The histogram of N reference showers in K bins has the expected squared error
    :math:`\langle \sum_i (h_i - p_i)^2 / p_i \rangle = (K - 1)/N`. That of m showers of a generator with the
    distribution q has

    .. math:: B + \frac{K - 1}{m}, \quad B = \sum_i \frac{(q_i - p_i)^2}{(q_i + p_i)/2},

    so that it is worth :math:`N = (K - 1)/(B + (K - 1)/m)` reference showers, and :math:`(K - 1)/B` however many are
    generated. B is four times the separation power above its floor, hence unbiased, and to second order in the
    difference the chi-squared distance. The bins are quantiles of both samples together, which no exchange of labels
    changes.

    Where the samples are paired, the reference and the generated histogram share the fluctuations of the incident
    particles, which cancel in their difference: B is known better, by the floor and the error for pairs. What a
    sample is worth stays the same: reference showers with incident particles of their own.

    Args:
        reference: Values of the reference, shape ``(n,)``.
        generated: Values of the generated showers, shape ``(m,)``.
        paired: Whether showers in the same place have the same incident particle.
        max_bins: Most bins; there are fewer of small samples, with 40 showers of both together in each.
        name: Name of the result.

    Returns:
        The worth with limits; None if all values are in one bin.

    Raises:
        DataError: A sample without showers.
        ShapeError: Pairs of different numbers.

    Source:
        arXiv:2008.06545, arXiv:2202.07352 (with mean squared errors in quantiles).
    """
    pooled = np.concatenate([reference, generated])
    inner = quantile_edges(pooled, min(max_bins, max(2, len(pooled) // _LEAST_SHOWERS)))
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    filled = int(np.count_nonzero(count(pooled, edges)))
    if filled < 2:
        return None
    power = separation_power(reference, generated, edges, paired=paired)
    bias = Metric(
        name=f"histogram bias {name}",
        value=4 * power.excess,
        error=4 * power.error,
        floor=0.0,
        floor_error=0.0,
        n_reference=power.n_reference,
        n_generated=power.n_generated,
        source="arXiv:2008.06545",
        floor_note="the part of fluctuations is subtracted",
    )
    return _worth(name, filled, bias, 4 * power.floor / (filled - 1))


def _worth(name: str, filled: int, bias: Metric, scale: float) -> Worth:
    r"""Worth with limits at which the bias would be 1.64 of its errors, which grow with it, from the one found.

    Its variance is linear in the bias: that of :math:`c \chi^2_k(\lambda)`, with bias :math:`c \lambda`, grows by
    :math:`4c` times the bias. Without that, biases that fluctuate down would have too narrow limits.
    """
    degrees, m = filled - 1, bias.n_generated
    growth = 2 * scale * _ONE_SIDED**2
    width = math.hypot(growth, _ONE_SIDED * bias.error)
    # a value that fluctuates below 0 makes no limit better than 0 would
    middle = max(bias.value, 0.0)
    most, least = middle + width + growth, max(bias.value - width + growth, 0.0)
    seen = least > 0
    return Worth(
        name=name,
        bins=filled,
        n_generated=m,
        bias=bias,
        endless=degrees / middle if seen else None,
        endless_low=degrees / most if most > 0 else None,
        endless_high=degrees / least if seen else None,
        sample=degrees / (middle + degrees / m),
        sample_low=degrees / (most + degrees / m),
        sample_high=degrees / (least + degrees / m),
    )
