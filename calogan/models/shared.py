"""Noise that all cells of a shower share, drawn for its particle."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from calogan.models.blocks import mlp

__all__ = ["SharedNoise"]

HIDDEN = 64
WIDEST = 2.0
"""Largest logarithm of the width, and of its inverse."""


class SharedNoise(nn.Module):
    r"""Gaussian whose mean and width depend on the particle and on how much energy each layer took.

    The encoder of the warm start places a shower by its looks. With one Gaussian for all particles, those of one
    momentum or angle lie beside its middle, and are drawn with looks that others have; this network learns where they
    lie. It is the conditional prior of K. Sohn, H. Lee and X. Yan (Advances in Neural Information Processing Systems
    28, 2015).

    Args:
        n_inputs: Features of the particle and residuals of the layer energies together.
        size: Numbers of shared noise.
    """

    def __init__(self, n_inputs: int, size: int) -> None:
        super().__init__()
        self.hidden = mlp([n_inputs, HIDDEN], nn.SiLU)
        self.mean = nn.Linear(HIDDEN, size)
        self.log_width = nn.Linear(HIDDEN, size)
        for layer in (self.mean, self.log_width):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-width of the noise.

        Args:
            features: Of the particles in their frames, shape ``(showers, features)``.
            residual: Standardised layer energies, shape ``(showers, layers)``.

        Returns:
            Two tensors of shape ``(showers, size)``.
        """
        hidden = self.hidden(torch.cat([features, residual], dim=1))
        return self.mean(hidden), self.log_width(hidden).clamp(-WIDEST, WIDEST)
