"""The critic: cells on two scales and physics features in, one score out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.blocks import mlp
from calogan.models.censored import censored_moments
from calogan.models.features import ShowerFeatures, Track
from calogan.models.generator import Generator

__all__ = ["Critic", "CriticContext"]

BLOCK = 3
"""Cells a side that make one coarse cell."""
FEATURE_HIDDEN = (64, 64)
"""Widths of the branch that sees the physics features."""
SPREAD_FLOOR = 0.1
"""Added to a cell's spread, so that cells which are always dark do not weigh more than those that fluctuate."""


@dataclass(frozen=True)
class CriticContext:
    """What the critic knows of the incident particles, computed once for all showers made of them.

    Attributes:
        condition: Features of the particles, shape ``(showers, features)``.
        centre: Expected u of each cell, shape ``(showers, cells)``.
        spread: Expected fluctuation of u, shape ``(showers, cells)``.
        track: Projected tracks.
    """

    condition: Tensor
    centre: Tensor
    spread: Tensor
    track: Track


class Critic(nn.Module):
    """Score of showers, higher for the reference; no normalisation layer, since the penalty is per shower.

    Cells are seen as residuals, standardised by mean and fluctuation that a frozen copy of the warm-started generator
    expects for the incident particle: what differs between particles is far larger than what differs between samples,
    and the critic need not learn it. The score is a sum of two branches, so that the few physics features do not drown
    among the cells: one sees the residuals and blocks of 3 x 3 cells, the other differentiable physics features. Both
    see the condition.

    Args:
        hidden: Widths of the hidden layers of the cells' branch.
        geometry: Cells of a shower.
        generator: Generator whose transform and condition are used; `set_baseline` takes its expectation, too.
    """

    blocks: Tensor

    def __init__(self, hidden: Sequence[int], geometry: Geometry, generator: Generator) -> None:
        super().__init__()
        self.baseline = copy.deepcopy(generator).requires_grad_(requires_grad=False)
        self.features = ShowerFeatures(geometry)
        blocks = _block_matrix(geometry)
        self.register_buffer("blocks", torch.from_numpy(blocks), persistent=False)
        condition = generator.conditioning.size
        self.cell_branch = _branch(geometry.n_cells + blocks.shape[1] + condition, hidden)
        self.feature_branch = _branch(self.features.size + condition, FEATURE_HIDDEN)

    def fit_scale(self, cell_energy: Tensor, incident: Tensor) -> None:
        """Standardise the physics features by training showers: cells [GeV] and incident particles."""
        u = self.baseline.transform.encode(cell_energy)
        told = self.baseline.conditioning.told(incident)
        self.features.fit_scale(u, self.baseline.transform.excess(u), told)

    def set_baseline(self, generator: Generator) -> None:
        """Take the expectation of cells from a generator as it is now."""
        self.baseline.load_state_dict(generator.state_dict())

    @torch.no_grad()
    def context(self, incident: Tensor) -> CriticContext:
        """What the critic needs to know of incident particles, shape ``(showers, 5)``."""
        condition = self.baseline.conditioning(incident)
        typical = condition.new_zeros(len(condition), self.baseline.n_layers)
        shared = condition.new_zeros(len(condition), self.baseline.architecture.latent_size)
        centre, spread = censored_moments(*self.baseline.cells(condition, typical, shared))
        return CriticContext(
            condition, centre, spread + SPREAD_FLOOR, self.features.track(self.baseline.conditioning.told(incident))
        )

    def forward(self, residual: Tensor, context: CriticContext) -> Tensor:
        """Scores of showers.

        Args:
            residual: Cells as `standardise` gives them, shape ``(showers, cells)``.
            context: Of the incident particles.

        Returns:
            Scores, shape ``(showers,)``.
        """
        u = context.centre + context.spread * residual
        # Energy above the threshold, not the energy: a jump where a cell lights up would give no gradient across it.
        transform = self.baseline.transform
        energy = transform.excess(u)
        coarse = torch.log1p(energy @ self.blocks / transform.scale)
        features = self.features(u, energy, context.track)
        scores: Tensor = self.cell_branch(torch.cat([residual, coarse, context.condition], dim=1))
        scores = scores + self.feature_branch(torch.cat([features, context.condition], dim=1))
        return scores.squeeze(1)

    def standardise(self, cell_energy: Tensor, context: CriticContext) -> Tensor:
        """Cells [GeV] as residuals from what is expected, shape ``(showers, cells)``."""
        return (self.baseline.transform.encode(cell_energy) - context.centre) / context.spread


def _branch(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(mlp([inputs, *hidden], lambda: nn.LeakyReLU(0.2)), nn.Linear(hidden[-1], 1))


def _block_matrix(geometry: Geometry) -> NDArray[np.float32]:
    """1 where a cell belongs to a coarse cell, shape ``(cells, coarse cells)``."""
    keys = []
    for number, layer in enumerate(geometry.layers):
        row, column = np.divmod(np.arange(layer.n_cells), layer.columns)
        keys.append(np.stack([np.full_like(row, number), row // BLOCK, column // BLOCK], axis=1))
    _, coarse = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    return np.eye(coarse.max() + 1, dtype=np.float32)[coarse.ravel()]
