"""How bright a cell is, given how far its noise is above the threshold."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["CellShape"]

KNOTS = (0.0, 0.2, 0.45, 0.8, 1.3, 2.0, 3.0, 4.5, 6.5)
"""Where the slope of a cell's function changes."""
STEEPEST = math.exp(2.5)
"""Slopes are between this and its inverse."""


class CellShape(nn.Module):
    r"""A rising, piecewise linear function of each cell, with h(0) = 0: v > 0 to u = h(v).

    A Gaussian cut at zero has one shape for each fraction of lit cells. Energies of cells far from the track have
    another, since there a cell is lit by one particle that has passed it, or is not. These functions give each cell
    the shape that it has.

    Args:
        n_cells: Cells of a shower.
    """

    knots: Tensor

    def __init__(self, n_cells: int) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.zeros(len(KNOTS), n_cells))
        self.register_buffer("knots", torch.tensor(KNOTS), persistent=False)

    @property
    def slopes(self) -> Tensor:
        """Slope of each cell's function beyond each knot, shape ``(knots, cells)``."""
        return self.log_slope.clamp(-math.log(STEEPEST), math.log(STEEPEST)).exp()

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
