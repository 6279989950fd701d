"""Diversity at a fixed condition: how much showers of nearly the same incident particle differ."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError, ShapeError
from calogan.geometry import Geometry
from calogan.metrics.metric import Estimate
from calogan.metrics.resampling import Resampling
from calogan.metrics.resolution import Comparison
from calogan.physics.kinematics import momentum, slopes, track_position

__all__ = [
    "NeighbourPairs",
    "compare_spreads",
    "condition_coordinates",
    "half_squared_differences",
    "neighbour_pairs",
    "without_trend",
]

_NEIGHBOURS = 12  # looked at in the search for a partner
_PHASE_WEIGHT = 0.5  # of the place in a cell beside conditions of width 1
_LEAST_WIDTH = 1e-5  # of ln |p|, of slopes, and of positions over the largest of them: above what rounding makes
_EQUAL = 4  # decimals to which coordinates of equal particles agree
_BLOCK = 1000  # pairs worked on at a time


@dataclass(frozen=True)
class NeighbourPairs:
    """Disjoint pairs of points that lie near each other.

    Attributes:
        first: Place of one point of each pair, shape ``(pairs,)``.
        second: Place of the other, same shape.
        distance: Distance of the two, same shape.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.float64]


def condition_coordinates(
    incident: NDArray[Any], geometry: Geometry, *, up_to_whole_cells: bool
) -> NDArray[np.float64]:
    """Coordinates in which incident particles that make alike showers lie near each other.

    ln |p| and the slopes, each of width 1, and where the particle goes: its entry point, of width 1 too, or, up to
    whole cells, where its projected track meets the layer with the smallest cells, as cosine and sine of the place in
    the cell. What is the same for all particles, but for the rounding of single precision, is left out.

    Args:
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells.
        up_to_whole_cells: For numbers that stay the same if particle and shower are moved by a cell, which most
            observables are; partners are then found much nearer.

    Returns:
        Coordinates, shape ``(showers, coordinates)``; there may be none.
    """
    particles = np.asarray(incident, dtype=np.float64)
    scaled = _varying(particles, places=not up_to_whole_cells)
    return (
        np.concatenate([scaled, _PHASE_WEIGHT * _phases(particles, geometry)], axis=1) if up_to_whole_cells else scaled
    )


def without_trend(values: NDArray[Any], incident: NDArray[Any]) -> NDArray[np.float64]:
    """Values less their dependence on the incident particle, a polynomial of second degree by least squares.

    Args:
        values: A number of each shower, shape ``(showers,)``; NaN where there is none.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

    Returns:
        Residuals, same shape, widened by what the fit has taken from their spread; NaN where there is no value, and
        everywhere if there are not more values than terms of the polynomial.
    """
    known = np.isfinite(values)
    particles = np.asarray(incident, dtype=np.float64)[known]
    residual = np.full(len(values), np.nan)
    if not known.any():
        return residual
    conditions = _varying(particles, places=True)
    products = itertools.combinations_with_replacement(range(conditions.shape[1]), 2)
    terms = np.stack(
        [np.ones(len(conditions)), *conditions.T, *(conditions[:, i] * conditions[:, j] for i, j in products)], axis=1
    )
    if len(terms) <= terms.shape[1]:
        return residual
    coefficients, _, rank, _ = np.linalg.lstsq(terms, values[known], rcond=None)
    residual[known] = (values[known] - terms @ coefficients) * math.sqrt(len(terms) / (len(terms) - rank))
    return residual


def neighbour_pairs(coordinates: NDArray[np.float64], rng: np.random.Generator) -> NeighbourPairs:
    """Join points to pairs, nearest first, each point in one pair at most.

    Points of equal coordinates are joined at random, all of them if there are no coordinates; the odd one out stays
    alone. So do points whose twelve nearest neighbours all have nearer partners; they are a few per cent.

    Args:
        coordinates: Points, shape ``(points, coordinates)``, of width about 1; equal to four decimals is equal.
        rng: Source of the pairs of equal points.

    Raises:
        DataError: Fewer than two points.
    """
    if len(coordinates) < 2:
        msg = f"{len(coordinates)} showers make no pairs; give at least 2"
        raise DataError(msg)
    first, second, single = _equal_pairs(coordinates, rng)
    if len(single) > 1:
        near = _nearest_pairs(coordinates[single])
        first, second = np.concatenate([first, single[near[0]]]), np.concatenate([second, single[near[1]]])
    return NeighbourPairs(first, second, np.linalg.norm(coordinates[first] - coordinates[second], axis=1))


def half_squared_differences(values: NDArray[Any], pairs: NeighbourPairs) -> NDArray[np.float64]:
    """Half the squared difference of each pair, whose mean is the variance at a fixed condition.

    Args:
        values: Numbers of each shower, shape ``(showers,)``, or vectors, shape ``(showers, numbers)``, whose
            components are added.
        pairs: Pairs of showers.

    Returns:
        Halves of the squares, shape ``(pairs,)``; NaN where a shower has no such number.
    """
    halves = np.empty(len(pairs.first))
    for start in range(0, len(halves), _BLOCK):
        part = slice(start, start + _BLOCK)
        difference = np.asarray(values[pairs.first[part]], dtype=np.float64) - values[pairs.second[part]]
        squares = difference**2
        halves[part] = (squares if squares.ndim == 1 else squares.sum(axis=1)) / 2
    return halves


def compare_spreads(
    reference: NDArray[np.float64], generated: NDArray[np.float64], resampling: Resampling
) -> Comparison:
    """Spreads at a fixed condition of both samples and ``generated / reference - 1``.

    What remains of the distance in condition within a pair adds as much to both samples if these have the same
    particles, so samples of one distribution are at 0; a generator that makes the mean shower of each condition is
    then somewhat above -1.

    Args:
        reference: `half_squared_differences` of the reference's pairs, shape ``(n,)``.
        generated: The same of the generated sample, shape ``(m,)``.
        resampling: How pairs of neighbours are drawn for the errors; `n` and `m` count these pairs.

    Raises:
        ShapeError: Numbers of pairs other than those of the resampling.
    """
    if (len(reference), len(generated)) != (resampling.n, resampling.m):
        msg = (
            f"{len(reference)} and {len(generated)} pairs for draws of {resampling.n} and {resampling.m}; give as many"
        )
        raise ShapeError(msg)
    drawn = np.array([[_spread(reference[i]), _spread(generated[j])] for i, j in resampling.bootstrap()])
    errors = drawn.std(axis=0, ddof=1)
    first, second = _spread(reference), _spread(generated)
    return Comparison(
        Estimate(first, float(errors[0])),
        Estimate(second, float(errors[1])),
        Estimate(_relative(second, first), float(np.std([_relative(*pair[::-1]) for pair in drawn], ddof=1))),
    )


def _spread(halves: NDArray[np.float64]) -> float:
    known = halves[np.isfinite(halves)]
    return math.sqrt(known.mean()) if known.size else math.nan


def _relative(generated: float, reference: float) -> float:
    return generated / reference - 1 if reference > 0 else math.nan


def _varying(particles: NDArray[np.float64], *, places: bool) -> NDArray[np.float64]:
    """Ln |p|, slopes and, if wanted, entry points, of mean 0 and width 1, without those that only rounding varies."""
    columns = np.stack([np.log(momentum(particles)), *slopes(particles)], axis=1)
    least = np.full(columns.shape[1], _LEAST_WIDTH)
    if places:
        entry = particles[:, 3:5]
        columns = np.concatenate([columns, entry], axis=1)
        least = np.concatenate([least, _LEAST_WIDTH * np.abs(entry).max(axis=0)])
    width = columns.std(axis=0)
    wide = width > least
    scaled: NDArray[np.float64] = (columns[:, wide] - columns[:, wide].mean(axis=0)) / width[wide]
    return scaled


def _equal_pairs(coordinates: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Points of equal coordinates joined at random: first, second, and the points that have no equal."""
    if not coordinates.shape[1]:
        group, count = np.zeros(len(coordinates), dtype=np.int64), np.array([len(coordinates)])
    else:
        _, group, count = np.unique(np.round(coordinates, _EQUAL), axis=0, return_inverse=True, return_counts=True)
        group = group.ravel()
    order = rng.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)  # of each point in its group
    first = np.flatnonzero((place % 2 == 0) & (place + 1 < np.repeat(count, count)))
    return order[first], order[first + 1], np.flatnonzero(count[group] == 1)


def _nearest_pairs(coordinates: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Points joined nearest first."""
    from scipy.spatial import cKDTree

    wanted = min(_NEIGHBOURS + 1, len(coordinates))
    distance, place = cKDTree(coordinates).query(coordinates, k=wanted)
    first = np.repeat(np.arange(len(coordinates)), wanted)
    second, apart = place.ravel().astype(np.int64), distance.ravel()
    once = np.flatnonzero(first < second)
    once = once[np.argsort(apart[once], kind="stable")]
    free, kept = [True] * len(coordinates), []
    for edge, one, other in zip(once.tolist(), first[once].tolist(), second[once].tolist(), strict=True):
        if free[one] and free[other]:
            free[one] = free[other] = False
            kept.append(edge)
    return first[kept], second[kept]


def _phases(incident: NDArray[np.float64], geometry: Geometry) -> NDArray[np.float64]:
    """Cosine and sine of the place in the cell, along rows and columns, where the track meets the finest layer."""
    finest = min(geometry.layers, key=lambda layer: (math.prod(layer.finest), layer.depth))
    columns = []
    for places in finest.places(*track_position(incident, finest.depth)):
        columns += [np.cos(places * 2 * np.pi), np.sin(places * 2 * np.pi)]
    return np.stack(columns, axis=1)
