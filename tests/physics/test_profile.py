"""Radial profile and cell spectrum."""

from __future__ import annotations

import numpy as np

from calogan.geometry import Geometry, Layer
from calogan.physics.profile import cell_spectrum, radial_profile

EDGES = (-15.0, -5.0, 5.0, 15.0)
GEOMETRY = Geometry((Layer(EDGES, EDGES, 100.0),))


def test_rings_hold_the_energy_at_their_distance_from_the_track():
    cells = np.zeros((2, 9), dtype=np.float32)
    cells[0, GEOMETRY.flat_index(0, 2, 1)] = 3.0  # x = 10, y = 0
    cells[0, GEOMETRY.flat_index(0, 0, 1)] = 1.0  # x = -10, y = 0
    slanted = np.array([[1.0, 0.0, 10.0, 0.0, 0.0]] * 2, dtype=np.float32)  # at x = 10 at the layer
    found = radial_profile(cells, slanted, GEOMETRY, [0.0, 5.0, 15.0, 25.0])
    np.testing.assert_allclose(found[0], [0.75, 0.0, 0.25])
    assert np.isnan(found[1]).all()


def test_rings_of_one_layer_hold_its_energy_alone():
    two = Geometry((Layer(EDGES, EDGES, 100.0), Layer(EDGES, EDGES, 200.0)))
    cells = np.zeros((2, 18))
    cells[:, two.flat_index(0, 1, 1)] = 5.0
    cells[0, two.flat_index(1, 1, 1)] = 1.0
    cells[0, two.flat_index(1, 2, 1)] = 3.0
    straight = np.array([[0.0, 0.0, 10.0, 0.0, 0.0]] * 2)
    found = radial_profile(cells, straight, two, [0.0, 5.0, 15.0], layer=1)
    np.testing.assert_allclose(found[0], [0.25, 0.75])
    assert np.isnan(found[1]).all()  # its second layer is dark


def test_spectrum_counts_cells_between_the_edges():
    cells = np.array([[0.0, 0.5, 1.5], [1.0, 2.0, 9.0]])
    assert cell_spectrum(cells, [0.1, 1.0, 2.0]).tolist() == [1, 3]
