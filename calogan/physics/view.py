"""Showers with what their observables share, so that it is worked out once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ShapeError
from calogan.geometry import Geometry
from calogan.physics.arrays import (
    as_numpy,
    bin_of,
    count_by,
    largest,
    like,
    logarithm,
    nonzero,
    positions,
    ratio,
    sum_by,
    two_largest,
)
from calogan.physics.clusters import Clusters, find_clusters
from calogan.physics.kinematics import slopes
from calogan.physics.rings import ring_edges

__all__ = ["FAINT", "ShowerView", "shower_views"]

FAINT = 0.003  # [GeV] lit cells below it are called faint
_CHUNK_CELLS = 2**17  # one megabyte, so that a chunk stays in the cache


class ShowerView:
    """Showers whose lit cells are in one list; what is derived from them is kept from its first use on.

    Most cells of a shower are dark, so that sums over the list cost a tenth of sums over all cells. NumPy arrays and
    torch tensors alike.

    Attributes:
        cell_energy: Energies [GeV], 0 or above, already cut at the threshold, shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], of the same kind and precision, shape ``(showers, 5)``.
        geometry: Cells.
    """

    def __init__(self, cell_energy: Any, incident: Any, geometry: Geometry) -> None:
        self.cell_energy = cell_energy
        self.incident = incident
        self.geometry = geometry

    def __len__(self) -> int:
        return len(self.cell_energy)

    @cached_property
    def total(self) -> Any:
        """Energy in all cells [GeV], shape ``(showers,)``."""
        return self.cell_energy.sum(1)

    @cached_property
    def index(self) -> Any:
        """Place of each lit cell among the cells of all showers, ascending, shape ``(lit,)``; so are the next ones."""
        return nonzero(self.cell_energy != 0)

    @cached_property
    def shower(self) -> Any:
        """Shower of each lit cell, shape ``(lit,)``."""
        return self.index // self.geometry.n_cells

    @cached_property
    def cell(self) -> Any:
        """Flat index of each lit cell in the geometry, shape ``(lit,)``."""
        return self.index - self.shower * self.geometry.n_cells

    @cached_property
    def energy(self) -> Any:
        """Energy of each lit cell [GeV], shape ``(lit,)``."""
        return self.cell_energy.reshape(-1)[self.index]

    @cached_property
    def log_energy(self) -> Any:
        """Natural logarithm of each lit cell's energy in GeV, shape ``(lit,)``."""
        return logarithm(self.energy)

    def sum(self, values: Any) -> Any:
        """Sum over the lit cells of each shower, shape ``(showers,)``."""
        return sum_by(self.shower, values, len(self))

    def count(self, chosen: Any) -> Any:
        """Number of lit cells that are chosen, by flags of shape ``(lit,)``; integers, shape ``(showers,)``."""
        return count_by(self.shower[chosen], len(self))

    def mean(self, values: Any) -> Any:
        """Energy-weighted mean over the cells of each shower, shape ``(showers,)``; NaN for an empty shower."""
        return ratio(self.sum(self.energy * values), self.total)

    @cached_property
    def hottest(self) -> tuple[Any, Any]:
        """Energies of the hottest and of the second-hottest cell [GeV], each of shape ``(showers,)``."""
        return two_largest(self.cell_energy)

    @cached_property
    def layer_group(self) -> Any:
        """Number ``shower * layers + layer`` of each lit cell, shape ``(lit,)``."""
        if self.geometry.n_layers == 1:
            return self.shower
        layer = like(self.geometry.cell_layer, self.index)[self.cell]
        return self.shower * self.geometry.n_layers + layer

    @cached_property
    def layer_energy(self) -> Any:
        """Energy in each layer [GeV], shape ``(showers, layers)``."""
        return self.by_layer(self.energy)

    def by_layer(self, values: Any) -> Any:
        """Sum over the lit cells of each layer, shape ``(showers, layers)``."""
        size = len(self) * self.geometry.n_layers
        return sum_by(self.layer_group, values, size).reshape(len(self), -1)

    @cached_property
    def layer_count(self) -> Any:
        """Lit cells in each layer; integers, shape ``(showers, layers)``."""
        return count_by(self.layer_group, len(self) * self.geometry.n_layers).reshape(len(self), -1)

    @cached_property
    def layer_centres(self) -> tuple[Any, Any]:
        """Energy-weighted means of the offsets along x and y [mm], each ``(showers, layers)``; NaN for a dark layer."""
        x, y = (ratio(self.by_layer(self.energy * offset), self.layer_energy) for offset in self.offsets)
        return x, y

    @cached_property
    def layer_variances(self) -> tuple[Any, Any]:
        """Energy-weighted variances about the layer's own centre along x and y [mm2], likewise."""
        spread = self.spread_square / 2 if self.geometry.cell_spread.any() else 0.0
        found = []
        for offset, centre in zip(self.offsets, self.layer_centres, strict=True):
            distance = offset - centre.reshape(-1)[self.layer_group]
            found.append(ratio(self.by_layer(self.energy * (distance * distance + spread)), self.layer_energy))
        return found[0], found[1]

    @cached_property
    def layer_hottest(self) -> Any:
        """Energy of the hottest cell of each layer [GeV], shape ``(showers, layers)``."""
        found = like(np.zeros((len(self), self.geometry.n_layers)), self.energy)
        for layer, (start, stop) in enumerate(pairwise(self.geometry.offsets.tolist())):
            found[:, layer] = largest(self.cell_energy[:, start:stop])
        return found

    @cached_property
    def offsets(self) -> tuple[Any, Any]:
        """Position of each lit cell from the projected track at its depth along x and y [mm], each ``(lit,)``."""
        depths = like(np.array([layer.depth for layer in self.geometry.layers]), self.incident)[None, :]
        found = []
        for axis, position in enumerate((self.geometry.cell_x, self.geometry.cell_y)):
            slope = slopes(self.incident)[axis]
            track = self.incident[:, 3 + axis, None] + slope[:, None] * depths
            found.append(like(position, self.energy)[self.cell] - track.reshape(-1)[self.layer_group])
        return found[0], found[1]

    @cached_property
    def spread_square(self) -> Any:
        """Square of each lit cell's distance from its own centre [mm2], 0 but for whole rings, ``(lit,)``."""
        return like(np.square(self.geometry.cell_spread), self.energy)[self.cell]

    @cached_property
    def centres(self) -> tuple[Any, Any]:
        """Energy-weighted means of the offsets along x and y [mm], each ``(showers,)``; NaN for an empty shower."""
        x, y = self.offsets
        return self.mean(x), self.mean(y)

    @cached_property
    def variances(self) -> tuple[Any, Any]:
        """Energy-weighted variances of the offsets along x and y [mm2], each ``(showers,)``; NaN for an empty one."""
        pairs = zip(self.offsets, self.centres, strict=True)
        spread = self.mean(self.spread_square) / 2 if self.geometry.cell_spread.any() else 0.0
        x, y = ((self.mean(offset * offset) - mean * mean + spread).clip(0, None) for offset, mean in pairs)
        return x, y

    @cached_property
    def track_frame(self) -> tuple[Any, Any]:
        """Offsets along and to the left of the transverse momentum [mm], each ``(lit,)``; without one, that is x."""
        px, py = self.incident[:, 0], self.incident[:, 1]
        size = (px * px + py * py) ** 0.5
        straight = size == 0
        cosine = ((px + straight) / (size + straight))[self.shower]
        sine = (py / (size + straight))[self.shower]
        x, y = self.offsets
        return x * cosine + y * sine, y * cosine - x * sine

    @cached_property
    def ring_edges(self) -> tuple[float, ...]:
        """Radii between rings [mm]."""
        return ring_edges(self.geometry)

    @cached_property
    def ring(self) -> Any:
        """Ring of each lit cell, by the distance of its centre from the projected track, shape ``(lit,)``."""
        x, y = self.offsets
        return bin_of(x * x + y * y + self.spread_square, np.square(self.ring_edges[1:-1]))

    @cached_property
    def ring_group(self) -> Any:
        """Number ``(shower * layers + layer) * rings + ring`` of each lit cell, shape ``(lit,)``."""
        return self.layer_group * (len(self.ring_edges) - 1) + self.ring

    @cached_property
    def ring_energy(self) -> Any:
        """Energy in each ring of all layers [GeV], shape ``(showers, rings)``."""
        return self._rings(sum_by(self.ring_group, self.energy, self.ring_groups))

    @cached_property
    def ring_count(self) -> Any:
        """Lit cells in each ring of all layers; integers, shape ``(showers, rings)``."""
        return self._rings(count_by(self.ring_group, self.ring_groups))

    @property
    def ring_groups(self) -> int:
        """How many rings all layers of all showers have."""
        return len(self) * self.geometry.n_layers * (len(self.ring_edges) - 1)

    def _rings(self, found: Any) -> Any:
        return found.reshape(len(self), self.geometry.n_layers, -1).sum(1)

    @cached_property
    def pairs(self) -> tuple[Any, Any]:
        """Lit cells that share a side in a layer: places of the two in the list of lit cells, each ``(pairs,)``.

        The first ones ascend.
        """
        shift = like(_steps(self.geometry), self.index)[self.cell]
        target = self.index[:, None] + shift
        lit = (self.cell_energy != 0).reshape(-1)
        both = nonzero((shift != 0) & lit[target])  # numbers 2 * place + direction
        place = positions(self.index, len(lit))
        return both // 2, place[target.reshape(-1)[both]]

    @cached_property
    def pair_shower(self) -> Any:
        """Shower of each pair, shape ``(pairs,)``."""
        return self.shower[self.pairs[0]]

    @cached_property
    def pair_minimum(self) -> Any:
        """Energy of the fainter cell of each pair [GeV], shape ``(pairs,)``."""
        first, second = self.pairs
        return self.energy[first].clip(None, self.energy[second])

    @cached_property
    def lit_clusters(self) -> Clusters:
        """Clusters of lit cells."""
        first, second = (as_numpy(cells) for cells in self.pairs)
        return find_clusters(as_numpy(self.shower), (first, second), len(self))

    @cached_property
    def faint_clusters(self) -> Clusters:
        """Clusters of faint cells."""
        faint = as_numpy(self.energy) < FAINT
        place = np.cumsum(faint) - 1
        first, second = (as_numpy(cells) for cells in self.pairs)
        both = faint[first] & faint[second]
        return find_clusters(as_numpy(self.shower)[faint], (place[first[both]], place[second[both]]), len(self))


def _steps(geometry: Geometry) -> NDArray[np.int64]:
    """From each cell to its neighbour in the next column and the next row; 0 where there is none, ``(cells, 2)``.

    The row next to the last is the first where the layer closes to a circle.
    """
    steps = []
    for layer in geometry.layers:
        cells = np.arange(layer.n_cells)
        next_column = np.where((cells + 1) % layer.columns > 0, 1, 0)
        around = layer.columns - layer.n_cells if layer.wraps else 0
        next_row = np.where(cells < layer.n_cells - layer.columns, layer.columns, around)
        steps.append(np.stack([next_column, next_row], axis=1))
    return np.concatenate(steps)


def shower_views(
    cell_energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry
) -> Iterator[tuple[slice, ShowerView]]:
    """Showers in chunks that fit into the cache, in double precision.

    Args:
        cell_energy: Energies [GeV], already cut at the threshold, shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells.

    Yields:
        Where the chunk is among the showers, and the chunk.

    Raises:
        ShapeError: Arrays that do not go together.
    """
    if cell_energy.ndim != 2 or cell_energy.shape[1] != geometry.n_cells or incident.shape != (len(cell_energy), 5):
        msg = (
            f"cell_energy {cell_energy.shape} and incident {incident.shape} do not go together; "
            f"expected (showers, {geometry.n_cells}) and (showers, 5)"
        )
        raise ShapeError(msg)
    step = max(1, _CHUNK_CELLS // geometry.n_cells)
    for start in range(0, len(cell_energy), step):
        chunk = slice(start, start + step)
        energy, particles = cell_energy[chunk].astype(np.float64), incident[chunk].astype(np.float64)
        for array in (energy, particles):
            array.setflags(write=False)  # observables share them
        yield chunk, ShowerView(energy, particles, geometry)
