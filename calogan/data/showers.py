"""A sample of showers in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ShapeError
from calogan.geometry import Geometry

__all__ = ["Index", "Showers"]

Index = int | np.integer[Any] | slice | NDArray[np.int64] | NDArray[np.bool_]


@dataclass(frozen=True)
class Showers:
    """Showers with the particles that made them.

    Attributes:
        geometry: Cells that `cell_energy` refers to.
        event: Unique ids, int64, shape ``(showers,)``.
        incident: px, py, pz [GeV] and entry point x, y [mm] at the front face, float32, shape ``(showers, 5)``;
            x and y are 0 where the data have no entry point.
        cell_energy: Energy in each cell [GeV], float32, shape ``(showers, cells)``.
        pdg: PDG ids, int32, shape ``(showers,)``; 0 where unknown.
    """

    geometry: Geometry
    event: NDArray[np.int64]
    incident: NDArray[np.float32]
    cell_energy: NDArray[np.float32]
    pdg: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Refuse columns whose shapes do not go together."""
        count = len(self.event)
        wanted = {"incident": (count, 5), "cell_energy": (count, self.geometry.n_cells), "pdg": (count,)}
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                msg = f"{name} has shape {found}, expected {shape} ({count} events, {self.geometry.n_cells} cells)"
                raise ShapeError(msg)

    def __len__(self) -> int:
        return len(self.event)

    def __getitem__(self, index: Index) -> Showers:
        """Some of the showers; a number gives the one."""
        rows = self.rows(index)
        return replace(
            self,
            event=self.event[rows],
            incident=self.incident[rows],
            cell_energy=self.cell_energy[rows],
            pdg=self.pdg[rows],
        )

    def rows(self, index: Index) -> slice | NDArray[np.int64] | NDArray[np.bool_]:
        """What selects rows of arrays, from the same or the number of one shower.

        Raises:
            IndexError: There is no shower of that number.
        """
        if not isinstance(index, int | np.integer):
            return index
        number = range(len(self))[index]
        return slice(number, number + 1)

    @property
    def momentum(self) -> NDArray[np.float64]:
        """|p| of the incident particles [GeV], shape ``(showers,)``."""
        momentum: NDArray[np.float64] = np.linalg.norm(self.incident[:, :3].astype(np.float64), axis=1)
        return momentum

    @property
    def layer_energy(self) -> NDArray[np.float64]:
        """Energy in each layer [GeV], shape ``(showers, layers)``."""
        return self.geometry.layer_energy(self.cell_energy)

    @property
    def total_energy(self) -> NDArray[np.float64]:
        """Energy in all cells [GeV], shape ``(showers,)``."""
        total: NDArray[np.float64] = self.cell_energy.sum(axis=1, dtype=np.float64)
        return total

    def without_momenta(self, band: tuple[float, float] | None) -> Showers:
        """The showers whose momentum is not inside of a band [GeV], edges included; all if there is none."""
        if band is None:
            return self
        momentum = self.momentum
        return self[(momentum < band[0]) | (momentum > band[1])]

    def above(self, threshold: float) -> Showers:
        """The same showers with cells below `threshold` [GeV] set to 0."""
        return replace(self, cell_energy=np.where(self.cell_energy >= threshold, self.cell_energy, np.float32(0)))
