"""Weights that turn generated showers towards the reference: the density ratio of a classifier."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DomainError
from calogan.metrics.calibration import calibrate
from calogan.metrics.crossfit import Fit, cross_fit, deal, take
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.metric import Estimate

__all__ = [
    "DensityRatio",
    "area_of_halves",
    "density_ratio",
    "held_out_weight",
    "weighted_mean",
    "weighted_width",
]

_QUANTILE = 0.995
_CLASSIFIERS = 3  # that learn from a half, each stopped and calibrated with another third of it


@dataclass(frozen=True)
class DensityRatio:
    r"""Weights of generated showers.

    Attributes:
        weight: Weights of mean 1, shape ``(m,)``.
        limit: Ratio above which weights were clipped, before they were brought to mean 1.
        clipped: Fraction of the showers that were.
        mean_ratio: Mean of the ratios as they were; 1 for exact probabilities, by chance and error another.
        mean: Mean of the clipped ratios, by which they were divided.
        effective: Effective number of showers, :math:`(\sum w)^2 / \sum w^2`.
    """

    limit: float
    clipped: float
    mean_ratio: float
    mean: float
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
    mean = float(weight.mean())
    weight /= mean
    effective = float(weight.sum() ** 2 / np.sum(weight**2))
    return DensityRatio(limit, float(np.mean(ratio > limit)), float(ratio.mean()), mean, effective, weight)


def held_out_weight(
    showers: LabelledFeatures,
    group: NDArray[np.int64],
    half: NDArray[np.int64],
    fit: Fit,
    rng: np.random.Generator,
    *,
    done: Callable[[], None] | None = None,
) -> NDArray[np.float64]:
    """Weights of each half's generated showers by classifiers that have learnt from the other half alone.

    A weight from all other showers knows the labels of those that a later test of the weights uses: it removes their
    accidents too, and the test then sees less than nothing, an area below 0.5. These weights know nothing of the
    half that they are for, so that a test within one half is fair. The mean probability of three classifiers counts,
    each calibrated with a third of the half: with one alone, the accidents of its calibration are seen as differences.

    Args:
        showers: Features and labels.
        group: Numbers of groups, shape ``(showers,)``; all of one group are in one half.
        half: 0 or 1, shape ``(showers,)``.
        fit: How to learn.
        rng: Source of parts and seeds.
        done: Called after each classifier.

    Returns:
        Weights, 1 for the reference and of mean 1 for the generated showers of a half, shape ``(showers,)``.
    """
    weight = np.ones(len(half))
    for number in (0, 1):
        other, generated = np.flatnonzero(half != number), np.flatnonzero((half == number) & (showers.label == 1))
        part = deal(group[other], showers.label[other], rng, _CLASSIFIERS)
        probability = np.zeros(len(generated))
        for kept in range(_CLASSIFIERS):
            learnt, kept_out = (take(showers, other[chosen]) for chosen in (part != kept, part == kept))
            scores = fit(learnt, kept_out, int(rng.integers(2**31)))
            calibrated = calibrate(scores(kept_out.features), kept_out.label)
            probability += calibrated(scores(showers.features[generated])) / _CLASSIFIERS
            if done is not None:
                done()
        weight[generated] = density_ratio(probability).weight
    return weight


def area_of_halves(
    showers: LabelledFeatures,
    group: NDArray[np.int64],
    half: NDArray[np.int64],
    fit: Fit,
    rng: np.random.Generator,
    parts: int,
    *,
    done: Callable[[Estimate], None] | None = None,
) -> Estimate:
    """Mean over both halves of the area under the curve of classifiers that know one half alone; see `cross_fit`.

    Without weights the halves are independent. With weights each half's accidents are in those of the other, and both
    areas rise and fall together: they count as fully correlated in the error, which is an upper limit.

    Args:
        showers: Features, labels, and weights as `held_out_weight` gives them.
        group: Numbers of groups, shape ``(showers,)``; all of one group are in one half.
        half: 0 or 1, shape ``(showers,)``.
        fit: How to learn.
        rng: Source of parts and seeds.
        parts: Number of parts of each half.
        done: Called after each classifier, with its area.
    """
    chosen = [np.flatnonzero(half == number) for number in (0, 1)]
    areas = [cross_fit(take(showers, one), group[one], fit, rng, parts, done=done).area for one in chosen]
    first, second = (one.error for one in areas)
    error = math.hypot(first, second) / 2 if showers.weight is None else (first + second) / 2
    return Estimate((areas[0].value + areas[1].value) / 2, error)


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
