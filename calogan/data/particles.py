"""Incident particles of ROOT files, whose showers need not be there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Chunk
from calogan.data.files import InputFile
from calogan.data.root import _find_tree, _next_chunk, _open, _translated
from calogan.data.schema import Schema
from calogan.errors import DataError

__all__ = ["Particles", "iterate_particles"]

_WHOLE, _REAL = "iu", "fiu"


@dataclass(frozen=True)
class Particles:
    """Incident particles of consecutive entries, as they are: not checked for impossible values.

    Attributes:
        source: ``file.root:tree``.
        entry: Entries in the file, int64, shape ``(particles,)``.
        event: Event ids, int64, shape ``(particles,)``; None where the schema names no branch.
        pdg: PDG ids, int32, shape ``(particles,)``; 0 where the schema names no branch.
        incident: px, py, pz [GeV], x, y [mm], float32, shape ``(particles, 5)``; x and y are 0 likewise.
    """

    source: str
    entry: NDArray[np.int64]
    event: NDArray[np.int64] | None
    pdg: NDArray[np.int32]
    incident: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.entry)


def iterate_particles(file: InputFile, schema: Schema, chunk: int) -> Iterator[Particles]:
    """Read identifiers and incident particles of one file; energies are not looked at.

    Args:
        file: File to read; its tree goes before the schema's.
        schema: Branches and units.
        chunk: Entries read at a time.

    Raises:
        DataError: The file is missing or damaged.
        SchemaError: It lacks the tree or a branch, or has one of another type.
    """
    for found in _iterate(file, replace(schema, layout="dense", energy=(), place=()), chunk):
        incident = np.zeros((found.size, 5), dtype=np.float32)
        for column, branch in enumerate(schema.incident_branches):
            values = found.flat(branch, _REAL, {()})
            unit = 1 / schema.length_in_mm if column >= 3 else schema.momentum_per_gev
            with np.errstate(over="ignore", invalid="ignore"):
                np.divide(values, np.float32(unit), out=incident[:, column], dtype=np.float32, casting="unsafe")
        pdg = np.zeros(found.size, dtype=np.int32)
        if schema.pdg is not None:
            pdg = found.flat(schema.pdg, _WHOLE, {()}).astype(np.int32)
        event = None if schema.event is None else found.flat(schema.event, _WHOLE, {()}).astype(np.int64)
        yield Particles(found.source, np.arange(found.start, found.start + found.size), event, pdg, incident)


def _iterate(file: InputFile, schema: Schema, step: int) -> Iterator[Chunk]:
    with _open(file) as root:
        source, tree = _find_tree(root, file, schema)
        with _translated(source):
            steps = tree.iterate(schema.branches, step_size=step, library="np")
        start = 0
        while (found := _next_chunk(steps, source, start, schema)) is not None:
            yield found
            start += found.size
        if start != tree.num_entries:
            msg = f"{source}: ends after {start} of {tree.num_entries} entries"
            raise DataError(msg)
