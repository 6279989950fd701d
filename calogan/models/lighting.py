"""Noise of cells, given that a layer has a lit one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["given_some_lit"]

_TAIL = (
    *(0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807),
    *(-0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223),
)
_ABOVE, _BELOW = (0.010328, 0.802853, 2.515517), (0.001308, 0.189269, 1.432788, 1.0)
_RARE = 1e-2
"""Probability below which its logarithms are a series, which single precision does not spoil."""
_LEAST = 1e-36
_ROUNDING = 1e-7
"""Of a number of draws: what single precision does not know of what is left of the last one."""


def given_some_lit(noise: Tensor, threshold: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    r"""Noise of cells as if it had been drawn again and again until each layer has a cell above its threshold.

    What is left of a dark cell's noise, given that it is dark, is a uniform number, :math:`\Phi(\epsilon) / \Phi(z)`,
    and so noise for the next draw. Cell c is first lit at draw :math:`k_c = \lfloor \ln \Phi(\epsilon_c) / \ln
    \Phi(z_c) \rfloor`, counted from 0; the smallest number in a layer is the draw that it has. Layers with a lit cell
    stay as they are. Cells whose noise is correlated are taken as if it were not, in the other layers.

    Args:
        noise: Standard normals, shape ``(showers, cells)``.
        threshold: Noise z above which a cell is lit, same shape.
        sizes: Number of cells of each layer.

    Returns:
        Noise, where it is another and the draws are few within 5e-4 of its exact value, and whether a cell is lit by
        another draw than the first; both of shape ``(showers, cells)``.
    """
    fail, first = _log_chance(threshold), _log_chance(noise)
    draw = (first / fail).floor()
    least = [part.amin(dim=1, keepdim=True).expand_as(part) for part in torch.split(draw, list(sizes), dim=1)]
    kept = torch.cat(least, dim=1)
    chosen = (draw == kept) & (kept > 0)
    part = (first / fail - draw).clamp_min(_LEAST)
    left = fail * torch.maximum(part, (_ROUNDING * draw).clamp_max(0.5))
    above = torch.where(fail < _RARE, left, 1.0 - torch.exp(-left))
    return torch.where(chosen, torch.maximum(_exceeded_with(above), threshold), noise), chosen


def _log_chance(number: Tensor) -> Tensor:
    """-log of the chance of a standard normal below a number; relative precision 1e-5.

    Source:
        Tail: W. H. Press et al., Numerical Recipes, 6.2 (erfcc); as torch's has no counterpart in ONNX.
    """
    size = number.abs() / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.5 * size)
    tail = 0.5 * t * torch.exp(_polynomial(_TAIL, t) - size * size)
    few = tail * (1.0 + tail * (0.5 + tail / 3.0))
    upper = torch.where(tail < _RARE, few, -torch.log(1.0 - tail))
    return torch.where(number > 0, upper, -torch.log(tail.clamp_min(_LEAST))).clamp_min(_LEAST)


def _exceeded_with(chance: Tensor) -> Tensor:
    """Number that a standard normal exceeds with a chance.

    Source:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23; to 4.5e-4.
    """
    t = (-2.0 * torch.log(torch.minimum(chance, 1.0 - chance).clamp_min(_LEAST))).sqrt()
    number = t - _polynomial(_ABOVE, t) / _polynomial(_BELOW, t)
    return torch.where(chance < 0.5, number, -number)


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """Of ascending order from the last coefficient."""
    found = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        found = found * x + coefficient
    return found
