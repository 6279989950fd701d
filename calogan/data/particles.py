"""What files say beside the cells: incident particles, identifiers, the simulation's time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import convert_incident, read_event, read_pdg
from calogan.data.files import InputFile
from calogan.data.reading import count_showers, iterate_columns
from calogan.data.schema import Schema
from calogan.data.simulation_time import SimulationTime
from calogan.errors import DataError

__all__ = [
    "Particles",
    "count_particles",
    "iterate_event_ids",
    "iterate_particles",
    "particle_schema",
    "read_simulation_time",
]

_IDS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Particles:
    """Incident particles of consecutive entries, not checked for impossible values.

    Attributes:
        source: ``file.root:tree``.
        entry: Entries in the file, int64, shape ``(particles,)``.
        event: Event ids, int64, shape ``(particles,)``; None where the schema names no branch.
        pdg: PDG ids, int32, shape ``(particles,)``; 0 where the schema names no branch.
        incident: px, py, pz [GeV], x, y [mm], float32, shape ``(particles, 5)``; x and y are 0 likewise.
        columns: Values of all these branches as the file has them.
    """

    source: str
    entry: NDArray[np.int64]
    event: NDArray[np.int64] | None
    pdg: NDArray[np.int32]
    incident: NDArray[np.float32]
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.entry)


def iterate_particles(
    file: InputFile, schema: Schema, chunk: int, start: int = 0, stop: int | None = None
) -> Iterator[Particles]:
    """Read identifiers and incident particles of one file; energies are not looked at.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Branches and units.
        chunk: Entries read at a time.
        start: First entry.
        stop: Entry to stop before; the end of the file by default.

    Raises:
        DataError: The file is missing or damaged, or an event id does not fit 63 bits or a PDG id 32 bits.
        SchemaError: It lacks the tree or a branch, or has one of another type.
    """
    for found in iterate_columns(file, particle_schema(schema), chunk, start=start, stop=stop):
        event = None if schema.event is None else read_event(found, schema.event)
        yield Particles(
            source=found.source,
            entry=np.arange(found.start, found.start + found.size),
            event=event,
            pdg=read_pdg(found, schema),
            incident=convert_incident(found, schema),
            columns={branch: np.asarray(values) for branch, values in found.columns.items()},
        )


def iterate_event_ids(file: InputFile, schema: Schema) -> Iterator[NDArray[np.int64]]:
    """Event ids of one file, a million entries at a time.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Names the branch of the event ids.

    Raises:
        DataError: The file is missing or damaged, or an event id does not fit 63 bits.
        SchemaError: It lacks the tree or a branch, or its event ids are not whole numbers.
    """
    if schema.event is not None:
        for chunk in iterate_columns(file, particle_schema(schema), _IDS_AT_ONCE, [schema.event]):
            yield read_event(chunk, schema.event)


def count_particles(file: InputFile, schema: Schema) -> int:
    """Entries of one file, which needs the branches of identifiers and incident particles only; see `count_showers`."""
    return count_showers(file, particle_schema(schema))


def particle_schema(schema: Schema) -> Schema:
    """The schema of identifiers and incident particles alone."""
    return replace(schema, energy=(), place=(), collections=None)


def read_simulation_time(file: InputFile, schema: Schema, branch: str) -> SimulationTime:
    """Mean of a branch that holds the time of each shower [ms], over all entries of a file.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Names the tree.
        branch: Name of the branch.

    Raises:
        DataError: The file is damaged, or a time is negative or no number; names the entry.
        SchemaError: It has no such branch, or the branch has no single number a shower.
    """
    schema = replace(particle_schema(schema), event=None, pdg=None, momentum=(branch,), entry_point=None)
    showers, total = 0, 0.0
    with contextlib.closing(iterate_columns(file, schema, _IDS_AT_ONCE, [branch])) as chunks:
        for chunk in chunks:
            values = chunk.flat(branch, "fiu", {()}).astype(np.float64)
            bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
            if bad.size:
                msg = f"{chunk.where(branch, int(bad[0]))}: {values[bad[0]]:g} is no time in ms; expected 0 or more"
                raise DataError(msg)
            showers, total = showers + len(values), total + float(values.sum())
    return SimulationTime(branch, showers, total / showers if showers else 0.0)
