"""Showers of a prepared split where they lie, read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.data.split import SPLITS, Split
from calogan.data.store import Store, open_shard

__all__ = ["ShowerRows", "StoredShowers"]

MAPPED = 2048
"""Showers read from a mapping before it is made anew: what was touched of a file stays in memory as long as it is."""


class ShowerRows(Protocol):
    """Showers that are taken by their numbers: in memory (`Showers`) or on disk (`StoredShowers`)."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, rows: NDArray[np.int64]) -> Showers:
        """Some of them, by ascending numbers."""

    @property
    def pdg(self) -> NDArray[np.int32]:
        """PDG ids of all of them, shape ``(showers,)``."""


class StoredShowers:
    """Showers of a split in the order of files and entries, as `Store.load` gives them, but not in memory.

    Only their places are: 4 bytes a shower. Shards are mapped while they are read.

    Args:
        store: Where they are.
        split: train, validation or test.
        threshold: Cells below it [GeV] are set to 0.
        without: Showers whose momentum is inside of this band [GeV], edges not included, are left out.

    Raises:
        StoreError: A damaged shard; so does reading.
    """

    def __init__(
        self, store: Store, split: Split, *, threshold: float = 0.0, without: tuple[float, float] | None = None
    ) -> None:
        self._store, self._threshold = store, threshold
        self._places = [self._places_in(number, split, without) for number in range(len(store.manifest.shards))]
        self._bounds = np.cumsum([0, *(len(places) for places in self._places)])

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def __getitem__(self, rows: NDArray[np.int64]) -> Showers:
        """Some of the showers, read now; `rows` ascend, so that files are read from their beginnings to their ends."""
        count, geometry = len(rows), self._store.geometry
        columns: dict[str, NDArray[Any]] = {
            "event": np.empty(count, dtype=np.int64),
            "incident": np.empty((count, 5), dtype=np.float32),
            "cell_energy": np.empty((count, geometry.n_cells), dtype=np.float32),
            "pdg": np.empty(count, dtype=np.int32),
        }
        for number, part in self._pieces(rows):
            places = self._places[number][rows[part] - self._bounds[number]]
            shard = open_shard(self._store.shards, self._store.manifest.shards[number], geometry, columns)
            for name in ("event", "incident", "pdg"):
                columns[name][part] = shard[name][places]
            cells = shard.read_cells(places, columns["cell_energy"][part])
            if self._threshold > 0:
                cells[cells < self._threshold] = 0.0
        return Showers(geometry, **columns)

    @property
    def pdg(self) -> NDArray[np.int32]:
        """PDG ids of all of them, read now, shape ``(showers,)``."""
        found = [np.empty(0, dtype=np.int32)]
        for record, places in zip(self._store.manifest.shards, self._places, strict=True):
            found.append(open_shard(self._store.shards, record, self._store.geometry, ("pdg",))["pdg"][places])
        return np.concatenate(found)

    def _pieces(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
        """Numbers of shards, and which of the rows are read from each at a time."""
        edges = np.searchsorted(rows, self._bounds).tolist()
        for number, (low, high) in enumerate(pairwise(edges)):
            for start in range(low, high, MAPPED):
                yield number, slice(start, min(start + MAPPED, high))

    def _places_in(self, number: int, split: Split, without: tuple[float, float] | None) -> NDArray[np.uint32]:
        record = self._store.manifest.shards[number]
        shard = open_shard(self._store.shards, record, self._store.geometry, ("split", "incident"))
        places = np.flatnonzero(shard["split"] == SPLITS.index(split))
        if without is not None:
            momentum = np.linalg.norm(shard["incident"][places, :3].astype(np.float64), axis=1)
            places = places[(momentum < without[0]) | (momentum > without[1])]
        return places.astype(np.uint32)
