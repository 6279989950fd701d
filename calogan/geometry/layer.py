"""A layer of rectangular cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calogan.errors import GeometryError

__all__ = ["Layer", "centres_between", "check_edges"]


@dataclass(frozen=True)
class Layer:
    """One read-out layer: a grid whose rows run along x and whose columns run along y.

    Attributes:
        x_edges: Edges of the rows [mm], ascending, ``rows + 1`` of them.
        y_edges: Edges of the columns [mm], ascending, ``columns + 1`` of them.
        depth: Distance from the front face at which a shower's centre is seen [mm].
        z_range: Front and back of the layer [mm], needed only to sort hits by their z.
    """

    x_edges: tuple[float, ...]
    y_edges: tuple[float, ...]
    depth: float
    z_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse edges that do not ascend."""
        for name, edges in (("x", self.x_edges), ("y", self.y_edges)):
            check_edges(name, edges)

    @property
    def rows(self) -> int:
        """Number of cells along x."""
        return len(self.x_edges) - 1

    @property
    def columns(self) -> int:
        """Number of cells along y."""
        return len(self.y_edges) - 1

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    @property
    def wraps(self) -> bool:
        """Whether the last row is beside the first."""
        return False

    @property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centre of each cell along x and y [mm], each of shape ``(cells,)``."""
        x, y = centres_between(self.x_edges), centres_between(self.y_edges)
        return np.repeat(x, self.columns), np.tile(y, self.rows)

    @property
    def spread(self) -> NDArray[np.float64]:
        """How far a cell is from its own centre [mm]: 0, since a cell counts as a point; shape ``(cells,)``."""
        return np.zeros(self.n_cells)

    @property
    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the cells' borders cross along x and y [mm], each of shape ``(rows + 1, columns + 1)``."""
        x, y = np.meshgrid(self.x_edges, self.y_edges, indexing="ij")
        return x, y

    @property
    def cell_size(self) -> float:
        """Root of the mean area of a cell [mm]."""
        return float(np.sqrt(np.mean(np.diff(self.x_edges)) * np.mean(np.diff(self.y_edges))))

    @property
    def cell_width(self) -> float:
        """Mean width of a cell [mm], along the axis where cells are narrower."""
        return min((edges[-1] - edges[0]) / (len(edges) - 1) for edges in (self.x_edges, self.y_edges))

    @property
    def widths(self) -> NDArray[np.float64]:
        """Widths of the rows and of the columns [mm], shape ``(rows + columns,)``."""
        return np.append(np.diff(self.x_edges), np.diff(self.y_edges))

    @property
    def finest(self) -> tuple[float, float]:
        """Smallest width of a cell along the rows and along the columns [mm]."""
        return float(np.diff(self.x_edges).min()), float(np.diff(self.y_edges).min())

    @property
    def reach(self) -> float:
        """Distance of the outermost cell's centre from the layer's middle [mm]."""
        return math.hypot(_reach(self.x_edges), _reach(self.y_edges))

    @property
    def radius(self) -> float:
        """Distance of the layer's corners from its middle [mm]."""
        return math.hypot(self.x_edges[-1] - self.x_edges[0], self.y_edges[-1] - self.y_edges[0]) / 2

    def places(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column of positions [mm] with the part of the cell that lies behind them, held inside the layer."""
        rows, columns = np.arange(self.rows + 1), np.arange(self.columns + 1)
        return np.interp(x, self.x_edges, rows), np.interp(y, self.y_edges, columns)

    def locate(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of the cell in this layer that holds each position [mm]; -1 outside; a lower edge is inside."""
        row = np.searchsorted(self.x_edges, x, side="right") - 1
        column = np.searchsorted(self.y_edges, y, side="right") - 1
        inside = (row >= 0) & (row < self.rows) & (column >= 0) & (column < self.columns)
        return np.where(inside, row * self.columns + column, -1)


def check_edges(name: str, edges: Sequence[float]) -> None:
    """Refuse edges that do not ascend.

    Raises:
        GeometryError: Fewer than two edges, or edges that are not finite or do not ascend.
    """
    if len(edges) < 2 or not np.all(np.diff(edges) > 0) or not np.all(np.isfinite(edges)):
        msg = f"the {name} edges of a layer must be at least two finite, ascending numbers [mm], got {edges}"
        raise GeometryError(msg)


def centres_between(edges: ArrayLike) -> NDArray[np.float64]:
    """Middles between neighbouring edges, shape ``(edges - 1,)``."""
    values = np.asarray(edges, dtype=np.float64)
    return 0.5 * (values[:-1] + values[1:])


def _reach(edges: tuple[float, ...]) -> float:
    return (edges[-1] - edges[0]) / 2 - min(edges[1] - edges[0], edges[-1] - edges[-2]) / 2
