"""The energy in each layer, modelled by its likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from calogan.models.blocks import mlp

__all__ = ["LayerEnergyHead"]

HIDDEN = 64
OFFSET = 1e-5
"""Visible fraction of |p| below which a layer counts as empty; keeps the logarithm finite."""


class LayerEnergyHead(nn.Module):
    r"""Layer energies as correlated log-normals.

    With :math:`t_l = \log(E_l / |p| + \delta)`, standardised by the training data, :math:`t = \mu(c) + L(c)\, r` with
    a lower triangular :math:`L` and the residuals :math:`r` standard normal. A GAN's critic cares little for a per
    cent of total energy and shrinks its fluctuation; a likelihood does not.

    Args:
        n_features: Features of the condition.
        n_layers: Layers of the calorimeter.
    """

    location: Tensor
    spread: Tensor

    def __init__(self, n_features: int, n_layers: int) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.hidden = mlp([n_features, HIDDEN, HIDDEN], nn.SiLU)
        self.mean = nn.Linear(HIDDEN, n_layers)
        self.log_diagonal = nn.Linear(HIDDEN, n_layers)
        self.lower = nn.Linear(HIDDEN, n_layers * n_layers)
        for layer in (self.mean, self.log_diagonal, self.lower):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("location", torch.zeros(n_layers))
        self.register_buffer("spread", torch.ones(n_layers))

    def fit_scale(self, layer_energy: Tensor, momentum: Tensor) -> None:
        """Take location and spread of the targets from training showers.

        Args:
            layer_energy: Energies [GeV], shape ``(showers, layers)``.
            momentum: |p| [GeV], shape ``(showers, 1)``.
        """
        target = self._target(layer_energy, momentum)
        self.location.copy_(target.mean(dim=0))
        self.spread.copy_(target.std(dim=0).clamp_min(1e-3))

    def layer_energy(self, features: Tensor, residual: Tensor, momentum: Tensor) -> Tensor:
        """Energies [GeV] for standard normal residuals, shape ``(showers, layers)``."""
        mean, factor = self._gaussian(features)
        target = mean + (factor @ residual.unsqueeze(2)).squeeze(2)
        fraction = torch.exp(self.location + self.spread * target) - OFFSET
        return momentum * fraction.clamp_min(0.0)

    def residual(self, features: Tensor, layer_energy: Tensor, momentum: Tensor) -> Tensor:
        """Residuals that would give these energies, shape ``(showers, layers)``."""
        return self._standardised(features, layer_energy, momentum)[0]

    def negative_log_likelihood(self, features: Tensor, layer_energy: Tensor, momentum: Tensor) -> Tensor:
        """Of each shower's layer energies, up to a constant, shape ``(showers,)``."""
        residual, log_diagonal = self._standardised(features, layer_energy, momentum)
        return (0.5 * residual.square() + log_diagonal).sum(dim=1)

    def _target(self, layer_energy: Tensor, momentum: Tensor) -> Tensor:
        return torch.log(layer_energy / momentum + OFFSET)

    def _gaussian(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(features)
        diagonal = torch.exp(self.log_diagonal(hidden).clamp(-math.log(1e3), math.log(1e3)))
        lower = self.lower(hidden).reshape(-1, self.n_layers, self.n_layers)
        return self.mean(hidden), torch.tril(lower, diagonal=-1) + torch.diag_embed(diagonal)

    def _standardised(self, features: Tensor, layer_energy: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        mean, factor = self._gaussian(features)
        target = (self._target(layer_energy, momentum) - self.location) / self.spread
        residual = torch.linalg.solve_triangular(factor, (target - mean).unsqueeze(2), upper=False).squeeze(2)
        return residual, torch.diagonal(factor, dim1=1, dim2=2).log()
