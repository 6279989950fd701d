"""Reading and writing ROOT files of showers; units are converted here and nowhere else."""

from __future__ import annotations

import contextlib
import itertools
import json
import lzma
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import awkward as ak
import cramjam
import numpy as np
import uproot
from numpy.typing import NDArray

from calogan.data.decode import Chunk, Decoded, Jagged, decode
from calogan.data.edm4hep import as_hits, find_branches
from calogan.data.files import InputFile, check_root_file, checksum, expand_files
from calogan.data.hits import Hits
from calogan.data.schema import Layout, Schema
from calogan.data.showers import Showers
from calogan.data.split import entry_ids
from calogan.data.trees import ShowerTrees
from calogan.data.writer import BLOCK, PROVENANCE, RootWriter
from calogan.errors import DataError, SchemaError, near_miss
from calogan.geometry import Geometry

__all__ = [
    "InputFile",
    "ShowerWriter",
    "TreeContent",
    "count_showers",
    "expand_files",
    "fingerprint",
    "iterate_chunks",
    "iterate_columns",
    "iterate_entries",
    "iterate_showers",
    "read_provenance",
    "read_showers",
    "read_trees",
    "read_types",
]

# Showers are decoded in blocks that stay in the processor's cache: a third faster than in whole chunks.
_BLOCK_BYTES, _LEAST_BLOCK = 1 << 20, 64
# What uproot raises on damaged files, found by cutting files and by changing random bytes.
_UNREADABLE = (
    OSError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    cramjam.DecompressionError,
    lzma.LZMAError,
    struct.error,
    uproot.deserialization.DeserializationError,
    zlib.error,
)


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
    for file in expand_files(patterns):
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
    file: InputFile, schema: Schema, geometry: Geometry, chunk_showers: int, identity: str | None = None
) -> Generator[Decoded, None, None]:
    """Read one file chunk by chunk, checked and converted.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Branches and units.
        geometry: Cells.
        chunk_showers: Entries read at a time; the chunks that come out may be smaller.
        identity: `fingerprint` of the file if it is known; event ids come from it where the file has none.

    Raises:
        DataError: The file is missing or damaged, or has an impossible value; names file, branch and entry.
        SchemaError: The file lacks the tree or a branch, or has one of another type or shape.
    """
    schema.check(geometry)
    if schema.event is None and identity is None:
        identity = fingerprint(file)
    block = max(_LEAST_BLOCK, _BLOCK_BYTES // (4 * geometry.n_cells))
    read = iterate_columns if schema.collections is None else _iterate_collections
    with contextlib.closing(read(file, schema, chunk_showers)) as chunks:
        for chunk in itertools.chain.from_iterable(chunk.split(block) for chunk in chunks):
            event = None
            if schema.event is None and identity is not None:
                event = entry_ids(identity, np.arange(chunk.start, chunk.start + chunk.size, dtype=np.int64))
            yield decode(chunk, schema, geometry, event)


def iterate_columns(
    file: InputFile, schema: Schema, chunk_showers: int, branches: Sequence[str] | None = None
) -> Generator[Chunk, None, None]:
    """Read a schema's branches of one file chunk by chunk, as they are.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Branches that must be there.
        chunk_showers: Entries read at a time.
        branches: Those of them to read; all by default.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: It lacks the tree or a branch.
    """
    branches = schema.branches if branches is None else branches
    lists = not set(branches).isdisjoint(schema.jagged_branches)
    return iterate_entries(file, file.tree or schema.tree, branches, chunk_showers, lists=lists, known=schema.branches)


def _iterate_collections(file: InputFile, schema: Schema, chunk_showers: int) -> Generator[Chunk, None, None]:
    tree = file.tree or schema.tree
    branches = _collection_branches(file, schema)
    names = sorted(set(branches.values()))
    with contextlib.closing(iterate_entries(file, tree, names, chunk_showers, lists=True)) as chunks:
        for chunk in chunks:
            yield as_hits(chunk, schema, branches)


def _collection_branches(file: InputFile, schema: Schema) -> dict[str, str]:
    if schema.collections is None:
        return {branch: branch for branch in schema.branches}
    with _open(file) as root:
        source, tree = _find_tree(root, file, file.tree or schema.tree, ())
        with _translated(source):
            known = set(tree.keys())
    return find_branches(schema.collections, known, source)


def iterate_entries(
    file: InputFile,
    tree: str,
    branches: Sequence[str],
    chunk: int,
    *,
    lists: bool,
    known: Sequence[str] = (),
    start: int = 0,
    stop: int | None = None,
) -> Generator[Chunk, None, None]:
    """Read branches of one tree chunk by chunk, as they are.

    Args:
        file: File to read.
        tree: Name of the tree.
        branches: Branches to read.
        chunk: Entries read at a time.
        lists: Whether some of the branches have lists.
        known: More branches that must be there.
        start: First entry.
        stop: Entry to stop before; the end of the tree by default.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: It lacks the tree or a branch.
    """
    # NumPy has no lists, and is faster for the rest.
    library = "ak" if lists else "np"
    with _open(file) as root:
        source, found = _find_tree(root, file, tree, [*branches, *known])
        stop = int(found.num_entries) if stop is None else stop
        with _translated(source):
            steps = found.iterate(branches, step_size=chunk, library=library, entry_start=start, entry_stop=stop)
        while (piece := _next_chunk(steps, source, start, branches)) is not None:
            yield piece
            start += piece.size
        if start < stop:
            msg = f"{source}: ends after {start} of {stop} entries"
            raise DataError(msg)


def read_types(file: InputFile, tree: str, branches: Sequence[str], *, lists: bool) -> Chunk:
    """A chunk without entries, whose columns have the types of a tree's branches; see `iterate_entries`."""
    with _open(file) as root:
        source, found = _find_tree(root, file, tree, branches)
        with _translated(source):
            arrays = found.arrays(branches, entry_stop=0, library="ak" if lists else "np")
            return Chunk(source, 0, 0, {branch: _to_column(_values(arrays, branch)) for branch in branches})


def fingerprint(file: InputFile) -> str:
    """Hexadecimal name of a file's content: checksum of the bytes if it is local, else ROOT's UUID of the file."""
    if file.is_local:
        return checksum(file.path)
    with _open(file) as root:
        return str(root.file.uuid.hex)


def count_showers(file: InputFile, schema: Schema) -> int:
    """Number of entries in a file's tree.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: The file lacks the tree or a branch.
    """
    branches = _collection_branches(file, schema).values()
    with _open(file) as root:
        return int(_find_tree(root, file, file.tree or schema.tree, branches)[1].num_entries)


def read_provenance(path: str | Path) -> dict[str, str]:
    """What `ShowerWriter` recorded about the making of a file; empty if another program wrote it."""
    with _open(InputFile(str(path))) as root:
        if PROVENANCE not in root.keys(cycle=False):
            return {}
        with _translated(str(path)):
            values: dict[str, str] = json.loads(str(root[PROVENANCE]))
        return values


@dataclass(frozen=True)
class TreeContent:
    """What is in a tree: number of entries, and the type of each branch as ROOT names it."""

    entries: int
    branches: Mapping[str, str]


def read_trees(path: str | Path) -> dict[str, TreeContent]:
    """Content of each TTree and RNTuple of a file.

    Raises:
        DataError: The file is missing or damaged.
    """
    with _open(InputFile(str(path))) as root, _translated(str(path)):
        trees = {name: root[name] for name in _tree_names(root.classnames(cycle=False))}
        return {
            name: TreeContent(int(tree.num_entries), {branch: str(tree[branch].typename) for branch in tree.keys()})  # noqa: SIM118
            for name, tree in trees.items()
        }


@contextlib.contextmanager
def _translated(source: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        text = " ".join(str(error).split())[:200]
        msg = f"{source}: cannot be read, the file is damaged or missing: {type(error).__name__}: {text}"
        raise DataError(msg) from error


@contextlib.contextmanager
def _open(file: InputFile) -> Iterator[Any]:
    options: dict[str, Any] = {}
    if file.is_local:
        check_root_file(file.path)
        # Reads into memory of bounded size; a memory map would count all of a large file as resident.
        options |= {"handler": uproot.source.file.MultithreadedFileSource, "use_threads": False}
    with _translated(file.path):
        # In two arguments, since a string could be taken for path:object.
        root = uproot.open({file.path: None}, object_cache=None, **options)
    with root:
        yield root


def _find_tree(root: Any, file: InputFile, name: str, branches: Iterable[str]) -> tuple[str, Any]:
    with _translated(file.path):
        classes: dict[str, str] = root.classnames(cycle=False)
    trees = _tree_names(classes)
    if name not in trees:
        if name in classes:
            msg = f"{file.path}: '{name}' is a {classes[name]}, not a TTree or RNTuple; {near_miss(name, trees)}"
        else:
            msg = f"{file.path}: no tree '{name}'; {near_miss(name, trees)}; choose by tree, --tree or FILE.root:TREE"
        raise SchemaError(msg)
    source = f"{file.path}:{name}"
    with _translated(source):
        tree = root[name]
        known = set(tree.keys())
    for branch in branches:
        if branch not in known:
            msg = f"{source}: no branch '{branch}'; {near_miss(branch, sorted(known))}"
            raise SchemaError(msg)
    return source, tree


def _tree_names(classes: Mapping[str, str]) -> list[str]:
    return [key for key, kind in classes.items() if kind in {"TTree", "TNtuple", "TNtupleD"} or "RNTuple" in kind]


def _next_chunk(steps: Iterator[Any], source: str, start: int, branches: Sequence[str]) -> Chunk | None:
    with _translated(source):
        arrays = next(steps, None)
        if arrays is None:
            return None
        columns = {branch: _to_column(_values(arrays, branch)) for branch in branches}
    return Chunk(source, start, len(columns[branches[0]]), columns)


def _values(arrays: Any, branch: str) -> Any:
    # of an RNTuple, parts of one field come in records
    parts = isinstance(arrays, ak.Array) and branch not in arrays.fields
    return arrays[tuple(branch.split("."))] if parts else arrays[branch]


def _to_column(array: Any) -> NDArray[Any] | Jagged:
    if isinstance(array, np.ndarray):
        return array
    layout = ak.to_packed(array).layout
    if isinstance(layout, ak.contents.ListOffsetArray) and isinstance(layout.content, ak.contents.NumpyArray):
        return Jagged(np.diff(layout.offsets.data).astype(np.int64, copy=False), layout.content.data)
    if isinstance(layout, ak.contents.NumpyArray | ak.contents.RegularArray):
        return np.asarray(ak.to_numpy(array))
    return np.empty(len(array), dtype=object)


class ShowerWriter:
    """Writes showers as the full simulation's files hold them; use as a context manager.

    The file appears under its name when the context ends without an error. It holds the identifiers, the incident
    momentum and entry point, and the energies, nothing else, and the provenance.

    Args:
        path: File to write; an existing one is replaced at the end.
        schema: Tree, branches and units.
        geometry: Cells.
        layout: Another layout than the schema's, with the usual branch names.
        tree: Another name of the tree.
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
        self._file = RootWriter(path, self._trees.specs, rntuple=rntuple, provenance=provenance)

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


def _join(geometry: Geometry, chunks: list[Showers]) -> Showers:
    event, incident, cell_energy, pdg = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("event", "incident", "cell_energy", "pdg")
    )
    return Showers(geometry, event, incident, cell_energy, pdg)
