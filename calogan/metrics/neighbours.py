"""Lit cells and pairs of neighbours in rings about the track: what shows that cells were drawn one by one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.physics.kinematics import track_position

__all__ = ["neighbour_features"]

_RINGS = (0.75, 1.5, 2.5, 3.75, 5.25, 7.0, 9.25, 12.0)  # outer edges in widths of a cell; one more ring beyond
_LEVELS = (3.0, 10.0, 30.0)  # times the scale; a lit cell below the first is faint
_OFFSETS = ((1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2))  # rows and columns from a cell to its partner
_MOST_GROUPS = 3


def neighbour_features(
    cell_energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry, scale: float
) -> NDArray[np.float32]:
    r"""Sums over lit cells, and over pairs of lit neighbours, in rings about the projected track.

    For pairs of lit cells that are one row, one column, one diagonal step, two rows or two columns apart, and for
    each cell with itself: the number of pairs whose fainter cell reaches each of several levels, the number of pairs
    of two faint cells, and the sums of :math:`E_i E_j` and of :math:`a_i a_j` with
    :math:`a = \mathrm{asinh}(E/s)`. A pair counts in the ring of its first cell. Besides, the energy in each ring.
    Layers, where there are more than three, are added up in three groups.

    Cells that a surrogate draws independently of one another show in the pairs alone.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Where the cells are.
        scale: Energy s [GeV] of faint cells.

    Returns:
        Logarithms of energies and of the roots of their products, and square roots of the others, shape
        ``(showers, features)``.
    """
    groups, particles = min(geometry.n_layers, _MOST_GROUPS), np.asarray(incident, dtype=np.float64)
    sums = np.zeros((1 + len(_OFFSETS), len(_LEVELS) + 4, len(incident), groups, len(_RINGS) + 1))
    energy = np.zeros(sums.shape[2:])
    for number, (start, stop) in enumerate(pairwise(geometry.offsets.tolist())):
        group, layer = number * groups // geometry.n_layers, geometry.layers[number]
        lit = _lit_cells(np.asarray(cell_energy[:, start:stop]), particles, layer, scale)
        sums[..., group, :] += _pair_sums(lit, layer, len(incident))
        energy[:, group] += _by_ring(lit.place, lit.energy, len(incident))
    powers, others = np.log(sums[:, -1] + scale**2) / 2, np.sqrt(sums[:, :-1])
    columns = [np.log(energy + scale)[None], powers, others.reshape(-1, *energy.shape)]
    return np.concatenate(columns).transpose(1, 0, 2, 3).reshape(len(incident), -1).astype(np.float32)


@dataclass(frozen=True)
class _LitCells:
    """Lit cells of a layer: where they are, their ring (shower times rings plus ring), and how bright they are."""

    shower: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    place: NDArray[np.int64]
    energy: NDArray[np.float64]
    size: NDArray[np.float64]
    level: NDArray[np.int64]


def _lit_cells(
    cells: NDArray[Any], incident: NDArray[np.float64], layer: Layer | PolarLayer, scale: float
) -> _LitCells:
    shower, cell = np.nonzero(cells)
    row, column = np.divmod(cell, layer.columns)
    energy = cells[shower, cell].astype(np.float64)
    place = shower * (len(_RINGS) + 1) + _ring(shower, cell, incident, layer)
    level = np.searchsorted(np.array(_LEVELS) * scale, energy, side="right")
    return _LitCells(shower, row, column, place, energy, np.arcsinh(energy / scale), level)


def _pair_sums(lit: _LitCells, layer: Layer | PolarLayer, showers: int) -> NDArray[np.float64]:
    """Sums over cells, then over pairs at each offset, shape ``(1 + offsets, levels + 4, showers, rings)``."""
    lookup = np.full((showers, layer.rows + 4, layer.columns + 4), -1)  # a margin of two cells on all sides
    lookup[lit.shower, lit.row + 2, lit.column + 2] = np.arange(len(lit.row))
    found = []
    for down, right in ((0, 0), *_OFFSETS):
        row = (lit.row + down) % layer.rows if layer.wraps else lit.row + down
        partner = lookup[lit.shower, row + 2, lit.column + 2 + right]
        first = np.flatnonzero(partner >= 0)
        second, place = partner[first], lit.place[first]
        lower = np.minimum(lit.level[first], lit.level[second])
        upper = np.maximum(lit.level[first], lit.level[second])
        sums = [_by_ring(place, lower >= level, showers) for level in range(len(_LEVELS) + 1)]
        sums.append(_by_ring(place, upper == 0, showers))
        sums += [_by_ring(place, values[first] * values[second], showers) for values in (lit.size, lit.energy)]
        found.append(np.stack(sums))
    return np.stack(found)


def _by_ring(place: NDArray[np.int64], values: NDArray[Any], showers: int) -> NDArray[np.float64]:
    rings = len(_RINGS) + 1
    sums = np.bincount(place, values, minlength=showers * rings).astype(np.float64)
    return sums.reshape(showers, rings)


def _ring(
    shower: NDArray[np.int64],
    cell: NDArray[np.int64],
    incident: NDArray[np.float64],
    layer: Layer | PolarLayer,
) -> NDArray[np.int64]:
    """Ring of each lit cell."""
    x, y = track_position(incident, layer.depth)
    along_x, along_y = (centre[cell] - at[shower] for centre, at in zip(layer.centres, (x, y), strict=True))
    distance = np.hypot(np.hypot(along_x, along_y), layer.spread[cell])
    found: NDArray[np.int64] = np.searchsorted(_RINGS, distance / np.median(layer.widths))
    return found
