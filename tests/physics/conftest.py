"""Showers made by hand."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def shower():
    """Make one shower, shape (1, cells), from deposits (layer, row, column, energy)."""

    def make(geometry, *deposits):
        cells = np.zeros((1, geometry.n_cells))
        for layer, row, column, energy in deposits:
            cells[0, geometry.flat_index(layer, row, column)] = energy
        return cells

    return make


@pytest.fixture(scope="session")
def random_showers():
    """Make random showers and particles, the first shower being empty."""

    def make(geometry, showers=40, seed=3):
        rng = np.random.default_rng(seed)
        cells = rng.gamma(0.3, 0.05, (showers, geometry.n_cells)) * (rng.random((showers, geometry.n_cells)) < 0.6)
        cells[0] = 0.0
        incident = rng.normal(0, [0.5, 0.5, 1, 5, 5], (showers, 5)) + np.array([0, 0, 10, 0, 0])
        return cells, incident

    return make
