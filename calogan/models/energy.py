"""The energy in each layer, modelled by its likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from calogan.models.blocks import mlp

__all__ = ["LayerEnergyHead"]

HIDDEN = 64
FURTHEST = 8.0
"""Standard deviations at which a drawn number is cut."""
SKEWEST, LONGEST_TAIL = 1.5, 0.7
"""Largest skewness, and largest logarithm of the tails' weight and of its inverse."""
SURE = 1e-7
"""Least probability that a layer is drawn to be empty or lit with, if it can be both."""
FAINTEST = 1e-3
"""Of the threshold: least energy above it that a lit layer counts with."""


class LayerEnergyHead(nn.Module):
    r"""Layer energies: which layers are empty, the total energy, and how the layers share it.

    Layer l is lit with a probability that depends on the condition c and on which layers before it are lit. What is
    above one threshold in each lit layer is the total energy E and the shares of the layers from the front to the
    back, each of what those before it have left:

    .. math:: t_0 = \log (E / |p|), \quad t_{l+1} = \log \big(E_l / {\textstyle \sum_{k > l}} E_k\big)

    (the logit of the share), standardised by the training data. Then :math:`t = \mu + L r + d\, S(r)` with a strictly
    lower triangular L, residuals r that are standard normal, and :math:`S(r) = \sinh((\sinh^{-1} r + \epsilon) /
    \delta)`, which skews them and changes their tails. What these depend on is c, which layers are lit and, for the
    shares, the residual of the total energy. Numbers without a meaning, such as the share of an empty layer, have the
    residual 0. The total comes first because layers make up for one another: it fluctuates far less than they do.

    One layer has a log-normal total and no more: its energy is not reduced by the threshold, nor skewed.

    A GAN's critic cares little for a per cent of total energy and shrinks its fluctuation; a likelihood does not.

    Args:
        n_features: Features of the condition.
        n_layers: Layers of the calorimeter.
        threshold: Least energy of a lit cell [GeV].

    Source:
        Shares of what is left: C. Krause and D. Shih, arXiv:2106.05285 (CaloFlow), eq. 3.3.
        S: M. C. Jones and A. Pewsey, Biometrika 96 (2009) 761.
    """

    location: Tensor
    spread: Tensor
    can_be_empty: Tensor

    def __init__(self, n_features: int, n_layers: int, threshold: float = 0.0) -> None:
        super().__init__()
        self.n_layers, self.several = n_layers, n_layers > 1
        self.least = threshold if self.several else 0.0
        self.hidden = mlp([n_features, HIDDEN, HIDDEN], nn.SiLU)
        self.mean = nn.Linear(HIDDEN, n_layers)
        self.log_diagonal = nn.Linear(HIDDEN, n_layers)
        self.lower = nn.Linear(HIDDEN, n_layers * n_layers)
        self.lit = nn.Linear(HIDDEN, n_layers)
        fresh = [self.mean, self.log_diagonal, self.lower, self.lit]
        if self.several:
            self.known = mlp([n_features + n_layers + 1, HIDDEN, HIDDEN], nn.SiLU)
            self.form = nn.Linear(HIDDEN, 2 * n_layers)
            self.lit_before = nn.Parameter(torch.zeros(n_layers, n_layers))
            fresh.append(self.form)
        for layer in fresh:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("location", torch.zeros(n_layers))
        self.register_buffer("spread", torch.ones(n_layers))
        self.register_buffer("can_be_empty", torch.zeros(n_layers))

    @torch.no_grad()
    def fit_scale(self, layer_energy: Tensor, momentum: Tensor) -> None:
        """Take location and spread of the numbers t, and which layers are ever empty, from training showers.

        Args:
            layer_energy: Energies [GeV], shape ``(showers, layers)``.
            momentum: |p| [GeV], shape ``(showers, 1)``.
        """
        lit = layer_energy > 0
        numbers, meant = self._numbers(layer_energy, momentum)
        for number in range(self.n_layers):
            target = numbers[meant[:, number] > 0, number]
            if len(target) > 1:
                self.location[number] = target.mean()
                self.spread[number] = target.std().clamp_min(1e-3)
            share = (float(lit[:, number].sum()) + 0.5) / (len(lit) + 1.0)
            self.lit.bias[number] = math.log(share / (1.0 - share))
            self.can_be_empty[number] = float(not lit[:, number].all())

    def layer_energy(self, features: Tensor, residual: Tensor, gate: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        """Energies of layers for standard normal noise.

        Args:
            features: Condition, shape ``(showers, features)``.
            residual: Noise of the energies, shape ``(showers, layers)``.
            gate: Noise that decides which layers are empty, same shape.
            momentum: |p| [GeV], shape ``(showers, 1)``.

        Returns:
            Energies [GeV], and the residuals with 0 for numbers without a meaning, both ``(showers, layers)``.
        """
        hidden = self.hidden(features)
        lit = self._draw_lit(hidden, gate)
        meant = _meant(lit)
        residual = residual * meant
        law = self._law(hidden, features, lit, torch.zeros_like(momentum))
        if self.several:
            law = law.then(self._law(hidden, features, lit, residual[:, :1]))
        known = (torch.tril(law.factor, diagonal=-1) @ residual.unsqueeze(2)).squeeze(2)
        target = law.mean + known + law.diagonal * law.formed(residual)
        numbers = self.location + self.spread * target.clamp(-FURTHEST, FURTHEST)
        total = momentum * torch.exp(numbers[:, :1])
        return total * self._shares(numbers[:, 1:], meant[:, 1:]) * lit + self.least * lit, residual

    def residual(self, features: Tensor, layer_energy: Tensor, momentum: Tensor) -> Tensor:
        """Residuals that would give these energies, 0 for numbers without a meaning, shape ``(showers, layers)``."""
        return self._standardised(self.hidden(features), features, layer_energy, momentum)[0]

    def negative_log_likelihood(self, features: Tensor, layer_energy: Tensor, momentum: Tensor) -> Tensor:
        """Of each shower's layer energies, up to a constant, shape ``(showers,)``."""
        hidden = self.hidden(features)
        lit = (layer_energy > 0).to(layer_energy.dtype)
        residual, log_slope, meant = self._standardised(hidden, features, layer_energy, momentum)
        logit = self.lit(hidden)
        if self.several:
            logit = logit + lit @ torch.tril(self.lit_before, diagonal=-1).T
        empty = nn.functional.binary_cross_entropy_with_logits(logit, lit, reduction="none")
        return (meant * (0.5 * residual.square() - log_slope) + self.can_be_empty * empty).sum(dim=1)

    def _draw_lit(self, hidden: Tensor, gate: Tensor) -> Tensor:
        """1 for layers that are lit, from front to back, shape ``(showers, layers)``."""
        uniform = (0.5 * (1.0 + torch.erf(gate / math.sqrt(2.0)))).clamp(SURE, 1.0 - SURE)
        least = torch.where(self.can_be_empty > 0, torch.log(uniform / (1.0 - uniform)), -math.inf)
        logits = self.lit(hidden)
        drawn: list[Tensor] = []
        for number in range(self.n_layers):
            drawn.append((logits[:, number : number + 1] >= least[:, number : number + 1]).to(gate.dtype))
            if self.several:
                logits = logits + drawn[-1] * self.lit_before[:, number]  # what earlier layers get from it is past
        return torch.cat(drawn, dim=1)

    def _law(self, hidden: Tensor, features: Tensor, lit: Tensor, total: Tensor) -> _Law:
        """What the numbers t are drawn from, given the residual of the total energy, shape ``(showers, 1)``.

        The total itself is drawn with 0 in its place.
        """
        if self.several:
            hidden = hidden + self.known(torch.cat([features, lit, total], dim=1))
        diagonal = torch.exp(self.log_diagonal(hidden).clamp(-math.log(1e3), math.log(1e3)))
        lower = torch.tril(self.lower(hidden).reshape(-1, self.n_layers, self.n_layers), diagonal=-1)
        skew = log_tail = None
        if self.several:
            skew, log_tail = (torch.tanh(part) for part in torch.split(self.form(hidden), self.n_layers, dim=1))
            skew, log_tail = SKEWEST * skew, LONGEST_TAIL * log_tail
        return _Law(self.mean(hidden), lower + torch.diag_embed(diagonal), skew, log_tail)

    def _standardised(
        self, hidden: Tensor, features: Tensor, layer_energy: Tensor, momentum: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Residuals, logarithm of their slope in the standardised numbers, and 1 for numbers with a meaning."""
        numbers, meant = self._numbers(layer_energy, momentum)
        lit = (layer_energy > 0).to(numbers.dtype)
        target = (numbers - self.location) / self.spread
        law = self._law(hidden, features, lit, torch.zeros_like(momentum))
        found: list[Tensor] = []
        slopes: list[Tensor] = []
        for number in range(self.n_layers):  # forward substitution
            if number == 1:
                law = law.then(self._law(hidden, features, lit, found[0].unsqueeze(1)))
            known = law.mean[:, number]
            if found:
                known = known + (law.factor[:, number, :number] * torch.stack(found, dim=1)).sum(dim=1)
            value, log_slope = law.residual((target[:, number] - known) / law.diagonal[:, number], number)
            found.append(torch.where(meant[:, number] > 0, value, torch.zeros_like(value)))
            slopes.append(log_slope - law.diagonal[:, number].log())
        return torch.stack(found, dim=1), torch.stack(slopes, dim=1), meant

    def _numbers(self, layer_energy: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers t of given energies, and 1 where they have a meaning; both of shape ``(showers, layers)``."""
        lit = (layer_energy > 0).to(layer_energy.dtype)
        above = torch.where(lit > 0, (layer_energy - self.least).clamp_min(FAINTEST * self.least), 0.0)
        left = above.flip(1).cumsum(1).flip(1)
        meant = _meant(lit)
        one = torch.ones_like(above)
        upper = torch.where(meant > 0, torch.cat([left[:, :1], above[:, :-1]], dim=1), one)
        below = torch.where(meant > 0, torch.cat([momentum, left[:, 1:]], dim=1), one)
        return torch.log(upper / below), meant

    def _shares(self, logit: Tensor, meant: Tensor) -> Tensor:
        """Part of the total that each layer has if it is lit, shape ``(showers, layers)``."""
        taken, left = (meant * _log_sigmoid(sign * logit) for sign in (1.0, -1.0))
        nothing = meant.new_zeros(meant.shape[0], 1)
        before = torch.cat([nothing, left.cumsum(1)], dim=1)
        return torch.exp(before + torch.cat([taken, nothing], dim=1))


@dataclass(frozen=True)
class _Law:
    """What numbers t are drawn from: shapes ``(showers, layers)``, and ``(showers, layers, layers)`` for `factor`."""

    mean: Tensor
    factor: Tensor
    skew: Tensor | None
    log_tail: Tensor | None

    @property
    def diagonal(self) -> Tensor:
        """Widths, shape ``(showers, layers)``."""
        return torch.diagonal(self.factor, dim1=1, dim2=2)

    def then(self, others: _Law) -> _Law:
        """This law for the first number, and another for all after it."""
        return _Law(*(_first_of(getattr(self, name), getattr(others, name)) for name in self.__dataclass_fields__))

    def formed(self, residual: Tensor) -> Tensor:
        """S of residuals, same shape."""
        if self.skew is None or self.log_tail is None:
            return residual
        return torch.sinh((torch.asinh(residual) + self.skew) * torch.exp(-self.log_tail))

    def residual(self, formed: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Residual of one number whose S is given, and the logarithm of its slope; shapes ``(showers,)``."""
        if self.skew is None or self.log_tail is None:
            return formed, torch.zeros_like(formed)
        log_tail = self.log_tail[:, number]
        argument = log_tail.exp() * torch.asinh(formed) - self.skew[:, number]
        slope = log_tail + torch.log(torch.cosh(argument)) - 0.5 * torch.log1p(formed.square())
        return torch.sinh(argument), slope


def _first_of(first: Tensor, others: Tensor) -> Tensor:
    return torch.cat([first[:, :1], others[:, 1:]], dim=1)


def _log_sigmoid(x: Tensor) -> Tensor:
    """ln(1 / (1 + exp(-x))), exact for small shares: ONNX Runtime's sigmoid is not."""
    return x.clamp_max(0.0) - torch.log1p(torch.exp(-x.abs()))


def _meant(lit: Tensor) -> Tensor:
    """1 for numbers t that have a meaning: the total of a lit shower, shares of layers before another lit one."""
    deeper = (lit.flip(1).cumsum(1).flip(1) > 0).to(lit.dtype)
    return torch.cat([deeper[:, :1], lit[:, :-1] * deeper[:, 1:]], dim=1)
