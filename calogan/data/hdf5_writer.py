"""Writing HDF5 files of showers: data sets with one row a shower, compressed as those of the CaloChallenge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from calogan.data.hdf5 import import_h5py
from calogan.data.writer import PROVENANCE, Columns, FileWriter

__all__ = ["Hdf5Writer"]

_CHUNK_BYTES, _CHUNK_ROWS = 1 << 18, 4096
"""At most, of a piece that is compressed by itself: well within HDF5's cache, so that none is compressed twice."""


class Hdf5Writer(FileWriter):
    """Writes one HDF5 file; use as a context manager.

    Each branch of the only tree, which has no name, becomes a data set of shape ``(showers, ...)``, one number a shower
    of shape ``(showers, 1)``. The provenance is an attribute of the file.

    Source:
        https://calochallenge.github.io/homepage: data sets of two axes, gzip at h5py's default level.
    """

    def _create(self, path: Path) -> Any:
        with ExitStack() as stack:
            self._disk = stack.enter_context(_Disk(path))
            self._opened = stack.enter_context(import_h5py().File(self._disk, "w"))
            for name, kind in self._specs[""].types.items():
                *lengths, number = kind.split(" * ")
                row, dtype = tuple(map(int, lengths)) or (1,), np.dtype(number)
                rows = min(max(_CHUNK_BYTES // (math.prod(row) * dtype.itemsize), 1), _CHUNK_ROWS)
                self._opened.create_dataset(
                    name, (0, *row), dtype, maxshape=(None, *row), chunks=(rows, *row), compression="gzip"
                )
            return stack.pop_all()

    def _append(self, tree: str, pieces: Sequence[Columns]) -> None:
        for name in self._specs[tree].types:
            values, data = np.concatenate([np.asarray(piece[name]) for piece in pieces]), self._opened[name]
            start = len(data)
            data.resize(start + len(values), axis=0)
            data[start:] = values.reshape(len(values), *data.shape[1:])
        self._disk.check()

    def _finish(self, provenance: str) -> None:
        self._opened.attrs[PROVENANCE] = provenance
        self._opened.close()
        self._disk.check()


class _Disk:
    """A file to write to that takes all, even when the disk is full: HDF5 cannot be stopped half-way.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("w+b", buffering=0)
        self._error: OSError | None = None
        self.seek, self.tell, self.read = self._stream.seek, self._stream.tell, self._stream.read
        self.flush = self._stream.flush

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def check(self) -> None:
        """Raise the first error that there was."""
        if self._error is not None:
            raise self._error

    def write(self, data: memoryview) -> int:
        """Write all, or nothing from the first error on."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._error is None:
                left = left[self._stream.write(left) :]
        except OSError as error:
            self._error = error
        return size

    def readinto(self, buffer: memoryview) -> int:
        """Read back; zeros after an error."""
        return self._stream.readinto(buffer) if self._error is None else len(buffer)

    def truncate(self, size: int) -> None:
        """Set the length."""
        try:
            self._stream.truncate(size)
        except OSError as error:
            self._error = self._error or error
