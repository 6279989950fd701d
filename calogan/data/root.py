"""Reading ROOT files: branches of trees, chunk by chunk."""

from __future__ import annotations

import contextlib
import json
import lzma
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import cramjam
import numpy as np
import uproot
from numpy.typing import NDArray

from calogan.data.decode import Chunk, Jagged
from calogan.data.files import InputFile, check_root_file, damage_is_told
from calogan.data.writer import PROVENANCE
from calogan.errors import DataError, SchemaError, near_miss

__all__ = [
    "TreeContent",
    "count_entries",
    "iterate_entries",
    "read_branches",
    "read_provenance",
    "read_trees",
    "read_types",
    "read_uuid",
]

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


def read_uuid(file: InputFile) -> str:
    """ROOT's UUID of a file, hexadecimal."""
    with _open(file) as root:
        return str(root.file.uuid.hex)


def read_branches(file: InputFile, tree: str) -> tuple[str, frozenset[str]]:
    """``file.root:tree``, for messages, and the names of the tree's branches.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: The file lacks the tree.
    """
    with _open(file) as root:
        source, found = _find_tree(root, file, tree, ())
        with _translated(source):
            return source, frozenset(found.keys())


def count_entries(file: InputFile, tree: str, branches: Sequence[str]) -> int:
    """Number of entries in a file's tree, which must have some branches.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: The file lacks the tree or a branch.
    """
    with _open(file) as root:
        return int(_find_tree(root, file, tree, branches)[1].num_entries)


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
    """What is in a tree: number of entries, type of each branch as ROOT names it, and which are lengths of lists."""

    entries: int
    branches: Mapping[str, str]
    counters: frozenset[str] = frozenset()


def read_trees(path: str | Path) -> dict[str, TreeContent]:
    """Content of each TTree and RNTuple of a file.

    Raises:
        DataError: The file is missing or damaged.
    """
    with _open(InputFile(str(path))) as root, _translated(str(path)):
        trees = {name: root[name] for name in _tree_names(root.classnames(cycle=False))}
        return {name: _content(tree) for name, tree in trees.items()}


def _content(tree: Any) -> TreeContent:
    branches = {name: tree[name] for name in tree.keys()}  # noqa: SIM118
    # RNTuples have lengths of their own
    lengths = (getattr(branch, "count_branch", None) for branch in branches.values())
    types = {name: str(branch.typename) for name, branch in branches.items()}
    return TreeContent(int(tree.num_entries), types, frozenset(one.name for one in lengths if one is not None))


_translated = partial(damage_is_told, kinds=_UNREADABLE)


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
