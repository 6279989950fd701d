"""The cells that a sample of showers shows: how many, and where hits lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Chunk
from calogan.data.schema import Schema
from calogan.errors import DataError
from calogan.geometry import Geometry, Layer

__all__ = ["MOST_CELLS", "Grid", "grid_of_hits", "grid_of_positions", "grid_of_shapes"]

MOST_CELLS = 4_000_000  # in all layers: more are a wrong guess, or no calorimeter for this program
_MOST_PLACES = 2000  # different positions along an axis: more lie anywhere
_ON_PLACE = 0.02  # of a cell
_CELLS_OF_A_CONTINUUM = 30
_SHARE_OUTSIDE = 1e-3


@dataclass(frozen=True)
class Grid:
    """Cells to read a sample with, and what is known of them.

    Attributes:
        geometry: Cells; of size 1 around the axis where nothing is known but their number.
        is_placed: Whether edges and depths are those of the calorimeter, in the file's unit of length.
        why: How the number of cells, and their edges, came about.
        doubts: What of it is assumed.
        doubts_rest: Whether hits of showers that were not looked at may lie beyond.
    """

    geometry: Geometry
    is_placed: bool
    why: str
    doubts: tuple[str, ...] = ()
    doubts_rest: bool = True


def grid_of_shapes(shapes: Sequence[tuple[int, int]]) -> Grid:
    """Cells of a dense layout.

    Raises:
        DataError: So many cells that no shower can be read.
    """
    _require_possible(shapes, "the dense branches")
    return Grid(
        _units(shapes), is_placed=False, why="number of cells from the sizes of the branches", doubts_rest=False
    )


def grid_of_hits(chunks: Sequence[Chunk], schema: Schema) -> Grid:
    """Cells up to the largest row and column that a hit has, in each layer.

    Raises:
        SchemaError: A branch of another type.
        DataError: No hits, or indices of so many cells that no shower can be read.
    """
    largest: dict[int, tuple[int, int]] = {}
    for chunk in chunks:
        layer, row, column = (
            None if branch is None else chunk.jagged(branch, "iu").content.astype(np.int64) for branch in schema.place
        )
        if row is None or column is None or len(row) != len(column):
            continue  # decoding names the entry
        layer = np.zeros_like(row) if layer is None else layer
        for number in np.unique(layer):
            here = layer == number
            rows, columns = largest.get(int(number), (0, 0))
            largest[int(number)] = max(rows, int(row[here].max()) + 1), max(columns, int(column[here].max()) + 1)
    place = f"{chunks[0].source if chunks else 'the files'}, branches {', '.join(filter(None, schema.place))}"
    if not largest or min(largest) < 0:
        msg = f"{place}: {'no hits' if not largest else 'a layer below 0'}; the number of cells cannot be found"
        raise DataError(msg)
    if max(largest) > _MOST_PLACES:
        msg = f"{place}: a hit in layer {max(largest)}; is this a number of layers?"
        raise DataError(msg)
    shapes = [largest.get(number, (1, 1)) for number in range(max(largest) + 1)]
    _require_possible(shapes, place)
    return Grid(_units(shapes), is_placed=False, why="number of cells from the largest indices of hits")


def grid_of_positions(chunks: Sequence[Chunk], schema: Schema) -> Grid:
    """Cells around the places where hits lie, or equal cells that hold nearly all hits.

    Raises:
        SchemaError: A branch of another type.
        DataError: No hits.
    """
    x, y, z = (None if branch is None else _together(chunks, branch) for branch in schema.place)
    if x is None or y is None or not len(x):
        msg = f"{chunks[0].source if chunks else 'the files'}: no hits; the cells cannot be found"
        raise DataError(msg)
    planes = None if z is None else _places(z)
    if z is None:
        layers = [Layer(_edges(x), _edges(y), depth=0.0)]
    elif planes is None:
        layers = [Layer(_edges(x), _edges(y), max(0.0, float(z.mean())), (float(z.min()), float(z.max()) + 1))]
    else:
        borders = _around(planes)
        number = np.searchsorted(borders, z, side="right") - 1
        layers = [
            Layer(_edges(x[number == n]), _edges(y[number == n]), max(0.0, float(plane)), (borders[n], borders[n + 1]))
            for n, plane in enumerate(planes)
        ]
    if _places(x) is not None and _places(y) is not None:
        return Grid(Geometry(tuple(layers)), is_placed=True, why="cells around the places where hits lie")
    cells = f"{_CELLS_OF_A_CONTINUUM}x{_CELLS_OF_A_CONTINUUM} equal cells, since hits lie anywhere"
    return Grid(Geometry(tuple(layers)), is_placed=True, why="99.8% of the hits are within the cells", doubts=(cells,))


def _together(chunks: Sequence[Chunk], branch: str) -> NDArray[np.float64]:
    values = [chunk.jagged(branch, "fiu").content.astype(np.float64) for chunk in chunks]
    return np.concatenate(values) if values else np.empty(0)


def _units(shapes: Sequence[tuple[int, int]]) -> Geometry:
    """Cells of size 1 around the axis."""

    def edges(cells: int) -> tuple[float, ...]:
        return tuple(float(edge) for edge in np.arange(cells + 1) - cells / 2)

    return Geometry(tuple(Layer(edges(rows), edges(columns), depth=0.0) for rows, columns in shapes))


def _require_possible(shapes: Sequence[tuple[int, int]], place: str) -> None:
    cells = sum(rows * columns for rows, columns in shapes)
    if not 0 < cells <= MOST_CELLS or min(min(shape) for shape in shapes) < 1:
        grids = ", ".join(f"{rows}x{columns}" for rows, columns in shapes[:4])
        msg = f"{place}: {cells} cells ({grids}{', ...' if len(shapes) > 4 else ''}), expected 1 to {MOST_CELLS}"
        raise DataError(msg)


def _places(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The few places that values have; None if they lie anywhere."""
    ordered = np.unique(np.asarray(values, dtype=np.float64))
    if len(ordered) > 1:
        ordered = ordered[np.insert(np.diff(ordered) > 1e-5 * max(np.ptp(ordered), 1e-30), 0, True)]
    return ordered if len(ordered) <= _MOST_PLACES and 5 * len(ordered) <= len(values) else None


def _around(places: NDArray[np.float64]) -> tuple[float, ...]:
    """Edges of cells around places: equal ones where the places have one distance, or are missing."""
    if len(places) == 1:
        return float(places[0]) - 0.5, float(places[0]) + 0.5
    gaps = np.diff(places)
    pitch = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    steps = gaps / pitch
    if np.all(np.abs(steps - np.round(steps)) < _ON_PLACE * np.maximum(1, np.round(steps))):
        cells = round(float(places[-1] - places[0]) / pitch) + 1
        pitch = float(places[-1] - places[0]) / (cells - 1)
        return tuple(float(f"{places[0] + (index - 0.5) * pitch:.6g}") for index in range(cells + 1))
    middles = 0.5 * (places[1:] + places[:-1])
    ends = places[0] - 0.5 * gaps[0], places[-1] + 0.5 * gaps[-1]
    return tuple(float(f"{edge:.6g}") for edge in (ends[0], *middles, ends[1]))


def _edges(values: NDArray[np.float64]) -> tuple[float, ...]:
    if (places := _places(values)) is not None:
        return _around(places)
    low, high = np.quantile(values, [_SHARE_OUTSIDE / 2, 1 - _SHARE_OUTSIDE / 2])
    edges = np.linspace(low, high, _CELLS_OF_A_CONTINUUM + 1)
    return tuple(float(f"{edge:.6g}") for edge in edges)
