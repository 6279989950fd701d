"""The critic: cells on two scales and physics features in, one score out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.blocks import mlp
from calogan.models.features import ShowerFeatures
from calogan.models.generator import Generator
from calogan.models.runs import layer_runs

__all__ = ["Critic", "CriticContext"]

BLOCK = 3
"""Cells a side that make one coarse cell."""
PHYSICS_HIDDEN = (128, 64)
"""Widths of the branch that sees the physics features."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(8)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
CHUNK = 1024
"""Particles whose expectation is computed at a time, at most."""
CHUNK_CELLS = 2**21
"""Cells of them."""
SPREAD_FLOOR = 0.1
"""Added to a cell's spread, so that cells which are always dark do not weigh more than those that fluctuate."""


@dataclass(frozen=True)
class CriticContext:
    """What the critic knows of the incident particles, computed once for all showers made of them.

    Attributes:
        features: Of the particles in their frames, shape ``(showers, features)``.
        centre: Expected u of each cell, shape ``(showers, cells)``.
        spread: Expected fluctuation of u, shape ``(showers, cells)``.
    """

    features: Tensor
    centre: Tensor
    spread: Tensor

    def __getitem__(self, index: Tensor | slice) -> CriticContext:
        """That of some of the particles."""
        return CriticContext(self.features[index], self.centre[index], self.spread[index])


class Critic(nn.Module):
    """Score of showers in their local frames, higher for the reference; no normalisation layer, as the penalty asks.

    Cells are seen as residuals, standardised by mean and fluctuation that a frozen copy of the warm-started generator
    expects of single cells in a typical shower of the incident particle: what differs between particles is far larger
    than what differs between samples, and the critic need not learn it. The score is a sum of two branches, so that
    the physics features do not drown among the cells: one sees the residuals and blocks of 3 x 3 cells, the other
    differentiable physics features. Both see the condition.

    Args:
        hidden: Widths of the hidden layers of the cells' branch.
        geometry: Cells of a shower.
        generator: Generator whose transform and frame are used; `set_baseline` takes its expectation, too.
    """

    def __init__(self, hidden: Sequence[int], geometry: Geometry, generator: Generator) -> None:
        super().__init__()
        self.baseline = copy.deepcopy(generator).requires_grad_(requires_grad=False)
        self.physics = ShowerFeatures(geometry, generator.frame, float(generator.transform.scale))
        self.runs = layer_runs(geometry)
        coarse = sum(run.count * -(-run.rows // BLOCK) * -(-run.columns // BLOCK) for run in self.runs)
        features = generator.frame.size
        self.cell_branch = _branch(geometry.n_cells + coarse + features, hidden)
        self.physics_branch = _branch(self.physics.size + features, PHYSICS_HIDDEN)

    def fit_scale(self, u: Tensor, features: Tensor) -> None:
        """Standardise the physics features by training showers: transformed cells and features of their particles."""
        self.physics.fit_scale(u, self.baseline.transform.excess(u), features)

    def set_baseline(self, generator: Generator) -> None:
        """Take the expectation of cells from a generator as it is now."""
        self.baseline.load_state_dict(generator.state_dict())

    @torch.no_grad()
    def context(self, features: Tensor) -> CriticContext:
        """What the critic needs to know of particles with such features in their frames, shape ``(showers, ...)``."""
        chunk = max(1, min(CHUNK, CHUNK_CELLS // self.baseline.n_cells))
        pieces = [self._expectation(piece) for piece in torch.split(features, chunk)]
        centre, spread = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        return CriticContext(features, centre, spread)

    def _expectation(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and fluctuation of u for the baseline's typical shower, by Gauss-Hermite quadrature."""
        typical = features.new_zeros(len(features), self.baseline.n_layers)
        shared, _ = self.baseline.shared(features, typical)
        mean, width = self.baseline.cells(features, typical, shared)
        centre, square = torch.zeros_like(mean), torch.zeros_like(mean)
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            u = self.baseline.shape(mean + node * width)
            centre += weight * u
            square += weight * u.square()
        return centre, (square - centre.square()).clamp_min(0.0).sqrt() + SPREAD_FLOOR

    def forward(self, residual: Tensor, context: CriticContext) -> Tensor:
        """Scores of showers.

        Args:
            residual: Cells as `standardise` gives them, shape ``(showers, cells)``.
            context: Of the incident particles.

        Returns:
            Scores, shape ``(showers,)``.
        """
        u = context.centre + context.spread * residual
        # At least 0; but rounding is not to decide whether the penalty sees the slope of a dark cell.
        u = u + (u.clamp_min(0.0) - u).detach()
        # Energy above the threshold, not the energy: a jump where a cell lights up would give no gradient across it.
        transform = self.baseline.transform
        energy = transform.excess(u)
        coarse = torch.log1p(self._blocks(energy) / transform.scale)
        physics = self.physics(u, energy, context.features)
        scores: Tensor = self.cell_branch(torch.cat([residual, coarse, context.features], dim=1))
        scores = scores + self.physics_branch(torch.cat([physics, context.features], dim=1))
        return scores.squeeze(1)

    def _blocks(self, energy: Tensor) -> Tensor:
        """Energy in blocks of cells, shape ``(showers, coarse cells)``."""
        found = []
        for run in self.runs:
            wide = nn.functional.pad(run.of(energy), (0, -run.columns % BLOCK, 0, -run.rows % BLOCK))
            rows, columns = (size // BLOCK for size in wide.shape[2:])
            blocks = wide.reshape(-1, run.count, rows, BLOCK, columns, BLOCK).sum(dim=(3, 5))
            found.append(blocks.flatten(1))
        return torch.cat(found, dim=1)

    @staticmethod
    def standardise(u: Tensor, context: CriticContext) -> Tensor:
        """Transformed cells as residuals from what is expected, shape ``(showers, cells)``."""
        return (u - context.centre) / context.spread


def _branch(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(mlp([inputs, *hidden], lambda: nn.LeakyReLU(0.2)), nn.Linear(hidden[-1], 1))
