"""Which generator is selected, by showers that it would make."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.metrics.score import physics_score
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain
from calogan.physics.observables import compute_observables
from calogan.training import selection
from calogan.training.selection import PhysicsScore

DOMAIN = Domain((1.0, 64.0), 0.27, (-5.0, 5.0), (-5.0, 5.0))
CONDITION = ("momentum", "direction", "entry_point", "particle")


def test_the_score_is_the_mean_of_those_of_the_types(toy, monkeypatch):
    """Of 200 showers 50 are photons: they count as much as the others."""
    pdg = np.resize(np.array([11, 22, 11, 11], dtype=np.int32), 200)
    reference = toy.showers.__class__(**vars(toy.showers) | {"pdg": pdg})
    generator = build_generator(Architecture(3, (8,), particles=(11, 22, 211)), toy.geometry, DOMAIN, CONDITION, 3e-4)
    asked, scores = [], []

    def spied(first, second):
        asked.append(len(first["response"]))
        scores.append(physics_score(first, second))
        return scores[-1]

    monkeypatch.setattr(selection, "physics_score", spied)
    found = PhysicsScore(reference, 1)(generator.eval())
    assert asked == [150, 50]
    assert found == pytest.approx(np.mean(scores))
    assert set(compute_observables(reference.cell_energy, reference.incident, toy.geometry)) >= {"response"}
