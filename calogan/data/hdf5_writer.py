"""Writing HDF5 files of showers: data sets with one row a shower, compressed as those of the CaloChallenge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calogan.data.hdf5 import import_h5py
from calogan.data.writer import PROVENANCE, Columns, FileWriter

__all__ = ["Hdf5Writer"]

_CHUNK_BYTES = 1 << 18
"""Of a piece that is compressed by itself: well within HDF5's cache, so that none is compressed twice."""


class Hdf5Writer(FileWriter):
    """Writes one HDF5 file; use as a context manager.

    Each branch of the only tree, which has no name, becomes a data set of shape ``(showers, ...)``, one number a shower
    of shape ``(showers, 1)``. The provenance is an attribute of the file.

    Source:
        https://calochallenge.github.io/homepage: data sets of two axes, gzip at h5py's default level.
    """

    def _create(self, path: Path) -> Any:
        file = import_h5py().File(path, "w")
        for name, kind in self._specs[""].types.items():
            *lengths, number = kind.split(" * ")
            row, dtype = tuple(map(int, lengths)) or (1,), np.dtype(number)
            rows = max(_CHUNK_BYTES // (math.prod(row) * dtype.itemsize), 1)
            file.create_dataset(
                name, (0, *row), dtype, maxshape=(None, *row), chunks=(min(rows, 4096), *row), compression="gzip"
            )
        return file

    def _append(self, tree: str, pieces: Sequence[Columns]) -> None:
        for name in self._specs[tree].types:
            values, data = np.concatenate([np.asarray(piece[name]) for piece in pieces]), self._file[name]
            start = len(data)
            data.resize(start + len(values), axis=0)
            data[start:] = values.reshape(len(values), *data.shape[1:])

    def _finish(self, provenance: str) -> None:
        self._file.attrs[PROVENANCE] = provenance
