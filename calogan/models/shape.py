"""How bright a cell is, given how far its noise is above the threshold."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.frame import LocalFrame

__all__ = ["CellShape"]

KNOTS = (0.0, 0.08, 0.25, 0.5, 0.9, 1.4, 2.0, 2.8, 4.0)
"""Where dv/du changes, in u."""
FURTHEST = 15
"""Widths of a cell from the track from which on all cells of a layer share a function."""
STEEPEST = 2.5
"""Largest logarithm of dv/du, and of its inverse."""


class CellShape(nn.Module):
    r"""A rising, piecewise linear function of each cell, with h(0) = 0: v > 0 to u = h(v).

    A Gaussian cut at zero has one shape for each fraction of lit cells. Energies of cells far from the track have
    another, since there a cell is lit by one particle that has passed it, or is not. These functions give cells the
    shape that they have. Cells of one layer that are equally far from the track share a function, since a cell far
    out is lit so rarely that alone it would never learn how bright it can get.

    The knots are fixed in u, not in v: the density of u jumps at them, and a likelihood whose jumps moved with its
    parameters would have a gradient that does not know of the data that they pass.

    Args:
        geometry: Cells of a shower.
        frame: Local frame of the cells.
    """

    knots: Tensor
    ring: Tensor

    def __init__(self, geometry: Geometry, frame: LocalFrame) -> None:
        super().__init__()
        layer = torch.from_numpy(geometry.cell_layer)
        number = frame.cell_distance.round().clamp_max(FURTHEST).long() + (FURTHEST + 1) * layer
        _, ring = torch.unique(number, return_inverse=True)
        self.free_slope = nn.Parameter(torch.zeros(len(KNOTS), int(ring.max()) + 1))
        self.register_buffer("ring", ring, persistent=False)
        self.register_buffer("knots", torch.tensor(KNOTS), persistent=False)

    @property
    def log_slope(self) -> Tensor:
        """Logarithm of dv/du beyond each knot, shape ``(knots, rings)``."""
        return STEEPEST * torch.tanh(self.free_slope / STEEPEST)

    def forward(self, v: Tensor) -> Tensor:
        """Give u of any v, shape ``(showers, cells)``; 0 where v <= 0."""
        slopes = self.log_slope.exp()
        starts = self._starts(slopes)[:, self.ring]
        rates = slopes.reciprocal()[:, self.ring]
        u = v.clamp_min(0.0) * rates[0]
        for start, (before, after) in zip(starts[1:], pairwise(rates), strict=True):
            u = u + (v - start).clamp_min(0.0) * (after - before)
        return u

    def of_cells(self, v: Tensor, cell: Tensor) -> Tensor:
        """Give u of some cells, as `forward` does of all.

        Args:
            v: Any numbers, shape ``(values,)``.
            cell: Number of the cell of each, same shape.
        """
        slopes = self.log_slope.exp()
        rates = slopes.reciprocal()
        changes = torch.cat([rates[:1], rates.diff(dim=0)])
        start, change = (table[:, self.ring].T.index_select(0, cell) for table in (self._starts(slopes), changes))
        u: Tensor = ((v.unsqueeze(1) - start).clamp_min(0.0) * change).sum(dim=1)
        return u

    def inverse(self, u: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Give v of positive u, and the logarithm of dv/du.

        Args:
            u: Numbers above 0, shape ``(values,)``.
            cell: Number of the cell of each, same shape.
        """
        log_slope = self.log_slope
        slopes = log_slope.exp()
        segment, ring = torch.bucketize(u, self.knots, right=True) - 1, self.ring[cell]
        v = self._starts(slopes)[segment, ring] + (u - self.knots[segment]) * slopes[segment, ring]
        return v, log_slope[segment, ring]

    def _starts(self, slopes: Tensor) -> Tensor:
        """Where each knot lies in v, shape ``(knots, rings)``."""
        steps = self.knots.diff().unsqueeze(1) * slopes[:-1]
        return torch.cat([torch.zeros_like(steps[:1]), steps.cumsum(dim=0)])
