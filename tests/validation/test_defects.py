"""Each defect does what its name says, and nothing else that can be known."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.physics.observables import compute_observables
from calogan.validation.defects import (
    DEFECTS,
    copied,
    faint_redrawn,
    mean_shower,
    moved,
    scaled,
    shuffled,
    widened,
    zeroed,
)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture(scope="module")
def showers(electrons):
    return electrons.above(3e-4)


def response(showers):
    return showers.total_energy / showers.momentum


@pytest.mark.parametrize("name", DEFECTS)
def test_particles_and_events_stay_and_energies_are_sound(showers, rng, name):
    changed = DEFECTS[name](showers, rng)
    assert np.array_equal(changed.incident, showers.incident)
    assert np.array_equal(changed.event, showers.event)
    assert changed.cell_energy.dtype == np.float32
    assert (changed.cell_energy >= 0).all()
    assert not np.array_equal(changed.cell_energy, showers.cell_energy)


def test_scaled(showers, rng):
    assert scaled(showers, rng, 1.005).total_energy == pytest.approx(1.005 * showers.total_energy, rel=1e-5)


def test_widened_keeps_the_mean_and_the_shape(showers, rng):
    wider = widened(showers, rng, 1.05)
    assert response(wider).mean() == pytest.approx(response(showers).mean(), rel=1e-5)
    assert response(wider).std() == pytest.approx(1.05 * response(showers).std(), rel=0.01)
    lit = showers.cell_energy > 0
    assert np.array_equal(wider.cell_energy > 0, lit)


def test_moved_by_one_cell(showers, rng):
    before = showers.cell_energy.reshape(-1, 30, 30)
    after = moved(showers, rng).cell_energy.reshape(-1, 30, 30)
    assert np.array_equal(after[:, 1:], before[:, :-1])
    assert not after[:, 0].any()


def test_shuffled_keeps_the_energies(showers, rng):
    changed = shuffled(showers, rng).cell_energy
    assert np.array_equal(np.sort(changed, axis=1), np.sort(showers.cell_energy, axis=1))


def test_zeroed_takes_a_tenth(showers, rng):
    changed = zeroed(showers, rng).cell_energy
    lit = showers.cell_energy > 0
    assert (changed[lit] > 0).mean() == pytest.approx(0.9, abs=0.005)
    assert np.array_equal(changed[changed > 0], showers.cell_energy[changed > 0])


def test_copied_makes_a_fifth_copies(showers, rng):
    changed = copied(showers, rng).cell_energy
    unique = len(np.unique(changed, axis=0))
    assert unique / len(changed) == pytest.approx(0.8, abs=0.04)


def test_mean_shower_is_one(showers, rng):
    changed = mean_shower(showers, rng).cell_energy
    assert len(np.unique(changed, axis=0)) == 1
    assert changed[0].sum() == pytest.approx(showers.total_energy.mean(), rel=1e-4)


def test_redrawn_faint_cells_keep_each_cells_distribution_but_not_its_neighbours(showers, rng):
    limit = 3e-3
    changed = faint_redrawn(showers, rng, limit).cell_energy
    before = showers.cell_energy
    bright = before >= limit
    assert np.array_equal(changed[bright], before[bright])
    for cell in (0, 450, 465):
        assert np.array_equal(np.sort(changed[:, cell]), np.sort(before[:, cell]))
    pairs = [
        compute_observables(energy, showers.incident, showers.geometry, ["lit_pairs"])["lit_pairs"].mean()
        for energy in (before, changed)
    ]
    assert pairs[1] < 0.97 * pairs[0]
