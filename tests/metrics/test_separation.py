"""Separation power: analytic values, floor and error by simulation."""

from __future__ import annotations

import numpy as np
import pytest

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
