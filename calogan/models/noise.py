"""The keyed normal numbers of `calogan.noise`, drawn by torch where the network is: on a GPU without a copy."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["standard_normal_on"]

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW = 0xFFFFFFFF


def standard_normal_on(
    device: torch.device, seed: int, shower_id: NDArray[np.int64], size: int, particle: NDArray[np.int64] | None = None
) -> Tensor:
    """As `calogan.noise.standard_normal`, which says what the numbers are; equal up to the rounding of log and cos.

    Args:
        device: Where the numbers are drawn.
        seed: From 0 to 2**64 - 1.
        shower_id: Shape ``(showers,)``.
        size: Numbers for each shower.
        particle: Index in the event, shape ``(showers,)``; none stands for 0.

    Returns:
        Float32, shape ``(showers, size)``.

    Source:
        Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC11), doi:10.1145/2063384.2063405: Philox4x64-10
        with its constants.
    """
    half = (size + 1) // 2
    ids, particles = (
        torch.from_numpy(np.ascontiguousarray(values)).to(device).unsqueeze(1)
        for values in (shower_id, np.zeros_like(shower_id) if particle is None else particle)
    )
    block = torch.arange(1, -(-half // 4) + 1, device=device).unsqueeze(0)  # NumPy counts up before it draws
    zero = torch.zeros_like(ids + block)
    words = _philox((block + zero, zero, particles + zero, zero), (torch.full_like(ids, _signed(seed)), ids))
    raw = torch.stack(words, dim=2).flatten(1)[:, :half].contiguous()
    return _box_muller(raw)[:, :size]


def _philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Philox4x64-10, unsigned words as the int64 with the same bits."""
    for _ in range(_ROUNDS):
        first, second, third, fourth = counter
        high0, low0 = _product(_MULTIPLIERS[0], first)
        high1, low1 = _product(_MULTIPLIERS[1], third)
        counter = (high1 ^ second ^ key[0], low1, high0 ^ fourth ^ key[1], low0)
        key = (key[0] + _signed(_STEPS[0]), key[1] + _signed(_STEPS[1]))
    return counter


def _product(factor: int, words: Tensor) -> tuple[Tensor, Tensor]:
    """High and low word of a product of unsigned words, by halves."""
    low, high = words & _LOW, (words >> 32) & _LOW
    factor_low, factor_high = factor & _LOW, factor >> 32
    across, back = low * factor_high, high * factor_low
    middle = (((low * factor_low) >> 32) & _LOW) + (across & _LOW) + (back & _LOW)
    top = high * factor_high + ((across >> 32) & _LOW) + ((back >> 32) & _LOW) + (middle >> 32)
    return top, words * _signed(factor)


def _box_muller(words: Tensor) -> Tensor:
    half = words.shape[1]
    integers = torch.stack([words & _LOW, (words >> 32) & _LOW], dim=2).flatten(1)
    radius = (-2.0 * ((integers[:, :half].float() + 1.0) * 2.0**-32).log()).sqrt()
    signed = integers[:, half:]
    angle = (signed - ((signed >> 31) << 32)).float() * (2 * math.pi / 2**32)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)


def _signed(word: int) -> int:
    """The int64 with the bits of an unsigned word."""
    return word - 2**64 if word >= 2**63 else word
