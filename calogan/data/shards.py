"""One input file -> one shard: read in chunks, checked, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from calogan.data.columns import SparseCells, Storage, choose_storage, column_types
from calogan.data.decode import Decoded
from calogan.data.files import InputFile
from calogan.data.npy import NpyWriter
from calogan.data.reading import iterate_chunks
from calogan.data.schema import Schema
from calogan.data.split import SPLITS, assign_splits
from calogan.data.store import FORMAT, RECORD, ShardRecord, write_json
from calogan.errors import DataError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain

__all__ = ["ShardJob", "remove_leftovers"]

_TEMPORARY = ".tmp-"


@dataclass(frozen=True)
class ShardJob:
    """All that decides what the shard of one file holds.

    Attributes:
        file: File to read.
        schema: Branches and units.
        geometry: Cells.
        domain: Showers outside are left out.
        checksum: Fingerprint of the file's content.
        owner: Whose half-written shards are marked as such, for `remove_leftovers`; anybody's if it is empty.
    """

    file: InputFile
    schema: Schema
    geometry: Geometry
    domain: Domain
    checksum: str
    owner: str = ""

    @property
    def tree(self) -> str:
        """Tree that is read."""
        return self.file.tree or self.schema.tree

    @cached_property
    def key(self) -> str:
        """SHA-256 of what decides the content."""
        parts = [
            FORMAT,
            self.checksum,
            self.tree,
            self.schema.to_dict(),
            self.geometry.to_dict(),
            self.domain.to_dict(),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> str:
        """Name of the shard's folder: the file's name and the beginning of the key."""
        return f"{re.sub(r'[^A-Za-z0-9._-]', '_', self.file.stem)}-{self.key[:12]}"

    def build(
        self, shards: Path, chunk_showers: int, advance: Callable[[int], None], storage: Storage | None = None
    ) -> ShardRecord:
        """Read the file and write its shard.

        Args:
            shards: Folder of all shards.
            chunk_showers: Showers in memory at a time.
            advance: Called with the number of showers of each chunk; may raise to stop.
            storage: How the cells are kept; by default sparse where that takes clearly less disk.

        Raises:
            DataError: The file is damaged, or has an impossible value or an event twice.
            SchemaError: The file is not laid out as the schema says.
        """
        tally = _Tally()
        temporary = Path(tempfile.mkdtemp(prefix=_mark(self.owner), dir=shards))
        chunks = iterate_chunks(self.file, self.schema, self.geometry, chunk_showers, self.checksum)
        try:
            with _Columns(temporary, self.geometry, storage or "sparse") as columns, closing(chunks):
                for chunk in chunks:
                    outside = self.domain.outside(chunk.showers.incident, chunk.showers.pdg)
                    tally.add(chunk, outside)
                    columns.append(chunk, outside)
                    advance(len(chunk.showers))
            _check_unique(self.file.inside(self.tree), self.schema, tally.event)
            storage = storage or choose_storage(temporary, int(columns.counts.sum()), self.geometry)
            record = self._record(tally, columns, storage)
            write_json(temporary / RECORD, asdict(record))
            _rename(temporary, shards / self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return record

    def _record(self, tally: _Tally, columns: _Columns, storage: Storage) -> ShardRecord:
        stamp = self.file.stamp()
        return ShardRecord(
            folder=self.folder,
            key=self.key,
            source=self.file.path,
            tree=self.tree,
            checksum=self.checksum,
            size=stamp.size if stamp else None,
            changed=stamp.changed if stamp else None,
            schema=self.schema.digest,
            entries=tally.entries,
            counts={split: int(count) for split, count in zip(SPLITS, columns.counts, strict=True)},
            outside_domain=tally.outside,
            hits=tally.hits,
            hits_outside=tally.hits_outside,
            response=tally.response / tally.entries if tally.entries else None,
            momentum=(tally.lowest, tally.highest) if tally.entries else None,
            pdg=dict(sorted(columns.pdg.items())) if self.schema.is_typed else {},
            energy_outside=tally.share_outside,
            storage=storage,
        )


def _rename(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError:
        # A file with the same content, read at the same time, was first: its shard is as good.
        if not (final / RECORD).exists():
            raise


def remove_leftovers(shards: Path, owner: str = "") -> None:
    """Remove what killed runs left half-written: one owner's, or everybody's."""
    for folder in shards.glob(f"{_mark(owner)}*"):
        shutil.rmtree(folder)


def _mark(owner: str) -> str:
    return f"{_TEMPORARY}{owner}-" if owner else _TEMPORARY


@dataclass
class _Tally:
    events: list[NDArray[np.int64]] = field(default_factory=list)
    entries: int = 0
    outside: int = 0
    hits: int = 0
    hits_outside: int = 0
    energy: float = 0.0
    energy_outside: float = 0.0
    response: float = 0.0
    lowest: float = np.inf
    highest: float = 0.0

    @property
    def event(self) -> NDArray[np.int64]:
        return np.concatenate(self.events) if self.events else np.empty(0, dtype=np.int64)

    @property
    def share_outside(self) -> float:
        return self.energy_outside / (self.energy_outside + self.energy) if self.energy_outside else 0.0

    def add(self, chunk: Decoded, outside: NDArray[np.bool_]) -> None:
        momentum = chunk.showers.momentum
        self.events.append(chunk.showers.event)
        self.entries += len(chunk.showers)
        self.outside += int(np.count_nonzero(outside))
        self.hits += chunk.hits
        self.hits_outside += chunk.hits_outside
        total = np.einsum("sc->s", chunk.showers.cell_energy)
        self.energy += float(total.sum(dtype=np.float64))
        self.energy_outside += chunk.energy_outside
        self.response += float(np.sum(total / momentum))
        self.lowest = min(self.lowest, float(momentum.min()))
        self.highest = max(self.highest, float(momentum.max()))


class _Columns:
    """The columns of a shard on disk; showers outside of the domain are left out."""

    def __init__(self, folder: Path, geometry: Geometry, storage: Storage) -> None:
        self.counts = np.zeros(len(SPLITS), dtype=np.int64)
        self.pdg: Counter[int] = Counter()
        self._stack = ExitStack()
        self._sparse, self._hits = storage == "sparse", 0
        self._writers = {
            name: NpyWriter(folder / f"{name}.npy", dtype, row)
            for name, (dtype, row) in column_types(geometry, storage).items()
        }

    def __enter__(self) -> Self:
        for writer in self._writers.values():
            self._stack.enter_context(writer)
        if self._sparse:
            self._writers["cell_offset"].append(np.zeros(1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def append(self, chunk: Decoded, outside: NDArray[np.bool_]) -> None:
        entry = np.arange(chunk.start, chunk.start + len(chunk.showers), dtype=np.int64)
        showers = chunk.showers
        if outside.any():
            showers, entry = showers[~outside], entry[~outside]
        split = assign_splits(showers.event)
        self.counts += np.bincount(split, minlength=len(SPLITS))
        self.pdg.update(showers.pdg.tolist())
        columns: dict[str, NDArray[Any]] = {
            "event": showers.event,
            "entry": entry,
            "incident": showers.incident,
            "pdg": showers.pdg,
            "split": split,
            **(self._hit_cells if self._sparse else self._all_cells)(showers.cell_energy),
        }
        for name, writer in self._writers.items():
            writer.append(columns[name])

    def _all_cells(self, cell_energy: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        return {"cell_energy": cell_energy}

    def _hit_cells(self, cell_energy: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        cells = SparseCells.of(cell_energy)
        offset = self._hits + np.cumsum(cells.counts)
        self._hits += len(cells.index)
        return {"cell_offset": offset, "cell_index": cells.index, "cell_value": cells.value}


def _check_unique(source: str, schema: Schema, event: NDArray[np.int64]) -> None:
    order = np.argsort(event, kind="stable")
    same = np.flatnonzero(event[order[1:]] == event[order[:-1]])
    if same.size:
        first, second = order[same[0]], order[same[0] + 1]
        msg = (
            f"{source}, branch '{schema.event}': event {event[first]} is in entry {first} and in entry {second}; "
            "event ids must be unique"
        )
        raise DataError(msg)
