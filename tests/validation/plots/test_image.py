"""Pictures of cells."""

from __future__ import annotations

import numpy as np

from calogan.geometry import Layer, PolarLayer
from calogan.validation.plots.image import layer_image, shower_pair
from calogan.validation.studies.images import LayerImages, ShowerPair


def test_a_cell_is_drawn_where_it_is():
    """Cells two wide along x and one along y: the picture's rows run along x."""
    cells = Layer((0.0, 2.0, 4.0), (0.0, 1.0, 2.0, 3.0), 5.0)
    mean = np.arange(1.0, 7.0).reshape(2, 3)
    mesh = layer_image(LayerImages(0, cells, mean, mean, mean / 10), "reference").axes[0].collections[0]
    corners = mesh.get_coordinates()
    np.testing.assert_array_equal(mesh.get_array(), mean)
    np.testing.assert_array_equal(corners[1, 2], [2.0, 2.0])


def test_sectors_are_drawn_as_wedges():
    cells = PolarLayer((0.0, 10.0, 30.0), 4, 5.0)
    energy = np.arange(8.0).reshape(4, 2)
    axes = shower_pair(ShowerPair(7, 8, 10.0, 11.0, 0, cells, energy, energy)).axes[0]
    mesh = axes.collections[0]
    corners, drawn = mesh.get_coordinates(), mesh.get_array()
    parts = len(drawn) // 4
    assert parts > 10
    np.testing.assert_allclose(np.hypot(*corners[:, 2].T), 30.0)  # round, not a square
    np.testing.assert_allclose(corners[0, 2], [-30.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(corners[parts, 2], [0.0, -30.0], atol=1e-12)
    assert np.ma.getmaskarray(drawn)[:parts, 0].all()  # a dark cell
    for sector in range(4):
        np.testing.assert_array_equal(drawn[sector * parts : (sector + 1) * parts, 1], energy[sector, 1])
