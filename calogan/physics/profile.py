"""Mean shapes of many showers: radial profile and cell-energy spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calogan.geometry import Geometry
from calogan.physics.kinematics import slopes

__all__ = ["cell_spectrum", "radial_profile"]

_CHUNK_SHOWERS = 1000


def radial_profile(
    cell_energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry, edges: ArrayLike
) -> NDArray[np.float64]:
    """Energy fraction of each shower in rings about its projected track.

    The mean over showers is the radial profile; its error follows from their spread.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells; the track is projected to the depth of each layer.
        edges: Ascending radii [mm], ``rings + 1`` of them; energy outside of them is in no ring.

    Returns:
        Fractions of the shower's energy, shape ``(showers, rings)``; NaN for an empty shower.
    """
    radii = np.asarray(edges, dtype=np.float64)
    rings = len(radii) - 1
    fractions = np.empty((len(cell_energy), rings))
    for start in range(0, len(cell_energy), _CHUNK_SHOWERS):
        energy = cell_energy[start : start + _CHUNK_SHOWERS].astype(np.float64)
        particles = incident[start : start + _CHUNK_SHOWERS].astype(np.float64)
        shower, cell = np.nonzero(energy > 0)
        radius = _distance(particles[shower], cell, geometry)
        ring = np.searchsorted(radii, radius, side="right") - 1
        inside = (ring >= 0) & (ring < rings)
        flat, weights = shower[inside] * rings + ring[inside], energy[shower[inside], cell[inside]]
        sums = np.bincount(flat, weights, minlength=len(energy) * rings).reshape(-1, rings)
        total = energy.sum(axis=1, keepdims=True)
        empty = total <= 0
        fractions[start : start + _CHUNK_SHOWERS] = np.where(empty, np.nan, sums / np.where(empty, 1.0, total))
    return fractions


def cell_spectrum(cell_energy: NDArray[Any], edges: ArrayLike) -> NDArray[np.int64]:
    """How many cells have an energy in each bin.

    Args:
        cell_energy: Energies [GeV], any shape.
        edges: Ascending energies [GeV], ``bins + 1`` of them; the last bin includes its upper edge.

    Returns:
        Counts, shape ``(bins,)``; cells outside of the edges are in no bin.
    """
    energies = np.asarray(edges, dtype=np.float64)
    counts = np.zeros(len(energies) - 1, dtype=np.int64)
    for start in range(0, len(cell_energy), _CHUNK_SHOWERS):
        counts += np.histogram(cell_energy[start : start + _CHUNK_SHOWERS], bins=energies)[0]
    return counts


def _distance(particles: NDArray[np.float64], cell: NDArray[np.int64], geometry: Geometry) -> NDArray[np.float64]:
    """Distance of single cells from the projected tracks of their showers [mm]."""
    slope_x, slope_y = slopes(particles)
    depth = geometry.cell_depth[cell]
    distance: NDArray[np.float64] = np.hypot(
        geometry.cell_x[cell] - particles[:, 3] - slope_x * depth,
        geometry.cell_y[cell] - particles[:, 4] - slope_y * depth,
    )
    return distance
