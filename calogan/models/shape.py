"""How bright a cell is, given how far its noise is above the threshold."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.frame import LocalFrame

__all__ = ["CellShape"]

KNOTS = (0.0, 0.2, 0.45, 0.8, 1.3, 2.0, 3.0, 4.5, 6.5)
"""Where the slope of a cell's function changes."""
FURTHEST = 15
"""Widths of a cell from the track from which on all cells of a layer share a function."""
STEEPEST = math.exp(2.5)
"""Slopes are between this and its inverse."""


class CellShape(nn.Module):
    r"""A rising, piecewise linear function of each cell, with h(0) = 0: v > 0 to u = h(v).

    A Gaussian cut at zero has one shape for each fraction of lit cells. Energies of cells far from the track have
    another, since there a cell is lit by one particle that has passed it, or is not. These functions give cells the
    shape that they have. Cells of one layer that are equally far from the track share a function, since a cell far
    out is lit so rarely that alone it would never learn how bright it can get.

    Args:
        geometry: Cells of a shower.
        frame: Local frame of the cells.
    """

    knots: Tensor
    ring: Tensor

    def __init__(self, geometry: Geometry, frame: LocalFrame) -> None:
        super().__init__()
        distance = torch.hypot(frame.cell_x, frame.cell_y) / frame.cell_width
        layer = torch.from_numpy(geometry.cell_layer)
        number = distance.round().clamp_max(FURTHEST).long() + (FURTHEST + 1) * layer
        _, ring = torch.unique(number, return_inverse=True)
        self.log_slope = nn.Parameter(torch.zeros(len(KNOTS), int(ring.max()) + 1))
        self.register_buffer("ring", ring, persistent=False)
        self.register_buffer("knots", torch.tensor(KNOTS), persistent=False)

    @property
    def slopes(self) -> Tensor:
        """Slope of each cell's function beyond each knot, shape ``(knots, cells)``."""
        return self.log_slope.clamp(-math.log(STEEPEST), math.log(STEEPEST)).exp()[:, self.ring]

    def forward(self, v: Tensor) -> Tensor:
        """Give u of any v, shape ``(showers, cells)``; 0 where v <= 0."""
        slopes = self.slopes
        u = v.clamp_min(0.0) * slopes[0]
        for knot, (before, after) in zip(KNOTS[1:], pairwise(slopes), strict=True):
            u = u + (v - knot).clamp_min(0.0) * (after - before)
        return u

    def inverse(self, u: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Give v of positive u, and the logarithm of dv/du.

        Args:
            u: Numbers above 0, shape ``(values,)``.
            cell: Number of the cell of each, same shape.
        """
        slopes = self.slopes
        steps = self.knots.diff().unsqueeze(1) * slopes[:-1]
        starts = torch.cat([torch.zeros_like(steps[:1]), steps.cumsum(dim=0)])[:, cell]
        segment = (u >= starts).sum(dim=0) - 1
        slope = slopes[segment, cell]
        start = starts.gather(0, segment.unsqueeze(0)).squeeze(0)
        return self.knots[segment] + (u - start) / slope, -slope.log()
