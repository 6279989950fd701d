"""The statistics of the LHCb task."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calogan.errors import ShapeError
from calogan.geometry import Geometry, Layer
from calogan.physics.lhcb import lhcb_statistics, sparsity
from calogan.physics.view import ShowerView

EDGES = tuple(10.0 * step - 25.0 for step in range(6))
ONE = Geometry((Layer(EDGES, EDGES, 100.0),))
SLANTED = np.array([[0.0, 1.0, 10.0, 0.0, 0.0]])  # at y = 10 mm at the layer, momentum along +y


def test_the_first_four_are_asymmetries_and_widths(shower):
    cells = shower(ONE, (0, 2, 4, 3.0), (0, 2, 2, 1.0), (0, 1, 3, 4.0))
    found = lhcb_statistics(cells, SLANTED, ONE)
    assert found.shape == (1, 24)
    # along y: 3 GeV at +10 and 1 GeV at -10 mm; across: 4 GeV at 10 mm to the left, the only cell on that line
    assert found[0, :4] == pytest.approx([(3 - 1) / 8, 4 / 8, math.sqrt(100 - 5**2), 0.0])
    assert found[0, 4:] == pytest.approx(np.full(20, 3 / 25))


def test_turning_the_showers_by_a_right_angle_changes_nothing(random_showers):
    cells, incident = random_showers(ONE)
    turned = np.rot90(cells.reshape(-1, 5, 5), axes=(1, 2)).reshape(-1, 25)  # x becomes y, y becomes -x
    particles = np.stack([-incident[:, 1], incident[:, 0], incident[:, 2], -incident[:, 4], incident[:, 3]], axis=1)
    np.testing.assert_allclose(
        lhcb_statistics(turned, particles, ONE), lhcb_statistics(cells, incident, ONE), rtol=1e-6, atol=1e-6
    )


def test_sparsity_counts_cells_above_fractions_of_the_total(shower):
    cells = np.concatenate([shower(ONE, (0, 0, 0, 0.9), (0, 1, 1, 0.09), (0, 2, 2, 0.01)), shower(ONE)])
    view = ShowerView(cells, np.repeat(SLANTED, 2, axis=0), ONE)
    found = sparsity(view, np.array([1e-3, 0.05, 0.5, 0.95]))
    np.testing.assert_allclose(found, [[3 / 25, 2 / 25, 1 / 25, 0], [0, 0, 0, 0]])


def test_the_fractions_run_from_1e_5_to_1e_1(random_showers):
    cells, incident = random_showers(ONE)
    found = lhcb_statistics(cells, incident, ONE)[:, 4:]
    for column, alpha in enumerate(10.0 ** np.linspace(-5, -1, 20)):
        expected = (cells > alpha * cells.sum(axis=1, keepdims=True)).mean(axis=1)
        np.testing.assert_allclose(found[:, column], expected)


def test_an_empty_shower_has_no_asymmetry_and_wrong_shapes_are_refused():
    found = lhcb_statistics(np.zeros((1, 25)), SLANTED, ONE)
    assert np.isnan(found[0, :4]).all()
    assert not found[0, 4:].any()
    with pytest.raises(ShapeError, match="do not go together"):
        lhcb_statistics(np.zeros((1, 24)), SLANTED, ONE)
