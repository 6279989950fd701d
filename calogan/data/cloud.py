"""Hits at positions, as they are in files and in no cells: what a geometry is found from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Chunk, Jagged
from calogan.data.reading import expand_files, iterate_columns, suffixes
from calogan.data.schema import Schema
from calogan.errors import DataError

__all__ = ["Cloud", "cloud_of", "read_cloud"]

FloatArray = NDArray[np.float64]

_CHUNK = 500
_MOST_HITS = 20_000_000  # in memory: 40 bytes each


@dataclass(frozen=True)
class Cloud:
    """Hits of many showers at positions.

    Attributes:
        shower: Shower of each hit, shape ``(hits,)``.
        x: Positions [mm], shape ``(hits,)``.
        y: Likewise.
        z: Distances from the front face [mm], shape ``(hits,)``; 0 where the file has none.
        energy: Energies [GeV], all above 0, shape ``(hits,)``.
    """

    shower: NDArray[np.int64]
    x: FloatArray
    y: FloatArray
    z: FloatArray
    energy: FloatArray

    def __getitem__(self, hits: NDArray[np.bool_]) -> Cloud:
        return Cloud(self.shower[hits], self.x[hits], self.y[hits], self.z[hits], self.energy[hits])

    @property
    def n_showers(self) -> int:
        """Number of showers that have hits."""
        return len(np.unique(self.shower))


def read_cloud(patterns: Sequence[str], schema: Schema, max_showers: int) -> Cloud:
    """Read the first hits of files.

    Args:
        patterns: As for `expand_files`.
        schema: Of layout positions or edm4hep.
        max_showers: Showers to read; fewer where they have more than 20 million hits.

    Raises:
        DataError: A missing or damaged file, or no hits with energy.
        SchemaError: A file that is not laid out so.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    showers = hits = 0
    if schema.collections is None:
        schema = replace(schema, event=None, pdg=None, momentum=(), entry_point=None)
    for file in expand_files(patterns, suffixes(schema)):
        for chunk in iterate_columns(file, schema, min(_CHUNK, max_showers)):
            counts, *columns = _hits_of(chunk, schema)
            taken = min(max_showers - showers, int(np.searchsorted(np.cumsum(counts), _MOST_HITS - hits, "right")))
            taken = min(taken, len(counts))
            shower = np.repeat(np.arange(showers, showers + taken), counts[:taken])
            parts.append((shower, *(column[: len(shower)] for column in columns)))
            showers, hits = showers + taken, hits + len(shower)
            if taken < len(counts) or showers == max_showers:
                return _joined(parts, patterns)
    return _joined(parts, patterns)


def cloud_of(chunks: Sequence[Chunk], schema: Schema) -> Cloud:
    """Hits of chunks that are read.

    Raises:
        DataError: No hits with energy.
        SchemaError: A branch of another type.
    """
    parts: list[tuple[NDArray[Any], ...]] = []
    showers = 0
    for chunk in chunks:
        counts, *columns = _hits_of(chunk, schema)
        parts.append((np.repeat(np.arange(showers, showers + len(counts)), counts), *columns))
        showers += len(counts)
    return _joined(parts, [chunk.source for chunk in chunks[:1]])


def _joined(parts: Sequence[tuple[NDArray[Any], ...]], patterns: Sequence[str]) -> Cloud:
    if parts:
        cloud = Cloud(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        lit = cloud[(cloud.energy > 0) & np.isfinite(cloud.x + cloud.y + cloud.z + cloud.energy)]
        if len(lit.energy):
            return lit
    msg = f"{', '.join(patterns)}: no hits with energy"
    raise DataError(msg)


def _hits_of(chunk: Chunk, schema: Schema) -> tuple[NDArray[Any], ...]:
    energy = chunk.jagged(schema.energy[0], "fiu")
    places = [_place(chunk, name, energy) * schema.length_in_mm for name in schema.place]
    return energy.counts, *places, energy.content.astype(np.float64) / schema.energy_per_gev


def _place(chunk: Chunk, name: str | None, energy: Jagged) -> FloatArray:
    if name is None:
        return np.zeros(len(energy.content))
    values = chunk.jagged(name, "fiu")
    if (values.counts != energy.counts).any():
        msg = f"{chunk.where(name, int(np.argmax(values.counts != energy.counts)))}: not as many values as energies"
        raise DataError(msg)
    return values.content.astype(np.float64)
