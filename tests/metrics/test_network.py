"""The low-level classifier on electron showers of the full simulation with known defects."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from calogan.config import HitsSource
from calogan.data.reading import read_showers
from calogan.data.schema import Schema
from calogan.geometry import Geometry, Layer
from calogan.metrics.crossfit import cross_fit
from calogan.metrics.features import cell_features
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.network import CALOCHALLENGE, NetworkSettings, fit_network, training_operations

pytest.importorskip("torch")

THRESHOLD = 3e-4
EDGES = tuple(np.linspace(-303.0, 303.0, 31).tolist())
ECAL = Geometry((Layer(EDGES, EDGES, depth=122.0),))
HITS = HitsSource(layout="hits", files=["-"], tree="hits", pdg="pdg")

SMALL = NetworkSettings(hidden=(32,), epochs=8)


@pytest.fixture(scope="module")
def electrons():
    showers = read_showers(["calogan://ecal30_electron/hits_1001.root"], Schema.from_source(HITS), ECAL)
    return showers[:2400]


def area(reference, generated, settings=SMALL):
    samples = [showers.above(THRESHOLD) for showers in (reference, generated)]
    features = [cell_features(one.cell_energy, one.incident, ECAL, scale=THRESHOLD) for one in samples]
    showers = LabelledFeatures(np.concatenate(features), np.repeat([0, 1], [len(reference), len(generated)]))
    fit = partial(fit_network, settings=settings)
    group = np.concatenate([reference.event, generated.event])
    return cross_fit(showers, group, fit, np.random.default_rng(1), 5, tested=1).area


def smeared(cells):
    return cells * np.random.default_rng(2).lognormal(0.0, 0.5, cells.shape)


def scaled(cells):
    return 1.1 * cells


def mirrored(cells):
    return cells.reshape(-1, 30, 30)[:, ::-1].reshape(cells.shape)


def with_faint_cells_of_others(cells):
    """Each faint cell drawn on its own from showers of about the same energy."""
    rng, changed = np.random.default_rng(3), cells.copy()
    for similar in np.array_split(np.argsort(cells.sum(axis=1)), 60):
        faint = cells[similar] < 3 * THRESHOLD
        for cell in range(cells.shape[1]):
            chosen = similar[faint[:, cell]]
            changed[chosen, cell] = cells[rng.permutation(chosen), cell]
    return changed


@pytest.mark.parametrize(
    ("defect", "least"), [(smeared, 0.8), (scaled, 0.7), (mirrored, 0.8), (with_faint_cells_of_others, 0.6)]
)
def test_defects_of_cells_are_seen(electrons, defect, least):
    generated = electrons[1200:]
    found = area(electrons[:1200], replace(generated, cell_energy=defect(generated.cell_energy).astype(np.float32)))
    assert found.value > least
    assert found.value - 0.5 > 3 * found.error


def test_showers_of_one_simulation_cannot_be_told_apart(electrons):
    found = area(electrons[:1200], electrons[1200:])
    assert abs(found.value - 0.5) < 3 * found.error


def test_same_seed_same_network_and_the_global_random_state_is_left():
    import torch

    rng = np.random.default_rng(0)
    showers = LabelledFeatures(rng.normal(size=(60, 3)), np.arange(60) % 2)
    before = torch.random.get_rng_state()
    first, again = (fit_network(showers, showers, 1, settings=SMALL)(showers.features) for _ in "12")
    assert np.array_equal(first, again)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_scale_of_the_features_does_not_matter_once_standardised():
    rng = np.random.default_rng(0)
    features, label = rng.normal(size=(400, 2)) + np.arange(400)[:, None] % 2, np.arange(400) % 2
    found = [
        fit_network(LabelledFeatures(one, label), LabelledFeatures(one, label), 1, settings=SMALL)(one)
        for one in (features, 1000 * features + 500)
    ]
    assert found[1] == pytest.approx(found[0], abs=0.01)


def test_weights_of_the_best_accuracy_are_kept():
    """The rate is so high that later passes spoil what the first ones learnt."""
    rng = np.random.default_rng(0)
    label = np.arange(400) % 2
    showers = LabelledFeatures(rng.normal(size=(400, 2)) + 2 * label[:, None], label)
    settings = NetworkSettings(hidden=(4,), epochs=8, learning_rate=0.5, scheduled=False, best="accuracy")
    scores = fit_network(showers, showers, 1, settings=settings)(showers.features)
    assert np.mean((scores > 0) == label) > 0.9


@pytest.mark.parametrize("best", ["loss", "accuracy"])
def test_the_more_frequent_label_is_no_answer(best):
    """Nine of ten showers are of label 0: a network that always says 0 is right for 90% of them."""
    rng = np.random.default_rng(0)
    label = (np.arange(1000) % 10 == 0).astype(int)
    showers = LabelledFeatures(rng.normal(size=(1000, 2)) + 1.0 * label[:, None], label)
    settings = NetworkSettings(
        hidden=(8,), epochs=8, best=best, learning_rate=0.02, weight_decay=0.0, input_dropout=0.0, dropout=0.0
    )
    said = fit_network(showers, showers, 1, settings=settings)(showers.features) > 0
    assert said[label == 1].mean() == pytest.approx(0.76, abs=0.08)  # of the best cut, Phi(1 / sqrt 2)
    assert said[label == 0].mean() == pytest.approx(0.24, abs=0.08)


def test_weighted_showers_count_as_so_many():
    rng = np.random.default_rng(0)
    features, label = rng.normal(size=(1200, 1)), np.repeat([0, 1], 600)
    above = features[:, 0] > 0
    weight = np.where((label == 1) & above, 5.0, 1.0)  # as if label 1 were mostly above 0
    showers = LabelledFeatures(features, label, weight)
    settings = NetworkSettings(
        hidden=(8,), epochs=8, learning_rate=0.02, weight_decay=0.0, input_dropout=0.0, dropout=0.0
    )
    scores = fit_network(showers, showers, 1, settings=settings)(features)
    assert scores[above].mean() - scores[~above].mean() == pytest.approx(np.log(5), abs=0.6)


def test_operations_of_the_challenge_network():
    weights = 901 * 2048 + 2 * 2048 * 2048 + 2048
    assert training_operations(901, 24000, CALOCHALLENGE) == 6.0 * weights * 24000 * 50
