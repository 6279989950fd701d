"""Single cells of a shower: lit cells, hottest cells, lit neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from calogan.geometry import Geometry
from calogan.physics.arrays import largest, like, ratio

__all__ = ["hottest_fraction", "hottest_ratio", "lit_pairs", "occupancy", "sparsity"]

ArrayT = TypeVar("ArrayT")  # a NumPy array or a torch tensor; the result is of the same kind


def occupancy(cell_energy: ArrayT, *, minimum: float = 0.0) -> ArrayT:
    """Number of lit cells: energy above 0 and at least `minimum` [GeV]; integers, shape ``(showers,)``."""
    energy: Any = cell_energy
    return ((energy > 0) & (energy >= minimum)).sum(1)  # type: ignore[no-any-return]


def sparsity(cell_energy: ArrayT, alphas: Sequence[float]) -> ArrayT:
    r"""Fraction of the cells above :math:`\alpha E_{tot}`.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        alphas: Fractions of the total energy, e.g. 20 from 1e-5 to 1e-1 in equal ratios.

    Returns:
        Fractions, shape ``(showers, alphas)``; 0 for an empty shower.

    Source:
        arXiv:1812.01319 and the public metrics of its data.
    """
    energy: Any = cell_energy
    total = energy.sum(1)[:, None]
    fractions = like(np.empty((energy.shape[0], len(alphas))), energy)
    for column, alpha in enumerate(alphas):
        fractions[:, column] = (energy > alpha * total).sum(1) / energy.shape[1]
    return fractions  # type: ignore[no-any-return]


def hottest_fraction(cell_energy: ArrayT, *, rank: int) -> ArrayT:
    """Energy of the hottest (rank 0), second-hottest (rank 1), ... cell over the total; NaN for an empty shower."""
    energy: Any = cell_energy
    return ratio(largest(energy, rank + 1)[:, rank], energy.sum(1))  # type: ignore[no-any-return]


def hottest_ratio(cell_energy: ArrayT) -> ArrayT:
    """Energy of the second-hottest over that of the hottest cell, shape ``(showers,)``; NaN for an empty shower."""
    top = largest(cell_energy, 2)
    return ratio(top[:, 1], top[:, 0])  # type: ignore[no-any-return]


def lit_pairs(cell_energy: ArrayT, geometry: Geometry) -> ArrayT:
    """Number of pairs of lit cells that share a side in a layer; integers, shape ``(showers,)``.

    Faint cells that a surrogate lights independently of one another make too few pairs.
    """
    energy: Any = cell_energy
    pairs: Any = 0
    for layer, (start, stop) in zip(geometry.layers, pairwise(geometry.offsets.tolist()), strict=True):
        lit = energy[:, start:stop].reshape(-1, layer.rows, layer.columns) > 0
        pairs = pairs + (lit[:, 1:] & lit[:, :-1]).sum((1, 2)) + (lit[:, :, 1:] & lit[:, :, :-1]).sum((1, 2))
    return pairs  # type: ignore[no-any-return]
