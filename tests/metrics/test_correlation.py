"""Correlation matrices of known Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from calogan.errors import ShapeError
from calogan.metrics.correlation import compare_correlations, correlation_matrix, pooled_ranks
from calogan.metrics.resampling import Resampling

NAMES = ("a", "b", "c")


def gaussians(rng, correlation, size):
    covariance = np.eye(3)
    covariance[0, 1] = covariance[1, 0] = correlation
    return rng.multivariate_normal(np.zeros(3), covariance, size=size)


def test_the_matrix_is_numpys_and_leaves_missing_numbers_out_in_pairs():
    values = np.random.default_rng(1).normal(size=(300, 3)) @ [[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_allclose(correlation_matrix(values), np.corrcoef(values, rowvar=False), atol=1e-12)
    values[:50, 0] = values[40:80, 2] = np.nan
    found = correlation_matrix(values)
    assert found[0, 1] == pytest.approx(np.corrcoef(values[50:, 0], values[50:, 1])[0, 1])
    assert found[0, 2] == pytest.approx(np.corrcoef(values[80:, 0], values[80:, 2])[0, 1])


def test_a_constant_column_has_no_correlation():
    found = correlation_matrix(np.stack([np.arange(9.0), np.ones(9)], axis=1))
    assert found[0, 0] == pytest.approx(1)
    assert np.isnan(found[0, 1])


def test_ranks_of_equal_samples_give_spearmans_correlation():
    values = gaussians(np.random.default_rng(2), 0.6, 500)
    first, _ = pooled_ranks(values, values)
    np.testing.assert_allclose(correlation_matrix(first), spearmanr(values).statistic, atol=1e-5)


def test_ranks_do_not_depend_on_the_scale_and_keep_what_is_missing():
    values = np.random.default_rng(3).normal(size=(50, 2))
    values[3, 1] = np.nan
    first, second = pooled_ranks(values[:30], values[30:])
    other, _ = pooled_ranks(np.exp(5 * values[:30]), np.exp(5 * values[30:]))
    np.testing.assert_array_equal(first, other)
    assert np.isnan(first[3, 1])
    assert np.nanmax(np.abs(np.concatenate([first, second]))) <= 0.5


def test_two_gaussians_of_known_correlation():
    # Spearman's correlation of a Gaussian is 6 / pi asin(rho / 2)
    rng = np.random.default_rng(4)
    reference, generated = gaussians(rng, 0.5, 4000), gaussians(rng, 0.0, 4000)
    found = compare_correlations(reference, generated, NAMES, Resampling(4000, 4000, False, 30, 1))
    assert found.reference[0, 1] == pytest.approx(6 / np.pi * np.arcsin(0.25), abs=0.04)
    assert found.generated[0, 1] == pytest.approx(0, abs=0.05)
    assert found.significant == 1
    assert found.entries == 3
    assert found.expected == pytest.approx(3 * 0.00552, rel=0.01)  # of Student's t with 29 degrees of freedom
    assert found.difference.value == pytest.approx(0.2326 / 3, rel=0.15)
    assert found.difference.p_value == pytest.approx(1 / 31)


def test_few_entries_of_equal_samples_differ():
    rng = np.random.default_rng(5)
    mix = rng.normal(size=(12, 12))
    reference, generated = rng.normal(size=(2, 1500, 12)) @ mix
    found = compare_correlations(
        reference, generated, [str(i) for i in range(12)], Resampling(1500, 1500, False, 40, 1)
    )
    assert found.entries == 66
    assert found.significant <= 4
    above = np.triu_indices(12, 1)
    pulls = (found.generated - found.reference)[above] / found.error[above]
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1, abs=0.3)
    assert found.difference.value == pytest.approx(found.difference.floor, abs=4 * found.difference.error)


def test_as_many_entries_of_equal_samples_differ_as_are_expected():
    rng = np.random.default_rng(9)
    seen = expected = 0.0
    for seed in range(30):
        reference, generated = rng.normal(size=(2, 200, 20)).astype(np.float32)
        resampling = Resampling(200, 200, False, 10, seed)
        found = compare_correlations(reference, generated, [str(i) for i in range(20)], resampling)
        seen, expected = seen + found.significant, expected + found.expected
    # of 5,700 entries 15 lie beyond three standard deviations of a Gaussian, 85 of Student's t
    assert expected == pytest.approx(85, abs=1)
    assert seen == pytest.approx(expected, rel=0.3)


@pytest.mark.parametrize("change", [0.0, 0.4])
def test_the_metrics_error_is_the_spread_of_independent_samples(change):
    rng = np.random.default_rng(6)
    mix = np.random.default_rng(7).normal(size=(2, 8, 8))
    metrics = []
    for seed in range(40):
        reference, generated = (
            rng.normal(size=(300, 8)) @ mix[0],
            rng.normal(size=(300, 8)) @ (mix[0] + change * mix[1]),
        )
        resampling = Resampling(300, 300, False, 40, seed)
        metrics.append(compare_correlations(reference, generated, list("abcdefgh"), resampling).difference)
    expected = np.sqrt(np.mean([metric.error**2 for metric in metrics]))
    assert np.std([metric.value for metric in metrics], ddof=1) / expected == pytest.approx(1, abs=0.3)


def test_names_must_fit():
    with pytest.raises(ShapeError, match="2 names for 3 and 3 columns"):
        compare_correlations(np.zeros((4, 3)), np.zeros((4, 3)), ["a", "b"], Resampling(4, 4, False, 20, 1))


def test_a_column_without_any_number_is_left_out():
    sample = np.random.default_rng(8).normal(size=(100, 3))
    sample[:, 2] = np.nan
    found = compare_correlations(sample, sample + 0.0, NAMES, Resampling(100, 100, True, 20, 1))
    assert np.isnan(found.reference[2]).all()
    assert found.entries == 0  # the only known entry is the same in every draw
    assert found.difference.value == 0
