"""Pairs, correlations and clusters of hand-made showers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from calogan.geometry import Geometry, Layer
from calogan.physics.neighbours import (
    cluster_number,
    isolated_cells,
    largest_cluster,
    lit_pairs,
    neighbour_correlation,
)
from calogan.physics.view import ShowerView

EDGES = tuple(10.0 * step - 25.0 for step in range(6))
ONE = Geometry((Layer(EDGES, EDGES, 100.0),))  # rings: the middle cell, and the others
TWO = Geometry((Layer(EDGES, EDGES, 100.0), Layer(EDGES, EDGES, 200.0)))
STRAIGHT = np.array([[0.0, 0.0, 10.0, 0.0, 0.0]])


def _view(cells, geometry=ONE):
    return ShowerView(cells, np.repeat(STRAIGHT, len(cells), axis=0), geometry)


def test_pairs_need_the_minimum_in_both_cells(shower):
    view = _view(shower(ONE, (0, 0, 0, 0.02), (0, 0, 1, 0.004), (0, 1, 1, 0.0005), (0, 1, 2, 0.5), (0, 4, 4, 1.0)))
    assert [lit_pairs(view, minimum=minimum)[0] for minimum in (0.0, 0.0005, 0.001, 0.003, 0.01)] == [3, 3, 1, 1, 0]


def test_clusters_hang_together_by_sides_only(shower):
    view = _view(
        shower(
            ONE,
            *((0, row, column, 0.001) for row, column in ((0, 0), (0, 1), (1, 1))),  # three faint cells
            (0, 2, 2, 0.5),  # touches them by a corner only
            (0, 2, 3, 0.001),
            (0, 2, 4, 0.5),  # with the two before, three cells of which one is faint
            (0, 4, 0, 0.0029),  # alone and faint
            (0, 4, 4, 0.003),  # alone and not faint
        )
    )
    assert cluster_number(view, faint=False) == [4]
    assert largest_cluster(view, faint=False) == [3]
    assert isolated_cells(view) == [2]
    assert cluster_number(view, faint=True) == [3]
    assert largest_cluster(view, faint=True) == [3]


def test_layers_and_showers_are_apart(shower):
    cells = np.concatenate([shower(TWO, (0, 0, 0, 1.0), (1, 0, 0, 1.0)), shower(TWO, (0, 4, 4, 1.0)), shower(TWO)])
    view = _view(cells, TWO)
    assert cluster_number(view, faint=False).tolist() == [2, 1, 0]
    assert largest_cluster(view, faint=False).tolist() == [1, 1, 0]
    assert isolated_cells(view).tolist() == [2, 1, 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_clusters_are_those_of_scipy(seed, density):
    rng = np.random.default_rng(seed)
    cells = rng.random((4, 25)) * (rng.random((4, 25)) < density) * 0.006
    view = _view(cells)
    for faint in (False, True):
        lit = (cells > 0) & ((cells < 0.003) | (not faint))
        for number, picture in enumerate(lit.reshape(-1, 5, 5)):
            label, count = ndimage.label(picture)
            assert cluster_number(view, faint=faint)[number] == count
            assert largest_cluster(view, faint=faint)[number] == np.bincount(label.ravel())[1:].max(initial=0)


def test_correlation_of_two_pairs_is_worked_out_by_hand(shower):
    """Log energies -3, -1, 1, 3 of one ring: pairs (-3, -1) and (1, 3), then (-3, 3) and (-1, 1)."""
    powers = {name: 0.02 * math.exp(power) for name, power in (("a", -3), ("b", -1), ("c", 1), ("d", 3))}
    places = ((0, 0, 0), (0, 0, 1), (0, 4, 0), (0, 4, 1))
    for order, expected in (("abcd", (3 + 3) / 10), ("adbc", (-9 - 1) / 10), ("acbd", (-3 - 3) / 10)):
        deposits = [(*place, powers[name]) for place, name in zip(places, order, strict=True)]
        assert neighbour_correlation(_view(shower(ONE, *deposits)))[0] == pytest.approx(expected)


def test_correlation_is_about_the_mean_of_the_ring_and_above_the_minimum(shower):
    deposits = [(0, 0, 0, 0.01), (0, 0, 1, 0.02), (0, 4, 0, 0.04), (0, 4, 1, 0.08)]
    plain = neighbour_correlation(_view(shower(ONE, *deposits)))
    # the middle cell is alone in its ring: whatever it holds, it correlates with nothing
    assert neighbour_correlation(_view(shower(ONE, *deposits, (0, 2, 2, 5.0)))) == pytest.approx(plain)
    fainter = _view(shower(ONE, *deposits, (0, 3, 0, 0.0005), (0, 1, 0, 0.0009)))
    assert neighbour_correlation(fainter, minimum=0.001) == pytest.approx(plain)
    assert neighbour_correlation(fainter) != pytest.approx(plain)
    assert np.isnan(neighbour_correlation(fainter, minimum=0.05))[0]


def test_equal_neighbours_have_no_correlation(shower):
    assert np.isnan(neighbour_correlation(_view(shower(ONE, (0, 0, 0, 0.1), (0, 0, 1, 0.1)))))[0]
    assert np.isnan(neighbour_correlation(_view(shower(ONE, (0, 0, 0, 0.1)))))[0]


def test_energies_dealt_at_random_have_a_coefficient_of_minus_one_over_the_others():
    rng = np.random.default_rng(5)
    ring = np.array([cell for cell in range(25) if cell != 12])  # 24 cells
    cells = np.zeros((4000, 25))
    cells[:, ring] = np.exp(rng.normal(size=(4000, 24)))
    found = neighbour_correlation(_view(cells))
    assert found.mean() == pytest.approx(-1 / 23, abs=4 * found.std() / math.sqrt(4000))


def test_a_smooth_shower_is_correlated():
    rows, columns = np.divmod(np.arange(25), 5)
    smooth = np.exp(0.5 * rows - 0.2 * columns)[None, :]
    assert neighbour_correlation(_view(smooth))[0] > 0.5
