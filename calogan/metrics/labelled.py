"""Labelled showers, and how well scores tell the labels apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelledFeatures", "area_under_curve", "cross_entropy"]


@dataclass(frozen=True)
class LabelledFeatures:
    """Features ``(showers, features)`` and labels ``(showers,)``: 0 reference, 1 generated."""

    features: NDArray[Any]
    label: NDArray[np.int64]


def area_under_curve(scores: NDArray[np.float64], label: NDArray[np.int64]) -> tuple[float, float]:
    """Area under the receiver operating characteristic and its standard error.

    Args:
        scores: Higher means label 1; ties count half. Shape ``(showers,)``.
        label: 0 or 1, both present, shape ``(showers,)``.

    Source:
        Hanley and McNeil, Radiology 143 (1982) 29.

    Example:
        >>> area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))[0]
        0.75
    """
    zeros, ones = np.sort(scores[label == 0]), scores[label == 1]
    below, up_to = (np.searchsorted(zeros, ones, side=side).mean() for side in ("left", "right"))
    area = float(below + up_to) / (2 * len(zeros))
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (len(ones) - 1) * (first - area**2) + (len(zeros) - 1) * (second - area**2)
    variance = (area * (1 - area) + spread) / (len(zeros) * len(ones))
    return area, math.sqrt(max(variance, 0.0))


def cross_entropy(scores: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    """Mean cross entropy of scores that are log odds of label 1, both of shape ``(showers,)``."""
    return float(np.logaddexp(0.0, np.where(label == 1, -scores, scores)).mean())
