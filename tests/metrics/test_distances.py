"""Kolmogorov-Smirnov and Wasserstein distances."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError, ShapeError
from calogan.metrics.distances import kolmogorov_smirnov, wasserstein
from calogan.metrics.resampling import Resampling

stats = pytest.importorskip("scipy.stats")


def _measure(distance, first, second, seed=0, *, paired=False, repeats=20, **options):
    return distance(first, second, Resampling(len(first), len(second), paired, repeats, seed), **options)


def _w1(first, second, seed=0, **options):
    return _measure(wasserstein, first, second, seed, **options)


def test_wasserstein_distance_of_a_shift_is_the_shift():
    values = np.random.default_rng(3).normal(5, 2, size=500)
    assert _w1(values, values + 3).value == pytest.approx(3 / values.std())
    assert _w1(values, values).value == 0.0


def test_wasserstein_agrees_with_scipy_for_unequal_sizes_and_ties():
    rng = np.random.default_rng(4)
    first, second = rng.poisson(3.0, 400).astype(float), rng.poisson(3.5, 250).astype(float)
    assert _w1(first, second).value == pytest.approx(stats.wasserstein_distance(first, second) / first.std())


@pytest.mark.parametrize("draw", ["normal", "lognormal", "standard_cauchy"])
def test_merged_levels_of_large_samples_change_next_to_nothing(draw):
    rng = np.random.default_rng(9)
    first, second = (getattr(rng, draw)(size=15_000) for _ in range(2))
    expected = stats.wasserstein_distance(first, second) / first.std()
    assert _w1(first, second).value == pytest.approx(expected, rel=2e-3)
    found = _measure(kolmogorov_smirnov, first, second)
    assert found.value == pytest.approx(stats.ks_2samp(first, second).statistic, abs=5e-4)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("distance", [wasserstein, kolmogorov_smirnov])
def test_floor_error_and_p_value_by_simulation(distance, paired):
    rng = np.random.default_rng(5)
    found = {0.0: [], 1.0: []}
    for shift, metrics in found.items():
        for seed in range(50):
            first, second = rng.normal(size=(2, 150)) + (rng.normal(size=150) if paired else 0)
            metrics.append(_measure(distance, first, second + shift, seed, paired=paired, repeats=24))
    for metrics in found.values():
        pulls = np.array([metric.value for metric in metrics]) - np.mean([metric.value for metric in metrics])
        assert 0.6 < np.std(pulls / [metric.error for metric in metrics]) < 1.3
    same = found[0.0]
    assert np.mean([metric.floor for metric in same]) == pytest.approx(np.mean([m.value for m in same]), rel=0.1)
    assert 0.4 < np.mean([metric.p_value for metric in same]) < 0.6
    assert all(metric.p_value < 0.05 for metric in found[1.0])


def test_wasserstein_is_deterministic_and_ignores_order():
    values = np.random.default_rng(6).normal(size=(2, 100))
    assert _w1(*values) == _w1(*values)
    assert _w1(values[0], values[1]).value == pytest.approx(_w1(values[0][::-1], values[1]).value)


def test_wasserstein_counts_what_enters():
    found = _w1(np.array([0.0, 1.0, np.nan, 0, 1, 0, 1]), np.tile([0.0, 1.0], 3))
    assert (found.value, found.n_reference) == (0.0, 6)
    assert np.isnan(_w1(np.array([0.0, 1.0]), np.array([np.nan, np.nan])).value)
    assert np.isnan(_w1(np.full(2, np.nan), np.full(2, np.nan)).value)
    assert np.isnan(_w1(np.zeros(3), np.ones(3)).value)


def test_kolmogorov_smirnov_has_uniform_p_values():
    rng = np.random.default_rng(7)
    found = [_measure(kolmogorov_smirnov, rng.normal(size=400), rng.normal(size=300), repeats=2) for _ in range(300)]
    assert np.abs(np.sort([metric.p_value for metric in found]) - np.linspace(0, 1, 300)).max() < 0.1


def test_discrete_values_get_the_p_value_of_permutations():
    """Kolmogorov's distribution gives about 0.6 on average here."""
    rng = np.random.default_rng(8)
    p_values = [
        _measure(
            kolmogorov_smirnov, rng.integers(2, size=200), rng.integers(2, size=200), seed, discrete=True, repeats=40
        ).p_value
        for seed in range(100)
    ]
    # ties make a randomisation test's p-values a little larger than uniform ones, never smaller
    assert 0.45 < np.mean(p_values) < 0.6
    assert 0.02 < np.mean(np.array(p_values) <= 0.1) < 0.15


def test_kolmogorov_smirnov_of_uniform_distributions_a_half_apart_is_a_half():
    grid = np.linspace(0, 1, 1001)
    found = _measure(kolmogorov_smirnov, grid, grid + 0.5)
    assert found.value == pytest.approx(0.5, abs=2e-3)
    assert found.p_value < 1e-10


def test_nan_ranks_below_all_numbers():
    assert _measure(kolmogorov_smirnov, np.arange(10.0), np.full(10, np.nan)).value == 1.0


@pytest.mark.parametrize("distance", [kolmogorov_smirnov, wasserstein])
def test_other_numbers_than_those_drawn_are_refused(distance):
    with pytest.raises(DataError, match="without showers"):
        distance(np.array([1.0]), np.array([]), Resampling(2, 2, False, 20, 0))
    with pytest.raises(ShapeError, match="made for 2 and 2 showers, got 3 and 2"):
        distance(np.ones(3), np.ones(2), Resampling(2, 2, False, 20, 0))
