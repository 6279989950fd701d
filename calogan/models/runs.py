"""Neighbouring layers with the same grid, so that many layers cost the operations of one."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor

from calogan.geometry import Geometry, Layer, PolarLayer

__all__ = ["LayerRun", "layer_runs"]

_LEAST_AROUND = 4
"""Sectors from which on two neighbours have no third one beside both of them, so that a circle is a row like others."""


@dataclass(frozen=True)
class LayerRun:
    """Layers one behind the other whose grids are the same.

    Attributes:
        first: Number of the first layer.
        count: Number of layers.
        rows: Rows of each.
        columns: Columns of each.
        wraps: Whether the last row is beside the first.
        start: Flat index of the first cell.
    """

    first: int
    count: int
    rows: int
    columns: int
    wraps: bool
    start: int

    @property
    def layers(self) -> slice:
        """Numbers of the layers."""
        return slice(self.first, self.first + self.count)

    @property
    def cells(self) -> slice:
        """Flat indices of the cells."""
        return slice(self.start, self.start + self.count * self.rows * self.columns)

    def of(self, values: Tensor) -> Tensor:
        """The run's part of numbers of all cells, shape ``(..., cells)``, as ``(..., layers, rows, columns)``."""
        return values[..., self.cells].reshape(*values.shape[:-1], self.count, self.rows, self.columns)


def layer_runs(geometry: Geometry, also: Callable[[int], Hashable] | None = None) -> list[LayerRun]:
    """Runs of all layers, in order.

    Args:
        geometry: Cells.
        also: What layers of a run have in common beside the grid, by a layer's number.
    """

    def key(number: int) -> Hashable:
        layer = geometry.layers[number]
        return layer.rows, layer.columns, _wraps(layer), also and also(number)

    runs = []
    for _, equal in groupby(range(geometry.n_layers), key):
        numbers = list(equal)
        layer, start = geometry.layers[numbers[0]], int(geometry.offsets[numbers[0]])
        runs.append(LayerRun(numbers[0], len(numbers), layer.rows, layer.columns, _wraps(layer), start))
    return runs


def _wraps(layer: Layer | PolarLayer) -> bool:
    return layer.wraps and layer.rows >= _LEAST_AROUND
