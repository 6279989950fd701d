"""Mean shapes of many showers: radial profile and cell-energy spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calogan.geometry import Geometry
from calogan.physics.arrays import bin_of, ratio, sum_by
from calogan.physics.view import shower_views

__all__ = ["cell_spectrum", "radial_profile"]

_CHUNK_SHOWERS = 1000


def radial_profile(
    cell_energy: NDArray[Any],
    incident: NDArray[Any],
    geometry: Geometry,
    edges: ArrayLike,
    layer: int | None = None,
) -> NDArray[np.float64]:
    """Energy fraction of each shower in rings about its projected track.

    The mean over showers is the radial profile; its error follows from their spread.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells; the track is projected to the depth of each layer.
        edges: Ascending radii [mm], ``rings + 1`` of them; energy outside of them is in no ring.
        layer: Layer whose energy is looked at; all of them if left out.

    Returns:
        Fractions of the shower's energy, or of that in the layer, shape ``(showers, rings)``; NaN where there is none.
    """
    radii = np.asarray(edges, dtype=np.float64)
    rings = len(radii) - 1
    fractions = np.empty((len(cell_energy), rings))
    for chunk, view in shower_views(cell_energy, incident, geometry):
        x, y = view.offsets
        ring = bin_of(np.hypot(np.hypot(x, y), view.spread_square**0.5), radii) - 1
        inside = (ring >= 0) & (ring < rings)
        total = view.total
        if layer is not None:
            inside &= geometry.cell_layer[view.cell] == layer
            total = view.layer_energy[:, layer]
        sums = sum_by(view.shower[inside] * rings + ring[inside], view.energy[inside], len(view) * rings)
        fractions[chunk] = ratio(sums.reshape(-1, rings), np.repeat(total[:, None], rings, axis=1))
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
