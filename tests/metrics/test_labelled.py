"""Area under the curve against a formula, and its error against simulation."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from calogan.metrics.labelled import area_shares, area_under_curve, balanced_weight, cross_entropy, grouped_error


def best(shift):
    return NormalDist().cdf(shift / 2**0.5)


def test_area_and_its_error_agree_with_simulation():
    rng = np.random.default_rng(5)
    label = np.repeat([0, 1], [200, 300])
    found = [area_under_curve(rng.normal(size=500) + 0.8 * label, label) for _ in range(300)]
    values, errors = np.array([(one.value, one.error) for one in found]).T
    assert values.mean() == pytest.approx(best(0.8), abs=0.01)
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)
    assert area_under_curve(np.zeros(500), label).value == 0.5


def test_error_of_pairs_that_are_alike_is_that_of_simulation():
    rng = np.random.default_rng(6)
    label, group = np.repeat([0, 1], 200), np.tile(np.arange(200), 2)
    found = []
    for _ in range(300):
        common = np.tile(rng.normal(size=200), 2)
        scores = 2 * common + rng.normal(size=400) + 0.5 * label
        found.append((area_under_curve(scores, label, group), area_under_curve(scores, label).error))
    width = np.std([one.value for one, _ in found])
    assert np.mean([one.error for one, _ in found]) == pytest.approx(width, rel=0.15)
    assert np.mean([error for _, error in found]) > 1.5 * width


def test_a_weight_counts_as_so_many_showers():
    rng = np.random.default_rng(7)
    scores, label, weight = rng.normal(size=20), np.arange(20) % 2, rng.integers(1, 4, 20)
    weighted = area_shares(scores, label, weight.astype(float))[0]
    assert weighted == pytest.approx(area_shares(np.repeat(scores, weight), np.repeat(label, weight))[0])


def test_shares_of_one_group_are_added():
    assert grouped_error(np.array([1.0, -1.0, 2.0]), np.array([7, 7, 9])) == pytest.approx(np.sqrt(4 * 2 / 1))


def test_cross_entropy_of_indifferent_and_of_certain_scores():
    label = np.array([0, 1])
    assert cross_entropy(np.zeros(2), label) == pytest.approx(np.log(2))
    assert cross_entropy(np.array([-1e3, 1e3]), label) == 0.0
    assert cross_entropy(np.array([0.0, 1e3]), label, np.array([1.0, 3.0])) == pytest.approx(np.log(2) / 4)


def test_balanced_labels_have_one_sum_and_mean_1():
    label, weight = np.repeat([0, 1], [30, 10]), np.random.default_rng(8).uniform(0.5, 2.0, 40)
    balanced = balanced_weight(label, weight)
    assert balanced[label == 0].sum() == pytest.approx(balanced[label == 1].sum())
    assert balanced.mean() == pytest.approx(1.0)
    assert np.ptp((balanced / weight)[label == 0]) == pytest.approx(0.0, abs=1e-12)
