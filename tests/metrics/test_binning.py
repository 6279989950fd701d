"""Bins and counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calogan.errors import DataError, ShapeError
from calogan.metrics.binning import count, joint_count, logarithmic_edges, make_edges, observable_edges, quantile_edges
from calogan.physics.observables import OBSERVABLES


def test_edges_cover_the_central_quantiles_with_a_margin():
    values = np.linspace(0, 1000, 100001)
    edges = make_edges(values)
    assert len(edges) == 51
    np.testing.assert_allclose(edges[[0, -1]], [1 - 0.05 * 998, 999 + 0.05 * 998])
    np.testing.assert_allclose(np.diff(edges), np.diff(edges)[0])


def test_discrete_edges_are_half_integers_a_whole_number_apart():
    edges = make_edges(np.arange(500.0), discrete=True)
    assert len(edges) <= 51
    np.testing.assert_array_equal(edges % 1, 0.5)
    assert len(set(np.diff(edges))) == 1


def test_log_edges_ignore_zeros():
    edges = make_edges(np.concatenate([np.zeros(50), np.geomspace(0.01, 10, 1000)]), scale="log")
    np.testing.assert_allclose(np.diff(np.log(edges)), np.log(edges[1] / edges[0]))
    assert 0.005 < edges[0] < 0.0102


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_constant_values_and_no_values_still_give_bins(scale):
    edges = make_edges(np.full(10, 3.0), scale=scale)
    assert count(np.full(4, 3.0), edges).tolist() == [0, 4, 0, 0]
    assert make_edges(np.full(10, np.nan), scale=scale).tolist() == [0.0, 1.0]


def test_registered_observables_bring_their_own_spacing():
    assert observable_edges(OBSERVABLES["occupancy"], np.arange(30.0))[0] == -0.5


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats(allow_nan=True, allow_infinity=True)))
def test_nothing_is_dropped(values):
    counts = count(values, np.array([-1.0, 0.0, 1.0]))
    assert counts.sum() == len(values)
    assert counts[-1] == np.isnan(values).sum()


def test_an_empty_sample_is_refused():
    with pytest.raises(DataError, match="without showers"):
        count(np.array([]), np.array([0.0, 1.0]))


def test_logarithmic_edges_ascend():
    assert logarithmic_edges(1.0, 64.0) == [1.0, 2.8, 8.0, 23.0, 64.0]
    assert logarithmic_edges(50.0, 51.0) == [50.0, 51.0]
    assert logarithmic_edges(50.0, 50.0) == [49.5, 50.5]


def test_joint_counts_have_both_histograms_as_margins():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 300))
    second[:7] = np.nan
    edges = np.linspace(-1, 1, 6)
    joint = joint_count(first, second, edges)
    np.testing.assert_array_equal(joint.sum(axis=1), count(first, edges))
    np.testing.assert_array_equal(joint.sum(axis=0), count(second, edges))
    with pytest.raises(ShapeError, match="300 reference and 299 generated showers are no pairs"):
        joint_count(first, second[1:], edges)


def test_quantile_edges_make_bins_of_equal_numbers():
    values = np.random.default_rng(2).normal(size=1000)
    edges = np.concatenate([[-np.inf], quantile_edges(values, 8), [np.inf]])
    assert count(values, edges)[1:-2].tolist() == [125] * 8


def test_quantile_edges_of_frequent_values_leave_no_bin_empty():
    assert quantile_edges(np.array([0.0] * 99 + [1.0]), 4).tolist() == [1.0]
    assert quantile_edges(np.zeros(5), 4).size == 0
    assert quantile_edges(np.full(5, np.nan), 4).size == 0
