"""The columns of a shard on disk: one row a shower, and of its cells all or those that are not 0."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.data.npy import NpyWriter
from calogan.errors import StoreError
from calogan.geometry import Geometry

__all__ = ["Shard", "SparseCells", "Storage", "choose_storage", "column_types", "open_columns"]

Storage = Literal["dense", "sparse"]

_CELLS = "cell_energy"
_SPARSE = ("cell_offset", "cell_index", "cell_value")
_CLEARLY_LESS = 0.5  # of the disk that all cells take: below it, reading is not slower on the whole either
_BLOCK_CELLS = 1 << 22  # in memory at a time


@dataclass(frozen=True)
class SparseCells:
    """Cells of consecutive showers that are not 0, in the order of the showers and the cells; nothing is lost.

    Attributes:
        counts: How many of each shower, int64, shape ``(showers,)``.
        index: Their flat indices, shape ``(hits,)``.
        value: Their energies [GeV], float32, shape ``(hits,)``.

    Example:
        >>> SparseCells.of(np.array([[0.0, 2.5, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.5]], dtype=np.float32))
        SparseCells(counts=array([1, 0, 2]), index=array([1, 0, 2]), value=array([2.5, 1. , 0.5], dtype=float32))
    """

    counts: NDArray[np.int64]
    index: NDArray[np.int64]
    value: NDArray[np.float32]

    @classmethod
    def of(cls, cell_energy: NDArray[np.float32]) -> SparseCells:
        """Those of energies in all cells, shape ``(showers, cells)``."""
        bits = np.ascontiguousarray(cell_energy).view(np.uint32)  # by which -0 is told from 0
        place, first = np.flatnonzero(bits != 0), np.arange(len(bits) + 1) * bits.shape[1]
        counts = np.diff(np.searchsorted(place, first))
        index = place - np.repeat(first[:-1], counts)
        return cls(counts, index, bits.reshape(-1)[place].view(np.float32))


@dataclass(frozen=True)
class Shard:
    """Columns of a shard, mapped into memory and read-only.

    Attributes:
        columns: By name.
        n_cells: Cells of a shower.
    """

    columns: Mapping[str, NDArray[Any]]
    n_cells: int

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One of the columns."""
        return self.columns[name]

    def read_cells(self, rows: NDArray[np.int64], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Energies in all cells of some showers [GeV].

        Args:
            rows: Which, ascending.
            out: Contiguous array to write them to, shape ``(rows, cells)``; a new one by default.

        Raises:
            StoreError: A cell that the calorimeter does not have: the file is damaged.
        """
        if out is None:
            out = np.empty((len(rows), self.n_cells), dtype=np.float32)
        if _CELLS in self.columns:
            np.take(self[_CELLS], rows, axis=0, out=out, mode="clip")  # the mode that has no copy between
            return out
        out.fill(0)
        block = max(1, _BLOCK_CELLS // self.n_cells)
        for start in range(0, len(rows), block):
            self._spread(rows[start : start + block], out[start : start + block])
        return out

    def _spread(self, rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        offset, index, value = (np.asarray(self[name]) for name in _SPARSE)
        first = offset[rows]
        counts = offset[rows + 1] - first
        hits = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        cell = index[hits]
        if cell.size and cell.max() >= self.n_cells:
            msg = f"a shard has cell {cell.max()} of {self.n_cells}: it is damaged; run `calogan prepare` again"
            raise StoreError(msg)
        out.reshape(-1)[np.repeat(np.arange(len(rows)) * self.n_cells, counts) + cell] = value[hits]


def column_types(geometry: Geometry, storage: Storage = "dense") -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Type and row shape of each column of a shard: `NAME.npy`.

    A row is a shower, but in a sparse shard `cell_index` and `cell_value` have one for each cell that is not 0;
    shower i has those from `cell_offset[i]` to `cell_offset[i + 1]`.
    """
    cells: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {_CELLS: (np.float32, (geometry.n_cells,))}
    if storage == "sparse":
        index = np.uint16 if geometry.n_cells <= np.iinfo(np.uint16).max + 1 else np.uint32
        cells = {name: (dtype, ()) for name, dtype in zip(_SPARSE, (np.int64, index, np.float32), strict=True)}
    return {
        "event": (np.int64, ()),
        "entry": (np.int64, ()),
        "incident": (np.float32, (5,)),
        **cells,
        "pdg": (np.int32, ()),
        "split": (np.uint8, ()),
    }


def open_columns(
    folder: Path, showers: int, geometry: Geometry, storage: Storage, names: Collection[str] | None = None
) -> Shard:
    """Map the columns of a shard (all, or the named ones) into memory, read-only.

    Args:
        folder: Of the shard.
        showers: Rows that it must have.
        geometry: Cells.
        storage: How its cells are kept; ``cell_energy`` among the names means them in either case.
        names: Of columns.

    Raises:
        StoreError: A column is missing or has another length.
    """
    types = column_types(geometry, storage)
    rows = {name: (showers, *row) for name, (_, row) in types.items()}
    wanted = [name for name in types if names is None or (_CELLS if name in _SPARSE else name) in names]
    columns = {}
    for name in wanted:
        path = folder / f"{name}.npy"
        try:
            columns[name] = np.load(path, mmap_mode="r" if showers else None)
        except (OSError, ValueError) as error:
            msg = f"{path}: cannot be read: {error}; run `calogan prepare` again"
            raise StoreError(msg) from error
        if name == _SPARSE[0]:
            rows[name] = (showers + 1,)
            rows |= dict.fromkeys(_SPARSE[1:], (int(columns[name][-1:].sum()),))
        if columns[name].shape != rows[name]:
            msg = f"{path}: has shape {columns[name].shape}, expected {rows[name]}; run `calogan prepare` again"
            raise StoreError(msg)
    return Shard(columns, geometry.n_cells)


def choose_storage(folder: Path, showers: int, geometry: Geometry) -> Storage:
    """Leave a sparse shard as it is where that takes clearly less disk than all cells, and make it dense elsewhere.

    Returns:
        How the cells are kept now.
    """
    shard = open_columns(folder, showers, geometry, "sparse", (_CELLS,))
    if sum(shard[name].nbytes for name in _SPARSE) <= _CLEARLY_LESS * 4 * showers * geometry.n_cells:
        return "sparse"
    dtype, row = column_types(geometry)[_CELLS]
    block = max(1, _BLOCK_CELLS // geometry.n_cells)
    with NpyWriter(folder / f"{_CELLS}.npy", dtype, row) as writer:
        for start in range(0, showers, block):
            writer.append(shard.read_cells(np.arange(start, min(start + block, showers))))
    for name in _SPARSE:
        (folder / f"{name}.npy").unlink()
    return "dense"
