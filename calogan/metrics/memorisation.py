"""Copies of training showers: nearest neighbours among showers that were trained on, and among others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError, ShapeError
from calogan.metrics.metric import Metric
from calogan.metrics.resampling import Resampling

__all__ = ["Nearest", "nearer_share", "nearest_showers", "training_share"]

_QUERIES, _CANDIDATES = 512, 2048  # rows of a block of distances: four megabytes
_DRAWS = 1000


@dataclass(frozen=True)
class Nearest:
    """The nearest candidate of each query.

    Attributes:
        index: Its row, -1 where no candidate is allowed, int64, shape ``(queries,)``.
        distance: Euclidean distance, infinite where no candidate is allowed, shape ``(queries,)``.
    """

    index: NDArray[np.int64]
    distance: NDArray[np.float64]


def nearest_showers(
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    excluded: NDArray[np.int64] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Nearest:
    """The nearest candidate of each query, all pairs looked at block by block in single precision.

    The distance of the pair that is found is computed anew in double precision, so that it is 0 for a copy.

    Args:
        queries: Vectors, shape ``(queries, numbers)``.
        candidates: Vectors, shape ``(candidates, numbers)``.
        excluded: A candidate that each query may not have, -1 for none, shape ``(queries,)``.
        advance: Called with the number of queries of each block that is done.

    Raises:
        ShapeError: Vectors of different lengths.
    """
    if queries.shape[1:] != candidates.shape[1:]:
        msg = f"queries of shape {queries.shape} and candidates of shape {candidates.shape} have no distance"
        raise ShapeError(msg)
    index = np.full(len(queries), -1, dtype=np.int64)
    squares = np.einsum("cn,cn->c", candidates, candidates)
    for start in range(0, len(queries), _QUERIES):
        rows = slice(start, start + _QUERIES)
        barred = None if excluded is None else excluded[rows]
        index[rows] = _nearest_of_block(queries[rows], candidates, squares, barred)
        if advance is not None:
            advance(len(index[rows]))
    known = np.flatnonzero(index >= 0)
    distance = np.full(len(queries), np.inf)
    for part in np.array_split(known, max(1, math.ceil(len(known) / _QUERIES))):
        difference = queries[part].astype(np.float64) - candidates[index[part]]
        distance[part] = np.sqrt(np.einsum("qn,qn->q", difference, difference))
    return Nearest(index, distance)


def _nearest_of_block(
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    squares: NDArray[np.float32],
    excluded: NDArray[np.int64] | None,
) -> NDArray[np.int64]:
    best = np.full(len(queries), np.inf, dtype=np.float32)
    index = np.full(len(queries), -1, dtype=np.int64)
    for start in range(0, len(candidates), _CANDIDATES):
        columns = slice(start, start + _CANDIDATES)
        # |q - c|^2 without |q|^2, which is the same for all candidates
        distance = squares[columns] - 2 * (queries @ candidates[columns].T)
        if excluded is not None:
            here = np.flatnonzero((excluded >= start) & (excluded < start + distance.shape[1]))
            distance[here, excluded[here] - start] = np.inf
        place = np.argmin(distance, axis=1)
        found = distance[np.arange(len(queries)), place]
        better = found < best
        best[better], index[better] = found[better], start + place[better]
    return index


def training_share(
    training: Nearest, other: Nearest, n_training: int, n_other: int, rng: np.random.Generator, *, name: str
) -> Metric:
    r"""Share of the generated showers whose nearest shower, among training and other ones, is a training shower.

    Showers that the generator has seen and others of the same distribution are exchangeable to a generator that has
    learnt the distribution alone, however good or bad it is, so that the expected share is

    .. math:: n_\mathrm{training} / (n_\mathrm{training} + n_\mathrm{other})

    One that copies has more. The error counts queries with the same nearest shower as one observation of its label:

    .. math:: \sigma^2 = p (1 - p) \sum_c k_c^2 / n^2

    with :math:`k_c` queries that have candidate c as their nearest.

    Args:
        training: Nearest training shower of each generated shower.
        other: Nearest of showers that were not trained on, likewise.
        n_training: Training showers.
        n_other: Other showers that each query may have.
        rng: Source of the exchanges of labels that give the p-value.
        name: Name of the result.

    Returns:
        The share; its p-value is the chance of one as large without copying. The nearest of equally near showers
        counts as a training shower.

    Raises:
        DataError: No showers.

    Source:
        After the test of C. Meehan, K. Chaudhuri, S. Dasgupta, arXiv:2004.05675, with held-out showers as second
        set of candidates instead of queries, which leaves the generator's quality out of it.
    """
    count = len(training.distance)
    if not count or not n_training or not n_other:
        msg = f"{count} generated, {n_training} training and {n_other} other showers; need some of each"
        raise DataError(msg)
    seen = training.distance <= other.distance
    shared = [
        np.unique(nearest.index[chosen], return_counts=True)[1]
        for nearest, chosen in ((training, seen), (other, ~seen))
    ]
    weights = np.concatenate(shared) / count
    floor = n_training / (n_training + n_other)
    null = np.array([(rng.random(len(weights)) < floor) @ weights for _ in range(_DRAWS)])
    value = float(seen.mean())
    smoothed = (value * count + 1) / (count + 2)  # an error for shares of 0 and 1, too
    return Metric(
        name=name,
        value=value,
        error=math.sqrt(smoothed * (1 - smoothed) * float(np.sum(weights**2))),
        floor=floor,
        floor_error=0.0,
        n_reference=n_training + n_other,
        n_generated=count,
        source="after arXiv:2004.05675",
        floor_note="share of training showers among all that could be nearest",
        p_value=float((1 + np.sum(null >= value - 1e-12)) / (1 + _DRAWS)),
    )


def nearer_share(
    reference: NDArray[np.float64], generated: NDArray[np.float64], resampling: Resampling, *, name: str
) -> Metric:
    """Probability that a generated shower is nearer to the training showers than a reference shower is.

    The area under the curve of the distance as a score: 0.5 for equal distributions, 1 if all generated showers are
    nearer. Copies are nearer, but so are showers that are too smooth, which `training_share` tells apart.

    Args:
        reference: Distance of each reference shower from its nearest training shower, shape ``(n,)``.
        generated: The same of the generated showers, shape ``(m,)``.
        resampling: How to draw for error and p-value.
        name: Name of the result.

    Source:
        C. Meehan, K. Chaudhuri, S. Dasgupta, arXiv:2004.05675 (the same statistic over all cells of one region).

    Example:
        >>> nearer_share(np.array([3.0, 4.0]), np.array([1.0, 3.5]), Resampling(2, 2, False, 20, 1), name="n").value
        0.75
    """
    value = _nearer(reference, generated)
    pooled = np.concatenate([reference, generated])
    null = np.array([_nearer(pooled[first], pooled[second]) for first, second in resampling.exchange()])
    drawn = np.array([_nearer(reference[first], generated[second]) for first, second in resampling.bootstrap()])
    return Metric(
        name=name,
        value=value,
        error=float(drawn.std(ddof=1)),
        floor=0.5,
        floor_error=0.0,
        n_reference=len(reference),
        n_generated=len(generated),
        source="arXiv:2004.05675",
        floor_note="exact for samples of one distribution",
        p_value=float((1 + np.sum(np.abs(null - 0.5) >= abs(value - 0.5) - 1e-12)) / (1 + len(null))),
    )


def _nearer(reference: NDArray[Any], generated: NDArray[Any]) -> float:
    """Share of pairs whose generated distance is the smaller one; ties count half."""
    ordered = np.sort(reference)
    up_to, below = (np.searchsorted(ordered, generated, side=side).mean() for side in ("right", "left"))
    return float(1 - (up_to + below) / (2 * len(reference)))
