"""A Gaussian cut at zero: what a cell's energy looks like once faint cells count as dark."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["censored_log_likelihood", "censored_moments"]


def censored_log_likelihood(u: Tensor, mean: Tensor, width: Tensor) -> Tensor:
    r"""Log-likelihood of cells under a Gaussian that is cut at zero.

    A lit cell has the density of the Gaussian, a dark one the probability of all that lies below zero:
    :math:`\log N(u; m, w)` for u > 0 and :math:`\log \Phi(-m / w)` for u = 0, up to a constant.

    Args:
        u: Observed cells, at least 0, shape ``(showers, cells)``.
        mean: Mean before the cut, same shape.
        width: Width before the cut, same shape.

    Returns:
        Sum over the cells, shape ``(showers,)``.

    Source:
        J. Tobin, Econometrica 26 (1958) 24.
    """
    pull = (u - mean) / width
    lit = -0.5 * pull.square() - width.log()
    dark = torch.special.log_ndtr(-mean / width)
    return torch.where(u > 0, lit, dark).sum(dim=1)


def censored_moments(mean: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    r"""Mean and standard deviation of max(v, 0) for v Gaussian.

    .. math:: E = m \Phi(r) + w \varphi(r), \quad E_2 = (m^2 + w^2) \Phi(r) + m w \varphi(r), \quad r = m / w

    Args:
        mean: Mean m before the cut, any shape.
        width: Width w before the cut, same shape.

    Returns:
        Mean :math:`E` and standard deviation :math:`\sqrt{E_2 - E^2}`, same shape.
    """
    ratio = mean / width
    below = torch.special.ndtr(ratio)
    density = torch.exp(-0.5 * ratio.square()) / math.sqrt(2 * math.pi)
    first = mean * below + width * density
    second = (mean.square() + width.square()) * below + mean * width * density
    return first, (second - first.square()).clamp_min(0.0).sqrt()
