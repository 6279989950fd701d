"""Layers of rings and sectors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calogan.errors import GeometryError
from calogan.geometry import Geometry, Layer, PolarLayer

FOUR = PolarLayer((0.0, 10.0, 40.0), 4, depth=5.0)
WHOLE = PolarLayer((0.0, 100.0, 300.0), 1, depth=7.0)
MIXED = Geometry((FOUR, WHOLE, Layer((0.0, 1.0, 2.0), (0.0, 1.0), depth=9.0, z_range=(8.0, 10.0))))


def test_all_rings_of_a_sector_come_before_the_next_sector():
    """By hand: sectors from -pi to pi, in each the inner ring first, as in the files of the CaloChallenge."""
    assert (FOUR.rows, FOUR.columns, FOUR.n_cells) == (4, 2, 8)
    x, y = FOUR.centres
    corner = np.sqrt(0.5)
    np.testing.assert_allclose(x[:2], [-5 * corner, -25 * corner])  # alpha = -3/4 pi
    np.testing.assert_allclose(y[:2], [-5 * corner, -25 * corner])
    np.testing.assert_allclose((x[5], y[5]), (25 * corner, 25 * corner))  # alpha = pi/4
    assert (MIXED.cell_row[5], MIXED.cell_column[5]) == (2, 1)
    np.testing.assert_array_equal(
        MIXED.flat_index(MIXED.cell_layer, MIXED.cell_row, MIXED.cell_column), range(MIXED.n_cells)
    )


def test_a_ring_without_sectors_is_about_the_axis():
    np.testing.assert_array_equal(WHOLE.centres, np.zeros((2, 2)))
    np.testing.assert_array_equal(WHOLE.spread, [50.0, 200.0])
    np.testing.assert_array_equal(MIXED.cell_spread, [0] * 8 + [50.0, 200.0] + [0] * 2)


@pytest.mark.parametrize("layer", [FOUR, PolarLayer((3.0, 4.0, 9.0), 7, depth=0.0)])
def test_centres_are_found_in_their_cells(layer):
    geometry = Geometry((layer,))
    np.testing.assert_array_equal(geometry.locate(geometry.cell_x, geometry.cell_y), range(layer.n_cells))


def test_positions_at_edges_and_outside():
    found = Geometry((FOUR,)).locate([0.0, -20.0, -20.0, 10.0, 40.0, 0.0], [0.0, 0.0, -1e-9, 0.0, 0.0, -39.0])
    # in the middle and on either side of alpha = pi, where the first sector begins, and at lower edges of rings
    np.testing.assert_array_equal(found, [4, 1, 1, 5, -1, 3])
    assert Geometry((PolarLayer((3.0, 4.0), 1, 0.0),)).locate(0.0, 2.9) == -1


def test_sizes():
    assert FOUR.finest == pytest.approx((np.pi / 2 * 5, 10))
    assert (FOUR.reach, FOUR.radius, FOUR.cell_width) == (25, 40, 20)
    assert FOUR.cell_size == pytest.approx(np.sqrt(np.pi / 4 * np.sqrt(100 * 1500)))
    x, y = FOUR.corners
    assert x.shape == (73, 3)  # a sector in 18 parts
    np.testing.assert_allclose((x[0], y[0]), (-np.array(FOUR.r_edges), np.zeros(3)), atol=1e-12)


def test_the_last_sector_is_beside_the_first_where_there_are_three():
    assert [PolarLayer((0.0, 1.0), sectors, 0.0).wraps for sectors in (1, 2, 3)] == [False, False, True]


def test_plain_values_and_back():
    assert Geometry.from_dict(json.loads(json.dumps(MIXED.to_dict()))) == MIXED
    assert MIXED.to_dict()["layers"][0] == {"r_edges": [0, 10, 40], "sectors": 4, "depth": 5, "z_range": None}


def test_rectangular_layers_have_the_plain_values_that_they_had():
    """Bundle ids and manifests are made of this text."""
    text = '{"x_edges": [0.0, 1.0, 2.0], "y_edges": [0.0, 1.0], "depth": 9.0, "z_range": [8.0, 10.0]}'
    assert json.dumps(MIXED.to_dict()["layers"][2]) == text


@pytest.mark.parametrize(
    ("edges", "sectors", "text"),
    [
        ((0.0, 2.0, 1.0), 4, "the r edges of a layer must be at least two finite, ascending numbers"),
        ((-1.0, 2.0), 4, "the r edges of a layer must be 0 mm or above, got -1"),
        ((0.0, 2.0), 0, "a layer needs at least one sector in alpha, got 0"),
    ],
)
def test_impossible_rings_are_refused(edges, sectors, text):
    with pytest.raises(GeometryError, match=text):
        PolarLayer(edges, sectors, 0.0)


def test_rings_have_no_pitch_and_are_not_moved():
    for refused in (lambda: MIXED.pitch, lambda: MIXED.cells_from(MIXED)):
        with pytest.raises(GeometryError, match=r"^layer 0 has rings of cells about the axis: it has no grid"):
            refused()
