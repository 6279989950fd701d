"""Reading files of showers, whatever their format; units are converted here and nowhere else."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calogan.data import edm4hep, hdf5, root
from calogan.data.decode import Chunk, Decoded, decode
from calogan.data.files import HDF5_SUFFIXES, ROOT_SUFFIXES, InputFile, checksum, expand_files, file_format
from calogan.data.root import TreeContent
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.split import entry_ids
from calogan.errors import DataError, SchemaError
from calogan.geometry import Geometry

__all__ = [
    "InputFile",
    "count_showers",
    "expand_files",
    "fingerprint",
    "iterate_chunks",
    "iterate_columns",
    "iterate_showers",
    "read_provenance",
    "read_showers",
    "read_trees",
    "read_types",
    "suffixes",
]

# Showers are decoded in blocks that stay in the processor's cache: a third faster than in whole chunks.
_BLOCK_BYTES, _LEAST_BLOCK = 1 << 20, 64


def read_showers(
    patterns: Iterable[str],
    schema: Schema,
    geometry: Geometry,
    max_showers: int | None = None,
    chunk_showers: int = 2500,
) -> Showers:
    """Read files into memory.

    Args:
        patterns: As for `expand_files`.
        schema: Layout of all of them.
        geometry: Cells.
        max_showers: Stop after so many showers.
        chunk_showers: Showers decoded at a time.

    Raises:
        DataError: A missing, damaged or empty file, or an impossible value.
        SchemaError: A file that is not laid out so.
    """
    chunks: list[Showers] = []
    missing = np.inf if max_showers is None else max_showers
    for file in expand_files(patterns, suffixes(schema)):
        for showers in iterate_showers(file, schema, geometry, chunk_showers):
            chunks.append(showers[: int(min(missing, len(showers)))])
            missing -= len(chunks[-1])
            if missing <= 0:
                return _join(geometry, chunks)
    if not chunks:
        msg = f"{', '.join(patterns)}: no showers"
        raise DataError(msg)
    return _join(geometry, chunks)


def iterate_showers(
    file: InputFile | str | Path, schema: Schema, geometry: Geometry, chunk_showers: int = 2500
) -> Iterator[Showers]:
    """Read one file chunk by chunk, checked and converted; see `iterate_chunks`."""
    file = file if isinstance(file, InputFile) else InputFile(str(file))
    return (chunk.showers for chunk in iterate_chunks(file, schema, geometry, chunk_showers))


def iterate_chunks(
    file: InputFile,
    schema: Schema,
    geometry: Geometry,
    chunk_showers: int,
    identity: str | None = None,
    keep: Sequence[str] = (),
) -> Generator[Decoded, None, None]:
    """Read one file chunk by chunk, checked and converted.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Names and units.
        geometry: Cells.
        chunk_showers: Entries read at a time; the chunks that come out may be smaller.
        identity: `fingerprint` of the file if it is known; event ids come from it where the file has none.
        keep: Other branches with one number a shower that are read along.

    Raises:
        DataError: The file is missing or damaged, or has an impossible value; names file, branch and entry.
        SchemaError: The file lacks the tree or a branch, or has one of another type or shape.
    """
    schema.check(geometry)
    if schema.event is None and identity is None:
        identity = fingerprint(file, schema)
    block = max(_LEAST_BLOCK, _BLOCK_BYTES // (4 * geometry.n_cells))
    with contextlib.closing(iterate_columns(file, schema, chunk_showers, [*schema.branches, *keep])) as chunks:
        for chunk in itertools.chain.from_iterable(chunk.split(block) for chunk in chunks):
            event = None
            if schema.event is None and identity is not None:
                event = entry_ids(identity, np.arange(chunk.start, chunk.start + chunk.size, dtype=np.int64))
            decoded = decode(chunk, schema, geometry, event)
            yield replace(decoded, kept={name: chunk.flat(name, "fiu", {()}) for name in keep}) if keep else decoded


def iterate_columns(
    file: InputFile,
    schema: Schema,
    chunk_showers: int,
    branches: Sequence[str] | None = None,
    *,
    start: int = 0,
    stop: int | None = None,
) -> Generator[Chunk, None, None]:
    """Read a schema's branches or data sets of one file chunk by chunk, as they are.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Branches that must be there.
        chunk_showers: Entries read at a time.
        branches: Those of them to read; all by default, and always of an edm4hep layout.
        start: First entry.
        stop: Entry to stop before; the end by default.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: It lacks the tree or a branch.
    """
    _require_format(file, schema)
    branches, known = schema.branches if branches is None else branches, schema.branches
    if schema.is_hdf5:
        return hdf5.iterate_rows(file, branches, chunk_showers, known=known, start=start, stop=stop)
    if schema.collections is not None:
        return edm4hep.iterate_hits(file, schema, chunk_showers, start=start, stop=stop)
    lists = not set(branches).isdisjoint(schema.jagged_branches)
    tree = file.tree or schema.tree
    return root.iterate_entries(file, tree, branches, chunk_showers, lists=lists, known=known, start=start, stop=stop)


def read_types(file: InputFile, schema: Schema, *, lists: bool = False) -> Chunk:
    """A chunk without entries, whose columns have the types of a schema's branches; see `iterate_columns`.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Branches that must be there.
        lists: Whether some of the branches may have lists.
    """
    _require_format(file, schema)
    if schema.is_hdf5:
        return hdf5.read_types(file, schema.branches)
    return root.read_types(file, file.tree or schema.tree, schema.branches, lists=lists)


def count_showers(file: InputFile, schema: Schema) -> int:
    """Number of showers in a file.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: The file lacks the tree or a branch.
    """
    _require_format(file, schema)
    if schema.is_hdf5:
        return hdf5.count_rows(file, schema.branches)
    branches = schema.branches if schema.collections is None else list(edm4hep.find_branches(file, schema).values())
    return root.count_entries(file, file.tree or schema.tree, branches)


def fingerprint(file: InputFile, schema: Schema) -> str:
    """Hexadecimal name of a file's content: checksum of the bytes, or of a remote ROOT file ROOT's UUID of it."""
    return checksum(file.path) if file.is_local or schema.is_hdf5 else root.read_uuid(file)


def read_provenance(path: str | Path) -> dict[str, str]:
    """What `ShowerWriter` recorded about the making of a file; empty if another program wrote it."""
    if file_format(InputFile(str(path))) == "HDF5":
        return hdf5.read_attributes(str(path))
    return root.read_provenance(path)


def read_trees(path: str | Path) -> dict[str, TreeContent]:
    """Content of each TTree and RNTuple of a ROOT file, or the data sets of an HDF5 file under an empty name.

    Raises:
        DataError: The file is missing or damaged.
    """
    if file_format(InputFile(str(path))) == "HDF5":
        return {"": TreeContent(*hdf5.read_sets(str(path)))}
    return root.read_trees(path)


def suffixes(schema: Schema) -> tuple[str, ...]:
    """Of the files in a folder, those that a schema may be of."""
    return HDF5_SUFFIXES if schema.is_hdf5 else ROOT_SUFFIXES


def _require_format(file: InputFile, schema: Schema) -> None:
    """Refuse an HDF5 file where ROOT files are described, and the other way round; others are left to the reader."""
    found, wanted = file_format(file), "HDF5" if schema.is_hdf5 else "ROOT"
    if found not in {None, wanted}:
        article, layouts = (
            ("an", "calochallenge or calogan") if found == "HDF5" else ("a", "dense, hits, positions or edm4hep")
        )
        wrong = f"layout {schema.layout} is of {wanted} files"
        msg = f"{file.path}: is {article} {found} file, but {wrong}; set layout: {layouts}"
        raise SchemaError(msg)


def _join(geometry: Geometry, chunks: list[Showers]) -> Showers:
    event, incident, cell_energy, pdg = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("event", "incident", "cell_energy", "pdg")
    )
    return Showers(geometry, event, incident, cell_energy, pdg)
