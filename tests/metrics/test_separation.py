"""Separation power: analytic values, floor and error by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError, ShapeError
from calogan.metrics.separation import separation_power

EDGES = np.linspace(-3, 3, 31)


def test_equal_histograms_give_0_and_disjoint_ones_1():
    values = np.linspace(-2, 2, 500)
    assert separation_power(values, values, EDGES).value == 0.0
    disjoint = separation_power(np.full(100, -2.0), np.full(300, np.nan), EDGES)
    assert disjoint.value == pytest.approx(1.0)
    assert (disjoint.n_reference, disjoint.n_generated) == (100, 300)


def test_two_bins_are_worked_out_by_hand():
    found = separation_power(np.array([0.0, 0, 0, 2]), np.array([0.0, 2]), np.array([-1.0, 1.0, 3.0]))
    assert found.value == pytest.approx(0.5 * (0.25**2 / 1.25 + 0.25**2 / 0.75))


@pytest.mark.parametrize(("n", "m"), [(400, 400), (2000, 500)])
def test_floor_and_error_of_equal_distributions(n, m):
    rng = np.random.default_rng(5)
    found = [separation_power(rng.normal(size=n), rng.normal(size=m), EDGES) for _ in range(400)]
    values = np.array([metric.value for metric in found])
    pulls = np.array([metric.excess / metric.excess_error for metric in found])
    assert np.mean([metric.floor for metric in found]) == pytest.approx(values.mean(), rel=0.06)
    assert abs(pulls.mean()) < 0.25
    assert 0.75 < pulls.std() < 1.25


def test_error_of_different_distributions():
    rng = np.random.default_rng(6)
    found = [separation_power(rng.normal(size=1000), rng.normal(0.5, 1, size=1500), EDGES) for _ in range(300)]
    spread = np.std([metric.value for metric in found])
    assert np.mean([metric.error for metric in found]) == pytest.approx(spread, rel=0.15)
    many = separation_power(rng.normal(size=400000), rng.normal(0.5, 1, size=400000), EDGES)
    assert np.mean([metric.excess for metric in found]) == pytest.approx(many.value, rel=0.1)


def test_two_pairs_are_worked_out_by_hand():
    """Pairs (0, 0), (0, 2): exchanging labels of the second leaves A - B at 1 and -1, or the other way round."""
    found = separation_power(np.array([0.0, 0.0]), np.array([0.0, 2.0]), np.array([-1.0, 1.0, 3.0]), paired=True)
    expected = 0.5 * (0.5**2 / 1.5 + 0.5**2 / 0.5)
    assert found.value == pytest.approx(expected)
    assert found.floor == pytest.approx(expected)


def test_floor_and_error_of_pairs_are_those_of_all_exchanges():
    rng = np.random.default_rng(11)
    pairs = rng.normal(size=(2, 8))
    edges = np.array([-0.7, 0.0, 0.7])
    swaps = (np.arange(2**8)[:, None] >> np.arange(8)) % 2 == 1
    values = [
        separation_power(np.where(swap, *pairs), np.where(swap, *pairs[::-1]), edges, paired=True).value
        for swap in swaps
    ]
    found = separation_power(*pairs, edges, paired=True)
    assert found.floor == pytest.approx(np.mean(values))
    assert found.error >= np.std(values) * (1 - 1e-9)


def test_pairs_that_are_equal_have_no_floor():
    values = np.linspace(-2, 2, 50)
    found = separation_power(values, values, EDGES, paired=True)
    assert (found.value, found.floor, found.error) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_pulls_of_pairs(shift):
    rng = np.random.default_rng(8)
    found = []
    for _ in range(300):
        common = rng.normal(size=1000)
        reference, generated = common + rng.normal(0, 0.5, size=(2, 1000))
        found.append(separation_power(reference, generated + shift, EDGES, paired=True))
    values = np.array([metric.value for metric in found])
    assert 0.8 < np.std((values - values.mean()) / [metric.error for metric in found]) < 1.25
    if shift == 0:
        assert np.mean([metric.floor for metric in found]) == pytest.approx(values.mean(), rel=0.05)


def test_equal_weights_change_next_to_nothing():
    rng = np.random.default_rng(9)
    samples = rng.normal(size=800), rng.normal(0.3, 1, size=1000)
    plain = separation_power(*samples, EDGES)
    weighted = separation_power(*samples, EDGES, weights=np.full(1000, 7.0))
    assert weighted.value == pytest.approx(plain.value)
    assert weighted.floor == pytest.approx(plain.floor, rel=0.04)
    assert weighted.error == pytest.approx(plain.error, rel=0.03)


def test_exact_weights_bring_the_value_to_the_floor():
    """Normal showers shifted by 0.5, weighted with the density ratio exp(-x/2 + 1/8)."""
    rng = np.random.default_rng(10)
    found = []
    for _ in range(200):
        generated = rng.normal(0.5, 1, size=2000)
        weights = np.exp(-generated / 2 + 1 / 8)
        found.append(separation_power(rng.normal(size=2000), generated, np.linspace(-2, 2, 21), weights=weights))
    pulls = np.array([metric.excess / metric.error for metric in found])
    assert abs(pulls.mean()) < 0.25
    assert 0.75 < pulls.std() < 1.25


@pytest.mark.parametrize("weights", [np.zeros(3), np.array([1.0, -1.0, 1.0]), np.array([1.0, np.nan, 1.0])])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(DataError, match="finite"):
        separation_power(np.ones(2), np.ones(3), EDGES, weights=weights)


def test_weights_of_other_numbers_or_of_pairs_are_refused():
    with pytest.raises(ShapeError, match="each of the 3 generated"):
        separation_power(np.ones(2), np.ones(3), EDGES, weights=np.ones(2))
    with pytest.raises(DataError, match="weights of pairs"):
        separation_power(np.ones(3), np.ones(3), EDGES, weights=np.ones(3), paired=True)
    with pytest.raises(ShapeError, match="no pairs"):
        separation_power(np.ones(2), np.ones(3), EDGES, paired=True)
