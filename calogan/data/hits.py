"""Cells that saw energy, one a row: what a sample of showers is when most cells are dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.geometry import Geometry

if TYPE_CHECKING:
    import awkward as ak

__all__ = ["Hits"]


@dataclass(frozen=True)
class Hits:
    """Hits of many showers, in the order of the showers and, in each, of the cells.

    Attributes:
        geometry: Cells that `cell` refers to.
        n_showers: Number of showers, those without a hit included.
        shower: Number of the shower of each hit, int64, shape ``(hits,)``.
        cell: Flat index of its cell, int64, shape ``(hits,)``.
        energy: Energies [GeV], all above 0, float32, shape ``(hits,)``.
    """

    geometry: Geometry
    n_showers: int
    shower: NDArray[np.int64]
    cell: NDArray[np.int64]
    energy: NDArray[np.float32]

    @classmethod
    def of(cls, showers: Showers) -> Hits:
        """Hits of showers that hold all cells."""
        shower, cell = np.nonzero(showers.cell_energy)
        return cls(showers.geometry, len(showers), shower, cell, showers.cell_energy[shower, cell])

    def __getitem__(self, showers: slice) -> Hits:
        """Hits of neighbouring showers, numbered from 0.

        Raises:
            TypeError: Something else than a slice of neighbours.
        """
        start, stop, step = showers.indices(self.n_showers) if isinstance(showers, slice) else (0, 0, 0)
        if step != 1:
            msg = f"hits are selected by slices of neighbouring showers, such as hits[10:20], not by {showers!r}"
            raise TypeError(msg)
        first, last = np.searchsorted(self.shower, [start, stop])
        rows = slice(first, last)
        return Hits(self.geometry, max(stop - start, 0), self.shower[rows] - start, self.cell[rows], self.energy[rows])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Hits of each shower, shape ``(showers,)``."""
        return np.bincount(self.shower, minlength=self.n_showers)

    @property
    def layer(self) -> NDArray[np.int64]:
        """Layer of each hit, shape ``(hits,)``."""
        return self.geometry.cell_layer[self.cell]

    @property
    def row(self) -> NDArray[np.int64]:
        """Row of each hit, counted from 0 at the lowest x or alpha, shape ``(hits,)``."""
        return self.geometry.cell_row[self.cell]

    @property
    def column(self) -> NDArray[np.int64]:
        """Column of each hit, counted from 0 at the lowest y or r, shape ``(hits,)``."""
        return self.geometry.cell_column[self.cell]

    def to_cells(self) -> NDArray[np.float32]:
        """Energies of all cells [GeV], shape ``(showers, cells)``; large where the calorimeter is."""
        cells = np.zeros((self.n_showers, self.geometry.n_cells), dtype=np.float32)
        cells[self.shower, self.cell] = self.energy
        return cells

    def summed(self, group: NDArray[np.int64], n_groups: int) -> Hits:
        """Hits of groups of showers, such as events: energies in one cell are added in double precision.

        Args:
            group: Group of each shower, from 0 to ``n_groups - 1``, shape ``(showers,)``.
            n_groups: Number of groups, those without a shower included.

        Returns:
            Hits whose ``shower`` is the group. A sum does not depend on the showers of other groups.
        """
        places, index = np.unique(group[self.shower] * self.geometry.n_cells + self.cell, return_inverse=True)
        energy = np.bincount(index, weights=self.energy, minlength=len(places)).astype(np.float32)
        return Hits(self.geometry, n_groups, *np.divmod(places, self.geometry.n_cells), energy)

    def to_awkward(self) -> ak.Array:
        """Records with layer, row, column and energy [GeV], in lists of one shower each."""
        import awkward as ak

        fields: dict[str, Any] = {name: getattr(self, name) for name in ("layer", "row", "column", "energy")}
        return ak.unflatten(ak.zip(fields), self.counts)
