"""Sums over pairs of neighbours that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.geometry import Geometry, Layer
from calogan.metrics.neighbours import neighbour_features

EDGES = tuple(float(edge) for edge in range(0, 50, 10))
GRID = Geometry((Layer(EDGES, EDGES, depth=0.0),))
KINDS, RINGS = 4 + 1 + 1, 9  # levels, faint, asinh; then the powers come before
ALONG_X = np.array([[0.0, 0.0, 1.0, 15.0, 15.0]])  # through the middle of cell (1, 1)


def columns(cells, geometry=GRID, incident=ALONG_X):
    found = neighbour_features(np.array(cells, dtype=float).reshape(1, -1), incident, geometry, 1.0)[0]
    energy, powers, others = np.split(found, [RINGS, 8 * RINGS])
    return energy, powers.reshape(7, RINGS), others.reshape(7, KINDS, RINGS) ** 2


def test_pairs_are_counted_by_direction_level_and_ring():
    cells = np.zeros((4, 4))
    cells[1, 1], cells[2, 1], cells[1, 2] = 40.0, 5.0, 1.0  # down: 40 and 5; right: 40 and 1; 5 and 1: diagonal

    energy, powers, others = columns(cells)

    assert np.exp(energy[:2]) - 1 == pytest.approx([40, 6], rel=1e-5)
    alone, down, right, falling, rising, *_ = others.sum(axis=-1)
    assert alone[:5] == pytest.approx([3, 2, 1, 1, 1], rel=1e-5)  # lit, at 3, 10 and 30, faint
    assert down[:5] == pytest.approx([1, 1, 0, 0, 0], abs=1e-5)
    assert right[:5] == pytest.approx([1, 0, 0, 0, 0], abs=1e-5)
    assert falling[:5].sum() == 0
    assert rising[:5].sum() == 1  # cell (1, 2) and the one a row down and a column to the left
    assert others[1, 5, 0] == pytest.approx(np.arcsinh(40) * np.arcsinh(5), rel=1e-5)
    assert np.exp(2 * powers[1, 0]) == pytest.approx(40 * 5 + 1, rel=1e-5)


def test_cells_two_apart_are_partners_and_the_edge_has_none():
    cells = np.zeros((4, 4))
    cells[0, 0] = cells[2, 0] = cells[0, 3] = 1.0
    *_, others = columns(cells)
    assert others[:, 0].sum(axis=-1).tolist() == pytest.approx([3, 0, 0, 0, 0, 1, 0])
    assert others[:, 4].sum(axis=-1).tolist() == pytest.approx([3, 0, 0, 0, 0, 1, 0])


def test_shuffled_cells_keep_their_sums_and_lose_their_pairs():
    cells = np.zeros((4, 4))
    cells[1:3, 1:3] = 1.0
    apart = np.zeros((4, 4))
    apart[0, 0] = apart[0, 3] = apart[3, 0] = apart[3, 3] = 1.0
    (_, _, first), (_, _, second) = columns(cells), columns(apart)
    assert first[0, 0].sum() == pytest.approx(4)
    assert second[0, 0].sum() == pytest.approx(4)
    assert first[1, 0].sum() == pytest.approx(2)
    assert second[1:].sum() == 0


def test_many_layers_are_added_in_three_groups():
    layers = Geometry(tuple(Layer(EDGES, EDGES, depth=float(depth)) for depth in range(6)))
    found = neighbour_features(np.ones((2, 96)), np.repeat(ALONG_X, 2, axis=0), layers, 1.0)
    assert found.shape == (2, 3 * RINGS * (1 + 7 + 7 * KINDS))
    energy = np.exp(found[0, : 3 * RINGS]).reshape(3, RINGS) - 1
    assert energy.sum(axis=1) == pytest.approx([32, 32, 32], rel=1e-5)
    assert np.array_equal(found[0], found[1])
