"""Bins and counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calogan.errors import DataError
from calogan.metrics.binning import count, logarithmic_edges, make_edges, observable_edges


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
    assert observable_edges("occupancy", np.arange(30.0))[0] == -0.5


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
