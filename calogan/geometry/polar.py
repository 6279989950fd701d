"""A layer of cells in rings about the calorimeter's axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.errors import GeometryError
from calogan.geometry.layer import centres_between, check_edges

__all__ = ["PolarLayer"]

_ROUND = 72
"""Straight lines that look like a circle."""
_LEAST_SECTORS = 3
"""Sectors from which on the last one is beside the first without being so already."""


@dataclass(frozen=True)
class PolarLayer:
    r"""One read-out layer of rings about the axis x = y = 0, cut into equal sectors.

    Rows are sectors, columns are rings, so that the flat order is that of the CaloChallenge's files: all rings of the
    first sector, then all of the second. The first sector begins at :math:`\alpha = -\pi`, where
    :math:`x = r \cos\alpha` and :math:`y = r \sin\alpha`.

    A ring that is not cut into sectors has its centre on the axis, but no energy there: `spread` is its radius.

    Attributes:
        r_edges: Edges of the rings [mm], 0 or above, ascending, ``columns + 1`` of them.
        sectors: Number of equal sectors in alpha.
        depth: Distance from the front face at which a shower's centre is seen [mm].
        z_range: Front and back of the layer [mm], needed only to sort hits by their z.

    Source:
        arXiv:2410.21611 (CaloChallenge), section 2; its files number sectors and rings so.
    """

    r_edges: tuple[float, ...]
    sectors: int
    depth: float
    z_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse edges that do not ascend from 0 or above, and a layer without a sector."""
        check_edges("r", self.r_edges)
        if self.r_edges[0] < 0:
            msg = f"the r edges of a layer must be 0 mm or above, got {self.r_edges[0]:g}"
            raise GeometryError(msg)
        if self.sectors < 1:
            msg = f"a layer needs at least one sector in alpha, got {self.sectors}"
            raise GeometryError(msg)

    @property
    def rows(self) -> int:
        """Number of sectors in alpha."""
        return self.sectors

    @property
    def columns(self) -> int:
        """Number of rings."""
        return len(self.r_edges) - 1

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    @property
    def wraps(self) -> bool:
        """Whether the last sector is beside the first, without being so in the grid."""
        return self.sectors >= _LEAST_SECTORS

    @property
    def alpha_edges(self) -> NDArray[np.float64]:
        """Edges of the sectors [rad] from -pi to pi, shape ``(sectors + 1,)``."""
        return np.linspace(-np.pi, np.pi, self.sectors + 1)

    @property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centre of each cell along x and y [mm], each of shape ``(cells,)``; on the axis where there is one sector."""
        if self.sectors == 1:
            return np.zeros(self.columns), np.zeros(self.columns)
        alpha, radius = centres_between(self.alpha_edges), centres_between(self.r_edges)
        return np.outer(np.cos(alpha), radius).ravel(), np.outer(np.sin(alpha), radius).ravel()

    @property
    def spread(self) -> NDArray[np.float64]:
        """How far a cell is from its own centre [mm]: a whole ring's radius, 0 for its parts; shape ``(cells,)``."""
        return centres_between(self.r_edges) if self.sectors == 1 else np.zeros(self.n_cells)

    @property
    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points on the cells' borders along x and y [mm], each of shape ``(sectors * n + 1, rings + 1)``.

        Each sector is in n parts, so that straight lines between the points look round.
        """
        alpha = np.linspace(-np.pi, np.pi, self.sectors * math.ceil(_ROUND / self.sectors) + 1)
        return np.outer(np.cos(alpha), self.r_edges), np.outer(np.sin(alpha), self.r_edges)

    @property
    def cell_size(self) -> float:
        """Root of a cell's area [mm], the geometric mean over the rings: their areas may differ a thousandfold."""
        areas = np.pi * np.diff(np.square(self.r_edges)) / self.sectors
        return float(np.exp(np.log(areas).mean() / 2))

    @property
    def cell_width(self) -> float:
        """Mean width of a ring [mm]."""
        return (self.r_edges[-1] - self.r_edges[0]) / self.columns

    @property
    def widths(self) -> NDArray[np.float64]:
        """Widths of the rings [mm], shape ``(rings,)``."""
        return np.diff(self.r_edges)

    @property
    def finest(self) -> tuple[float, float]:
        """Smallest width of a cell along its ring, in the middle of the cell, and of a ring [mm]."""
        along = 2 * np.pi / self.sectors * centres_between(self.r_edges)[0]
        return float(along), float(np.diff(self.r_edges).min())

    @property
    def reach(self) -> float:
        """Distance of the outermost ring's middle from the axis [mm]."""
        return float(centres_between(self.r_edges)[-1])

    @property
    def radius(self) -> float:
        """Outer edge of the layer [mm]."""
        return self.r_edges[-1]

    def places(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sector and ring of positions [mm] with the part of the cell that lies behind them, held inside the layer."""
        sector = (np.arctan2(y, x) + np.pi) / (2 * np.pi) * self.sectors
        return sector, np.interp(np.hypot(x, y), self.r_edges, np.arange(len(self.r_edges)))

    def locate(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
        """Number of the cell in this layer that holds each position [mm]; -1 outside; a lower edge is inside."""
        ring = np.searchsorted(self.r_edges, np.hypot(x, y), side="right") - 1
        sector = np.floor(self.places(x, y)[0]).astype(np.int64) % self.sectors  # alpha = pi is alpha = -pi
        return np.where((ring >= 0) & (ring < self.columns), sector * self.columns + ring, -1)
