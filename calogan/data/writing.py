"""Writing files of showers as the full simulation's are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from calogan.data.hdf5_writer import Hdf5Writer
from calogan.data.hits import Hits
from calogan.data.schema import Layout, Schema
from calogan.data.showers import Showers
from calogan.data.trees import ShowerTrees
from calogan.data.writer import BLOCK, FileWriter, RootWriter, TreeSpec
from calogan.errors import SchemaError
from calogan.geometry import Geometry

__all__ = ["ShowerWriter", "open_file"]


def open_file(
    path: str | Path,
    trees: Sequence[TreeSpec],
    *,
    is_hdf5: bool,
    rntuple: bool = False,
    provenance: Mapping[str, str] | None = None,
    hint: str = "",
) -> FileWriter:
    """The writer of a ROOT or an HDF5 file; for the arguments see `RootWriter`.

    Raises:
        SchemaError: An RNTuple in an HDF5 file.
    """
    if not is_hdf5:
        return RootWriter(path, trees, rntuple=rntuple, provenance=provenance, hint=hint)
    if rntuple:
        msg = f"{path}: an HDF5 file has no RNTuple; leave it out, or choose a layout of ROOT files"
        raise SchemaError(msg)
    return Hdf5Writer(path, trees, provenance=provenance, hint=hint)


class ShowerWriter:
    """Writes showers as the full simulation's files hold them; use as a context manager.

    The file appears under its name when the context ends without an error. It holds the identifiers, the incident
    momentum and entry point, and the energies, nothing else, and the provenance.

    Args:
        path: File to write; an existing one is replaced at the end.
        schema: Names and units; its layout says whether the file is ROOT or HDF5.
        geometry: Cells.
        layout: Another layout than the schema's, with the usual names.
        tree: Another name of the tree; an HDF5 file has none.
        rntuple: Write an RNTuple instead of a TTree.
        provenance: What made the file; read back by `read_provenance`.
    """

    def __init__(
        self,
        path: str | Path,
        schema: Schema,
        geometry: Geometry,
        *,
        layout: Layout | None = None,
        tree: str | None = None,
        rntuple: bool = False,
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        self._trees = ShowerTrees.of(schema, geometry, () if layout is None else (layout,), tree=tree)
        specs, is_hdf5 = self._trees.specs, self._trees.is_hdf5
        self._file = open_file(path, specs, is_hdf5=is_hdf5, rntuple=rntuple, provenance=provenance)

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def extend(self, showers: Showers, *, hits: Hits | None = None) -> None:
        """Append showers.

        Args:
            showers: The showers.
            hits: Written instead of the energies in the showers' cells; the hits of these showers in the file's cells.

        Raises:
            ShapeError: Showers of another geometry.
        """
        for start in range(0, len(showers), BLOCK):
            some = slice(start, start + BLOCK)
            self._trees.write(self._file, showers[some], hits=None if hits is None else hits[some])
