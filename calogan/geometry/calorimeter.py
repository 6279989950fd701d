"""Layers from the front to the back, and one flat index over all of their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calogan.errors import GeometryError
from calogan.geometry.layer import Layer
from calogan.geometry.polar import PolarLayer

__all__ = ["Geometry"]

FloatArray = NDArray[np.float32] | NDArray[np.float64]

_ALIGNED = 0.01
"""Of a cell: by how much edges of a regular grid may be off, for rounding in the numbers that were given."""
_SAME_DEPTH = 1e-3  # [mm]


@dataclass(frozen=True)
class Geometry:
    """Layers from the front to the back; a cell's flat index runs over layer, row, column.

    In a `PolarLayer` rows are sectors in alpha, and columns are rings.

    Example:
        >>> from calogan.geometry import Layer
        >>> geometry = Geometry((Layer((0.0, 1.0, 2.0), (0.0, 1.0, 2.0, 3.0), depth=5.0),))
        >>> geometry.n_cells, geometry.flat_index(0, 1, 2)
        (6, array(5))
    """

    layers: tuple[Layer | PolarLayer, ...]

    def __post_init__(self) -> None:
        """Refuse a calorimeter without layers."""
        if not self.layers:
            msg = "a geometry needs at least one layer"
            raise GeometryError(msg)

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @property
    def n_cells(self) -> int:
        """Number of cells in all layers."""
        return sum(layer.n_cells for layer in self.layers)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """First flat index of each layer, and the number of cells; shape ``(layers + 1,)``."""
        return np.cumsum([0, *(layer.n_cells for layer in self.layers)], dtype=np.int64)

    @cached_property
    def cell_layer(self) -> NDArray[np.int64]:
        """Layer of each cell, shape ``(cells,)``."""
        return np.repeat(np.arange(self.n_layers), np.diff(self.offsets))

    @cached_property
    def cell_row(self) -> NDArray[np.int64]:
        """Row of each cell in its layer, counted from 0 at the lowest x or alpha, shape ``(cells,)``."""
        return np.concatenate([np.repeat(np.arange(layer.rows), layer.columns) for layer in self.layers])

    @cached_property
    def cell_column(self) -> NDArray[np.int64]:
        """Column of each cell in its layer, counted from 0 at the lowest y or r, shape ``(cells,)``."""
        return np.concatenate([np.tile(np.arange(layer.columns), layer.rows) for layer in self.layers])

    @cached_property
    def cell_x(self) -> NDArray[np.float64]:
        """Centre of each cell along x [mm], shape ``(cells,)``."""
        return np.concatenate([layer.centres[0] for layer in self.layers])

    @cached_property
    def cell_y(self) -> NDArray[np.float64]:
        """Centre of each cell along y [mm], shape ``(cells,)``."""
        return np.concatenate([layer.centres[1] for layer in self.layers])

    @cached_property
    def cell_spread(self) -> NDArray[np.float64]:
        """How far each cell is from its own centre [mm]: a whole ring's radius, 0 for other cells; ``(cells,)``."""
        return np.concatenate([layer.spread for layer in self.layers])

    @cached_property
    def all_r_edges(self) -> tuple[float, ...]:
        """Edges of the rings of all layers [mm], ascending; none unless every layer has rings."""
        if not all(isinstance(layer, PolarLayer) for layer in self.layers):
            return ()
        return tuple(sorted({edge for layer in self.layers if isinstance(layer, PolarLayer) for edge in layer.r_edges}))

    @cached_property
    def cell_depth(self) -> NDArray[np.float64]:
        """Depth of each cell's layer [mm], shape ``(cells,)``."""
        return np.array([layer.depth for layer in self.layers])[self.cell_layer]

    @cached_property
    def pitch(self) -> NDArray[np.float64]:
        """Size of each layer's cells along x and y [mm], shape ``(layers, 2)``.

        Raises:
            GeometryError: The cells of a layer differ in size, or lie in rings.
        """
        sizes = []
        for number, layer in enumerate(self.layers):
            known = _rectangular(layer, number)
            edges = (("x", known.x_edges), ("y", known.y_edges))
            sizes.append([_pitch(values, f"layer {number} along {axis}") for axis, values in edges])
        return np.array(sizes)

    def cells_from(self, other: Geometry) -> NDArray[np.int64]:
        """How many whole cells the first cell of each layer is from that of another regular grid.

        Args:
            other: The same layers with cells of the same size, of another number, at the same positions or moved by
                whole cells.

        Returns:
            Rows and columns to be added to those of a cell of this grid to get those of the cell at the same position
            in the other, negative where this grid begins before it, shape ``(layers, 2)``.

        Raises:
            GeometryError: Another number of layers, other depths, cells in rings, cells that differ in size, within a
                grid or from one to the other, or cells that are not moved by whole ones.

        Example:
            >>> from calogan.geometry import Layer
            >>> small = Geometry((Layer((0.0, 5.0, 10.0), (0.0, 2.0), depth=5.0),))
            >>> large = Geometry((Layer((-10.0, -5.0, 0.0, 5.0, 10.0), (-2.0, 0.0, 2.0, 4.0), depth=5.0),))
            >>> small.cells_from(large)
            array([[2, 1]])
        """
        if self.n_layers != other.n_layers:
            msg = f"one calorimeter has {self.n_layers} layers, the other {other.n_layers}; both need the same"
            raise GeometryError(msg)
        offset = np.empty((self.n_layers, 2), dtype=np.int64)
        for number, (layer, target) in enumerate(zip(self.layers, other.layers, strict=True)):
            if abs(layer.depth - target.depth) > _SAME_DEPTH:
                msg = (
                    f"layer {number}: depth {layer.depth:g} mm in one calorimeter and {target.depth:g} mm in the other"
                )
                raise GeometryError(msg)
            one, two = _rectangular(layer, number), _rectangular(target, number)
            for axis, edges, wanted in ((0, one.x_edges, two.x_edges), (1, one.y_edges, two.y_edges)):
                offset[number, axis] = _cells_between(edges, wanted, f"layer {number} along {'xy'[axis]}")
        return offset

    def flat_index(self, layer: ArrayLike, row: ArrayLike, column: ArrayLike) -> NDArray[np.int64]:
        """Flat index of cells given by layer, row and column.

        Args:
            layer: Layers, counted from 0 at the front.
            row: Rows, counted from 0 at the lowest x or alpha.
            column: Columns, counted from 0 at the lowest y or r.

        Returns:
            Flat indices of the common shape; -1 for a cell that the geometry does not have.
        """
        layer, row, column = (np.asarray(index, dtype=np.int64) for index in (layer, row, column))
        rows = np.array([known.rows for known in self.layers])
        columns = np.array([known.columns for known in self.layers])
        known = (layer >= 0) & (layer < self.n_layers)
        safe = np.where(known, layer, 0)
        known = known & (row >= 0) & (row < rows[safe]) & (column >= 0) & (column < columns[safe])
        flat = self.offsets[safe] + row * columns[safe] + column
        return np.where(known, flat, -1)

    def locate(self, x: ArrayLike, y: ArrayLike, z: ArrayLike | None = None) -> NDArray[np.int64]:
        """Flat index of the cell that holds each position; a lower edge belongs to the cell.

        Args:
            x: Positions along x [mm].
            y: Positions along y [mm], same shape.
            z: Distances from the front face [mm], same shape; not needed for one layer.

        Returns:
            Flat indices, same shape; -1 outside of all cells.

        Raises:
            GeometryError: Several layers and no z, or a layer without ``z_range``.
        """
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if z is None and self.n_layers > 1:
            msg = f"positions in a geometry of {self.n_layers} layers need z [mm]"
            raise GeometryError(msg)
        found = np.full(x.shape, -1, dtype=np.int64)
        for number, layer in enumerate(self.layers):
            cell = layer.locate(x, y)
            inside = cell >= 0
            if z is not None:
                inside &= _within_layer(np.asarray(z, dtype=np.float64), layer, number)
            found = np.where(inside, self.offsets[number] + cell, found)
        return found

    def layer_energy(self, cell_energy: FloatArray) -> NDArray[np.float64]:
        """Energy in each layer.

        Args:
            cell_energy: Energies [GeV], shape ``(showers, cells)``.

        Returns:
            Energies [GeV], shape ``(showers, layers)``, summed in double precision.
        """
        return np.add.reduceat(cell_energy, self.offsets[:-1], axis=-1, dtype=np.float64)

    def layer_images(self, cell_energy: FloatArray) -> list[FloatArray]:
        """Views of each layer, shapes ``(showers, rows, columns)``."""
        return [
            cell_energy[:, start:stop].reshape(-1, layer.rows, layer.columns)
            for layer, start, stop in zip(self.layers, self.offsets[:-1], self.offsets[1:], strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return {"layers": [_layer_to_dict(layer) for layer in self.layers]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Geometry:
        """Geometry from the plain values of `to_dict`."""
        try:
            return cls(tuple(_layer_from_dict(layer) for layer in values["layers"]))
        except (KeyError, TypeError) as error:
            msg = (
                f"not a geometry: {error!r}; expected layers with x_edges, y_edges and depth, "
                "or with r_edges, sectors and depth"
            )
            raise GeometryError(msg) from error


def _layer_to_dict(layer: Layer | PolarLayer) -> dict[str, Any]:
    cells: dict[str, Any] = (
        {"x_edges": list(layer.x_edges), "y_edges": list(layer.y_edges)}
        if isinstance(layer, Layer)
        else {"r_edges": list(layer.r_edges), "sectors": layer.sectors}
    )
    return cells | {"depth": layer.depth, "z_range": list(layer.z_range) if layer.z_range else None}


def _layer_from_dict(values: Mapping[str, Any]) -> Layer | PolarLayer:
    depth, z_range = float(values["depth"]), values.get("z_range")
    between = None if z_range is None else (float(z_range[0]), float(z_range[1]))
    if "r_edges" in values:
        return PolarLayer(_edges(values["r_edges"]), int(values["sectors"]), depth, between)
    return Layer(_edges(values["x_edges"]), _edges(values["y_edges"]), depth, between)


def _edges(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(edge) for edge in values)


def _rectangular(layer: Layer | PolarLayer, number: int) -> Layer:
    if isinstance(layer, PolarLayer):
        msg = f"layer {number} has rings of cells about the axis: it has no grid along x and y, and cannot be moved"
        raise GeometryError(msg)
    return layer


def _pitch(edges: Sequence[float], where: str) -> float:
    widths = np.diff(edges)
    if np.ptp(widths) > _ALIGNED * widths.mean():
        msg = (
            f"{where}: the cells are {widths.min():g} to {widths.max():g} mm wide; a regular grid has cells of one size"
        )
        raise GeometryError(msg)
    return float(edges[-1] - edges[0]) / len(widths)


def _cells_between(edges: Sequence[float], target: Sequence[float], where: str) -> int:
    """Cells from the first edge of a regular grid back to the first of another."""
    pitch, other = _pitch(edges, where), _pitch(target, where)
    if abs(pitch - other) > _ALIGNED * pitch:
        msg = (
            f"{where}: cells of {pitch:g} mm in one calorimeter and of {other:g} mm in the other; they must be the same"
        )
        raise GeometryError(msg)
    cells = (np.asarray(target) - edges[0]) / pitch
    off = float(np.abs(cells - np.round(cells)).max())
    if off > _ALIGNED:
        msg = (
            f"{where}: the edges of one calorimeter are up to {off * pitch:.3g} mm off those of the other; "
            f"move it by whole cells of {pitch:g} mm only"
        )
        raise GeometryError(msg)
    return -round(float(cells[0]))


def _within_layer(z: NDArray[np.float64], layer: Layer | PolarLayer, number: int) -> NDArray[np.bool_]:
    if layer.z_range is None:
        msg = f"layer {number} has no z_range [mm]; set it to sort hits by their z"
        raise GeometryError(msg)
    front, back = layer.z_range
    return (z >= front) & (z < back)
