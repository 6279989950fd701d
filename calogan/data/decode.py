"""Branches as they are in a file -> checked showers in GeV and mm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.errors import CaloganError, DataError, SchemaError
from calogan.geometry import Geometry, Layer, PolarLayer

__all__ = ["Chunk", "Decoded", "Jagged", "convert_incident", "decode", "read_event", "read_pdg"]


@dataclass(frozen=True)
class Jagged:
    """Lists of different lengths: `counts` values a shower out of the flat `content`."""

    counts: NDArray[np.int64]
    content: NDArray[Any]

    def __len__(self) -> int:
        return len(self.counts)

    def split(self, size: int) -> list[Jagged]:
        """Pieces of `size` showers."""
        cuts = np.arange(size, len(self.counts), size)
        ends = np.cumsum(self.counts)
        pieces = zip(np.split(self.counts, cuts), np.split(self.content, ends[cuts - 1]), strict=True)
        return [Jagged(counts, content) for counts, content in pieces]


@dataclass(frozen=True)
class Chunk:
    """Branches of consecutive entries of one tree, or data sets of one HDF5 file.

    Attributes:
        source: ``file.root:tree``, for messages.
        start: First entry.
        size: Number of entries.
        columns: Values of each branch.
        kind: What a column is called in messages.
    """

    source: str
    start: int
    size: int
    columns: Mapping[str, NDArray[Any] | Jagged]
    kind: str = "branch"

    def split(self, size: int) -> Iterator[Chunk]:
        """Chunks of at most `size` entries."""
        pieces = {
            branch: values.split(size) if isinstance(values, Jagged) else _split(values, size)
            for branch, values in self.columns.items()
        }
        for number, start in enumerate(range(0, self.size, size)):
            columns = {branch: piece[number] for branch, piece in pieces.items()}
            yield Chunk(self.source, self.start + start, min(size, self.size - start), columns, self.kind)

    def where(self, branch: str, index: int | None = None) -> str:
        """Name a branch, and the entry of the chunk's shower `index`."""
        entry = "" if index is None else f", entry {self.start + index}"
        return f"{self.source}, {self.kind} '{branch}'{entry}"

    def flat(self, branch: str, kinds: str, shapes: set[tuple[int, ...]]) -> NDArray[Any]:
        """Values of a branch with one of the shapes a shower and a dtype of one of the kinds."""
        values = self.columns[branch]
        if isinstance(values, Jagged) or values.dtype.kind not in kinds or values.shape[1:] not in shapes:
            sizes = " or ".join(_describe_shape(shape) for shape in sorted(shapes, key=len, reverse=True))
            wanted = f"{_KINDS[kinds]}s of shape {sizes}" if sizes else f"one {_KINDS[kinds]}"
            msg = f"{self.where(branch)}: expected {wanted} a shower, found {_describe(values)}"
            raise SchemaError(msg)
        return values

    def jagged(self, branch: str, kinds: str) -> Jagged:
        """Values of a jagged branch with a dtype of one of the kinds."""
        values = self.columns[branch]
        if not isinstance(values, Jagged) or values.content.dtype.kind not in kinds:
            msg = f"{self.where(branch)}: expected a list of {_KINDS[kinds]}s a shower, found {_describe(values)}"
            raise SchemaError(msg)
        return values


@dataclass(frozen=True)
class Decoded:
    """A chunk as showers.

    Attributes:
        showers: The showers, one an entry.
        start: First entry.
        hits: Hits read, 0 in a dense layout.
        hits_outside: Hits outside of all cells (positions and edm4hep layouts), which are left out.
        energy_outside: Energy of those [GeV].
        kept: Other columns that were asked for, as they are, one number a shower.
    """

    showers: Showers
    start: int
    hits: int = 0
    hits_outside: int = 0
    energy_outside: float = 0.0
    kept: Mapping[str, NDArray[Any]] = field(default_factory=dict)


_WHOLE, _REAL = "iu", "fiu"
_KINDS = {_WHOLE: "whole number", _REAL: "number"}


def decode(chunk: Chunk, schema: Schema, geometry: Geometry, event: NDArray[np.int64] | None = None) -> Decoded:
    """Check a chunk and convert it to GeV and mm.

    Args:
        chunk: Branches named by the schema.
        schema: What they mean and their units.
        geometry: Cells to fill.
        event: Event ids, if the schema has no branch for them, shape ``(showers,)``.

    Raises:
        SchemaError: A branch of another type or shape.
        DataError: An impossible value; names file, branch and entry.
    """
    incident = _read_incident(chunk, schema)
    hits, outside, left_out = 0, 0, 0.0
    if schema.layout in {"dense", "calogan"}:
        cell_energy = _read_dense(chunk, schema, geometry)
    elif schema.layout == "calochallenge":
        cell_energy = _read_row(chunk, schema, geometry)
    else:
        cell_energy, hits, outside, left_out = _read_hits(chunk, schema, geometry)
    if schema.event is not None:
        event = read_event(chunk, schema.event)
    elif event is None:
        msg = f"{chunk.source}: no event branch and no ids given"
        raise SchemaError(msg)
    pdg = read_pdg(chunk, schema)
    return Decoded(Showers(geometry, event, incident, cell_energy, pdg), chunk.start, hits, outside, left_out)


def convert_incident(chunk: Chunk, schema: Schema) -> NDArray[np.float32]:
    """Incident particles px, py, pz [GeV], x, y [mm] as they are, shape ``(showers, 5)``; no entry point is 0.

    Raises:
        SchemaError: A branch of another type or shape.
    """
    incident = np.zeros((chunk.size, 5), dtype=np.float32)
    for column, branch in zip(schema.incident_columns, schema.incident_branches, strict=True):
        unit = 1 / schema.length_in_mm if column >= 3 else schema.momentum_per_gev
        _convert(chunk.flat(branch, _REAL, {()}), unit, incident[:, column])
    return incident


def read_event(chunk: Chunk, branch: str) -> NDArray[np.int64]:
    """Event ids, shape ``(showers,)``.

    Raises:
        SchemaError: The branch has another type or shape.
        DataError: An id does not fit 63 bits.
    """
    values = chunk.flat(branch, _WHOLE, {()})
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
        msg = f"{chunk.where(branch, int(np.argmax(values)))}: the event id {values.max()} does not fit 63 bits"
        raise DataError(msg)
    return values.astype(np.int64)


def read_pdg(chunk: Chunk, schema: Schema, entry: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
    """PDG ids, shape ``(showers,)``; without a branch the schema's `particle_id`, 0 if there is none.

    Args:
        chunk: Branches.
        schema: Names the branch.
        entry: Entry of each value for messages, shape ``(showers,)``; by default the chunk has one an entry.

    Raises:
        SchemaError: The branch has another type or shape.
        DataError: An id does not fit 32 bits.
    """
    branch = schema.pdg
    if branch is None:
        return np.full(chunk.size, schema.particle_id or 0, dtype=np.int32)
    values = chunk.flat(branch, _WHOLE, {()})
    known = np.iinfo(np.int32)
    wrong = np.flatnonzero((values < known.min) | (values > known.max))
    if wrong.size:
        first = int(wrong[0])
        index = first if entry is None else int(entry[first]) - chunk.start
        msg = f"{chunk.where(branch, index)}: the PDG id {values[first]} does not fit 32 bits"
        raise DataError(msg)
    return values.astype(np.int32)


def _split(values: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _read_incident(chunk: Chunk, schema: Schema) -> NDArray[np.float32]:
    incident = convert_incident(chunk, schema)
    for column, branch in zip(schema.incident_columns, schema.incident_branches, strict=True):
        good = np.isfinite(incident[:, column])
        if not good.all():
            index = int(np.argmin(good))
            value = chunk.flat(branch, _REAL, {()})[index]
            msg = f"{chunk.where(branch, index)}: is {value}, expected a finite number"
            raise DataError(msg)
    if len(schema.momentum) == 1 and incident[:, 2].min(initial=0) < 0:
        index, branch = int(np.argmax(incident[:, 2] < 0)), schema.momentum[0]
        msg = f"{chunk.where(branch, index)}: is {chunk.flat(branch, _REAL, {()})[index]}, expected more than 0"
        raise DataError(msg)
    still = ~incident[:, :3].any(axis=1)
    if still.any():
        msg = f"{chunk.where(', '.join(schema.momentum), int(np.argmax(still)))}: the incident momentum is 0"
        raise DataError(msg)
    return incident


def _read_dense(chunk: Chunk, schema: Schema, geometry: Geometry) -> NDArray[np.float32]:
    cell_energy = np.empty((chunk.size, geometry.n_cells), dtype=np.float32)
    for number, (branch, layer) in enumerate(zip(schema.energy, geometry.layers, strict=True)):
        values = chunk.flat(branch, _REAL, _layer_shapes(layer))
        block = cell_energy[:, geometry.offsets[number] : geometry.offsets[number + 1]]
        _convert(values.reshape(chunk.size, layer.n_cells), schema.energy_per_gev, block)
        if not _all_possible(block):
            index, cell = np.unravel_index(int(np.argmin((block >= 0) & (block < np.inf))), block.shape)
            row, column = divmod(int(cell), layer.columns)
            raise _impossible(chunk.where(branch, int(index)), values[index].flat[cell], f" in cell [{row}][{column}]")
    return cell_energy


def _read_row(chunk: Chunk, schema: Schema, geometry: Geometry) -> NDArray[np.float32]:
    values = chunk.flat(schema.energy[0], _REAL, {(geometry.n_cells,)})
    cell_energy = np.empty(values.shape, dtype=np.float32)
    _convert(values, schema.energy_per_gev, cell_energy)
    if not _all_possible(cell_energy):
        index, cell = np.argwhere(~((cell_energy >= 0) & (cell_energy < np.inf)))[0].tolist()
        layer = int(geometry.cell_layer[cell])
        at = f" in cell {cell} (layer {layer}, number {cell - int(geometry.offsets[layer])} in it)"
        raise _impossible(chunk.where(schema.energy[0], index), values[index, cell], at)
    return cell_energy


def _read_hits(chunk: Chunk, schema: Schema, geometry: Geometry) -> tuple[NDArray[np.float32], int, int, float]:
    energy = chunk.jagged(schema.energy[0], _REAL)
    values = np.empty(len(energy.content), dtype=np.float32)
    _convert(energy.content, schema.energy_per_gev, values)
    if not _all_possible(values):
        hit = int(np.argmin((values >= 0) & (values < np.inf)))
        raise _impossible(chunk.where(schema.energy[0], _shower_of(energy, hit)), energy.content[hit])
    place = [None if branch is None else _same_counts(chunk, branch, schema, energy.counts) for branch in schema.place]
    index = np.repeat(np.arange(chunk.size, dtype=np.int64) * geometry.n_cells, energy.counts)
    left_out = 0.0
    if schema.layout == "hits":
        cell = _cells(chunk, schema, geometry, place, energy)
    else:
        cell = geometry.locate(*(None if at is None else at * schema.length_in_mm for at in place))  # type: ignore[arg-type]
        inside = cell >= 0
        left_out = float(values[~inside].sum(dtype=np.float64))
        cell, index, values = cell[inside], index[inside], values[inside]
    cell_energy = np.zeros(chunk.size * geometry.n_cells, dtype=np.float32)
    np.add.at(cell_energy, index + cell, values)
    return cell_energy.reshape(chunk.size, -1), len(energy.content), len(energy.content) - len(values), left_out


def _same_counts(chunk: Chunk, branch: str, schema: Schema, counts: NDArray[np.int64]) -> NDArray[Any]:
    values = chunk.jagged(branch, _WHOLE if schema.layout == "hits" else _REAL)
    different = values.counts != counts
    if different.any():
        index = int(np.argmax(different))
        msg = (
            f"{chunk.where(branch, index)}: has {values.counts[index]} values, "
            f"but '{schema.energy[0]}' has {counts[index]}"
        )
        raise DataError(msg)
    if values.content.dtype.kind == "f" and not np.isfinite(values.content).all():
        hit = int(np.argmin(np.isfinite(values.content)))
        where = chunk.where(branch, _shower_of(values, hit))
        msg = f"{where}: is {values.content[hit]}, expected a finite position"
        raise DataError(msg)
    return values.content


def _cells(
    chunk: Chunk, schema: Schema, geometry: Geometry, place: list[NDArray[Any] | None], energy: Jagged
) -> NDArray[np.int64]:
    layer, row, column = (0 if index is None else index for index in place)
    first = geometry.layers[0]
    only = geometry.n_layers == 1 and _inside(layer, 1)
    if only and _inside(row, first.rows) and _inside(column, first.columns):
        return np.add(np.multiply(row, first.columns, dtype=np.int64), column, dtype=np.int64)
    cell = geometry.flat_index(layer, row, column)
    if cell.size and cell.min() < 0:
        hit = int(np.argmin(cell))
        at = [0 if index is None else int(index[hit]) for index in place]
        names = ", ".join(name for name in schema.place if name is not None)
        grid = ", ".join(f"{known.rows}x{known.columns}" for known in geometry.layers)
        msg = (
            f"{chunk.where(names, _shower_of(energy, hit))}: layer {at[0]}, row {at[1]}, column {at[2]} "
            f"is outside of the geometry ({grid} cells, counted from 0)"
        )
        raise DataError(msg)
    return cell


def _inside(index: NDArray[Any] | int, length: int) -> bool:
    return bool(np.min(index, initial=0) >= 0 and np.max(index, initial=0) < length)


def _convert(values: NDArray[Any], unit: float, out: NDArray[np.float32]) -> None:
    # Divided in single precision, by a number that is exact there: the nearest float32, whatever the layout.
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(values, np.float32(unit), out=out, dtype=np.float32, casting="unsafe")


def _all_possible(energy: NDArray[Any]) -> bool:
    return energy.size == 0 or bool(energy.min() >= 0 and energy.max() < np.inf)


def _impossible(where: str, value: Any, at: str = "") -> CaloganError:
    return DataError(f"{where}: the energy is {value}{at}, expected a finite number, not negative")


def _shower_of(values: Jagged, hit: int) -> int:
    return int(np.searchsorted(np.cumsum(values.counts), hit, side="right"))


def _layer_shapes(layer: Layer | PolarLayer) -> set[tuple[int, ...]]:
    shapes: set[tuple[int, ...]] = {(layer.rows, layer.columns)}
    if 1 in (layer.rows, layer.columns):
        shapes.add((layer.n_cells,))
    return shapes


def _describe(values: NDArray[Any] | Jagged) -> str:
    if isinstance(values, Jagged):
        return f"lists of {values.content.dtype.name}"
    if values.dtype.kind == "O":
        return "lists or objects"
    return values.dtype.name + _describe_shape(values.shape[1:])


def _describe_shape(shape: tuple[int, ...]) -> str:
    return "".join(f"[{length}]" for length in shape)
