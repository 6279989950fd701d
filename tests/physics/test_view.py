"""Lit cells, their neighbours and chunks."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import ShapeError
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.physics.view import ShowerView, shower_views

# two rows of three columns in front of one row of two
GEOMETRY = Geometry((Layer((0, 1, 2), (0, 1, 2, 3), 1.0), Layer((0, 1), (0, 1, 2), 5.0)))
INCIDENT = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]] * 2)


def test_pairs_share_a_side_and_never_cross_rows_layers_or_showers():
    view = ShowerView(np.ones((2, 8)), INCIDENT, GEOMETRY)
    first, second = view.pairs
    pairs = list(zip(view.index[first].tolist(), view.index[second].tolist(), strict=True))
    one = [(0, 1), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (4, 5), (6, 7)]
    assert pairs == one + [(left + 8, right + 8) for left, right in one]
    assert view.pair_shower.tolist() == [0] * 8 + [1] * 8


def test_only_lit_cells_are_listed_and_the_fainter_of_a_pair_counts():
    cells = np.array([[0, 3.0, 2.0, 0, 1.0, 0, 0, 5.0], [0] * 8])
    view = ShowerView(cells, INCIDENT, GEOMETRY)
    assert view.index.tolist() == [1, 2, 4, 7]
    assert view.pair_minimum.tolist() == [2.0, 1.0]
    assert view.layer_energy.tolist() == [[6.0, 5.0], [0.0, 0.0]]
    assert view.layer_count.tolist() == [[3, 1], [0, 0]]
    assert [top.tolist() for top in view.hottest] == [[5.0, 0.0], [3.0, 0.0]]


def test_chunks_cover_all_showers_and_cannot_be_changed(random_showers):
    cells, incident = random_showers(GEOMETRY, showers=40000)
    pieces = list(shower_views(cells.astype(np.float32), incident, GEOMETRY))
    assert len(pieces) > 1
    assert sum(len(view) for _, view in pieces) == 40000
    for chunk, view in pieces:
        np.testing.assert_array_equal(view.cell_energy, cells[chunk].astype(np.float32))
        assert view.cell_energy.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        pieces[0][1].cell_energy[0] = 1.0


def test_arrays_that_do_not_go_together_are_refused():
    with pytest.raises(ShapeError, match=r"\(2, 8\) and incident \(1, 5\)"):
        next(shower_views(np.ones((2, 8)), INCIDENT[:1], GEOMETRY))


def test_sectors_close_to_a_circle():
    """By hand: three sectors of two rings, then two sectors of one ring, then a whole ring."""
    layers = PolarLayer((0.0, 1.0, 2.0), 3, 1.0), PolarLayer((0.0, 1.0), 2, 2.0), PolarLayer((0.0, 1.0), 1, 3.0)
    view = ShowerView(np.ones((2, 9)), INCIDENT, Geometry(layers))
    first, second = (view.index[place].tolist() for place in view.pairs)
    assert first == sorted(first)
    one = {(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 5), (4, 5), (4, 0), (5, 1), (6, 7)}
    assert len(first) == 20
    assert set(zip(first, second, strict=True)) == one | {(left + 9, right + 9) for left, right in one}
    np.testing.assert_array_equal(view.lit_clusters.number, [3, 3])


def test_a_whole_ring_is_as_wide_as_its_radius():
    """Half of the energy at 10 mm and half at 30 mm from the axis: the root mean square is that of 100 and 900."""
    geometry = Geometry((PolarLayer((5.0, 15.0, 45.0), 1, 1.0),))
    view = ShowerView(np.ones((1, 2)), INCIDENT[:1], geometry)
    assert view.centres[0][0] == view.centres[1][0] == 0
    np.testing.assert_allclose(view.variances, [[250.0], [250.0]])
    assert view.ring.tolist() == [0, 1]
