"""The prepare stage: files of showers -> checked shards and a manifest."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from calogan.config import Config, Source
from calogan.data.columns import Storage
from calogan.data.files import InputFile, Stamp, expand_files
from calogan.data.particles import read_simulation_time
from calogan.data.reading import count_showers, fingerprint, suffixes
from calogan.data.schema import Schema
from calogan.data.shards import ShardJob, remove_leftovers
from calogan.data.simulation_time import SimulationTime
from calogan.data.store import Manifest, ShardRecord, SkippedFile, Store, open_shard, read_record, write_json
from calogan.errors import CaloganError, DataError, SchemaError, StoreError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain
from calogan.physics.particles import list_types
from calogan.progress import Reporter, Task
from calogan.stages.lock import locked
from calogan.stages.part import Part, read_parts

__all__ = ["prepare", "prepare_part"]

# A calorimeter sees at most little more than the whole energy and at least a thousandth of it.
_PLAUSIBLE_RESPONSE = (1e-3, 1.5)
_WARNINGS_SHOWN = 5
_MUCH_OUTSIDE = 0.05  # of the energy, outside of all cells
_REMEDY = "correct or remove the file, or leave it out with data.on_bad_file: skip"

Outcome = ShardRecord | SkippedFile


def prepare(config: Config, reporter: Reporter) -> Store:
    """Read the data of a configuration into ``run_dir/prepared``, doing only what has changed since the last run.

    Args:
        config: Data, geometry and domain.
        reporter: Progress and warnings.

    Returns:
        The prepared store.

    Raises:
        DataError: A bad file (unless ``on_bad_file: skip``), a pattern without files, an event that is in two files,
            or an empty split.
        SchemaError: A file that is not laid out as the configuration says (unless ``on_bad_file: skip``).
    """
    folder = config.run_dir / "prepared"
    sources = [_Source.from_config(source) for source in config.data.sources]
    reader = _FileReader.open(config, folder)
    outcomes = _read_files(reader, _inputs(sources, reader), config, reporter)
    outcomes = _check_events(outcomes, reader, skip=config.data.on_bad_file == "skip")
    manifest = _manifest(config, reader, sources, outcomes)
    _warn(manifest, config, reporter)
    _check_splits(manifest)
    _check_types(manifest)
    return _finish(Store(folder, manifest), reader, reporter)


def prepare_part(config: Config, part: Part, reporter: Reporter) -> Path:
    """Make the shards of a share of the files, beside processes that make those of other shares.

    `prepare` then finds the shards, and does what concerns all of them.

    Args:
        config: Data, geometry and domain.
        part: Which share.
        reporter: Progress and warnings.

    Returns:
        Manifest of the part, which is written when all its shards are made.

    Raises:
        StoreError: Another process makes this part.
        DataError: A bad file (unless ``on_bad_file: skip``), or a pattern without files.
        SchemaError: A file that is not laid out as the configuration says (unless ``on_bad_file: skip``).
    """
    folder = config.run_dir / "prepared"
    path = part.manifest(folder)
    sources = [_Source.from_config(source) for source in config.data.sources]
    with locked(path.parent, f"part {part}", "take another part", reporter, name=f".{part.name}.lock"):
        reader = _FileReader.open(config, folder, part.name)
        files = _inputs(sources, reader)
        outcomes = _read_files(reader, part.share(files), config, reporter)
        manifest = _manifest(config, reader, sources, outcomes)
        _warn(manifest, config, reporter)
        write_json(path, manifest.to_dict())
    reporter.message(
        f"part {part}: prepared {len(outcomes)} of {len(files)} files ({reader.reused(manifest)} unchanged)"
    )
    return path


def _inputs(sources: list[_Source], reader: _FileReader) -> list[tuple[InputFile, _Source]]:
    for source in sources:
        source.schema.check(reader.geometry)
    return [(file, source) for source in sources for file in source.files]


def _manifest(config: Config, reader: _FileReader, sources: list[_Source], outcomes: list[Outcome]) -> Manifest:
    return Manifest(
        config_digest=config.digest("data", "geometry", "domain"),
        geometry=reader.geometry,
        domain=reader.domain,
        schemas={source.schema.digest: source.schema for source in sources},
        shards=tuple(outcome for outcome in outcomes if isinstance(outcome, ShardRecord)),
        skipped=tuple(outcome for outcome in outcomes if isinstance(outcome, SkippedFile)),
    )


@dataclass(frozen=True)
class _Source:
    """Files of one layout, and the branch of the simulation's time, which is no part of the showers."""

    schema: Schema
    files: tuple[InputFile, ...]
    time: str | None

    @classmethod
    def from_config(cls, source: Source) -> Self:
        schema = Schema.from_source(source)
        return cls(schema, tuple(expand_files(source.files, suffixes(schema))), source.simulation_time)


@dataclass(frozen=True)
class _FileReader:
    """Makes the shard of a file, or finds it made.

    Attributes:
        known: Whole shards of earlier runs by folder.
        checksums: Checksums of files of earlier runs, by path and stamp.
        times: Times of the full simulation that earlier runs have read, by the folder of the shard.
        owner: Whose half-written shards these are.
        storage: How cells are kept; None for what takes clearly less disk, and for what earlier runs have chosen.
    """

    geometry: Geometry
    domain: Domain
    shards: Path
    chunk_showers: int
    known: dict[str, ShardRecord]
    checksums: dict[tuple[str, Stamp], str]
    times: dict[str, SimulationTime]
    owner: str
    storage: Storage | None

    @classmethod
    def open(cls, config: Config, folder: Path, owner: str = "") -> Self:
        """Look at what is there, and remove what killed runs of the owner left half-written."""
        shards = folder / "shards"
        shards.mkdir(parents=True, exist_ok=True)
        remove_leftovers(shards, owner)
        geometry = Geometry.from_dict(config.geometry.to_dict())
        whole = sorted(child for child in shards.iterdir() if not child.name.startswith("."))
        records = [record for child in whole if (record := read_record(child)) is not None]
        parts = [record for part in read_parts(folder) for record in part.shards]
        try:
            before = Store.open(folder).manifest.shards
        except StoreError:
            before = ()
        checksums = {
            (record.source, Stamp(record.size, record.changed)): record.checksum
            for record in (*records, *parts, *before)
            if record.size is not None and record.changed is not None
        }
        known = {record.folder: record for record in records}
        times = {
            record.folder: record.simulation_time for record in (*parts, *before) if record.simulation_time is not None
        }
        domain = Domain.from_config(config.domain)
        storage = None if config.data.storage == "auto" else config.data.storage
        return cls(geometry, domain, shards, config.data.chunk_showers, known, checksums, times, owner, storage)

    def reused(self, manifest: Manifest) -> int:
        """Shards that were there before."""
        storage = {folder: record.storage for folder, record in self.known.items()}
        return sum(storage.get(record.folder) == record.storage for record in manifest.shards)

    def read(self, file: InputFile, source: _Source, progress: _Progress) -> ShardRecord:
        """The record of a file's shard, which is made if it is not there yet."""
        stamp, schema = file.stamp(), source.schema
        checksum = self.checksums.get((file.path, stamp)) if stamp else None
        job = ShardJob(file, schema, self.geometry, self.domain, checksum or fingerprint(file, schema), self.owner)
        # looked up anew: a part with the same file may have made it in the meantime
        known = self.known.get(job.folder) or read_record(self.shards / job.folder)
        if known is not None and known.key == job.key and self._is_whole(known):
            record = replace(
                known,
                source=file.path,
                size=stamp.size if stamp else None,
                changed=stamp.changed if stamp else None,
            )
        else:
            shutil.rmtree(self.shards / job.folder, ignore_errors=True)
            record = job.build(self.shards, self.chunk_showers, progress.add_showers, self.storage)
        time = self._time(job.folder, file, source)
        progress.add_file()
        return replace(record, simulation_time=time)

    def _time(self, folder: str, file: InputFile, source: _Source) -> SimulationTime | None:
        """The simulation's time, read unless an earlier run has read the same branch for the shard."""
        if source.time is None:
            return None
        known = self.times.get(folder)
        if known is not None and known.branch == source.time:
            return known
        return read_simulation_time(file, source.schema, source.time)

    def _is_whole(self, record: ShardRecord) -> bool:
        if self.storage not in (None, record.storage):
            return False
        try:
            open_shard(self.shards, record, self.geometry)
        except StoreError:
            return False
        return True


class _Stopped(Exception):  # noqa: N818
    """Another file has failed: this one need not be finished."""


class _Progress:
    """Counts for all workers, and tells them to stop."""

    def __init__(self, task: Task) -> None:
        self._task, self._lock, self._start = task, threading.Lock(), time.monotonic()
        self._showers = 0
        self.stop = threading.Event()

    def add_showers(self, count: int) -> None:
        if self.stop.is_set():
            raise _Stopped
        with self._lock:
            self._showers += count
            rate = self._showers / max(time.monotonic() - self._start, 1e-9)
            self._task.advance(0, f"{self._showers} showers, {rate:.0f} showers/s")

    def add_file(self) -> None:
        with self._lock:
            self._task.advance(1)


def _read_files(
    reader: _FileReader, inputs: list[tuple[InputFile, _Source]], config: Config, reporter: Reporter
) -> list[Outcome]:
    # Threads: ROOT's decompression and most of NumPy run without the interpreter's lock.
    with (
        reporter.task("prepare", len(inputs), "files") as task,
        ThreadPoolExecutor(config.data.workers, thread_name_prefix="prepare") as pool,
    ):
        progress = _Progress(task)
        futures = [pool.submit(reader.read, file, source, progress) for file, source in inputs]
        try:
            return [
                _outcome(future, file, source.schema, skip=config.data.on_bad_file == "skip")
                for future, (file, source) in zip(futures, inputs, strict=True)
            ]
        finally:
            progress.stop.set()
            for future in futures:
                future.cancel()


def _outcome(future: Future[ShardRecord], file: InputFile, schema: Schema, *, skip: bool) -> Outcome:
    try:
        return future.result()
    except (DataError, SchemaError) as error:
        if not skip:
            msg = f"{error}; {_REMEDY}"
            raise type(error)(msg) from error
        return SkippedFile(file.path, str(error), _count_or_none(file, schema))


def _count_or_none(file: InputFile, schema: Schema) -> int | None:
    try:
        return count_showers(file, schema)
    except CaloganError:
        return None


def _check_events(outcomes: list[Outcome], reader: _FileReader, *, skip: bool) -> list[Outcome]:
    checked = list(outcomes)
    while (repeated := _find_repeated(checked, reader)) is not None:
        index, reason = repeated
        if not skip:
            msg = f"{reason}; {_REMEDY}"
            raise DataError(msg)
        bad = checked[index]
        checked[index] = SkippedFile(bad.source, reason, bad.entries)
    return checked


def _find_repeated(outcomes: list[Outcome], reader: _FileReader) -> tuple[int, str] | None:
    shards = {
        index: (outcome, open_shard(reader.shards, outcome, reader.geometry, ("event", "entry")))
        for index, outcome in enumerate(outcomes)
        if isinstance(outcome, ShardRecord)
    }
    if not shards:
        return None
    event = np.concatenate([columns["event"] for _, columns in shards.values()])
    order = np.argsort(event, kind="stable")
    same = np.flatnonzero(event[order[1:]] == event[order[:-1]])
    if not same.size:
        return None
    number = np.repeat(list(shards), [record.showers for record, _ in shards.values()])
    pick = same[np.argmin(number[order[same + 1]])]
    entry = np.concatenate([columns["entry"] for _, columns in shards.values()])
    first, second = order[pick], order[pick + 1]
    places = [(shards[number[shower]][0], entry[shower]) for shower in (second, first)]
    later, earlier = (f"{InputFile(record.source).inside(record.tree)}, entry {at}" for record, at in places)
    return int(number[second]), f"{later}: event {event[second]} is in {earlier} too; event ids must be unique"


def _check_splits(manifest: Manifest) -> None:
    counts = manifest.counts()
    if 0 in counts.values():
        listed = ", ".join(f"{split} {count}" for split, count in counts.items())
        outside = sum(record.outside_domain for record in manifest.shards)
        msg = (
            f"a split is empty: {listed} showers of {len(manifest.shards)} files "
            f"({outside} showers outside the domain, {len(manifest.skipped)} files left out); add showers or "
            "correct the units or the domain"
        )
        raise DataError(msg)


def _check_types(manifest: Manifest) -> None:
    found = list(manifest.pdg_counts())
    if unknown := [pdg for pdg in manifest.domain.particles if pdg not in found]:
        msg = f"domain.particles names pdg {list_types(unknown)}; showers in the domain are of pdg {list_types(found)}"
        raise DataError(msg)


def _warn(manifest: Manifest, config: Config, reporter: Reporter) -> None:
    for file in manifest.skipped:
        count = "" if file.entries is None else f" ({file.entries} showers)"
        reporter.warning(f"left out{count}: {file.reason}")
    for check in (_doubt_response, _doubt_domain, _doubt_hits):
        doubts = [doubt for record in manifest.shards if (doubt := check(record, manifest))]
        for doubt in doubts[:_WARNINGS_SHOWN]:
            reporter.warning(doubt)
        if len(doubts) > _WARNINGS_SHOWN:
            reporter.warning(f"the same of {len(doubts) - _WARNINGS_SHOWN} more files, see manifest.json")
    if len(manifest.pdg_counts()) > 1 and "particle" not in config.condition:
        listed = ", ".join(f"{count} of pdg {pdg}" for pdg, count in manifest.pdg_counts().items())
        reporter.warning(
            f"showers of several particle types ({listed}): the type is not a condition, a model of them makes a "
            "mixture; list particle in condition, or prepare one type a study, for showers of a chosen one"
        )


def _doubt_response(record: ShardRecord, manifest: Manifest) -> str | None:
    low, high = _PLAUSIBLE_RESPONSE
    if record.response is None or low <= record.response <= high:
        return None
    schema = manifest.schemas[record.schema]
    return (
        f"{record.source}: implausible response: the mean of sum(E)/|p| is {record.response:.3g}, expected {low:g} to "
        f"{high:g}; is units.energy ({schema.energy_unit}) or units.momentum ({schema.momentum_unit}) wrong by 1000?"
    )


def _doubt_domain(record: ShardRecord, manifest: Manifest) -> str | None:
    if not record.outside_domain or record.momentum is None:
        return None
    low, high = record.momentum
    units = ""
    if 2 * record.outside_domain > record.entries:
        schema = manifest.schemas[record.schema]
        units = f"; are units.momentum ({schema.momentum_unit}) and units.length ({schema.length_unit}) right?"
    return (
        f"{record.source}: {record.outside_domain} of {record.entries} showers are outside the domain and left out "
        f"(domain: {manifest.domain.describe()}; file: |p| {low:.4g} to {high:.4g} GeV){units}"
    )


def _doubt_hits(record: ShardRecord, _manifest: Manifest) -> str | None:
    if not record.hits_outside:
        return None
    share = f"{record.source}: {record.hits_outside} of {record.hits} hits are outside of all cells and left out"
    if record.energy_outside <= _MUCH_OUTSIDE:
        return f"{share}, with {record.energy_outside:.2g} of their energy"
    return (
        f"{share}, with {record.energy_outside:.0%} of their energy: widen the geometry, or correct z_range, "
        "units.length or the local frame"
    )


def _finish(store: Store, reader: _FileReader, reporter: Reporter) -> Store:
    manifest = store.manifest
    changed = store.write()
    for child in reader.shards.iterdir():
        if child.name not in {record.folder for record in manifest.shards}:
            shutil.rmtree(child)
    listed = ", ".join(f"{split} {count}" for split, count in store.counts().items())
    if changed:
        reporter.message(
            f"prepared {len(manifest.shards)} files ({reader.reused(manifest)} unchanged) in {store.folder}: "
            f"{listed} showers"
        )
    else:
        reporter.message(f"{store.folder} is up to date, nothing to do: {listed} showers")
    return store
