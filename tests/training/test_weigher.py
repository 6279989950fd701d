"""Networks that weigh showers, on toy showers of which some were made too bright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.network import NetworkSettings
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain
from calogan.physics.particles import network_input
from calogan.training.weigher import WeigherFeatures, fit_weigher

pytest.importorskip("scipy")
SMALL = NetworkSettings(hidden=(16,), epochs=6, least_steps=200, batch_sizes=(16, 64), weight_decay=0.01)


@pytest.fixture(scope="module")
def features(toy):
    domain = Domain((1.0, 64.0), 0.27, (-5.0, 5.0), (-5.0, 5.0))
    condition = ("momentum", "direction", "entry_point")
    generator = build_generator(Architecture(3, (8,)), toy.geometry, domain, condition, 3e-4)
    found = WeigherFeatures(toy.geometry, generator).eval()
    found.fit_scale(toy.showers.incident, toy.showers.cell_energy)
    return found


@pytest.fixture(scope="module")
def samples(features, toy):
    """Reference and generated toy showers, 50 of each for training and as many for the validation."""
    cells = toy.showers.cell_energy.copy()
    cells[100:] *= np.random.default_rng(1).choice([1.0, 1.3], (100, 1))
    values = features.of(toy.showers.incident, cells)
    label = np.repeat([0, 1], [100, 100])
    return [LabelledFeatures(values[start::2], label[start::2]) for start in (0, 1)]


@pytest.fixture(scope="module")
def fitted(features, samples):
    return fit_weigher(features, *samples, np.arange(100), 1, settings=SMALL)


def test_weights_of_showers_are_those_of_the_validation(fitted, samples, features, toy):
    incident, cells = (torch.from_numpy(one[101::2]) for one in (toy.showers.incident, toy.showers.cell_energy))
    unbiased = LabelledFeatures(features.of(incident.numpy(), cells.numpy()), np.ones(50, dtype=np.int64))
    validation = LabelledFeatures(
        np.concatenate([samples[1].features[:50], unbiased.features]), np.repeat([0, 1], [50, 50])
    )
    found = fit_weigher(features, samples[0], validation, np.arange(100), 1, settings=SMALL)
    with torch.no_grad():
        weight = found.weigher(incident, cells)
    np.testing.assert_allclose(weight.numpy(), found.ratio.weight, rtol=1e-4)
    assert weight.mean().item() == pytest.approx(1.0, rel=1e-4)
    assert weight.max().item() <= found.ratio.limit / found.ratio.mean * (1 + 1e-5)


def test_weights_level_out_the_score_that_they_come_from(fitted):
    assert fitted.before.value - 0.5 > 2 * fitted.before.error
    assert abs(fitted.after.value - 0.5) < 0.7 * (fitted.before.value - 0.5)
    assert fitted.ratio.effective < 50


def test_the_same_seed_gives_the_same_weigher(fitted, features, samples):
    again, other = (fit_weigher(features, *samples, np.arange(100), seed, settings=SMALL) for seed in (1, 2))
    np.testing.assert_array_equal(again.ratio.weight, fitted.ratio.weight)
    assert not np.array_equal(other.ratio.weight, fitted.ratio.weight)


def test_features_are_numbers_whatever_the_shower(features, toy):
    empty = replace(toy.showers[:3], cell_energy=np.zeros_like(toy.showers.cell_energy[:3]))
    one_cell = np.zeros_like(empty.cell_energy)
    one_cell[:, 0] = 50.0
    whole = features.of(toy.showers.incident, toy.showers.cell_energy)
    assert whole.shape[0] == 200
    for cells in (empty.cell_energy, one_cell):
        found = features.of(empty.incident, cells)
        assert found.shape == (3, whole.shape[1])
        assert np.all(np.isfinite(found))
    assert features.of(empty.incident[:0], empty.cell_energy[:0]).shape == (0, whole.shape[1])


def test_features_do_not_depend_on_the_company(features, toy, monkeypatch):
    whole = features.of(toy.showers.incident, toy.showers.cell_energy)
    monkeypatch.setattr("calogan.training.weigher.CHUNK", 7)
    np.testing.assert_allclose(features.of(toy.showers.incident, toy.showers.cell_energy), whole, rtol=1e-4, atol=1e-4)


def test_features_know_the_type(toy):
    domain = Domain((1.0, 64.0), 0.27, (-5.0, 5.0), (-5.0, 5.0))
    condition = ("momentum", "direction", "entry_point", "particle")
    architecture = Architecture(3, (8,), particles=(11, 22))
    found = WeigherFeatures(toy.geometry, build_generator(architecture, toy.geometry, domain, condition, 3e-4)).eval()
    electrons, photons = (network_input(toy.showers.incident, np.full(200, pdg), (11, 22)) for pdg in (11, 22))
    cells = toy.showers.cell_energy
    found.fit_scale(np.concatenate([electrons, photons]), np.concatenate([cells, 0.5 * cells]))
    mean = [found.of(incident, cells).mean(axis=0)[-found.physics.size :] for incident in (electrons, photons)]
    assert abs(mean[0]).max() < 0.3
    assert abs(mean[1]).max() > 1.0
