"""The planes and the grid that positions of hits lie on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid", "Planes", "find_grid", "find_planes"]

FloatArray = NDArray[np.float64]

_TOLERANCES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Distances [mm] within which hits may be in one plane or row, for rounding and for curved or tilted sensors."""
_THIN = 5
"""Tolerances that a plane may be thick: more is a continuum."""
_IN_PLANES = 0.8
"""Of the hits: so many must lie in planes, else the depths are continuous."""
_SHOWERS = 0.02
"""Of the showers: so many must have a hit in a plane, and two at least where there are two; a stray hit makes none."""
_CLOSE, _FEW = 0.25, 0.2
"""Of the usual distance of planes, and of a neighbour's hits: a plane with less of both is there by chance."""
_STEPS = 5
"""Cells that neighbouring hits may be apart and still tell the size of one."""
_ON_GRID = 0.05
"""Of a cell: by how much the distance of two hits on a grid may be off."""
_MULTIPLES = 0.9
"""Of the distances: so many must be multiples of one cell, else the positions are not on a grid."""
_FEWEST = 20
"""Distances from which on a grid can be told from chance."""
_CENTRED = 0.01
"""Of a cell: a grid with its centre so close to the origin has it there."""
_ALIGNED = 0.9
"""Length of the mean phase from which on the grids of all showers are the same one."""


@dataclass(frozen=True)
class Planes:
    """Planes across the depth.

    Attributes:
        depth: Their depths [mm], ascending, shape ``(planes,)``.
        plane: Plane of each hit, -1 for those in none, shape ``(hits,)``.
        thickness: Largest distance of two depths in one plane [mm].
    """

    depth: FloatArray
    plane: NDArray[np.int64]
    thickness: float


@dataclass(frozen=True)
class Grid:
    """Equal cells along one axis.

    Attributes:
        pitch: Size of a cell [mm].
        centre: Centre of one of the cells [mm]; 0 where the showers have no common grid.
        aligned: Whether the grids of all showers are the same one.
        multiples: Share of the distances of neighbouring hits that are multiples of the pitch.
        distances: Number of such distances.
    """

    pitch: float
    centre: float
    aligned: bool
    multiples: float
    distances: int


def find_planes(depth: FloatArray, shower: NDArray[np.int64]) -> Planes | None:
    """Planes that hits of several showers lie in.

    Args:
        depth: Depth of each hit [mm], shape ``(hits,)``.
        shower: Its shower, shape ``(hits,)``.

    Returns:
        The planes for the finest tolerance at which most hits lie in thin ones; None where depths are continuous.

    Example:
        >>> find_planes(np.array([2.0, 7.0, 2.01, 7.0]), np.array([0, 0, 1, 1])).depth
        array([2.005, 7.   ])
    """
    order = np.argsort(depth, kind="stable")
    count = len(np.unique(shower))
    fewest = min(max(2.0, _SHOWERS * count), count)
    for tolerance in _TOLERANCES:
        number = np.concatenate([[0], np.cumsum(np.diff(depth[order]) > tolerance)])
        cluster = np.empty(len(depth), dtype=np.int64)
        cluster[order] = number
        ends = np.append(np.flatnonzero(np.diff(number)), len(number) - 1)
        thickness = depth[order][ends] - depth[order][np.append(0, ends[:-1] + 1)]
        seen = np.bincount(np.unique(np.column_stack([cluster, shower]), axis=0)[:, 0], minlength=len(ends))
        kept = (seen >= fewest) & (thickness <= _THIN * tolerance)
        if np.mean(kept[cluster]) >= _IN_PLANES:
            hits = np.bincount(cluster)
            middle = np.bincount(cluster, weights=depth) / hits
            kept[np.flatnonzero(kept)[_by_chance(middle[kept], hits[kept])]] = False
            plane = np.where(kept, np.cumsum(kept) - 1, -1)[cluster]
            return Planes(middle[kept], plane, float(thickness[kept].max()))
    return None


def _by_chance(depth: FloatArray, hits: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Planes close to a neighbour of many more hits: stray hits of two showers."""
    if len(depth) < 3:
        return np.zeros(len(depth), dtype=np.bool_)
    gaps = np.diff(depth)
    close = gaps < _CLOSE * np.median(gaps)
    few = np.zeros(len(depth), dtype=np.bool_)
    few[1:] |= close & (hits[1:] < _FEW * hits[:-1])
    few[:-1] |= close & (hits[:-1] < _FEW * hits[1:])
    return few


def find_grid(position: FloatArray, group: NDArray[np.int64]) -> Grid | None:
    """Equal cells that positions along one axis are the centres of.

    The size comes from distances of neighbouring hits of one group, since each shower may have a grid of its own, such
    as about its entry point.

    Args:
        position: Position of each hit along the axis [mm], shape ``(hits,)``.
        group: Hits with one number share a grid, such as those of one shower in one plane, shape ``(hits,)``.

    Returns:
        The grid; None where the positions are continuous, or too few.
    """
    order = np.lexsort((position, group))
    distances = np.diff(position[order])[np.diff(group[order]) == 0]
    for tolerance in _TOLERANCES:
        distance = distances[distances > tolerance]
        if len(distance) < _FEWEST:
            return None
        pitch = float(np.median(distance[distance <= 1.5 * np.quantile(distance, 0.05)]))
        steps = np.round(distance / pitch)
        near = (steps >= 1) & (steps <= _STEPS)
        good = near & (np.abs(distance - steps * pitch) < _ON_GRID * pitch)
        multiples = float(good.sum() / max(near.sum(), 1))
        if multiples >= _MULTIPLES:
            return _fitted(position, distance[good], steps[good], multiples, int(near.sum()))
    return None


def _fitted(position: FloatArray, distance: FloatArray, steps: FloatArray, multiples: float, count: int) -> Grid:
    pitch = float(f"{np.sum(steps * distance) / np.sum(steps**2):.5g}")
    phase = np.mean(np.exp(2j * np.pi * position / pitch))
    aligned = bool(np.abs(phase) > _ALIGNED)
    centre = float(np.angle(phase) / (2 * np.pi) * pitch) if aligned else 0.0
    if abs(centre) < _CENTRED * pitch:
        centre = 0.0
    return Grid(pitch, centre, aligned, multiples, count)
