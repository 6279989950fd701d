"""What ROOT files say of events with many incident particles, one event an entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Chunk, Jagged, convert_incident, read_event, read_pdg
from calogan.data.files import InputFile
from calogan.data.particles import particle_schema
from calogan.data.root import iterate_entries
from calogan.data.schema import Schema
from calogan.errors import DataError

__all__ = ["Events", "iterate_events"]


@dataclass(frozen=True)
class Events:
    """Incident particles of the events of consecutive entries, not checked for impossible values.

    Attributes:
        start: First entry.
        event: Event ids, int64, shape ``(events,)``; None where the schema names no branch.
        counts: Particles in each event, int64, shape ``(events,)``.
        pdg: PDG ids, int32, shape ``(particles,)``; 0 where the schema names no branch.
        incident: px, py, pz [GeV], x, y [mm], float32, shape ``(particles, 5)``; x and y are 0 likewise.
        columns: Values of all these branches as the file has them, one an event or one a particle.
    """

    start: int
    event: NDArray[np.int64] | None
    counts: NDArray[np.int64]
    pdg: NDArray[np.int32]
    incident: NDArray[np.float32]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def row(self) -> NDArray[np.int64]:
        """Event of each particle, counted from 0, shape ``(particles,)``."""
        return np.repeat(np.arange(len(self)), self.counts)

    @cached_property
    def particle(self) -> NDArray[np.int64]:
        """Index of each particle in its event, shape ``(particles,)``."""
        return np.arange(len(self.pdg)) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)


def iterate_events(
    file: InputFile, schema: Schema, chunk: int, start: int = 0, stop: int | None = None
) -> Iterator[Events]:
    """Read events of one file: the event id is one an entry, the particles' branches are lists.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Branches and units; energies are not looked at.
        chunk: Events read at a time.
        start: First entry.
        stop: Entry to stop before; the end of the file by default.

    Raises:
        DataError: The file is missing or damaged, an event id does not fit 63 bits or a PDG id 32 bits, or the
            lists of an entry have different lengths.
        SchemaError: It lacks the tree or a branch, or has one of another type.
    """
    tree, branches = file.tree or schema.tree, particle_schema(schema).branches
    for found in iterate_entries(file, tree, branches, chunk, lists=True, start=start, stop=stop):
        yield _events(found, schema)


def _events(found: Chunk, schema: Schema) -> Events:
    lists = {branch: found.jagged(branch, "fiu") for branch in schema.incident_branches}
    if schema.pdg is not None:
        lists[schema.pdg] = found.jagged(schema.pdg, "iu")
    counts = lists[schema.momentum[0]].counts
    for branch, values in lists.items():
        _require_counts(found, schema.momentum[0], counts, branch, values)
    flat = Chunk(found.source, 0, int(counts.sum()), {branch: values.content for branch, values in lists.items()})
    columns: dict[str, NDArray[Any]] = {branch: values.content for branch, values in lists.items()}
    event = None
    if schema.event is not None:
        event = read_event(found, schema.event)
        columns[schema.event] = found.flat(schema.event, "iu", {()})
    pdg = read_pdg(flat, schema, np.repeat(np.arange(found.start, found.start + found.size), counts))
    return Events(found.start, event, counts, pdg, convert_incident(flat, schema), columns)


def _require_counts(found: Chunk, first: str, counts: NDArray[np.int64], branch: str, values: Jagged) -> None:
    different = np.flatnonzero(values.counts != counts)
    if different.size:
        index = int(different[0])
        msg = (
            f"{found.where(branch, index)}: has {values.counts[index]} particles, but '{first}' has {counts[index]}; "
            "the lists of an event must have one length"
        )
        raise DataError(msg)
