"""Draws, floors and errors of distances, on Gaussians whose distances are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from calogan.errors import DataError, ShapeError
from calogan.metrics.resampling import SQUARED, Resampling, distance_error, measured


def shift_squared(reference, generated):
    """Squared distance of the means."""
    return float(((reference.mean(axis=0) - generated.mean(axis=0)) ** 2).sum())


def test_draws_are_the_same_every_time_and_of_the_sizes_asked_for():
    resampling = Resampling(30, 50, paired=False, repeats=4, seed=1)
    for draws in (resampling.bootstrap, resampling.exchange):
        once, again = list(draws()), list(draws())
        assert [(len(first), len(second)) for first, second in once] == [(30, 50)] * 4
        assert all(
            np.array_equal(a, b) for one, two in zip(once, again, strict=True) for a, b in zip(one, two, strict=True)
        )


def test_pairs_are_drawn_and_exchanged_together():
    resampling = Resampling(40, 40, paired=True, repeats=3, seed=2)
    assert all(np.array_equal(first, second) for first, second in resampling.bootstrap())
    for first, second in resampling.exchange():
        assert np.array_equal(np.sort(np.stack([first, second]), axis=0), [np.arange(40), np.arange(40, 80)])
        assert 0 < (first >= 40).sum() < 40


def test_unpaired_exchange_keeps_every_shower_once():
    first, second = next(Resampling(30, 50, paired=False, repeats=1, seed=1).exchange())
    assert np.array_equal(np.sort(np.concatenate([first, second])), np.arange(80))


def test_draws_are_made_one_at_a_time():
    endless = Resampling(5, 5, paired=False, repeats=10**12, seed=1)
    assert len(list(itertools.islice(endless.bootstrap(), 3))) == 3


def test_refusals():
    with pytest.raises(DataError, match="at least 2"):
        Resampling(1, 5, paired=False, repeats=5, seed=1)
    with pytest.raises(ShapeError, match="no pairs"):
        Resampling(5, 6, paired=True, repeats=5, seed=1)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_pulls_floor_and_p_values_of_a_squared_distance(paired, shift):
    rng = np.random.default_rng(3)
    size, dimensions, trials = 200, 12, 100
    found = []
    for trial in range(trials):
        common = rng.normal(size=(size, dimensions)) if paired else 0.0
        reference, generated = (common + rng.normal(size=(size, dimensions)) for _ in range(2))
        resampling = Resampling(size, size, paired, repeats=100, seed=trial)
        found.append(
            measured(shift_squared, reference, generated + shift, resampling, share=SQUARED, name="", source="")
        )
    values, errors = (np.array([getattr(one, name) for one in found]) for name in ("value", "error"))
    # chi-squared with `dimensions` degrees of freedom, in units of the variance 2 / size of one difference
    known = math.sqrt(dimensions * (2 * (2 / size) ** 2 + 4 * (2 / size) * shift**2))
    assert 0.92 < math.sqrt((errors**2).mean()) / known < 1.25
    floor = np.mean([one.floor for one in found])
    # two independent means of unit variance in each dimension; what a pair has in common cancels
    assert floor == pytest.approx(2 * dimensions / size, rel=0.06 if shift == 0 else 0.2)
    assert values.mean() - 2 * dimensions / size == pytest.approx(dimensions * shift**2, abs=0.02)
    if shift == 0:
        p_values = np.array([one.p_value for one in found])
        assert p_values.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * trials))
        assert (p_values < 0.1).mean() < 0.1 + 3 * math.sqrt(0.09 / trials)


def test_the_error_is_that_of_chance_near_the_floor_and_of_the_bootstrap_far_away():
    assert distance_error(-1.0, 100.0, 4.0, SQUARED) == 2.0
    assert distance_error(50.0, 1.0, 4.0, SQUARED) == 2.0
    assert distance_error(50.0, 100.0, 4.0, SQUARED) == math.sqrt(94.0)
