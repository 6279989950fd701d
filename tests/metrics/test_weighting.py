"""Density ratios of Gaussians, where they are known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from calogan.errors import DomainError
from calogan.metrics.crossfit import cross_fit, deal
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.weighting import area_of_halves, density_ratio, held_out_weight, weighted_mean, weighted_width


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


def fit_means(training, validation, seed):
    """Score along the difference of the weighted means."""
    weight = np.ones(len(training.label)) if training.weight is None else training.weight
    first, second = (
        np.average(training.features[training.label == kind], axis=0, weights=weight[training.label == kind])
        for kind in (0, 1)
    )
    return lambda features: (features - (first + second) / 2) @ (second - first)


def before_and_after(seed, shift, showers=400):
    """Area of the first five of ten numbers, without and with weights by all ten; then with out-of-fold weights."""
    rng = np.random.default_rng(seed)
    features, label = rng.normal(size=(2 * showers, 10)), np.repeat([0, 1], showers)
    features[showers:, 0] += shift
    low, group = LabelledFeatures(features, label), np.arange(2 * showers)
    half = deal(group, label, rng, 2)
    fair = held_out_weight(low, group, half, fit_means, rng)
    unfair = np.ones(2 * showers)
    unfair[showers:] = density_ratio(cross_fit(low, group, fit_means, rng, 5).probability[showers:]).weight
    parts = np.random.default_rng(seed)
    high = [LabelledFeatures(features[:, :5], label, weight) for weight in (None, fair, unfair)]
    areas = [
        area_of_halves(one, group, half, fit_means, rng, 5) for one, rng in zip(high[:2], parts.spawn(2), strict=True)
    ]
    return (*areas, cross_fit(high[2], group, fit_means, parts, 5).area)


def test_weights_of_equal_samples_leave_them_equal_within_errors_and_do_not_flatter():
    pytest.importorskip("sklearn")
    before, after, unfair = zip(*(before_and_after(seed, 0.0) for seed in range(16)), strict=True)
    for found in (before, after):
        pulls = np.array([(one.value - 0.5) / one.error for one in found])
        assert abs(pulls.mean()) < 1
        assert np.abs(pulls).max() < 3.5
    # what out-of-fold weights give: less than nothing, 0.463 in the mean of many repeats
    assert np.mean([one.value for one in unfair]) < 0.49


def test_weights_reduce_a_real_shift():
    pytest.importorskip("sklearn")
    before, after, _ = zip(*(before_and_after(seed, 0.7) for seed in range(4)), strict=True)
    before, after = (np.mean([one.value for one in found]) for found in (before, after))
    assert before == pytest.approx(NormalDist().cdf(0.7 / 2**0.5), abs=0.03)
    assert after < 0.5 + 0.5 * (before - 0.5)


def test_weights_of_a_half_know_nothing_of_its_labels_or_references():
    """They stay the same when the references of the half are other showers."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(3)
    features, label, group = rng.normal(size=(400, 2)), np.repeat([0, 1], 200), np.arange(400)
    half = deal(group, label, rng, 2)
    other = features.copy()
    other[(half == 0) & (label == 0)] += 5.0
    found = [
        held_out_weight(LabelledFeatures(one, label), group, half, fit_means, np.random.default_rng(4))
        for one in (features, other)
    ]
    assert np.array_equal(found[0][half == 0], found[1][half == 0])
    assert not np.array_equal(found[0][half == 1], found[1][half == 1])
    for number in (0, 1):
        assert found[0][(half == number) & (label == 1)].mean() == pytest.approx(1.0)
    assert np.all(found[0][label == 0] == 1)
