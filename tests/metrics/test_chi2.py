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
