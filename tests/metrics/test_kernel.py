"""Kernel physics distance against kernels whose mean is known."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError
from calogan.metrics.kernel import kernel_physics_distance
from calogan.metrics.resampling import Resampling


def many(shift, paired, number=60, size=200):
    rng = np.random.default_rng(6)
    for seed in range(number):
        particles = rng.normal(size=(2, size, 3))
        if paired:
            particles[1] = particles[0]
        samples = particles + rng.normal(size=(2, size, 3))
        yield kernel_physics_distance(samples[0], samples[1] + shift, Resampling(size, size, paired, 60, seed))


@pytest.mark.parametrize("paired", [True, False])
def test_equal_distributions_are_at_0_on_average(paired):
    values = [metric.value for metric in many(0.0, paired)]
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(len(values)))
    assert min(values) < 0 < max(values)


@pytest.mark.parametrize(("shift", "paired"), [(0.0, True), (0.0, False), (0.5, True), (0.5, False)])
def test_errors_are_the_spread_of_independent_samples(shift, paired):
    metrics = list(many(shift, paired))
    expected = np.sqrt(np.mean([metric.error**2 for metric in metrics]))
    assert np.std([metric.value for metric in metrics], ddof=1) / expected == pytest.approx(1, abs=0.25)


def test_one_number_of_two_values_has_the_value_of_its_moments():
    # x is -1 or +1 as often; y is always +1. k(x, y) = (x y + 1)^4 is 16 or 0, so the mean of k(x, x') and of
    # k(x, y) is 8, and k(y, y') = 16: the squared discrepancy is 8 + 16 - 16 = 8
    rng = np.random.default_rng(7)
    reference = np.repeat([[-1.0], [1.0]], 2000, axis=0)
    rng.shuffle(reference)
    found = kernel_physics_distance(reference, np.ones((4000, 1)), Resampling(4000, 4000, False, 40, 1))
    assert found.value == pytest.approx(8, abs=3 * found.error)
    assert found.error < 0.3
    assert found.p_value == pytest.approx(1 / 41)
    assert found.n_reference == 4000


def test_the_size_of_the_blocks_changes_no_expectation():
    rng = np.random.default_rng(8)
    reference, generated = rng.normal(size=(3000, 2)), rng.normal(size=(2500, 2)) + 0.4
    resampling = Resampling(3000, 2500, False, 20, 1)
    large, small = (kernel_physics_distance(reference, generated, resampling, block=block) for block in (1000, 100))
    assert large.n_reference == 2499
    assert small.value == pytest.approx(large.value, abs=4 * small.error)


def test_one_shower_in_a_far_tail_does_not_rule():
    rng = np.random.default_rng(9)
    reference, generated = rng.normal(size=(2, 1000, 2))
    before = kernel_physics_distance(reference, generated, Resampling(1000, 1000, False, 20, 1))
    generated[3] = 1e6
    after = kernel_physics_distance(reference, generated, Resampling(1000, 1000, False, 20, 1))
    assert after.value == pytest.approx(before.value, abs=3 * before.error + 0.1)


def test_too_few_showers_are_refused():
    with pytest.raises(DataError, match="give at least 8 of each"):
        kernel_physics_distance(np.zeros((7, 2)), np.zeros((9, 2)), Resampling(7, 9, False, 20, 1))
