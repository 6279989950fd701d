"""Showers with known defects: what a validation is worth is shown by those that it sees.

Each function takes showers of the full simulation and returns what a surrogate with one fault would make of the same
incident particles. ``benchmarks/validation_power.py`` tabulates which metric sees which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers

__all__ = [
    "DEFECTS",
    "copied",
    "faint_redrawn",
    "mean_shower",
    "moved",
    "scaled",
    "shuffled",
    "widened",
    "zeroed",
]

_TREND_ORDER = 3  # of the polynomial in ln |p| that the response is widened about


def scaled(showers: Showers, rng: np.random.Generator, factor: float = 1.005) -> Showers:  # noqa: ARG001
    """All energies times a factor."""
    return replace(showers, cell_energy=(showers.cell_energy * np.float32(factor)))


def widened(showers: Showers, rng: np.random.Generator, factor: float = 1.05) -> Showers:  # noqa: ARG001
    """The response spread wider about its mean at each |p|; all cells of a shower are scaled alike."""
    size, total = np.log(showers.momentum), showers.total_energy
    response = total / showers.momentum
    trend = np.polynomial.Polynomial.fit(size, response, _TREND_ORDER)(size)
    wanted = np.maximum(trend + factor * (response - trend), 0.0)
    scale = np.divide(wanted, response, out=np.ones_like(response), where=response > 0)
    return replace(showers, cell_energy=(showers.cell_energy * scale[:, None]).astype(np.float32))


def moved(showers: Showers, rng: np.random.Generator, cells: int = 1) -> Showers:  # noqa: ARG001
    """Every layer's picture moved by whole cells along x; what leaves the calorimeter is lost."""
    pieces = []
    for layer, start in zip(showers.geometry.layers, showers.geometry.offsets.tolist(), strict=False):
        picture = showers.cell_energy[:, start : start + layer.n_cells].reshape(-1, layer.rows, layer.columns)
        shifted = np.zeros_like(picture)
        shifted[:, cells:] = picture[:, :-cells]
        pieces.append(shifted.reshape(len(picture), -1))
    return replace(showers, cell_energy=np.concatenate(pieces, axis=1))


def shuffled(showers: Showers, rng: np.random.Generator) -> Showers:
    """The energies of each shower dealt to cells at random."""
    return replace(showers, cell_energy=rng.permuted(showers.cell_energy, axis=1))


def zeroed(showers: Showers, rng: np.random.Generator, fraction: float = 0.1) -> Showers:
    """A fraction of the cells without energy, drawn anew for each shower."""
    keep = rng.random(showers.cell_energy.shape, dtype=np.float32) >= fraction
    return replace(showers, cell_energy=showers.cell_energy * keep)


def copied(showers: Showers, rng: np.random.Generator, fraction: float = 0.2) -> Showers:
    """A fraction of the cells' pictures replaced by that of the shower with the nearest |p|."""
    order = np.argsort(showers.momentum, kind="stable")
    later = np.flatnonzero(rng.random(len(order) - 1) < fraction) + 1
    energy = showers.cell_energy.copy()
    energy[order[later]] = showers.cell_energy[order[later - 1]]
    return replace(showers, cell_energy=energy)


def mean_shower(showers: Showers, rng: np.random.Generator) -> Showers:  # noqa: ARG001
    """The mean of all showers, whatever the incident particle."""
    mean = showers.cell_energy.mean(axis=0, dtype=np.float64).astype(np.float32)
    return replace(showers, cell_energy=np.tile(mean, (len(showers), 1)))


def faint_redrawn(showers: Showers, rng: np.random.Generator, limit: float = 3e-3) -> Showers:
    """Cells below `limit` [GeV] drawn independently of each other, with the right spectrum in each cell.

    Among eight showers of like particles the faint energies of a cell, 0 included, are dealt anew, each cell by
    itself: every cell keeps its distribution, neighbours know nothing of each other.
    """
    energy = showers.cell_energy.copy()
    for group in _alike(showers, size=8):
        part = energy[group]
        faint = part < limit
        order = np.argsort(np.where(faint, rng.random(part.shape), 2.0), axis=0)
        # the faint ones of a column come first in a random order; they go to the column's faint places in turn
        place = np.cumsum(faint, axis=0) - 1
        dealt = np.take_along_axis(np.take_along_axis(part, order, axis=0), np.maximum(place, 0), axis=0)
        energy[group] = np.where(faint, dealt, part)
    return replace(showers, cell_energy=energy)


def _alike(showers: Showers, size: int) -> list[NDArray[np.int64]]:
    """Groups of showers whose particles have nearly the same momentum and direction."""
    incident = showers.incident.astype(np.float64)
    keys = [np.log(showers.momentum), incident[:, 0] / incident[:, 2], incident[:, 1] / incident[:, 2]]
    groups = [np.arange(len(showers))]
    for number, key in enumerate(keys):
        parts = size * 8 ** (len(keys) - 1 - number)
        groups = [
            part
            for group in groups
            for part in np.array_split(group[np.argsort(key[group], kind="stable")], max(1, len(group) // parts))
        ]
    return groups


DEFECTS: Mapping[str, Callable[[Showers, np.random.Generator], Showers]] = {
    "energies 0.5% higher": scaled,
    "response 5% wider": widened,
    "faint cells independent": faint_redrawn,
    "moved by a cell": moved,
    "energies 5% higher": lambda showers, rng: scaled(showers, rng, 1.05),
    "cells shuffled": shuffled,
    "10% of cells zeroed": zeroed,
    "20% copies": copied,
    "mean shower": mean_shower,
}
"""Name to what a surrogate with this fault makes of reference showers."""
