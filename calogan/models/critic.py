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


class Critic(nn.Module):
    """Score of showers, higher for the reference; no normalisation layer, since the penalty is per shower.

    It sees every cell as u and as the root of its fraction of the shower, blocks of 3 x 3 cells, differentiable
    physics features and the condition.

    Args:
        hidden: Widths of the hidden layers.
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
        self.features = ShowerFeatures(geometry, transform)
        blocks = _block_matrix(geometry)
        self.register_buffer("blocks", torch.from_numpy(blocks), persistent=False)
        inputs = 2 * geometry.n_cells + blocks.shape[1] + self.features.size + conditioning.size
        self.hidden = mlp([inputs, *hidden], lambda: nn.LeakyReLU(0.2))
        self.score = nn.Linear(hidden[-1], 1)

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
        views = [
            u,
            10.0 * ((fraction + 1e-4).sqrt() - 1e-2),
            torch.asinh(energy @ self.blocks / (4.0 * self.transform.scale)),
            self.features(u, energy, incident),
            self.conditioning(incident),
        ]
        scores: Tensor = self.score(self.hidden(torch.cat(views, dim=1)))
        return scores.squeeze(1)


def _block_matrix(geometry: Geometry) -> NDArray[np.float32]:
    """1 where a cell belongs to a coarse cell, shape ``(cells, coarse cells)``."""
    keys = []
    for number, layer in enumerate(geometry.layers):
        row, column = np.divmod(np.arange(layer.n_cells), layer.columns)
        keys.append(np.stack([np.full_like(row, number), row // BLOCK, column // BLOCK], axis=1))
    _, coarse = np.unique(np.concatenate(keys), axis=0, return_inverse=True)
    return np.eye(coarse.max() + 1, dtype=np.float32)[coarse.ravel()]
