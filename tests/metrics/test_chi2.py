"""Chi-squared test: uniform p-values, shifts found, few counts merged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calogan.metrics.chi2 import chi2_per_ndf

pytest.importorskip("scipy")
EDGES = np.linspace(-4, 4, 41)


def test_p_values_are_uniform_and_the_mean_is_1_for_equal_distributions():
    rng = np.random.default_rng(1)
    found = [chi2_per_ndf(rng.normal(size=1500), rng.normal(size=700), EDGES) for _ in range(300)]
    p_values = np.sort([metric.p_value for metric in found])
    assert np.abs(p_values - np.linspace(0, 1, 300)).max() < 0.1
    assert np.mean([metric.value for metric in found]) == pytest.approx(1, abs=0.05)
    assert np.std([metric.value for metric in found]) == pytest.approx(np.mean([m.error for m in found]), rel=0.25)


def test_a_shift_is_found():
    rng = np.random.default_rng(2)
    found = chi2_per_ndf(rng.normal(size=3000), rng.normal(0.2, 1, size=3000), EDGES)
    assert found.value > 2
    assert found.p_value < 1e-4


def test_two_bins_are_worked_out_by_hand():
    first, second = np.repeat([0.0, 1.0], [60, 40]), np.repeat([0.0, 1.0], [40, 60])
    found = chi2_per_ndf(first, second, np.array([-0.5, 0.5, 1.5]))
    assert found.value == pytest.approx(8.0)
    assert found.p_value == pytest.approx(math.erfc(2.0))


def test_one_bin_has_no_degree_of_freedom():
    found = chi2_per_ndf(np.zeros(5), np.ones(5), np.array([-0.5, 0.5, 1.5]))
    assert math.isnan(found.value)


def test_pairs_in_two_bins_give_the_test_of_mcnemar():
    reference, generated = (
        np.repeat([0.0, 0.0, 1.0, 1.0], [50, 30, 18, 52]),
        np.repeat([0.0, 1, 0, 1], [50, 30, 18, 52]),
    )
    found = chi2_per_ndf(reference, generated, np.array([-0.5, 0.5, 1.5]), paired=True)
    assert found.value == pytest.approx((30 - 18) ** 2 / (30 + 18))


@pytest.mark.parametrize(("noise", "shift"), [(1.0, 0.0), (0.3, 0.0), (0.3, 0.1), (1.0, 0.3)])
def test_p_values_and_pulls_of_pairs(noise, shift):
    rng = np.random.default_rng(3)
    found = []
    for _ in range(300):
        common = math.sqrt(1 - noise**2) * rng.normal(size=1000)
        reference, generated = common + noise * rng.normal(size=(2, 1000))
        found.append(chi2_per_ndf(reference, generated + shift, EDGES, paired=True))
    values = np.array([metric.value for metric in found])
    assert 0.75 < np.std((values - values.mean()) / [metric.error for metric in found]) < 1.25
    p_values = np.sort([metric.p_value for metric in found])
    if shift == 0:
        assert np.abs(p_values - np.linspace(0, 1, 300)).max() < 0.1
        assert values.mean() == pytest.approx(1, abs=0.05)
    else:
        assert np.median(p_values) < 0.05


def test_error_of_different_distributions():
    rng = np.random.default_rng(4)
    found = [chi2_per_ndf(rng.normal(size=1000), rng.normal(0.5, 1, size=1500), EDGES) for _ in range(200)]
    assert np.mean([metric.error for metric in found]) == pytest.approx(np.std([m.value for m in found]), rel=0.15)


def test_equal_pairs_have_no_degree_of_freedom():
    values = np.linspace(-2, 2, 100)
    assert math.isnan(chi2_per_ndf(values, values, EDGES, paired=True).value)
