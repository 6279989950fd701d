"""A NumPy file that is written by appending rows."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["NpyWriter"]


class NpyWriter:
    """Writes a `.npy` file of rows without holding it in memory; use as a context manager.

    Args:
        path: File to write.
        dtype: Type of the numbers.
        row: Shape of one row.
    """

    def __init__(self, path: Path, dtype: DTypeLike, row: tuple[int, ...] = ()) -> None:
        self._path, self._dtype, self._row = path, np.dtype(dtype), row
        self._count = 0

    def __enter__(self) -> Self:
        self._stream = self._path.open("wb")
        self._write_header()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stream:
            if kind is None:
                # NumPy leaves room in the header for a growing first axis, so that it can be written again in place.
                self._stream.seek(0)
                self._write_header()
                self._stream.flush()
                os.fsync(self._stream.fileno())  # before a record says that the file is whole

    def append(self, rows: NDArray[Any]) -> None:
        """Append rows of the declared shape."""
        self._stream.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._count += len(rows)

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._count, *self._row),
        }
        np.lib.format.write_array_header_1_0(self._stream, header)
