"""Diversity of generators that fluctuate as the reference does, less, or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.showers import Showers
from calogan.data.toy import toy_geometry, toy_showers
from calogan.physics.observables import OBSERVABLES, compute_observables
from calogan.progress import SilentReporter
from calogan.validation.samples import Samples
from calogan.validation.studies.diversity import study_diversity

NAMES = ("response", "radial_width", "occupancy")
COUNT = 900


def showers(rng, incident, fluctuation):
    """Blobs along the tracks whose cells and width fluctuate by a factor."""
    geometry = toy_geometry()
    slope = incident[:, :2] / incident[:, 2:3]
    at = incident[:, None, 3:] + slope[:, None] * geometry.cell_depth[None, :, None]
    distance = (geometry.cell_x - at[..., 0]) ** 2 + (geometry.cell_y - at[..., 1]) ** 2
    width = 25.0 * (1 + fluctuation * 0.2 * rng.normal(size=(len(incident), 1)).clip(-2, 2))
    share = np.exp(-distance / (2 * width**2)) * np.exp(fluctuation * rng.normal(size=distance.shape))
    energy = np.linalg.norm(incident[:, :3], axis=1, keepdims=True) * share / 300
    event = np.arange(len(incident))
    pdg = np.full(len(incident), 11, dtype=np.int32)
    return Showers(geometry, event, incident.astype(np.float32), energy.astype(np.float32), pdg).above(1e-3)


def study(reference, generated, *, paired):
    values = [
        compute_observables(side.cell_energy, side.incident, side.geometry, NAMES) for side in (reference, generated)
    ]
    groups = np.arange(len(reference)), np.arange(len(generated))
    observables = {name: OBSERVABLES[name] for name in NAMES}
    settings = ValidationConfig(bootstrap=30)
    samples = Samples(reference, generated, 1e-3, observables, *values, paired, *groups, settings)
    return study_diversity(samples, SilentReporter())


@pytest.fixture(scope="module")
def incident():
    rng = np.random.default_rng(1)
    return [toy_showers(rng, toy_geometry(), COUNT).incident.astype(np.float64) for _ in range(2)]


@pytest.fixture(scope="module")
def reference(incident):
    return showers(np.random.default_rng(2), incident[0], 0.5)


@pytest.mark.parametrize("paired", [True, False])
def test_truth_against_truth_has_equal_spreads(incident, reference, paired):
    found = study(reference, showers(np.random.default_rng(3), incident[0 if paired else 1], 0.5), paired=paired)
    assert [metric.name for metric in found.metrics] == ["diversity cells", *(f"diversity {name}" for name in NAMES)]
    for metric in found.metrics:
        assert metric.value == pytest.approx(0, abs=4 * metric.error)
        assert 0 < metric.error < 0.2
    assert found.momentum_gap < 0.6


def test_the_mean_shower_again_and_again_has_no_spread(incident, reference):
    found = study(reference, showers(np.random.default_rng(4), incident[0], 0.0), paired=True)
    differences = {metric.name: metric.value for metric in found.metrics}
    assert differences["diversity response"] < -0.85
    assert differences["diversity radial_width"] < -0.7
    assert differences["diversity cells"] < -0.3  # entry points of partners are some way apart


def test_half_the_fluctuation_is_seen(incident, reference):
    found = study(reference, showers(np.random.default_rng(5), incident[0], 0.25), paired=True)
    for spread in found.spreads:
        if spread.name in {"response", "radial_width"}:
            assert spread.spread.difference.value == pytest.approx(-0.5, abs=0.15)


def test_an_observable_that_no_shower_has_is_no_number(incident, reference):
    empty = Showers(
        reference.geometry, reference.event, reference.incident, np.zeros_like(reference.cell_energy), reference.pdg
    )
    found = study(reference, empty, paired=True)
    width = next(spread for spread in found.spreads if spread.name == "radial_width")
    assert np.isnan(width.spread.difference.value)
    assert width.pairs_generated == 0


def test_one_particle_again_and_again_is_joined_at_random(incident):
    rng = np.random.default_rng(6)
    fixed = np.repeat(incident[0][:1], 200, axis=0)
    found = study(showers(rng, fixed, 0.5), showers(rng, fixed[:120], 0.25), paired=False)
    assert found.pairs == (60, 60)
    assert found.showers == (200, 120)
    assert (found.cells.pairs_reference, found.cells.pairs_generated) == (60, 60)
    assert found.momentum_gap == 0
    difference = {spread.name: spread.spread.difference for spread in found.spreads}["radial_width"]
    assert difference.value == pytest.approx(-0.5, abs=4 * difference.error)


def test_a_few_momenta_lose_no_showers(incident):
    rng = np.random.default_rng(7)
    steps = incident[0][:5][rng.integers(5, size=300)]
    found = study(showers(rng, steps, 0.5), showers(rng, steps, 0.5), paired=True)
    assert min(found.pairs) >= 148


def test_partners_are_as_far_apart_in_both_samples_of_different_sizes(incident):
    # cells at entry points far apart differ more: with partners of the whole sample the small one is 40% wider
    rng = np.random.default_rng(8)
    found = study(showers(rng, incident[0], 0.1), showers(rng, incident[1][:120], 0.1), paired=False)
    difference = found.cells.spread.difference
    assert difference.value == pytest.approx(0, abs=3 * difference.error)
    assert abs(found.pairs[0] - found.pairs[1]) <= 6


def test_partners_are_of_one_type():
    """Two electrons and two photons of each particle, photons ten times as bright: within a type nothing differs."""
    rng = np.random.default_rng(9)
    particles = toy_showers(rng, toy_geometry(), 100).incident.astype(np.float64)
    made = showers(rng, np.repeat(particles, 4, axis=0), 0.0)
    pdg = np.tile([11, 22, 22, 11], 100).astype(np.int32)
    cells = made.cell_energy * np.where(pdg == 22, 10, 1)[:, None].astype(np.float32)
    typed = replace(made, cell_energy=cells, pdg=pdg)

    def spread(sample):
        return study(sample, sample, paired=True).cells.spread.reference.value

    assert spread(typed) == pytest.approx(0.0, abs=1e-6)
    assert spread(replace(typed, pdg=0 * pdg)) > 1
