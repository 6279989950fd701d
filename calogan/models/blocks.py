"""Pieces that the networks are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

__all__ = ["mlp"]


def mlp(sizes: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Fully connected layers with an activation after each.

    Example:
        >>> mlp([3, 8], nn.SiLU)
        Sequential(
          (0): Linear(in_features=3, out_features=8, bias=True)
          (1): SiLU()
        )
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers)
