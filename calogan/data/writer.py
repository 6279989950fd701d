"""ROOT files that appear whole or not at all: trees of typed branches, and what made them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from calogan.data.decode import Jagged
from calogan.errors import DataError, SchemaError

__all__ = ["BLOCK", "PROVENANCE", "Columns", "RootWriter", "TreeSpec"]

BLOCK = 1000  # entries written at a time at most, so that a list branch stays well below the limits of a basket
_BLOCK_BYTES = 1 << 25  # of branches of a fixed size, likewise
PROVENANCE = "calogan_provenance"
# Smaller files than by uproot's default (zlib) in less than half of the time; ROOT reads it since 6.20 (2020).
_COMPRESSION = uproot.ZSTD(1)

Columns = Mapping[str, NDArray[Any] | Jagged]


@dataclass(frozen=True)
class TreeSpec:
    """A tree to be written.

    Attributes:
        name: Name of the TTree or RNTuple.
        types: Type of each branch in Awkward's notation, as ``"int64"``, ``"30 * 30 * float32"``, ``"var * float32"``.
        counter: Branch of the length of all lists, which a TTree needs.
    """

    name: str
    types: Mapping[str, str]
    counter: str = "n"

    @property
    def has_lists(self) -> bool:
        """Whether a branch has lists of different lengths."""
        return any(kind.startswith("var") for kind in self.types.values())

    @property
    def block(self) -> int:
        """Entries written at a time: at most `BLOCK`, and about 32 MB of branches of a fixed size.

        Example:
            >>> TreeSpec("showers", {"energy": "200 * 200 * float32"}).block
            209
        """
        size = sum(_entry_bytes(kind) for kind in self.types.values())
        return min(BLOCK, max(_BLOCK_BYTES // max(size, 1), 1))


@dataclass
class _Waiting:
    """Entries of a tree that are not written yet."""

    tree: Any
    pieces: list[Columns] = field(default_factory=list)
    entries: int = 0


class RootWriter:
    """Writes trees into one file; use as a context manager.

    The file appears under its name when the context ends without an error.

    Args:
        path: File to write; an existing one is replaced at the end.
        trees: The trees of the file.
        rntuple: Write RNTuples instead of TTrees.
        provenance: What made the file; `calogan.data.root.read_provenance` reads it back.
        hint: What to do where the file cannot be written, at the end of the message.

    Raises:
        DataError: The file cannot be written, as on a full disk.
    """

    def __init__(
        self,
        path: str | Path,
        trees: Sequence[TreeSpec],
        *,
        rntuple: bool = False,
        provenance: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> None:
        self._path, self._rntuple, self._provenance = Path(path), rntuple, dict(provenance or {})
        self._hint = hint
        self._specs = {spec.name: spec for spec in trees}
        self._trees: dict[str, _Waiting] = {}

    def __enter__(self) -> Self:
        if self._path.is_dir():
            msg = f"{self._path}: is a folder; name a file in it"
            raise DataError(msg)
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with self._writing():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = uproot.recreate(self._temporary, compression=_COMPRESSION)
            self._trees = {name: _Waiting(self._make_tree(spec)) for name, spec in self._specs.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._writing():
                with self._file:
                    if kind is None:
                        for name in self._specs:
                            self._flush(name)
                        self._file[PROVENANCE] = json.dumps(self._provenance, sort_keys=True)
                if kind is None:
                    with self._temporary.open("rb") as stream:
                        os.fsync(stream.fileno())
                    self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def extend(self, tree: str, columns: Columns) -> None:
        """Append entries to a tree.

        Args:
            tree: Its name.
            columns: Values of all of its branches, best at most `TreeSpec.block` entries of them.

        Raises:
            DataError: The file cannot be written.
            SchemaError: Values of a type that the branch cannot hold exactly.
        """
        waiting = self._trees[tree]
        types = self._specs[tree].types
        waiting.pieces.append({branch: self._fit(branch, columns[branch], kind) for branch, kind in types.items()})
        waiting.entries += len(next(iter(columns.values())))
        if waiting.entries >= self._specs[tree].block:
            with self._writing():
                self._flush(tree)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"{self._path}: cannot be written: {error.strerror or error}{self._hint}"
            raise DataError(msg) from error

    def _make_tree(self, spec: TreeSpec) -> Any:
        if self._rntuple:
            return self._file.mkrntuple(spec.name, dict(spec.types))
        return self._file.mktree(spec.name, dict(spec.types), counter_name=lambda _: spec.counter)

    def _fit(self, branch: str, values: NDArray[Any] | Jagged, kind: str) -> NDArray[Any] | Jagged:
        number = np.dtype(kind.rpartition(" ")[2])
        found = values.content.dtype if isinstance(values, Jagged) else values.dtype
        if not np.can_cast(found, number, "safe"):
            msg = f"{self._path}, branch '{branch}': is {number} and cannot hold {found}; write two files"
            raise SchemaError(msg)
        if isinstance(values, Jagged):
            return Jagged(values.counts, values.content.astype(number, copy=False))
        return values.astype(number, copy=False)

    def _flush(self, tree: str) -> None:
        waiting = self._trees[tree]
        if waiting.pieces:
            types = self._specs[tree].types
            columns = {branch: [_to_array(piece[branch]) for piece in waiting.pieces] for branch in types}
            waiting.tree.extend({branch: ak.concatenate(pieces) for branch, pieces in columns.items()})
            waiting.pieces.clear()
            waiting.entries = 0


def _entry_bytes(kind: str) -> int:
    """Bytes of an entry of a type in Awkward's notation; 0 for a list."""
    *lengths, number = kind.split(" * ")
    return 0 if "var" in lengths else math.prod(map(int, lengths)) * np.dtype(number).itemsize


def _to_array(values: NDArray[Any] | Jagged) -> Any:
    if not isinstance(values, Jagged):
        return ak.from_numpy(values, regulararray=True)
    offsets = np.concatenate([[0], np.cumsum(values.counts)])
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(values.content)))
