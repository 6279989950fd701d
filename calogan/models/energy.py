"""The energy in each layer, modelled by its likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from calogan.models.blocks import mlp

__all__ = ["LayerEnergyHead"]

HIDDEN = 64
FURTHEST = 8.0
"""Standard deviations at which a drawn logarithm of energy is cut."""


class LayerEnergyHead(nn.Module):
    r"""Layer energies: each layer is empty or not, and those that are not are correlated log-normals.

    With :math:`t_l = \log(E_l / |p|)`, standardised by the training data, :math:`t = \mu(c) + L(c)\, r` with a lower
    triangular :math:`L` and the residuals :math:`r` standard normal; layer l is empty with a probability that depends
    on the condition, and its residual then counts as 0. A GAN's critic cares little for a per cent of total energy and
    shrinks its fluctuation; a likelihood does not.

    Args:
        n_features: Features of the condition.
        n_layers: Layers of the calorimeter.
    """

    location: Tensor
    spread: Tensor
    can_be_empty: Tensor

    def __init__(self, n_features: int, n_layers: int) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.hidden = mlp([n_features, HIDDEN, HIDDEN], nn.SiLU)
        self.mean = nn.Linear(HIDDEN, n_layers)
        self.log_diagonal = nn.Linear(HIDDEN, n_layers)
        self.lower = nn.Linear(HIDDEN, n_layers * n_layers)
        self.lit = nn.Linear(HIDDEN, n_layers)
        for layer in (self.mean, self.log_diagonal, self.lower, self.lit):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("location", torch.zeros(n_layers))
        self.register_buffer("spread", torch.ones(n_layers))
        self.register_buffer("can_be_empty", torch.zeros(n_layers))

    @torch.no_grad()
    def fit_scale(self, layer_energy: Tensor, momentum: Tensor) -> None:
        """Take location and spread of the logarithms, and which layers are ever empty, from training showers.

        Args:
            layer_energy: Energies [GeV], shape ``(showers, layers)``.
            momentum: |p| [GeV], shape ``(showers, 1)``.
        """
        for number in range(self.n_layers):
            lit = layer_energy[:, number] > 0
            target = torch.log(layer_energy[lit, number] / momentum[lit, 0])
            if len(target) > 1:
                self.location[number] = target.mean()
                self.spread[number] = target.std().clamp_min(1e-3)
            share = (float(lit.sum()) + 0.5) / (len(lit) + 1.0)
            self.lit.bias[number] = math.log(share / (1.0 - share))
            self.can_be_empty[number] = float(not lit.all())

    def layer_energy(self, features: Tensor, residual: Tensor, gate: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        """Energies of layers for standard normal noise.

        Args:
            features: Condition, shape ``(showers, features)``.
            residual: Noise of the energies, shape ``(showers, layers)``.
            gate: Noise that decides which layers are empty, same shape.
            momentum: |p| [GeV], shape ``(showers, 1)``.

        Returns:
            Energies [GeV], and 1 where a layer is not empty, both of shape ``(showers, layers)``.
        """
        hidden = self.hidden(features)
        uniform = 0.5 * (1.0 + torch.erf(gate / math.sqrt(2.0)))
        lit = ((uniform <= torch.sigmoid(self.lit(hidden))) | (self.can_be_empty == 0)).to(gate.dtype)
        mean, factor = self._gaussian(hidden)
        target = mean + (factor @ (residual * lit).unsqueeze(2)).squeeze(2)
        fraction = torch.exp(self.location + self.spread * target.clamp(-FURTHEST, FURTHEST))
        return momentum * fraction * lit, lit

    def residual(self, features: Tensor, layer_energy: Tensor, momentum: Tensor) -> Tensor:
        """Residuals that would give these energies, 0 for an empty layer, shape ``(showers, layers)``."""
        return self._standardised(self.hidden(features), layer_energy, momentum)[0]

    def negative_log_likelihood(self, features: Tensor, layer_energy: Tensor, momentum: Tensor) -> Tensor:
        """Of each shower's layer energies, up to a constant, shape ``(showers,)``."""
        hidden = self.hidden(features)
        lit = (layer_energy > 0).to(layer_energy.dtype)
        residual, log_diagonal = self._standardised(hidden, layer_energy, momentum)
        empty = nn.functional.binary_cross_entropy_with_logits(self.lit(hidden), lit, reduction="none")
        return (lit * (0.5 * residual.square() + log_diagonal) + self.can_be_empty * empty).sum(dim=1)

    def _gaussian(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        diagonal = torch.exp(self.log_diagonal(hidden).clamp(-math.log(1e3), math.log(1e3)))
        lower = self.lower(hidden).reshape(-1, self.n_layers, self.n_layers)
        return self.mean(hidden), torch.tril(lower, diagonal=-1) + torch.diag_embed(diagonal)

    def _standardised(self, hidden: Tensor, layer_energy: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        mean, factor = self._gaussian(hidden)
        lit = layer_energy > 0
        logarithm = torch.log(torch.where(lit, layer_energy / momentum, torch.ones_like(layer_energy)))
        target = (logarithm - self.location) / self.spread
        residuals: list[Tensor] = []
        for number in range(self.n_layers):  # forward substitution, in which an empty layer's residual is 0
            known = sum((factor[:, number, other] * value for other, value in enumerate(residuals)), mean[:, number])
            value = (target[:, number] - known) / factor[:, number, number]
            residuals.append(torch.where(lit[:, number], value, torch.zeros_like(value)))
        return torch.stack(residuals, dim=1), torch.diagonal(factor, dim1=1, dim2=2).log()
