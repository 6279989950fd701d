"""The encoder of the supervised warm start: which noise would have made this shower?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calogan.models.blocks import mlp

__all__ = ["Encoder"]


class Encoder(nn.Module):
    """Mean and log-width of the shared noise of a given shower (Kingma and Welling, arXiv:1312.6114).

    Used in training alone; it lets the warm start learn fluctuations that cells share.

    Args:
        n_cells: Cells of a shower.
        n_features: Features of the condition and the layer energies' residuals together.
        latent_size: Numbers of shared noise.
    """

    def __init__(self, n_cells: int, n_features: int, latent_size: int) -> None:
        super().__init__()
        self.hidden = mlp([n_cells + n_features, 256, 128], nn.SiLU)
        self.mean = nn.Linear(128, latent_size)
        self.log_width = nn.Linear(128, latent_size)

    def forward(self, u: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-width of the noise, each of shape ``(showers, latent_size)``."""
        hidden = self.hidden(torch.cat([u, features], dim=1))
        return self.mean(hidden), self.log_width(hidden).clamp(-6.0, 2.0)
