"""Ring edges follow the cells."""

from __future__ import annotations

import math

import pytest

from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.physics.rings import cell_pitch, ring_edges


def _layer(rows, columns, pitch_x, pitch_y):
    return Layer(
        tuple(pitch_x * (row - rows / 2) for row in range(rows + 1)),
        tuple(pitch_y * (column - columns / 2) for column in range(columns + 1)),
        10.0,
    )


@pytest.mark.parametrize(
    ("layers", "edges"),
    [
        ([_layer(30, 30, 20.2, 20.2)], (0, 20, 60, 120, 180, 240, 320)),
        ([_layer(20, 20, 10.0, 10.0)], (0, 10, 30, 60, 90, 120)),  # the corner's centre is 134 mm off
        ([_layer(3, 96, 160.0, 5.0), _layer(12, 12, 40.0, 40.0), _layer(12, 6, 40.0, 80.0)], (0, 40, 120, 240)),
        ([_layer(2, 2, 20.0, 20.0)], (0,)),
    ],
)
def test_edges_are_round_multiples_of_the_cell_as_far_as_there_are_cells(layers, edges):
    assert ring_edges(Geometry(tuple(layers))) == (*edges, math.inf)


def test_pitch_is_the_root_of_the_area():
    geometry = Geometry((_layer(3, 5, 8.0, 2.0), _layer(2, 2, 3.0, 3.0)))
    assert cell_pitch(geometry).tolist() == pytest.approx([4.0, 3.0])


def test_a_calorimeter_of_rings_has_its_own_edges():
    edges = tuple(float(edge) for edge in (0, 2, 4, 6, 10, 15, 20, 40, 80, 200))
    layers = PolarLayer(edges, 10, 1.0), PolarLayer((0.0, 5.0, 80.0), 1, 2.0)
    # the first, third, sixth and ninth of 0, 2, 4, 5, 6, 10, 15, 20, 40, 80, 200
    assert ring_edges(Geometry(layers)) == (0.0, 2.0, 5.0, 15.0, 80.0, math.inf)
    assert ring_edges(Geometry((PolarLayer((0.0, 9.0), 4, 1.0),))) == (0.0, math.inf)
