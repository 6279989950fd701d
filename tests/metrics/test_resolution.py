"""Response and resolution in momentum bins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calogan.metrics.resolution import compare, mean, relative_width, response_by_momentum, sigma_effective


def test_gaussian_responses_are_found_within_their_errors():
    rng = np.random.default_rng(1)
    momentum = rng.uniform(1, 9, size=8000)
    reference = rng.normal(0.20, 0.2 * np.where(momentum < 5, 0.10, 0.05))
    generated = rng.normal(0.21, 0.21 * np.where(momentum < 5, 0.10, 0.10))
    low, high = response_by_momentum(reference, generated, momentum, momentum, [1, 5, 9], rng=rng)
    assert low.n_reference + high.n_reference == 8000
    assert low.response.reference.error == pytest.approx(0.02 / math.sqrt(low.n_reference), rel=0.3)
    assert high.resolution.generated.error == pytest.approx(0.1 / math.sqrt(2 * high.n_generated), rel=0.3)
    for found, expected in [
        (low.response.difference, 0.05),
        (low.resolution.difference, 0.0),
        (high.resolution.difference, 1.0),
        (high.sigma_effective.difference, 1.0),
        (high.sigma_effective.reference, 0.05),
    ]:
        assert abs(found.value - expected) < 4 * found.error < 0.5


def test_errors_of_differences_cover():
    rng = np.random.default_rng(2)
    pulls = []
    for _ in range(100):
        found = compare(rng.normal(5, 1, 200), rng.normal(5, 1, 150), mean, rng=rng).difference
        pulls.append(found.value / found.error)
    assert 0.8 < np.std(pulls) < 1.25


def test_width_of_five_numbers():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert relative_width(values) == pytest.approx(math.sqrt(2.5) / 3)
    assert sigma_effective(values) == pytest.approx(2 * (0.841345 - 0.158655) / 3)
    assert math.isnan(relative_width(np.zeros(3)))


def test_last_bin_has_its_upper_edge_and_an_empty_one_is_nan():
    one = np.ones(2)
    found = response_by_momentum(one, one, 3 * one, 3 * one, [1, 2, 3], rng=np.random.default_rng(0))
    assert [part.n_reference for part in found] == [0, 2]
    assert math.isnan(found[0].response.difference.value)
    assert found[1].response.difference.value == 0.0


def test_paired_errors_are_those_of_the_difference():
    """Responses 1 + x for the particle x, generated ones 2% higher with a spread of 1% of their own."""
    rng = np.random.default_rng(3)
    differences, errors = [], []
    for _ in range(100):
        reference = 1 + rng.uniform(0, 0.5, size=400)
        generated = 1.02 * reference * rng.normal(1, 0.01, size=400)
        found = compare(reference, generated, mean, rng=rng, paired=True).difference
        differences.append(found.value)
        errors.append(found.error)
    assert np.mean(differences) == pytest.approx(0.02, abs=2e-4)
    assert np.mean(errors) == pytest.approx(0.01 * 1.02 / math.sqrt(400), rel=0.15)
    assert np.std(differences) == pytest.approx(np.mean(errors), rel=0.25)


def test_momenta_at_the_ends_are_in_a_bin_whatever_their_rounding():
    momentum = np.array([0.999999, 1.0, 64.0, 64.00001, 65.0])
    found = response_by_momentum(momentum, momentum, momentum, momentum, [1, 8, 64], rng=np.random.default_rng(0))
    assert [part.n_reference for part in found] == [2, 2]
