"""Files that appear whole or not at all: trees of typed branches, and what made them."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from calogan.data.decode import Jagged
from calogan.errors import DataError, SchemaError

__all__ = ["BLOCK", "PROVENANCE", "Columns", "FileWriter", "RootWriter", "TreeSpec"]

BLOCK = 1000  # entries written at a time at most, so that a list branch stays well below the limits of a basket
_BLOCK_BYTES = 1 << 25  # of branches of a fixed size, likewise
PROVENANCE = "calogan_provenance"
# Smaller files than by uproot's default (zlib) in less than half of the time; ROOT reads it since 6.20 (2020).
_COMPRESSION = uproot.ZSTD(1)

Columns = Mapping[str, NDArray[Any] | Jagged]


@dataclass(frozen=True)
class TreeSpec:
    """A tree to be written, or all data sets of an HDF5 file.

    Attributes:
        name: Name of the TTree or RNTuple; empty for HDF5.
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


class FileWriter(ABC):
    """Writes trees into one file, which appears under its name when the context ends without an error.

    Args:
        path: File to write; an existing one is replaced at the end.
        trees: The trees of the file.
        provenance: What made the file; `calogan.data.reading.read_provenance` reads it back.
        hint: What to do where the file cannot be written, at the end of the message.

    Raises:
        DataError: The file cannot be written, as on a full disk.
    """

    def __init__(
        self,
        path: str | Path,
        trees: Sequence[TreeSpec],
        *,
        provenance: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> None:
        self._path, self._provenance, self._hint = Path(path), dict(provenance or {}), hint
        self._specs = {spec.name: spec for spec in trees}
        self._waiting: dict[str, list[Columns]] = {}

    def __enter__(self) -> Self:
        if self._path.is_dir():
            msg = f"{self._path}: is a folder; name a file in it"
            raise DataError(msg)
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with self._writing():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._create(self._temporary)
            self._waiting = {name: [] for name in self._specs}
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
                        self._finish(json.dumps(self._provenance, sort_keys=True))
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
        spec, waiting = self._specs[tree], self._waiting[tree]
        waiting.append({branch: self._fit(branch, columns[branch], kind) for branch, kind in spec.types.items()})
        if sum(len(next(iter(piece.values()))) for piece in waiting) >= spec.block:
            with self._writing():
                self._flush(tree)

    @abstractmethod
    def _create(self, path: Path) -> Any:
        """Open the file with its trees, empty."""

    @abstractmethod
    def _append(self, tree: str, pieces: Sequence[Columns]) -> None:
        """Write entries."""

    @abstractmethod
    def _finish(self, provenance: str) -> None:
        """Write what comes last."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            msg = f"{self._path}: cannot be written: {error.strerror or error}{self._hint}"
            raise DataError(msg) from error

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
        if self._waiting[tree]:
            self._append(tree, self._waiting[tree])
            self._waiting[tree].clear()


class RootWriter(FileWriter):
    """Writes trees into one ROOT file; use as a context manager.

    Args:
        path: As `FileWriter`.
        trees: As `FileWriter`.
        rntuple: Write RNTuples instead of TTrees.
        provenance: As `FileWriter`.
        hint: As `FileWriter`.

    Raises:
        DataError: As `FileWriter`.
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
        super().__init__(path, trees, provenance=provenance, hint=hint)
        self._rntuple = rntuple
        self._trees: dict[str, Any] = {}

    def _create(self, path: Path) -> Any:
        file = uproot.recreate(path, compression=_COMPRESSION)
        for name, spec in self._specs.items():
            if self._rntuple:
                self._trees[name] = file.mkrntuple(name, dict(spec.types))
            else:
                self._trees[name] = file.mktree(
                    name, dict(spec.types), counter_name=lambda _, counter=spec.counter: counter
                )
        return file

    def _append(self, tree: str, pieces: Sequence[Columns]) -> None:
        columns = {branch: [_to_array(piece[branch]) for piece in pieces] for branch in self._specs[tree].types}
        self._trees[tree].extend({branch: ak.concatenate(arrays) for branch, arrays in columns.items()})

    def _finish(self, provenance: str) -> None:
        self._file[PROVENANCE] = provenance


def _entry_bytes(kind: str) -> int:
    """Bytes of an entry of a type in Awkward's notation; 0 for a list."""
    *lengths, number = kind.split(" * ")
    return 0 if "var" in lengths else math.prod(map(int, lengths)) * np.dtype(number).itemsize


def _to_array(values: NDArray[Any] | Jagged) -> Any:
    if not isinstance(values, Jagged):
        return ak.from_numpy(values, regulararray=True)
    offsets = np.concatenate([[0], np.cumsum(values.counts)])
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(values.content)))
