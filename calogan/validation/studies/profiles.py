"""Curves over the cells of both samples: radial profile, cell spectrum, occupancy against threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.geometry import Geometry
from calogan.physics import profile

__all__ = ["Profile", "cell_spectrum", "occupancy_curve", "radial_profile"]

_SPECTRUM_BINS = 40
_THRESHOLDS = 25
_MAX_RINGS = 30


@dataclass(frozen=True)
class Profile:
    """Means over the showers of each sample in bins of something.

    Attributes:
        x: Edges of the bins, or, where there are as many as values, points.
        reference: Mean over the reference showers in each bin.
        reference_error: Standard error of that mean.
        generated: Mean over the generated showers in each bin.
        generated_error: Standard error of that mean.
    """

    x: NDArray[np.float64]
    reference: NDArray[np.float64]
    reference_error: NDArray[np.float64]
    generated: NDArray[np.float64]
    generated_error: NDArray[np.float64]


def radial_profile(reference: Showers, generated: Showers, layer: int | None = None) -> Profile:
    """Fraction of the visible energy, of all layers or of one, in rings about the projected track.

    The distance of a cell is that of its centre from the straight line of the incident particle at the depth of the
    cell's layer. The rings are as wide as the finest cell of these layers, or wider where that would make more than 30
    of them; those of layers of rings are their own, if they have no more. Showers without energy there are left out.

    Returns:
        Edges of the rings [mm] and fractions.
    """
    geometry = reference.geometry
    edges = _ring_edges(geometry if layer is None else Geometry(geometry.layers[layer : layer + 1]))
    fractions = [
        profile.radial_profile(sample.cell_energy, sample.incident, sample.geometry, edges, layer)
        for sample in (reference, generated)
    ]
    return _profile(edges, *fractions)


def cell_spectrum(reference: Showers, generated: Showers) -> Profile:
    """Number of cells per shower in logarithmic bins of the cell energy.

    Returns:
        Edges [GeV] and numbers of cells.
    """
    edges = _energy_points(reference, generated, _SPECTRUM_BINS + 1)

    def counts(showers: Showers) -> NDArray[np.float64]:
        shower, cell = np.nonzero(showers.cell_energy)
        energy = showers.cell_energy[shower, cell].astype(np.float64)
        return _shower_histograms(shower, energy, np.ones(len(energy)), edges, len(showers))

    return _profile(edges, counts(reference), counts(generated))


def occupancy_curve(reference: Showers, generated: Showers) -> Profile:
    """Number of cells per shower at or above a threshold, against the threshold.

    Returns:
        Thresholds [GeV] and numbers of cells.
    """
    thresholds = _energy_points(reference, generated, _THRESHOLDS)[:-1]
    edges = np.append(thresholds, np.inf)

    def counts(showers: Showers) -> NDArray[np.float64]:
        shower, cell = np.nonzero(showers.cell_energy)
        energy = showers.cell_energy[shower, cell].astype(np.float64)
        between = _shower_histograms(shower, energy, np.ones(len(energy)), edges, len(showers))
        return np.cumsum(between[:, ::-1], axis=1)[:, ::-1]

    return _profile(thresholds, counts(reference), counts(generated))


def _profile(x: NDArray[np.float64], reference: NDArray[np.float64], generated: NDArray[np.float64]) -> Profile:
    return Profile(x, *_mean_and_error(reference), *_mean_and_error(generated))


def _mean_and_error(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = values[np.isfinite(values).all(axis=1)]
    if len(known) < 2:
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    return known.mean(axis=0), known.std(axis=0, ddof=1) / math.sqrt(len(known))


def _shower_histograms(
    shower: NDArray[np.int64],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    edges: NDArray[np.float64],
    n_showers: int,
) -> NDArray[np.float64]:
    bins = len(edges) - 1
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = bins - 1
    inside = (index >= 0) & (index < bins)
    flat = shower[inside] * bins + index[inside]
    sums = np.bincount(flat, weights[inside], minlength=n_showers * bins)
    return sums.astype(np.float64).reshape(n_showers, bins)


def _energy_points(reference: Showers, generated: Showers, count: int) -> NDArray[np.float64]:
    lit = np.concatenate([sample.cell_energy[sample.cell_energy > 0] for sample in (reference, generated)])
    if not lit.size:
        return np.geomspace(1e-6, 1.0, count)
    low, high = float(lit.min()), float(lit.max())
    # float32 energies: the ends are widened by more than their rounding, so that both lie inside
    return np.geomspace(low * (1 - 1e-6), max(high, 2 * low) * (1 + 1e-6), count)


def _ring_edges(geometry: Geometry) -> NDArray[np.float64]:
    own = geometry.all_r_edges
    if 0 < len(own) - 1 <= _MAX_RINGS:
        return np.array(own)
    reach = max(layer.radius for layer in geometry.layers)
    width = max(min(float(layer.widths.min()) for layer in geometry.layers), reach / _MAX_RINGS)
    return np.arange(math.ceil(reach / width) + 1, dtype=np.float64) * width
