"""Classifier tests on Gaussians, where the best possible area is known."""

from __future__ import annotations

from functools import partial
from statistics import NormalDist

import numpy as np
import pytest

from calogan.errors import DataError, ShapeError
from calogan.metrics.classifier import area_of_some, classifier_test, fit_trees
from calogan.metrics.labelled import LabelledFeatures, area_under_curve
from calogan.metrics.network import NetworkSettings, fit_network

pytest.importorskip("sklearn")
pytest.importorskip("torch")
SMALL = NetworkSettings(hidden=(8,), epochs=6, learning_rate=0.01, weight_decay=0.0, input_dropout=0.0, dropout=0.0)
FITS = {"network": partial(fit_network, settings=SMALL), "trees": fit_trees}


def samples(shift, showers=900, seed=1):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, showers, 3))
    return first, second + np.array([shift, 0, 0]), np.arange(showers), np.arange(showers, 2 * showers)


def best(shift):
    return NormalDist().cdf(shift / 2**0.5)


@pytest.mark.parametrize("kind", FITS)
def test_area_of_shifted_gaussians(kind):
    areas = []
    found = classifier_test(
        *samples(1.0), rng=np.random.default_rng(2), fit=FITS[kind], repeats=3, name="low", done=areas.append
    )
    assert found.auc.value == pytest.approx(best(1.0), abs=0.04)
    assert abs(found.auc.floor - 0.5) < 4 * found.auc.floor_error
    assert found.auc.p_value < 1e-6
    assert found.jsd.value == pytest.approx(0.162, abs=0.06)  # by integration
    assert [metric.name for metric in found.metrics] == ["low AUC", "low JSD"]
    assert "halves of 450" in found.auc.floor_note
    assert (*found.areas, *found.floor_areas) == tuple(areas)
    assert found.generated_score.mean() > found.reference_score.mean() + 0.1
    assert np.trapezoid(found.true_positive, found.false_positive) == pytest.approx(found.auc.value, abs=0.01)


@pytest.mark.parametrize("kind", FITS)
def test_equal_distributions_cannot_be_told_apart_and_seeds_repeat(kind):
    found, again = (
        classifier_test(*samples(0.0, 300), rng=np.random.default_rng(3), fit=FITS[kind], repeats=3) for _ in "12"
    )
    assert abs(found.auc.value - 0.5) < 4 * found.auc.error
    assert found.auc.p_value > 1e-3
    assert found.metrics == again.metrics


def test_a_classifier_that_memorises_particles_learns_nothing_about_partners():
    """It takes the partner of a reference shower for a reference shower: below 0.5 if partners were split."""

    def memorise(training, validation, seed):
        known = dict(zip(training.features[:, 0].tolist(), (2.0 * training.label - 1).tolist(), strict=True))
        return lambda features: np.array([known.get(particle, 0.0) for particle in features[:, 0].tolist()])

    particles = np.random.default_rng(4).normal(size=(400, 1))
    group = np.arange(400)
    rng = np.random.default_rng(5)
    together = classifier_test(particles, particles, group, group, rng=rng, fit=memorise)
    apart = classifier_test(particles, particles, group, group + 400, rng=rng, fit=memorise)
    assert together.auc.value == together.auc.floor == 0.5
    assert apart.auc.value < 0.4


def test_trees_give_weighted_showers_their_weight():
    first, second, *_ = samples(0.0, 600)
    features, label = np.concatenate([first, second]), np.repeat([0, 1], 600)
    weight = np.where((label == 1) & (features[:, 0] > 0), 5.0, 1.0)  # as if label 1 were mostly above 0
    scores = fit_trees(LabelledFeatures(features, label, weight), LabelledFeatures(features, label, weight), 0)
    above = features[:, 0] > 0
    assert scores(features[above]).mean() - scores(features[~above]).mean() == pytest.approx(np.log(5), abs=0.5)


def test_mismatched_arrays_and_few_groups_are_refused():
    test = partial(classifier_test, rng=np.random.default_rng(0), fit=fit_trees)
    with pytest.raises(ShapeError, match="do not go together"):
        test(np.zeros((30, 2)), np.zeros((30, 3)), np.arange(30), np.arange(30))
    with pytest.raises(DataError, match="generated has 1"):
        test(np.zeros((30, 2)), np.zeros((30, 2)), np.arange(30), np.zeros(30, int))


def test_a_feature_without_any_number_is_left_out():
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], 200)
    features = np.column_stack([rng.normal(size=400) + 3.0 * label, np.full(400, np.nan)])
    showers = LabelledFeatures(features, label)
    scores = fit_trees(showers, showers, 1)(features)
    assert area_under_curve(scores, label).value > 0.95


def test_area_of_some_showers_is_that_of_the_classifiers_of_all():
    """Half of the generated showers are shifted: the area of these is the best possible, that of the others 1/2."""
    first, second, *groups = samples(0.0)
    shifted = np.arange(900) % 2 == 1
    second[shifted, 0] += 2.0
    told = [np.column_stack([one, shifted]) for one in (first, second)]  # as the particle type is
    found = classifier_test(*told, *groups, rng=np.random.default_rng(6), fit=fit_trees, repeats=3)

    some, others = (area_of_some(found, chosen, chosen, "some") for chosen in (shifted, ~shifted))
    assert some.value == pytest.approx(best(2.0), abs=0.04)
    assert abs(others.value - 0.5) < 4 * others.error
    assert abs(some.floor - 0.5) < 4 * some.floor_error
    assert (some.n_reference, some.n_generated) == (450, 450)
    assert some.p_value < 1e-6 < others.p_value

    every = area_of_some(found, np.full(900, True), np.full(900, True), found.auc.name)
    assert every == found.auc

    few = np.arange(900) < 2
    missing = area_of_some(found, few, few, "few")
    assert np.isnan([missing.value, missing.error, missing.floor]).all()
    assert missing.p_value is None
