"""Kolmogorov-Smirnov and Wasserstein distances."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError
from calogan.metrics.distances import kolmogorov_smirnov, wasserstein

stats = pytest.importorskip("scipy.stats")


def _w1(first, second, seed=0):
    return wasserstein(first, second, rng=np.random.default_rng(seed))


def test_wasserstein_distance_of_a_shift_is_the_shift():
    values = np.random.default_rng(3).normal(5, 2, size=500)
    assert _w1(values, values + 3).value == pytest.approx(3 / values.std())
    assert _w1(values, values).value == 0.0


def test_wasserstein_agrees_with_scipy_for_unequal_sizes_and_ties():
    rng = np.random.default_rng(4)
    first, second = rng.poisson(3.0, 400).astype(float), rng.poisson(3.5, 250).astype(float)
    expected = stats.wasserstein_distance(first, second) / first.std()
    assert _w1(first, second).value == pytest.approx(expected)


def test_wasserstein_floor_and_error_by_simulation():
    rng = np.random.default_rng(5)
    same = [wasserstein(rng.normal(size=300), rng.normal(size=200), rng=rng) for _ in range(100)]
    assert np.mean([metric.floor for metric in same]) == pytest.approx(np.mean([m.value for m in same]), rel=0.1)
    moved = [wasserstein(rng.normal(size=300), rng.normal(1, 1, size=200), rng=rng) for _ in range(100)]
    assert np.mean([metric.error for metric in moved]) == pytest.approx(np.std([m.value for m in moved]), rel=0.25)


def test_wasserstein_is_deterministic_and_ignores_order():
    values = np.random.default_rng(6).normal(size=(2, 100))
    assert _w1(*values) == _w1(*values)
    assert _w1(values[0], values[1]).value == pytest.approx(_w1(values[0][::-1], values[1]).value)


def test_wasserstein_counts_what_enters():
    found = _w1(np.array([0.0, 1.0, np.nan]), np.array([0.0, 1.0]))
    assert (found.value, found.n_reference) == (0.0, 2)
    assert np.isnan(_w1(np.array([0.0, 1.0]), np.array([np.nan])).value)
    assert np.isnan(_w1(np.zeros(3), np.ones(3)).value)


def test_kolmogorov_smirnov_has_uniform_p_values_and_the_right_floor():
    rng = np.random.default_rng(7)
    found = [kolmogorov_smirnov(rng.normal(size=400), rng.normal(size=300)) for _ in range(300)]
    assert np.abs(np.sort([metric.p_value for metric in found]) - np.linspace(0, 1, 300)).max() < 0.1
    assert np.mean([metric.floor for metric in found]) == pytest.approx(np.mean([m.value for m in found]), rel=0.06)


def test_kolmogorov_smirnov_of_uniform_distributions_a_half_apart_is_a_half():
    grid = np.linspace(0, 1, 1001)
    found = kolmogorov_smirnov(grid, grid + 0.5)
    assert found.value == pytest.approx(0.5, abs=2e-3)
    assert found.p_value < 1e-10


def test_nan_ranks_below_all_numbers():
    assert kolmogorov_smirnov(np.arange(10.0), np.full(10, np.nan)).value == 1.0


@pytest.mark.parametrize("distance", [kolmogorov_smirnov, _w1])
def test_an_empty_sample_is_refused(distance):
    with pytest.raises(DataError, match="without showers"):
        distance(np.array([1.0]), np.array([]))
