"""Correlations, curves and neighbours as figures."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.metrics.correlation import compare_correlations
from calogan.metrics.metric import Metric
from calogan.metrics.prd import cluster_comparison
from calogan.metrics.resampling import Resampling
from calogan.validation.plots.multivariate import (
    correlation_differences,
    correlation_matrices,
    coverage_against_threshold,
    precision_recall_curves,
)
from calogan.validation.studies.multivariate import Coverage


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(1).normal(size=(2, 200, 3))


def test_matrices_have_the_names_at_their_sides(samples):
    comparison = compare_correlations(*samples, ["alpha", "beta", "gamma"], Resampling(200, 200, False, 20, 1))
    both, difference = (draw(comparison).axes[0] for draw in (correlation_matrices, correlation_differences))
    assert [label.get_text() for label in both.get_yticklabels()] == ["alpha", "beta", "gamma"]
    assert [label.get_text() for label in both.get_xticklabels()] == ["alpha", "beta", "gamma"]
    shown = both.images[0].get_array()
    np.testing.assert_allclose(shown[2, :2], comparison.reference[2, :2])
    np.testing.assert_allclose(shown[:2, 2], comparison.generated[:2, 2])
    np.testing.assert_allclose(difference.images[0].get_array(), comparison.generated - comparison.reference)


def test_many_names_have_numbers_that_the_columns_repeat():
    values = np.random.default_rng(2).normal(size=(2, 100, 20))
    names = [f"name {number}" for number in range(20)]
    axes = correlation_matrices(compare_correlations(*values, names, Resampling(100, 100, False, 20, 1))).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["name 0  1", "name 1  2"]
    assert [label.get_text() for label in axes.get_xticklabels()][:2] == ["2", "4"]


def test_the_curve_is_shown_beside_its_floor_and_near_its_corner(samples):
    comparison = cluster_comparison(
        samples[0], samples[1] + 0.5, Resampling(200, 200, False, 20, 1), clusters=5, clusterings=2
    )
    axes = precision_recall_curves(comparison).axes[0]
    floor, generated = axes.get_lines()
    np.testing.assert_array_equal(floor.get_xdata(), comparison.floor_recall)
    np.testing.assert_array_equal(generated.get_ydata(), comparison.precision)
    assert 0 <= axes.get_xlim()[0] < 1 < axes.get_xlim()[1]


def test_figures_and_floors_of_each_threshold():
    def metric(value):
        return Metric("recall", value, 0.01, value + 0.1, 0.02, 10, 10, "")

    entries = tuple(Coverage(at, *(metric(at * factor) for factor in (1, 2, 3, 4))) for at in (1e-3, 1e-2))
    axes = coverage_against_threshold(entries).axes
    assert [panel.get_title() for panel in axes] == ["precision", "recall", "density", "coverage"]
    floors, values = (container.lines[0] for container in axes[1].containers)
    np.testing.assert_allclose(values.get_xydata(), [[1, 2e-3], [10, 2e-2]])
    np.testing.assert_allclose(floors.get_xydata()[:, 1], [0.102, 0.12])
