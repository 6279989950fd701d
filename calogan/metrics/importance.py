"""Which numbers tell the samples apart: each alone, and what a classifier loses without it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.labelled import area_shares, area_under_curve, grouped_error
from calogan.metrics.metric import Estimate

__all__ = ["own_area", "permutation_importance"]


def own_area(
    reference: NDArray[np.float64], generated: NDArray[np.float64], group: NDArray[np.int64] | None = None
) -> Estimate:
    """Area under the curve of one number alone: the chance that it is larger for a generated shower; ties half.

    Args:
        reference: Values, shape ``(n,)``; NaN counts as below all others.
        generated: Values, shape ``(m,)``.
        group: Numbers of groups of all showers, reference first, shape ``(n + m,)``.

    Example:
        >>> own_area(np.array([0.0, 1.0]), np.array([1.0, 2.0])).value
        0.875
    """
    values = np.concatenate([reference, generated])
    label = np.repeat([0, 1], [len(reference), len(generated)])
    return area_under_curve(np.where(np.isnan(values), -np.inf, values), label, group)


def permutation_importance(
    scores: Callable[[NDArray[Any]], NDArray[np.float64]],
    features: NDArray[Any],
    label: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    columns: int,
    rng: np.random.Generator,
    shuffles: int = 3,
) -> tuple[Estimate, ...]:
    """Area under the curve that a classifier loses when a feature is shuffled among the showers.

    Features that say the same share their importance: each alone may seem to matter little.

    Args:
        scores: The classifier.
        features: Features of showers that it has not seen, shape ``(showers, features)``.
        label: 0 or 1, shape ``(showers,)``.
        group: Numbers of groups, shape ``(showers,)``.
        columns: Number of features that are shuffled, the first ones.
        rng: Source of the shuffles.
        shuffles: Shuffles of each feature.

    Returns:
        Loss of each feature, with the error from the number of showers and of shuffles, for this classifier.

    Source:
        Breiman, Machine Learning 45 (2001) 5; arXiv:1801.01489.
    """
    area, shares = area_shares(scores(features), label)
    found, changed = [], features.copy()
    for column in range(columns):
        losses, lost = [], np.zeros(len(label))
        for _ in range(shuffles):
            changed[:, column] = features[rng.permutation(len(label)), column]
            shuffled_area, shuffled = area_shares(scores(changed), label)
            losses.append(area - shuffled_area)
            lost += (shares - shuffled) / shuffles
        changed[:, column] = features[:, column]
        spread = float(np.std(losses, ddof=1)) / math.sqrt(shuffles)
        found.append(Estimate(float(np.mean(losses)), math.hypot(grouped_error(lost, group), spread)))
    return tuple(found)
