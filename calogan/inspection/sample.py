"""What a sample of showers tells: energies, occupancy, and how its centre follows the particle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Chunk, decode
from calogan.data.files import InputFile
from calogan.data.reading import iterate_columns
from calogan.data.schema import Schema
from calogan.geometry import Geometry
from calogan.inspection.scan import Group, spread_blocks
from calogan.physics.kinematics import momentum

__all__ = ["MOST_SHOWERS", "Sample", "read_chunks", "summarise"]

MOST_SHOWERS = 10_000
_MOST_BYTES = 1 << 28
_BLOCK_BYTES = 1 << 24
_FIRST = 16  # entries that tell how large the others are
_STEPS = (1.0, 2.0, 3.0, 5.0)
_SHARE_BELOW = 2e-3


@dataclass(frozen=True)
class Sample:
    """Showers of a spread of entries, in the units of the schemas.

    Attributes:
        showers: Number of them.
        incident: Incident particles, shape ``(showers, 5)``.
        layer_energy: Energy in each layer, shape ``(showers, layers)``.
        centre: Mean row and column of the energy in each layer, as a position in the grid; NaN where a layer has no
            energy; shape ``(showers, layers, 2)``.
        lit_energy: Energies of the cells above 0, ascending.
    """

    incident: NDArray[np.float64]
    layer_energy: NDArray[np.float64]
    centre: NDArray[np.float64]
    lit_energy: NDArray[np.float32]

    @property
    def showers(self) -> int:
        """Number of showers."""
        return len(self.incident)

    @property
    def response(self) -> float:
        """Mean of the visible energy over |p|."""
        return float(np.mean(self.layer_energy.sum(axis=1) / momentum(self.incident)))

    @property
    def empty(self) -> int:
        """Showers without energy."""
        return int((self.layer_energy.sum(axis=1) == 0).sum())

    def lit(self, threshold: float) -> float:
        """Mean number of cells above a threshold in a shower."""
        return (len(self.lit_energy) - int(np.searchsorted(self.lit_energy, threshold, "right"))) / self.showers

    def below(self, threshold: float) -> float:
        """Share of the energy that is in cells below a threshold."""
        count = int(np.searchsorted(self.lit_energy, threshold))
        total = float(self.lit_energy.sum(dtype=np.float64))
        return float(self.lit_energy[:count].sum(dtype=np.float64)) / total if total else 0.0

    def suggest_threshold(self) -> float:
        """The largest of 1, 2, 3, 5, 10, ... whose cells below hold no more than 0.2% of the energy.

        It is 0 where no cell has energy, or none is as faint as that.
        """
        if not self.lit_energy.size:
            return 0.0
        decades = range(*(int(np.floor(np.log10(self.lit_energy[index]))) + end for index, end in ((0, 0), (-1, 1))))
        steps = [float(f"{step}e{decade}") for decade in decades for step in _STEPS]
        fit = [step for step in steps if self.lit_energy[0] < step and self.below(step) <= _SHARE_BELOW]
        return max(fit, default=0.0)


def read_chunks(group: Group, most: int) -> list[Chunk]:
    """Branches of entries all over the files, as they are.

    Args:
        group: The files.
        most: Showers that are wanted; fewer come where they are large.

    Raises:
        DataError: A damaged file.
        SchemaError: A file without the tree or a branch.
    """
    if not any(group.entries):
        return []
    first, entries = next(one for one in zip(group.files, group.entries, strict=True) if one[1])
    some = list(_read(group.schema, first, 0, min(_FIRST, entries), _FIRST))
    if sum(chunk.size for chunk in some) == sum(group.entries):
        return some
    each = max(1.0, sum(map(_bytes, some)) / sum(chunk.size for chunk in some))
    at_once, most = max(1, int(_BLOCK_BYTES / each)), min(most, max(1, int(_MOST_BYTES / each)))
    blocks = spread_blocks(group, min(1.0, most / sum(group.entries)))
    return [chunk for file, start, stop in blocks for chunk in _read(group.schema, file, start, stop, at_once)]


def summarise(parts: Iterable[tuple[Sequence[Chunk], Schema]], geometry: Geometry) -> Sample:
    """Check the showers of chunks, and summarise them.

    Args:
        parts: Chunks, and the schema that they are read by.
        geometry: Cells.

    Raises:
        DataError: An impossible value; names file, branch and entry.
        SchemaError: A branch of another type or shape.
    """
    rows, lit = [], []
    for chunks, schema in parts:
        for chunk in _small(chunks, geometry):
            event = None if schema.event is not None else np.arange(chunk.size, dtype=np.int64)
            showers = decode(chunk, schema, geometry, event).showers
            layer_energy = geometry.layer_energy(showers.cell_energy)
            rows.append((showers.incident.astype(np.float64), layer_energy, _centres(showers.cell_energy, geometry)))
            lit.append(showers.cell_energy[showers.cell_energy > 0])
    incident, layer_energy, centre = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Sample(incident, layer_energy, centre, np.sort(np.concatenate(lit)))


def _small(chunks: Iterable[Chunk], geometry: Geometry) -> Iterator[Chunk]:
    size = max(1, _BLOCK_BYTES // (8 * geometry.n_cells))
    for chunk in chunks:
        yield from chunk.split(size)


def _centres(cell_energy: NDArray[np.float32], geometry: Geometry) -> NDArray[np.float64]:
    energy = geometry.layer_energy(cell_energy)
    summed = [geometry.layer_energy(cell_energy * along) for along in (geometry.cell_x, geometry.cell_y)]
    centre = np.full((*energy.shape, 2), np.nan)
    return np.divide(np.stack(summed, axis=-1), energy[..., None], out=centre, where=energy[..., None] > 0)


def _read(schema: Schema, file: InputFile, start: int, stop: int, at_once: int) -> Iterator[Chunk]:
    return iterate_columns(file, schema, at_once, start=start, stop=stop)


def _bytes(chunk: Chunk) -> int:
    return sum(
        values.nbytes if isinstance(values, np.ndarray) else values.counts.nbytes + values.content.nbytes
        for values in chunk.columns.values()
    )
