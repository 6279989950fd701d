"""The incident particles of files: all of them, or a spread of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Chunk, convert_incident, read_event, read_pdg
from calogan.data.files import InputFile
from calogan.data.particles import particle_schema
from calogan.data.reading import iterate_columns
from calogan.data.schema import Schema
from calogan.errors import DataError
from calogan.physics.kinematics import angle, momentum

__all__ = ["Group", "Particles", "scan_particles", "spread_blocks"]

_MOST, _AT_ONCE = 2_000_000, 100_000
_MOST_EVENTS, _EVENTS_AT_ONCE = 20_000, 64  # whose hits are read as well
_BLOCKS = 16  # of a file


@dataclass(frozen=True)
class Group:
    """Files that are read alike.

    Attributes:
        schema: Tree, branches and units.
        files: The files.
        entries: Number of showers in each.
    """

    schema: Schema
    files: tuple[InputFile, ...]
    entries: tuple[int, ...]


@dataclass(frozen=True)
class Particles:
    """What incident particles span, in the units of the schemas.

    Attributes:
        looked_at: Particles that were read.
        entries: Particles that there are.
        momentum: Least and largest |p|.
        mean_momentum: Mean |p|.
        max_angle: Largest angle to the axis [radian].
        backwards: Particles with pz <= 0.
        entry_x: Least and largest x of the entry point.
        entry_y: The same of y.
        pdg: Number of particles of each PDG id.
        event: Event ids that were read; None where a schema names no branch.
    """

    looked_at: int
    entries: int
    momentum: tuple[float, float]
    mean_momentum: float
    max_angle: float
    backwards: int
    entry_x: tuple[float, float]
    entry_y: tuple[float, float]
    pdg: Mapping[int, int]
    event: NDArray[np.int64] | None

    @property
    def is_complete(self) -> bool:
        """Whether all particles were read."""
        return self.looked_at == self.entries

    @property
    def repeated(self) -> int:
        """Particles whose event id another one has."""
        return 0 if self.event is None else len(self.event) - len(np.unique(self.event))


def scan_particles(groups: Sequence[Group]) -> Particles:
    """Read the incident particles of files, or two million of them all over the files.

    Raises:
        DataError: A damaged file, or a value that is not finite; names file, branch and entry.
        SchemaError: A branch of another type than a number.
    """
    total = sum(sum(group.entries) for group in groups)
    seen = _Seen()
    most = _MOST_EVENTS if any(group.schema.collections is not None for group in groups) else _MOST
    for group in groups:
        for file, start, stop in spread_blocks(group, min(1.0, most / max(total, 1))):
            for chunk in _read(file, group.schema, start, stop):
                seen.add(chunk, group.schema)
    return seen.particles(total)


class _Seen:
    """What particles span, as they come."""

    def __init__(self) -> None:
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)
        self._count, self._backwards, self._momentum, self._angle = 0, 0, 0.0, 0.0
        self._pdg: Counter[int] = Counter()
        self._events: list[NDArray[np.int64] | None] = []

    def add(self, chunk: Chunk, schema: Schema) -> None:
        incident = convert_incident(chunk, schema)
        size = _momenta(incident, chunk)
        values = np.column_stack([size, incident[:, 3:]])
        self._low, self._high = np.minimum(self._low, values.min(axis=0)), np.maximum(self._high, values.max(axis=0))
        self._count, self._momentum = self._count + chunk.size, self._momentum + float(size.sum())
        self._angle = max(self._angle, float(angle(incident).max()))
        self._backwards += int((incident[:, 2] <= 0).sum())
        ids, counts = np.unique(read_pdg(chunk, schema), return_counts=True)
        self._pdg.update(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
        self._events.append(None if schema.event is None else read_event(chunk, schema.event))

    def particles(self, entries: int) -> Particles:
        spans = [(float(low), float(high)) for low, high in zip(self._low, self._high, strict=True)]
        known = [event for event in self._events if event is not None]
        return Particles(
            looked_at=self._count,
            entries=entries,
            momentum=spans[0],
            mean_momentum=self._momentum / self._count,
            max_angle=self._angle,
            backwards=self._backwards,
            entry_x=spans[1],
            entry_y=spans[2],
            pdg=dict(self._pdg),
            event=np.concatenate(known) if len(known) == len(self._events) else None,
        )


def _read(file: InputFile, schema: Schema, start: int, stop: int) -> Iterator[Chunk]:
    """Entries of a file, without energies where they can be left out."""
    if schema.collections is not None:
        return iterate_columns(file, schema, _EVENTS_AT_ONCE, start=start, stop=stop)
    return iterate_columns(file, particle_schema(schema), _AT_ONCE, start=start, stop=stop)


def _momenta(incident: NDArray[np.float32], chunk: Chunk) -> NDArray[np.float64]:
    size = momentum(incident.astype(np.float64))
    good = np.isfinite(incident).all(axis=1) & (size > 0)
    if not good.all():
        first = int(np.argmin(good))
        msg = (
            f"{chunk.source}, entry {chunk.start + first}: the incident particle has |p| {size[first]:g} and the entry "
            f"point {incident[first, 3:].tolist()}; expected finite numbers, and |p| above 0"
        )
        raise DataError(msg)
    return size


def spread_blocks(group: Group, share: float) -> Iterator[tuple[InputFile, int, int]]:
    """Entries all over the files: a file, the first entry, and the one to stop before.

    Args:
        group: The files.
        share: Part of the entries that is wanted; at least one of each file.
    """
    for file, entries in zip(group.files, group.entries, strict=True):
        wanted = max(min(entries, 1), round(share * entries))
        blocks = min(entries, 1) if wanted == entries else min(_BLOCKS, wanted)
        for block in range(blocks):
            start = block * entries // blocks
            yield file, start, min(start + -(-wanted // blocks), (block + 1) * entries // blocks)
