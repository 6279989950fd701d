"""Parts, and the error of the mean over classifiers that share their training showers."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.metrics.crossfit import chance_of_area, cross_fit, deal, receiver_curve
from calogan.metrics.labelled import LabelledFeatures

pytest.importorskip("sklearn")


def fit_means(training, validation, seed):
    """Score along the difference of the means: learns at once, and its accidents are those of many numbers."""
    first, second = (training.features[training.label == number].mean(axis=0) for number in (0, 1))
    return lambda features: (features - (first + second) / 2) @ (second - first)


def samples(seed, shift, showers=150, numbers=10):
    features = np.random.default_rng(seed).normal(size=(2 * showers, numbers))
    features[showers:, 0] += shift
    return LabelledFeatures(features, np.repeat([0, 1], showers))


@pytest.mark.parametrize("shift", [0.0, 0.75])
def test_errors_of_the_mean_area_and_divergence_are_those_of_simulation(shift):
    group = np.arange(300)
    found = [cross_fit(samples(seed, shift), group, fit_means, np.random.default_rng(seed), 5) for seed in range(50)]
    for estimates in ([one.area for one in found], [one.divergence for one in found]):
        values, errors = np.array([(one.value, one.error) for one in estimates]).T
        assert 0.7 < np.std((values - values.mean()) / errors) < 1.3
    chances = [chance_of_area(one, samples(0, shift).label, group) for one in found]
    assert np.mean(np.array(chances) < 0.1) < 0.25 if shift == 0 else max(chances) < 0.1


def test_chance_counts_groups_of_like_showers_once():
    """Each particle has four showers that are nearly the same."""
    label, group = np.repeat([0, 1], 160), np.repeat(np.arange(80), 4)
    chances = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        features = np.repeat(rng.normal(size=(80, 10)), 4, axis=0) + 0.3 * rng.normal(size=(320, 10))
        found = cross_fit(LabelledFeatures(features, label), group, fit_means, np.random.default_rng(seed), 5)
        chances.append([chance_of_area(found, label, one) for one in (group, np.arange(320))])
    grouped, alone = np.mean(np.array(chances) < 0.1, axis=0)
    assert grouped < 0.2 < alone  # 0.1, and far more if each shower counted


def test_groups_stay_together_and_labels_are_dealt_evenly():
    label = np.repeat([0, 1], [90, 60])
    group = np.concatenate([np.arange(90), np.arange(60)])  # 60 pairs, 30 alone
    part = deal(group, label, np.random.default_rng(1), 5)
    assert np.array_equal(part[:60], part[90:])
    assert np.bincount(part[label == 0]).tolist() == [18] * 5
    assert np.bincount(part[label == 1]).tolist() == [12] * 5


def test_every_shower_is_tested_by_a_classifier_that_saw_neither_it_nor_its_part():
    seen = []

    def fit(training, validation, seed):
        seen.append((set(training.features[:, 0]), set(validation.features[:, 0])))
        return lambda features: np.zeros(len(features))

    showers = LabelledFeatures(np.arange(100.0)[:, None], np.arange(100) % 2)
    found = cross_fit(showers, np.arange(100), fit, np.random.default_rng(2), 5)

    assert [(len(first), len(second)) for first, second in seen] == [(60, 20)] * 5
    for number, (first, second) in enumerate(seen):
        assert not (first | second) & set(np.flatnonzero(found.part == number).astype(float))
    assert found.n_training == 30
    assert found.area.value == 0.5
    assert np.all(found.probability == 0.5)


def test_part_of_the_training_showers_and_of_the_tests():
    showers = samples(0, 1.0)
    found = cross_fit(showers, np.arange(300), fit_means, np.random.default_rng(3), 5, tested=1, fraction=0.25)
    assert len(found.areas) == 1
    assert 15 < found.n_training <= 23
    assert np.isfinite(found.probability).sum() == 60
    assert found.divergence.error > 0


def test_receiver_curve_of_a_perfect_and_of_a_blind_classifier():
    showers = LabelledFeatures(np.repeat([0.0, 1.0], 50)[:, None], np.repeat([0, 1], 50))

    def curve(scores):
        found = cross_fit(showers, np.arange(100), lambda *_: scores, np.random.default_rng(0), 5)
        return receiver_curve(found, showers.label)

    assert curve(lambda features: features[:, 0])[1].tolist() == [1.0] * 101
    blind = curve(lambda features: np.zeros(len(features)))
    assert blind[1] == pytest.approx(blind[0])
