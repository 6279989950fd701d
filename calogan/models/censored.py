"""Gaussians cut at zero: what the energies of cells look like once faint cells count as dark."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

__all__ = ["pair_log_ratio"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(3)
_FURTHEST = 6.0
"""Standard deviations beyond which a cell counts as this far out."""
_STRONGEST = 0.95


def pair_log_ratio(first: Tensor, second: Tensor, lit: tuple[Tensor, Tensor], correlation: Tensor) -> Tensor:
    r"""Log-likelihood of pairs of cells beyond that of the single cells.

    The noise of two cells is bivariate normal; a dark cell's is known to be below its threshold only. With the
    density :math:`\varphi_2` and distribution :math:`\Phi_2` of correlation :math:`\rho`, the ratio is
    :math:`\varphi_2(x, y) / \varphi(x) \varphi(y)` for two lit cells,
    :math:`\Phi((t - \rho x) / \sqrt{1 - \rho^2}) / \Phi(t)` for a lit and a dark one, and
    :math:`\Phi_2(t, s) / \Phi(t) \Phi(s)` for two dark ones, where

    .. math:: \Phi_2(t, s; \rho) = \Phi(t) \Phi(s) + \int_0^\rho \varphi_2(t, s; r)\, dr

    Summed over pairs it is a composite likelihood: its maximum has the right pair correlations.

    Args:
        first: Noise of a lit cell, and the threshold of a dark cell's noise, shape ``(showers, pairs)``.
        second: The same of its partner.
        lit: Whether the cells are lit, two of the same shape.
        correlation: Of the noise of the two, same shape.

    Returns:
        Logarithm of the ratio for each pair, shape ``(showers, pairs)``.

    Source:
        Plackett, Biometrika 41 (1954) 351; Varin, Reid and Firth, Statistica Sinica 21 (2011) 5.
    """
    x, y = first.clamp(-_FURTHEST, _FURTHEST), second.clamp(-_FURTHEST, _FURTHEST)
    rho = correlation.clamp(-_STRONGEST, _STRONGEST)
    rest = 1.0 - rho.square()
    squares, product = x.square() + y.square(), x * y
    both = -0.5 * rest.log() - (rho.square() * squares - 2.0 * rho * product) / (2.0 * rest)
    noise, threshold = torch.where(lit[0], x, y), torch.where(lit[0], y, x)
    log_ndtr = torch.special.log_ndtr
    one = log_ndtr((threshold - rho * noise) * rest.rsqrt()) - log_ndtr(threshold)
    integral = torch.zeros_like(rho)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        part = rho * (0.5 + 0.5 * float(node))
        left = 1.0 - part.square()
        integral = integral + 0.5 * float(weight) * torch.exp((part * product - 0.5 * squares) / left) * left.rsqrt()
    darkness = torch.special.ndtr(x) * torch.special.ndtr(y)
    none = torch.log1p((rho * integral / (2.0 * math.pi * darkness.clamp_min(1e-9))).clamp_min(-0.99))
    return torch.where(lit[0] & lit[1], both, torch.where(lit[0] | lit[1], one, none))
