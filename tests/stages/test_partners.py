"""Showers for the particles of others."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.data.toy import toy_showers
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.sampler import ShowerSampler
from calogan.stages import partners as stage
from calogan.stages.partners import generate_partners, partners


@pytest.mark.parametrize("condition", [("momentum", "direction"), ("momentum", "direction", "entry_point")])
def test_each_shower_gets_one_of_its_particle_and_event(toy, untrained_bundle, tmp_path, monkeypatch, condition):
    domain = Domain((1.0, 64.0), 0.27, (-5.0, 5.0), (-5.0, 5.0))
    bundle = untrained_bundle(tmp_path / "b", toy.geometry, domain, toy.schema("dense"), condition=condition)
    sampler = ShowerSampler(bundle, threads=1)
    reference = toy_showers(np.random.default_rng(1), toy.geometry, 25, first_event=40)
    monkeypatch.setattr(stage, "_BATCH", 10)
    pieces = list(partners(sampler, reference, 7))
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    found, weight = generate_partners(sampler, reference, 7, SilentReporter())
    assert weight is None
    np.testing.assert_array_equal(found.event, np.arange(40, 65))
    np.testing.assert_array_equal(found.incident, reference.incident)
    columns = slice(None) if "entry_point" in condition else slice(3)
    expected = sampler.sample(*reference.incident[:, columns].T, seed=7, shower_id=reference.event)
    np.testing.assert_allclose(found.cell_energy, expected.cell_energy, rtol=1e-4, atol=1e-6)
