"""The critic: cells on two scales and physics features in, one score out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calogan.geometry import Geometry
from calogan.models.blocks import mlp
from calogan.models.conditioning import Conditioning
from calogan.models.features import ShowerFeatures
from calogan.models.preprocessing import CellTransform

__all__ = ["Critic"]

BLOCK = 3
"""Cells a side that make one coarse cell."""
FEATURE_HIDDEN = (64, 64)
"""Widths of the branch that sees the physics features."""


class Critic(nn.Module):
    """Score of showers, higher for the reference; no normalisation layer, since the penalty is per shower.

    The score is a sum of two branches, so that the few physics features do not drown among the cells: one sees every
    cell as u and as the root of its fraction of the shower, and blocks of 3 x 3 cells; the other sees differentiable
    physics features. Both see the condition.

    Args:
        hidden: Widths of the hidden layers of the cells' branch.
        geometry: Cells of a shower.
        conditioning: Condition of the generator (no parameters).
        transform: Cell transform of the generator (no parameters).
    """

    blocks: Tensor

    def __init__(
        self, hidden: Sequence[int], geometry: Geometry, conditioning: Conditioning, transform: CellTransform
    ) -> None:
        super().__init__()
        self.conditioning = conditioning
        self.transform = transform
        self.features = ShowerFeatures(geometry)
        blocks = _block_matrix(geometry)
        self.register_buffer("blocks", torch.from_numpy(blocks), persistent=False)
        cells = 2 * geometry.n_cells + blocks.shape[1] + conditioning.size
        self.cell_branch = _branch(cells, hidden)
        self.feature_branch = _branch(self.features.size + conditioning.size, FEATURE_HIDDEN)

    def fit_scale(self, cell_energy: Tensor, incident: Tensor) -> None:
        """Standardise the physics features by training showers: cells [GeV] and incident particles."""
        u = self.transform.encode(cell_energy)
        self.features.fit_scale(u, self.transform.excess(u), incident)

    def forward(self, u: Tensor, incident: Tensor) -> Tensor:
        """Scores of showers.

        Args:
            u: Transformed cell energies, shape ``(showers, cells)``.
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

        Returns:
            Scores, shape ``(showers,)``.
        """
        # Energy above the threshold, not the energy: a jump where a cell lights up would give no gradient across it.
        energy = self.transform.excess(u)
        fraction = energy / energy.sum(dim=1, keepdim=True).clamp_min(1e-9)
        condition = self.conditioning(incident)
        cells = [
            u,
            10.0 * ((fraction + 1e-4).sqrt() - 1e-2),
            torch.asinh(energy @ self.blocks / (4.0 * self.transform.scale)),
            condition,
        ]
        scores: Tensor = self.cell_branch(torch.cat(cells, dim=1))
        scores = scores + self.feature_branch(torch.cat([self.features(u, energy, incident), condition], dim=1))
        return scores.squeeze(1)


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
