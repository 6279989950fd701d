"""Labelled showers, and how well scores tell the labels apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.metric import Estimate

__all__ = ["LabelledFeatures", "area_shares", "area_under_curve", "balanced_weight", "cross_entropy", "grouped_error"]


@dataclass(frozen=True)
class LabelledFeatures:
    """Features ``(showers, features)``, labels ``(showers,)``: 0 reference, 1 generated, and weights if not all 1."""

    features: NDArray[Any]
    label: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None


def area_under_curve(
    scores: NDArray[np.float64],
    label: NDArray[np.int64],
    group: NDArray[np.int64] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> Estimate:
    r"""Area under the receiver operating characteristic and its standard error.

    The area is the mean over pairs of one shower of each label, so the share that a shower has in it is known:
    with :math:`F_0, F_1` the distribution functions of the scores of both labels, :math:`F_0(s_i)` for label 1 and
    :math:`1 - F_1(s_i)` for label 0. The error is that of their means; shares of one group are added up first, since
    showers of one incident particle are alike.

    Args:
        scores: Higher means label 1; ties count half. Shape ``(showers,)``.
        label: 0 or 1, both present, shape ``(showers,)``.
        group: Numbers of groups, shape ``(showers,)``; each shower on its own if left out.
        weight: Weights, shape ``(showers,)``; all 1 if left out.

    Source:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837; groups: Obuchowski, Biometrics 53 (1997) 567.

    Example:
        >>> area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])).value
        0.75
    """
    area, shares = area_shares(scores, label, weight)
    return Estimate(area, grouped_error(shares, group))


def area_shares(
    scores: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> tuple[float, NDArray[np.float64]]:
    """Area under the curve, and what each shower adds to it, less the mean, shape ``(showers,)``."""
    weights = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=np.float64)
    ones = label == 1
    share = np.empty(len(label))
    share[ones] = _fraction_below(scores[~ones], weights[~ones], scores[ones])
    share[~ones] = 1 - _fraction_below(scores[ones], weights[ones], scores[~ones])
    area = float(np.average(share[ones], weights=weights[ones]))
    part = np.where(ones, weights / weights[ones].sum(), weights / weights[~ones].sum())
    return area, part * (share - area)


def grouped_error(contributions: NDArray[np.float64], group: NDArray[np.int64] | None) -> float:
    """Standard error of the sum of contributions that are independent from group to group and 0 in the mean.

    Args:
        contributions: What each shower adds to a number, less its mean, shape ``(showers,)``.
        group: Numbers of groups, shape ``(showers,)``; each shower on its own if left out.
    """
    index = np.arange(len(contributions)) if group is None else np.unique(group, return_inverse=True)[1]
    sums = np.bincount(index, contributions)
    return math.sqrt(float(np.sum(sums**2)) * len(sums) / max(len(sums) - 1, 1))


def balanced_weight(label: NDArray[np.int64], weight: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Weights of mean 1 that give both labels the same sum.

    Args:
        label: 0 or 1, shape ``(showers,)``.
        weight: Weights within a label, shape ``(showers,)``; all 1 if left out.

    Example:
        >>> balanced_weight(np.array([0, 0, 0, 1])).round(2)
        array([0.67, 0.67, 0.67, 2.  ])
    """
    weights = np.ones(len(label)) if weight is None else weight
    sums = np.bincount(label, weights, minlength=2)
    balanced: NDArray[np.float64] = weights * (0.5 * len(label) / np.maximum(sums, np.finfo(float).tiny))[label]
    return balanced


def cross_entropy(
    scores: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> float:
    """Mean cross entropy of scores that are log odds of label 1; all of shape ``(showers,)``."""
    return float(np.average(np.logaddexp(0.0, np.where(label == 1, -scores, scores)), weights=weight))


def _fraction_below(
    known: NDArray[np.float64], weights: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fraction of the weight of `known` below each value; equal ones count half."""
    order = np.argsort(known, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    below, up_to = (np.searchsorted(known[order], values, side=side) for side in ("left", "right"))
    fractions: NDArray[np.float64] = (total[below] + total[up_to]) / (2 * total[-1])
    return fractions
