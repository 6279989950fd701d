"""Prepared showers: memory-mapped shards and the manifest that describes them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.atomic import write_atomically
from calogan.data.columns import Shard, Storage, open_columns
from calogan.data.fingerprints import shower_fingerprints
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.simulation_time import SimulationTime
from calogan.data.split import SPLITS, Split
from calogan.errors import CaloganError, StoreError, near_miss
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain

__all__ = [
    "FORMAT",
    "RECORD",
    "Manifest",
    "ShardRecord",
    "SkippedFile",
    "Store",
    "is_store",
    "open_shard",
    "read_manifest",
    "read_record",
    "write_json",
]

FORMAT = 1
_MANIFEST = "manifest.json"
RECORD = "shard.json"
_BLOCK_CELLS = 1 << 24  # looked at in one go
_UNITS = {"energy": "GeV", "momentum": "GeV", "length": "mm"}


@dataclass(frozen=True)
class ShardRecord:
    """One input file as a shard.

    Attributes:
        folder: Folder of the shard below ``shards/``.
        key: SHA-256 of all that decides what the shard holds.
        source: Path or URL of the file.
        tree: Tree that was read.
        checksum: Of the file's bytes (its UUID for a URL).
        size: Size of a local file [bytes].
        changed: Time of a local file's last change [ns since 1970].
        schema: Digest of the schema.
        entries: Showers in the file.
        counts: Showers in the shard, for each split.
        outside_domain: Showers left out since they are outside the declared domain.
        hits: Hits read, 0 in a dense layout.
        hits_outside: Hits left out since they are outside of all cells.
        response: Mean of sum(E)/|p| over all entries; None without entries.
        momentum: Range of |p| [GeV] over all entries; None without entries.
        pdg: Showers in the shard by PDG id; empty where the schema names no branch of it.
        simulation_time: Time that the full simulation took for the entries; None where no branch of it is named.
        energy_outside: Share of the hits' energy that was outside of all cells.
        storage: Whether the shard has all cells or those that are not 0; the showers are the same.
    """

    folder: str
    key: str
    source: str
    tree: str
    checksum: str
    size: int | None
    changed: int | None
    schema: str
    entries: int
    counts: dict[Split, int]
    outside_domain: int
    hits: int
    hits_outside: int
    response: float | None
    momentum: tuple[float, float] | None
    pdg: dict[int, int]
    simulation_time: SimulationTime | None = None
    energy_outside: float = 0.0
    storage: Storage = "dense"

    @property
    def showers(self) -> int:
        """Showers in the shard."""
        return sum(self.counts.values())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ShardRecord:
        """Record from plain values."""
        momentum, simulation_time = values["momentum"], values.get("simulation_time")
        changed = {
            "momentum": None if momentum is None else (momentum[0], momentum[1]),
            "pdg": {int(pdg): count for pdg, count in values["pdg"].items()},
            "simulation_time": None if simulation_time is None else SimulationTime(**simulation_time),
        }
        return cls(**{**values, **changed})


@dataclass(frozen=True)
class SkippedFile:
    """A bad file that was left out; `entries` is None where it could not even be counted."""

    source: str
    reason: str
    entries: int | None


@dataclass(frozen=True)
class Manifest:
    """What a prepared folder holds.

    Attributes:
        config_digest: Of the sections data, geometry and domain of the configuration.
        geometry: Cells.
        domain: Incident particles that were kept.
        schemas: Schemas of the sources by their digests, in the order of the configuration.
        shards: Shards in the order of the files.
        skipped: Bad files that were left out.
    """

    config_digest: str
    geometry: Geometry
    domain: Domain
    schemas: dict[str, Schema]
    shards: tuple[ShardRecord, ...]
    skipped: tuple[SkippedFile, ...] = ()

    def counts(self) -> dict[Split, int]:
        """Showers in each split."""
        return {split: sum(shard.counts[split] for shard in self.shards) for split in SPLITS}

    def pdg_counts(self) -> dict[int, int]:
        """Showers by PDG id, in the order of the ids; those of files without a branch of it are not counted."""
        counts: Counter[int] = Counter()
        for shard in self.shards:
            counts.update(shard.pdg)
        return dict(sorted(counts.items()))

    def simulation_time(self) -> SimulationTime | None:
        """Mean time that the full simulation took for a shower; None where no file has it."""
        times = (shard.simulation_time for shard in self.shards)
        return SimulationTime.of_all(time for time in times if time is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return {
            "format": FORMAT,
            "config_digest": self.config_digest,
            "units": _UNITS,
            "totals": {
                "files": len(self.shards),
                "showers": sum(self.counts().values()),
                **self.counts(),
                "outside_domain": sum(shard.outside_domain for shard in self.shards),
                "hits_outside": sum(shard.hits_outside for shard in self.shards),
                "skipped_files": len(self.skipped),
                "pdg": self.pdg_counts(),
            },
            "geometry": self.geometry.to_dict(),
            "domain": self.domain.to_dict(),
            "schemas": {digest: schema.to_dict() for digest, schema in self.schemas.items()},
            "shards": [asdict(shard) for shard in self.shards],
            "skipped": [asdict(file) for file in self.skipped],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """Manifest from the plain values of `to_dict`."""
        return cls(
            config_digest=values["config_digest"],
            geometry=Geometry.from_dict(values["geometry"]),
            domain=Domain.from_dict(values["domain"]),
            schemas={digest: Schema.from_dict(schema) for digest, schema in values["schemas"].items()},
            shards=tuple(ShardRecord.from_dict(shard) for shard in values["shards"]),
            skipped=tuple(SkippedFile(**file) for file in values["skipped"]),
        )


@dataclass(frozen=True)
class Store:
    """A prepared folder, opened for reading.

    Example:
        >>> Store.open("no/such/folder")
        Traceback (most recent call last):
        calogan.errors.StoreError: no/such/folder: no prepared showers (no manifest.json); run `calogan prepare` first
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open a prepared folder and look whether its shards are whole.

        Raises:
            StoreError: It is missing, damaged or of an unknown format.
        """
        folder = Path(folder)
        store = cls(folder, read_manifest(folder / _MANIFEST))
        for record in store.manifest.shards:
            open_shard(store.shards, record, store.geometry)
        return store

    @property
    def shards(self) -> Path:
        """Folder of the shards."""
        return self.folder / "shards"

    @property
    def geometry(self) -> Geometry:
        """Cells of all showers."""
        return self.manifest.geometry

    @property
    def digest(self) -> str:
        """SHA-256 of what the store holds: content of the files, schemas, geometry, domain and order."""
        return hashlib.sha256("\n".join(record.key for record in self.manifest.shards).encode()).hexdigest()

    def counts(self) -> dict[Split, int]:
        """Showers in each split."""
        return self.manifest.counts()

    def write(self) -> bool:
        """Replace the manifest; False if it is the same already."""
        try:
            if Store.open(self.folder).manifest == self.manifest:
                return False
        except StoreError:
            pass
        write_json(self.folder / _MANIFEST, self.manifest.to_dict())
        return True

    def load(self, split: Split, *, max_showers: int | None = None, threshold: float = 0.0) -> Showers:
        """Showers of a split in memory, in the order of files and entries.

        Args:
            split: train, validation or test.
            max_showers: At most so many, spread evenly over the split: all files and conditions are in them.
            threshold: Cells below it [GeV] are set to 0.

        Raises:
            StoreError: No such split, or a damaged shard.
        """
        if split not in SPLITS:
            msg = f"no split '{split}'; {near_miss(split, SPLITS)}"
            raise StoreError(msg)
        total = self.counts()[split]
        count = total if max_showers is None else min(max_showers, total)
        chosen = np.arange(count) * total // max(count, 1)
        event, pdg = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int32)
        incident = np.empty((count, 5), dtype=np.float32)
        cell_energy = np.empty((count, self.geometry.n_cells), dtype=np.float32)
        before = 0
        for record in self.manifest.shards:
            shard = open_shard(self.shards, record, self.geometry)
            rows = np.flatnonzero(shard["split"] == SPLITS.index(split))
            after = before + len(rows)
            part = slice(*np.searchsorted(chosen, (before, after)))
            rows = rows[chosen[part] - before]
            event[part], pdg[part] = shard["event"][rows], shard["pdg"][rows]
            incident[part] = shard["incident"][rows]
            cells = shard.read_cells(rows, cell_energy[part])
            if threshold > 0:
                cells[cells < threshold] = 0.0
            before = after
        return Showers(self.geometry, event, incident, cell_energy, pdg)

    def fingerprints(self, split: Split) -> NDArray[np.uint64]:
        """`shower_fingerprints` of a split, those of showers without energy left out; memory holds little at a time."""
        found = [np.empty(0, dtype=np.uint64)]
        for record in self.manifest.shards:
            shard = open_shard(self.shards, record, self.geometry, ("cell_energy", "split"))
            rows = np.flatnonzero(shard["split"] == SPLITS.index(split))
            block = max(1, _BLOCK_CELLS // self.geometry.n_cells)
            for start in range(0, len(rows), block):
                cell_energy = shard.read_cells(rows[start : start + block])
                found.append(shower_fingerprints(cell_energy[cell_energy.any(axis=1)]))
        return np.concatenate(found)


def read_manifest(path: Path) -> Manifest:
    """Read what a prepared folder, or a part of one, holds.

    Raises:
        StoreError: The file is missing, damaged or of an unknown format.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{path.parent}: no prepared showers (no {path.name}); run `calogan prepare` first"
        raise StoreError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read: {error}; remove it and run `calogan prepare`"
        raise StoreError(msg) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        msg = f"{path}: format {found}, expected {FORMAT}; run `calogan prepare` again"
        raise StoreError(msg)
    try:
        return Manifest.from_dict(values)
    except (KeyError, TypeError, CaloganError) as error:
        msg = f"{path}: damaged: {error!r}; remove it and run `calogan prepare`"
        raise StoreError(msg) from error


def is_store(folder: str | Path) -> bool:
    """Whether a path is that of a prepared folder: whether a manifest is in it."""
    return (Path(folder) / _MANIFEST).is_file()


def open_shard(shards: Path, record: ShardRecord, geometry: Geometry, names: Collection[str] | None = None) -> Shard:
    """Map the columns of a shard (all, or the named ones) into memory, read-only; see `open_columns`.

    Raises:
        StoreError: A column is missing or has another length than the record says.
    """
    return open_columns(shards / record.folder, record.showers, geometry, record.storage, names)


def read_record(folder: Path) -> ShardRecord | None:
    """Record in a shard's folder; None if there is none that can be read."""
    try:
        return ShardRecord.from_dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file that is either whole or not there."""
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())
