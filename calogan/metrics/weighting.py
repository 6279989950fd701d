"""Weights that turn generated showers towards the reference: the density ratio of a classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DomainError
from calogan.metrics.metric import Estimate

__all__ = ["DensityRatio", "density_ratio", "weighted_mean", "weighted_width"]

_QUANTILE = 0.995


@dataclass(frozen=True)
class DensityRatio:
    r"""Weights of generated showers.

    Attributes:
        weight: Weights of mean 1, shape ``(m,)``.
        limit: Ratio above which weights were clipped, before they were brought to mean 1.
        clipped: Fraction of the showers that were.
        mean_ratio: Mean of the ratios as they were; 1 for exact probabilities, by chance and error another.
        effective: Effective number of showers, :math:`(\sum w)^2 / \sum w^2`.
    """

    limit: float
    clipped: float
    mean_ratio: float
    effective: float
    weight: NDArray[np.float64] = field(metadata={"report": False})


def density_ratio(probability: NDArray[np.float64], *, quantile: float = _QUANTILE) -> DensityRatio:
    r"""Density ratio of reference to generated showers from the probability p of being generated.

    .. math:: w = \min\!\left(\frac{1 - p}{p}, w_{max}\right)

    brought to mean 1; :math:`w_{max}` is a quantile of the ratios, since a few large weights would rule everything.

    Args:
        probability: Calibrated probabilities of generated showers, by classifiers that have not seen them, inside
            (0, 1); both samples weigh the same. Shape ``(m,)``.
        quantile: Quantile of the ratios at which they are clipped.

    Raises:
        DomainError: A probability that is not inside (0, 1).

    Source:
        arXiv:1907.08209; of showers, arXiv:2009.03796.

    Example:
        >>> density_ratio(np.array([0.5, 0.5])).weight
        array([1., 1.])
    """
    if not np.all((probability > 0) & (probability < 1)):
        msg = "density ratios need probabilities above 0 and below 1; calibrate the classifier's scores first"
        raise DomainError(msg)
    ratio = (1 - probability) / probability
    limit = float(np.quantile(ratio, quantile))
    weight = np.minimum(ratio, limit)
    weight /= weight.mean()
    effective = float(weight.sum() ** 2 / np.sum(weight**2))
    return DensityRatio(limit, float(np.mean(ratio > limit)), float(ratio.mean()), effective, weight)


def weighted_mean(values: NDArray[np.float64], weight: NDArray[np.float64]) -> Estimate:
    """Weighted mean and its error for given weights; NaN values are left out, both of shape ``(showers,)``."""
    known = np.isfinite(values)
    values, share = values[known], weight[known] / weight[known].sum()
    mean = float(share @ values)
    return Estimate(mean, float(np.sqrt(np.sum((share * (values - mean)) ** 2))))


def weighted_width(values: NDArray[np.float64], weight: NDArray[np.float64]) -> Estimate:
    """Weighted standard deviation over the weighted mean, and its error for given weights; see `weighted_mean`."""
    known = np.isfinite(values)
    values, share = values[known], weight[known] / weight[known].sum()
    mean = float(share @ values)
    away = values - mean
    width = math.sqrt(float(share @ away**2))
    # what one shower adds to ln(width / mean)
    slope = (away**2 - width**2) / (2 * width**2) - away / mean
    return Estimate(width / mean, width / abs(mean) * float(np.sqrt(np.sum((share * slope) ** 2))))
