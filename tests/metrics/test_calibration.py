"""Calibrated probabilities and divergences of Gaussians, whose true ones are known."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.metrics.calibration import calibrate, calibrate_logistic, calibration_curve, jensen_shannon

pytest.importorskip("sklearn")
SHIFT = 1.5


def gaussians(showers, seed):
    label = np.repeat([0, 1], showers)
    return np.random.default_rng(seed).normal(size=2 * showers) + SHIFT * label, label


def truth(values):
    return 1 / (1 + np.exp(-SHIFT * (values - SHIFT / 2)))


def test_any_rising_score_becomes_the_true_probability():
    values, label = gaussians(20000, 1)
    unseen, _ = gaussians(500, 2)
    found = calibrate(values**3, label)(unseen**3)
    assert np.mean(np.abs(found - truth(unseen))) < 0.02


def test_labels_weigh_the_same_and_no_probability_is_certain():
    found = calibrate(np.arange(30.0), np.repeat([0, 1], [20, 10]))(np.array([-5.0, 50.0]))
    assert found == pytest.approx([0.5 / 16, 15.5 / 16])


@pytest.mark.parametrize("unit", [1.0, 1e3])
def test_two_numbers_make_the_true_probability_of_wrong_log_odds(unit):
    values, label = gaussians(20000, 1)
    found = calibrate_logistic(unit * values, label)
    assert found.slope == pytest.approx(SHIFT / unit, rel=0.03)
    assert found.offset == pytest.approx(-(SHIFT**2) / 2, rel=0.05)
    unseen, _ = gaussians(500, 2)
    assert np.mean(np.abs(found(unit * unseen) - truth(unseen))) < 0.01


def test_two_numbers_are_never_certain_nor_fall_with_the_score():
    label = np.repeat([0, 1], [20, 10])
    apart = calibrate_logistic(np.arange(30.0), label)(np.array([-1e6, 9.0, 25.0, 1e6]))
    assert np.all((apart > 0) & (apart < 1))
    assert apart[1] < 0.1 < 0.9 < apart[2]
    assert calibrate_logistic(-np.arange(30.0), label).slope == 0
    same = calibrate_logistic(np.zeros(30), label)
    assert same(np.array([0.0])) == pytest.approx([0.5], abs=0.02)


def test_divergence_is_that_of_the_distributions_and_its_error_that_of_simulation():
    grid = np.linspace(-8, 10, 20001)
    first, second = (np.exp(-((grid - centre) ** 2) / 2) / np.sqrt(2 * np.pi) for centre in (0, SHIFT))
    middle = (first + second) / 2
    parts = [one * np.log2(one / middle) for one in (first, second)]
    expected = 0.5 * np.trapezoid(parts[0] + parts[1], grid)

    found = []
    for seed in range(100):
        values, label = gaussians(300, seed)
        found.append(jensen_shannon(truth(values), label))
    width = np.std([one.value for one in found])

    assert np.mean([one.value for one in found]) == pytest.approx(expected, abs=4 * width / 10)
    assert np.mean([one.error for one in found]) == pytest.approx(width, rel=0.2)


def test_divergence_of_chance_is_0_and_of_certainty_almost_1_bit():
    label = np.array([0, 0, 1])
    assert jensen_shannon(np.full(3, 0.5), label).value == 0.0
    assert jensen_shannon(np.array([1e-9, 1e-9, 1 - 1e-9]), label).value == pytest.approx(1.0)


def test_true_probabilities_lie_on_the_diagonal_and_confident_ones_do_not():
    values, label = gaussians(5000, 3)
    right, wrong = calibration_curve(truth(values), label), calibration_curve(truth(values) > 0.5, label)
    assert right.error < 0.02
    assert np.all(np.abs(right.observed - right.predicted) < 4 * right.observed_error + 0.01)
    assert wrong.error == pytest.approx(1 - np.mean((truth(values) > 0.5) == label), abs=0.02)
