"""Precision and recall of distributions: what of a sample the other one has, by clusters of both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.metrics.features import standardise
from calogan.metrics.metric import Metric
from calogan.metrics.resampling import SQUARED, Resampling, measured

__all__ = ["ClusterComparison", "cluster_comparison", "curve_area", "f_beta", "precision_recall_curve"]

_ANGLES = 501
_BETA = 8.0
_LIMIT = 5.0  # standard deviations
_SOURCE = "arXiv:1806.00035"
_SCORE_SHARE = 1.5
"""Share of the null variance in the bootstrap variance of F_8 and F_1/8, which are between sums of squares and of
absolute differences; 0.6 to 2.4 in simulations. The area's is that of squares: where the samples differ, the curve
leaves the corner in depth and in breadth by as much."""


@dataclass(frozen=True)
class ClusterComparison:
    """Precision and recall of distributions, averaged over clusterings.

    Attributes:
        clusters: Clusters in a clustering.
        clusterings: Number of clusterings.
        precision: Precision along the curve, shape ``(points,)``.
        recall: Recall along the curve, shape ``(points,)``.
        floor_precision: The same after an exchange of labels, as equal distributions would give it.
        floor_recall: The same of the recall.
        area: Area under the curve; 1 for equal distributions, 0 for disjoint ones.
        recall_score: F_8, which weighs recall.
        precision_score: F_1/8, which weighs precision.
    """

    clusters: int
    clusterings: int
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    floor_precision: NDArray[np.float64]
    floor_recall: NDArray[np.float64]
    area: Metric
    recall_score: Metric
    precision_score: Metric

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All figures."""
        return self.area, self.recall_score, self.precision_score


def precision_recall_curve(
    reference: NDArray[Any], generated: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Precision and recall of histograms of the same bins.

    .. math:: \alpha(\lambda) = \sum_i \min(\lambda p_i, q_i), \quad \beta(\lambda) = \alpha(\lambda) / \lambda

    with the reference p and the generated sample q, at slopes :math:`\lambda` of equal steps in angle.

    Args:
        reference: Counts, shape ``(..., bins)``.
        generated: Counts, shape ``(..., bins)``.

    Returns:
        Precision alpha and recall beta, each of shape ``(..., points)``, the recall descending.

    Source:
        arXiv:1806.00035, equation 7 and section 4.1.
    """
    first = reference / reference.sum(axis=-1, keepdims=True)
    second = generated / generated.sum(axis=-1, keepdims=True)
    angles = np.linspace(0.0, np.pi / 2, _ANGLES)
    # lambda = sin / cos, so that neither end is divided by 0
    sine, cosine = np.sin(angles), np.cos(angles)
    cosine[-1] = 0.0
    overlap = np.minimum(first[..., None] * sine, second[..., None] * cosine).sum(axis=-2)
    precision, recall = np.ones_like(overlap), np.ones_like(overlap)
    np.divide(overlap, cosine, out=precision, where=cosine > 0)
    np.divide(overlap, sine, out=recall, where=sine > 0)
    # the limits of the quotients at both ends: mass where the other sample has some
    precision[..., -1] = (second * (first > 0)).sum(axis=-1)
    recall[..., 0] = (first * (second > 0)).sum(axis=-1)
    return precision, recall


def curve_area(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under curves of shape ``(..., points)``, recall descending, by trapezia."""
    heights = (precision[..., 1:] + precision[..., :-1]) / 2
    area: NDArray[np.float64] = (heights * (recall[..., :-1] - recall[..., 1:])).sum(axis=-1)
    return area


def f_beta(precision: NDArray[np.float64], recall: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    r"""Largest :math:`(1 + \beta^2) \alpha r / (\beta^2 \alpha + r)` along curves of shape ``(..., points)``.

    Source:
        arXiv:1806.00035, section 4.3.
    """
    bottom = beta**2 * precision + recall
    scores = np.divide((1 + beta**2) * precision * recall, bottom, out=np.zeros_like(bottom), where=bottom > 0)
    best: NDArray[np.float64] = scores.max(axis=-1)
    return best


def cluster_comparison(
    reference: NDArray[np.float64],
    generated: NDArray[np.float64],
    resampling: Resampling,
    *,
    clusters: int = 20,
    clusterings: int = 10,
) -> ClusterComparison:
    """Precision and recall of distributions by k-means of both samples together.

    Features are in units of the reference's standard deviations, and at most five of them from its mean. The clusters
    are found once; errors and floors come from drawing and exchanging the showers' clusters.

    Args:
        reference: Features of the reference, shape ``(n, features)``.
        generated: Features of the generated showers, shape ``(m, features)``.
        resampling: How to draw.
        clusters: Clusters in a clustering; 20 as in the source, the LHCb task of arXiv:1812.01319 has 100.
        clusterings: Clusterings from other starting points, over which the curve and its figures are averaged.

    Raises:
        DataError: Fewer showers in both samples together than twice the clusters.
        MissingDependencyError: scikit-learn is not installed.

    Source:
        arXiv:1806.00035.
    """
    if len(reference) + len(generated) < 2 * clusters:
        msg = f"{len(reference) + len(generated)} showers cannot make {clusters} clusters; give at least {2 * clusters}"
        raise DataError(msg)
    first, second = standardise(reference, generated, limit=_LIMIT)
    labels = _cluster_labels(np.concatenate([first, second]), resampling.seed, clusters, clusterings)
    found = _Clusterings(labels[: len(first)], labels[len(first) :], clusters, resampling)
    exchanged = next(resampling.exchange())
    precision, recall = found.curve(found.reference, found.generated)
    floor_precision, floor_recall = found.curve(labels[exchanged[0]], labels[exchanged[1]])
    return ClusterComparison(
        clusters=clusters,
        clusterings=clusterings,
        precision=precision.mean(axis=0),
        recall=recall.mean(axis=0),
        floor_precision=floor_precision.mean(axis=0),
        floor_recall=floor_recall.mean(axis=0),
        area=found.metric("PRD area", curve_area, SQUARED),
        recall_score=found.metric("PRD F8", partial(f_beta, beta=_BETA), _SCORE_SHARE),
        precision_score=found.metric("PRD F1/8", partial(f_beta, beta=1 / _BETA), _SCORE_SHARE),
    )


@dataclass(frozen=True)
class _Clusterings:
    """Cluster of each shower in each clustering, shape ``(showers, clusterings)``, and how to draw showers."""

    reference: NDArray[np.int32]
    generated: NDArray[np.int32]
    clusters: int
    resampling: Resampling

    def curve(
        self, reference: NDArray[Any], generated: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Precision and recall of each clustering, each of shape ``(clusterings, points)``."""
        shape = (reference.shape[1], self.clusters)
        counts = [
            np.bincount(labels.ravel(), minlength=math.prod(shape)).reshape(shape) for labels in (reference, generated)
        ]
        return precision_recall_curve(counts[0], counts[1])

    def metric(self, name: str, score: Callable[..., NDArray[np.float64]], share: float) -> Metric:
        """Mean of a score of the curves; resampled as its distance from 1."""

        def distance(reference: NDArray[Any], generated: NDArray[Any]) -> float:
            return float(1 - score(*self.curve(reference, generated)).mean())

        source = f"{_SOURCE}, {self.reference.shape[1]} clusterings of {self.clusters}"
        found = measured(
            distance, self.reference, self.generated, self.resampling, share=share, name=name, source=source
        )
        return replace(found, value=1 - found.value, floor=1 - found.floor)


def _cluster_labels(features: NDArray[np.float64], seed: int, clusters: int, clusterings: int) -> NDArray[np.int32]:
    """Cluster of each shower in each clustering, those of clustering c counted from c * clusters."""
    from sklearn.cluster import MiniBatchKMeans

    columns = []
    for number in range(clusterings):
        start = int(np.random.default_rng([seed, 3, number]).integers(2**31))
        model = MiniBatchKMeans(clusters, n_init=1, batch_size=2048, max_iter=20, random_state=start)
        columns.append(model.fit_predict(features.astype(np.float32)) + number * clusters)
    return np.stack(columns, axis=1).astype(np.int32)
