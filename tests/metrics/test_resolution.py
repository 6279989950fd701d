"""Response and resolution in momentum bins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calogan.metrics.resampling import Resampling
from calogan.metrics.resolution import (
    averaged,
    compare,
    linearity,
    mean,
    momentum_bin,
    relative_width,
    response_by_momentum,
    sigma_effective,
)


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
    one = np.ones(30)
    found = response_by_momentum(one, one, 3 * one, 3 * one, [1, 2, 3], rng=np.random.default_rng(0))
    assert [part.n_reference for part in found] == [0, 30]
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


def test_average_over_bins_has_no_part_of_the_momenta():
    """Response falls with the momentum; the generated showers have 1% more of it, and other momenta."""
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(30):
        momenta = rng.uniform(1, 4, size=600), rng.uniform(1, 4, size=400) ** 0.9
        reference, generated = (
            rng.normal(scale / size.round(), 0.05) for size, scale in zip(momenta, (1, 1.01), strict=True)
        )
        bins = response_by_momentum(reference, generated, *momenta, [1.0, 1.5, 2.5, 3.4], rng=rng, resamplings=20)
        found = averaged(bins, "response").difference
        pulls.append((found.value - 0.01) / found.error)
    assert abs(np.mean(pulls)) < 0.5
    assert 0.7 < np.std(pulls) < 1.3


def test_average_without_a_full_bin_is_nan():
    one = np.ones(1)
    bins = response_by_momentum(one, one, one, one, [1, 2], rng=np.random.default_rng(0))
    assert math.isnan(averaged(bins, "resolution").difference.value)


def test_linearity_is_the_largest_deviation_of_the_relative_response():
    """Responses 1, 1 and 1 against 1.1, 1.1 and 0.8, whose mean is 1: the last bin is 20% low."""
    momentum = np.repeat([1.0, 2.0, 3.0], 5)
    generated = np.repeat([1.1, 1.1, 0.8], 5)
    found = linearity(np.ones(15), generated, momentum, momentum, [0.5, 1.5, 2.5, 3.5], Resampling(15, 15, True, 20, 1))
    assert found.value == pytest.approx(0.2)
    assert linearity(
        np.ones(15), 2 * np.ones(15), momentum, momentum, [0.5, 1.5, 2.5, 3.5], Resampling(15, 15, True, 20, 1)
    ).value == pytest.approx(0.0)


def test_linearity_of_one_distribution_is_about_its_floor():
    rng = np.random.default_rng(5)
    found = []
    for seed in range(40):
        momenta = rng.uniform(1, 4, size=(2, 400))
        responses = rng.normal(1, 0.1, size=(2, 400))
        found.append(linearity(*responses, *momenta, [1, 2, 3, 4], Resampling(400, 400, False, 30, seed)))
    assert np.mean([one.value for one in found]) == pytest.approx(np.mean([one.floor for one in found]), rel=0.15)
    assert 0.35 < np.mean([one.p_value for one in found]) < 0.65


def test_momentum_bins_have_their_lower_edge():
    found = momentum_bin(np.array([0.5, 1.0, 2.0, 3.9, 4.0, 4.1]), [1.0, 2.0, 4.0])
    assert found.tolist() == [-1, 0, 1, 1, 1, -1]


def test_a_bin_of_few_showers_has_values_but_no_difference():
    values = np.random.default_rng(1).normal(1.0, 0.1, 60)
    momentum = np.repeat([1.5, 2.5], [29, 31])
    rng = np.random.default_rng(0)
    few, enough = response_by_momentum(values, values[::-1], momentum, momentum, [1, 2, 3], rng=rng)
    assert few.response.reference.value == pytest.approx(values[:29].mean())
    assert math.isnan(few.response.difference.value)
    assert math.isnan(few.response.difference.error)
    assert math.isfinite(enough.response.difference.value)
