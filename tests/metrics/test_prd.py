"""Precision and recall of distributions against histograms whose curve is known."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError
from calogan.metrics.prd import cluster_comparison, curve_area, f_beta, precision_recall_curve
from calogan.metrics.resampling import Resampling


def area(reference, generated):
    return float(curve_area(*precision_recall_curve(np.array(reference), np.array(generated))))


def test_equal_histograms_have_area_1_and_disjoint_ones_0():
    assert area([3, 5, 2], [6, 10, 4]) == pytest.approx(1, abs=1e-9)
    assert area([3, 5, 0], [0, 0, 4]) == 0


def test_half_of_the_reference_missing():
    # q = (1, 0), p = (1/2, 1/2): alpha = min(lambda / 2, 1), beta = min(1/2, 1 / lambda): precision 1 up to recall 1/2
    precision, recall = precision_recall_curve(np.array([1, 1]), np.array([1, 0]))
    assert area([1, 1], [1, 0]) == pytest.approx(0.5, abs=1e-4)
    assert recall.max() == pytest.approx(0.5)
    assert precision.max() == 1
    assert f_beta(precision, recall, 8.0) == pytest.approx(65 * 0.5 / (64 + 0.5), rel=1e-3)
    assert f_beta(precision, recall, 1 / 8) == pytest.approx((1 + 1 / 64) * 0.5 / (1 / 64 + 0.5), rel=1e-3)


def test_exchanging_the_samples_exchanges_precision_and_recall():
    first, second = np.array([5, 1, 3, 0]), np.array([1, 2, 2, 3])
    precision, recall = precision_recall_curve(first, second)
    other_precision, other_recall = precision_recall_curve(second, first)
    np.testing.assert_allclose(precision, other_recall[::-1], atol=1e-12)
    np.testing.assert_allclose(recall, other_precision[::-1], atol=1e-12)


def test_samples_of_one_distribution_are_at_the_floor():
    reference, generated = np.random.default_rng(1).normal(size=(2, 1500, 4))
    found = cluster_comparison(reference, generated, Resampling(1500, 1500, False, 30, 1), clusters=8, clusterings=2)
    for metric in found.metrics:
        assert metric.value == pytest.approx(metric.floor, abs=4 * metric.error)
        assert metric.p_value > 0.01
    assert found.area.value > 0.98
    assert len(found.precision) == len(found.floor_recall)


def test_a_dropped_mode_is_lost_recall_and_an_invented_one_lost_precision():
    rng = np.random.default_rng(2)
    modes = np.array([[-6.0, 0.0], [0.0, 6.0], [6.0, 0.0]])
    every, dropped = modes[rng.integers(3, size=1200)], modes[rng.integers(2, size=1200)]
    every, dropped = (centres + rng.normal(size=centres.shape) for centres in (every, dropped))
    resampling = Resampling(1200, 1200, False, 20, 1)
    lost = cluster_comparison(every, dropped, resampling, clusters=3, clusterings=1)
    invented = cluster_comparison(dropped, every, resampling, clusters=3, clusterings=1)
    assert lost.area.value == pytest.approx(2 / 3, abs=0.03)  # precision 1 up to the recall of two modes of three
    assert lost.recall_score.value < 0.7 < 0.95 < lost.precision_score.value
    assert invented.precision_score.value < 0.7 < 0.95 < invented.recall_score.value
    assert lost.area.p_value == pytest.approx(1 / 21)


def test_missing_numbers_and_few_showers():
    sample = np.random.default_rng(3).normal(size=(60, 2))
    sample[4] = np.nan
    found = cluster_comparison(sample, sample, Resampling(60, 60, True, 20, 1), clusters=4, clusterings=1)
    assert found.area.value == pytest.approx(1)
    with pytest.raises(DataError, match="6 showers cannot make 4 clusters"):
        cluster_comparison(sample[:3], sample[:3], Resampling(3, 3, True, 20, 1), clusters=4)
