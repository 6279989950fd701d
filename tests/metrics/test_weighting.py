"""Density ratios of Gaussians, where they are known."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DomainError
from calogan.metrics.weighting import density_ratio, weighted_mean, weighted_width


def test_true_probabilities_turn_one_gaussian_into_the_other():
    values = np.random.default_rng(0).normal(size=20000) + 0.5  # generated; the reference is centred at 0
    ratio = np.exp((0.5**2 - 2 * 0.5 * values) / 2)

    found = density_ratio(1 / (1 + ratio), quantile=1.0)

    mean, width = weighted_mean(values, found.weight), np.sqrt(weighted_mean(values**2, found.weight).value)
    assert abs(mean.value) < 4 * mean.error
    assert width == pytest.approx(1.0, abs=0.05)
    assert found.mean_ratio == pytest.approx(1.0, abs=0.02)
    assert found.effective / 20000 == pytest.approx(np.exp(-(0.5**2)), rel=0.05)  # 1 / mean of the squared ratio


def test_large_ratios_are_clipped_and_weights_have_mean_1():
    probability = np.append(np.full(199, 0.5), 0.001)
    found = density_ratio(probability, quantile=0.99)
    assert found.limit == pytest.approx(1.0)
    assert found.clipped == pytest.approx(1 / 200)
    assert found.weight == pytest.approx(np.ones(200))
    assert found.effective == pytest.approx(200)


@pytest.mark.parametrize("wrong", [0.0, 1.0, np.nan])
def test_impossible_probabilities_are_refused(wrong):
    with pytest.raises(DomainError, match="above 0 and below 1"):
        density_ratio(np.array([0.5, wrong]))


def test_errors_of_weighted_moments_are_those_of_simulation():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        values, weight = rng.normal(10.0, 1.0, 300), rng.uniform(0.2, 1.8, 300)
        found.append((weighted_mean(values, weight), weighted_width(np.append(values, np.nan), np.append(weight, 1.0))))
    for estimates, expected in zip(zip(*found, strict=True), (10.0, 0.1), strict=True):
        values, errors = np.array([(one.value, one.error) for one in estimates]).T
        assert values.mean() == pytest.approx(expected, rel=0.01)
        assert errors.mean() == pytest.approx(values.std(), rel=0.2)
