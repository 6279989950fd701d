"""The 24 numbers by which showers of the LHCb calorimeter task are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.geometry import Geometry
from calogan.physics.transverse import asymmetry, line_width
from calogan.physics.view import ShowerView, shower_views

__all__ = ["lhcb_statistics", "sparsity"]


def sparsity(view: ShowerView, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Fraction of the cells above :math:`\alpha E_{tot}`.

    Args:
        view: Showers, NumPy arrays.
        alphas: Ascending fractions of the total energy, 0 or above.

    Returns:
        Fractions, shape ``(showers, alphas)``; 0 for an empty shower.
    """
    level = np.searchsorted(alphas, view.energy / view.total[view.shower])  # so many alphas are below
    levels = len(alphas) + 1
    counts = np.bincount(view.shower * levels + level, minlength=len(view) * levels).reshape(-1, levels)
    above = counts[:, :0:-1].cumsum(axis=1)[:, ::-1]
    return np.asarray(above / view.geometry.n_cells)


def lhcb_statistics(cell_energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry) -> NDArray[np.float64]:
    """Asymmetries, widths and sparsities of showers; of several layers, they are taken of all cells.

    The public code of the task mirrors the line of its widths at the diagonal (its slope is px/py instead of py/px)
    and takes the sign of the transverse asymmetry from y. Here the lines go along and across the transverse
    momentum, and plus is to the left of it.

    Args:
        cell_energy: Energies [GeV], already cut at the threshold, shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells.

    Returns:
        Longitudinal and transverse asymmetry, longitudinal and transverse width along a line [mm], and the fractions
        of the cells above 20 fractions of the total energy from 1e-5 to 1e-1 in equal ratios; shape
        ``(showers, 24)``. The first four are NaN for an empty shower, a width also where no energy is on its line.

    Raises:
        ShapeError: Arrays that do not go together.

    Source:
        arXiv:1812.01319; see `asymmetry`, `line_width` and `sparsity`.
    """
    alphas = np.geomspace(1e-5, 1e-1, 20)
    statistics = np.empty((len(cell_energy), 4 + len(alphas)))
    for chunk, view in shower_views(cell_energy, incident, geometry):
        for column, function in enumerate((asymmetry, line_width)):
            statistics[chunk, 2 * column] = function(view, longitudinal=True)
            statistics[chunk, 2 * column + 1] = function(view, longitudinal=False)
        statistics[chunk, 4:] = sparsity(view, alphas)
    return statistics
