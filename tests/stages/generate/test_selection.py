"""Reasons to leave a particle: whoever is outside has one."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.physics.kinematics import Domain
from calogan.stages.generate.selection import Reason, Selection

DOMAIN = Domain((1.0, 64.0), 0.35, (-20.0, 20.0), (-20.0, 20.0))


def at_the_bounds(count=200_000):
    """Particles within a few roundings of the bounds of momentum and angle, as the tolerance widens them."""
    rng = np.random.default_rng(3)
    size = 64 * (1 + DOMAIN.tolerance + rng.normal(0, 2e-7, count))
    angle = np.where(rng.random(count) < 0.5, 0.35 * (1 + DOMAIN.tolerance + rng.normal(0, 2e-7, count)), 0.1)
    size = np.where(angle > 0.2, 10, size)
    turn = rng.uniform(0, 2 * np.pi, count)
    across = size * np.sin(angle)
    columns = [across * np.cos(turn), across * np.sin(turn), size * np.cos(angle), 0 * size, 0 * size]
    return np.stack(columns, axis=1).astype(np.float32)


def test_a_particle_just_outside_has_the_reason_of_its_bound():
    incident = at_the_bounds()
    reasons = Selection(DOMAIN, (), entry_point=True).reasons(incident, None)
    outside = DOMAIN.outside(incident)
    assert 0 < outside.sum() < len(outside)
    np.testing.assert_array_equal(reasons > 0, outside)
    steep = np.hypot(incident[:, 0], incident[:, 1]) / incident[:, 2] > 0.2
    assert set(reasons[outside & steep]) == {Reason.ANGLE}
    assert set(reasons[outside & ~steep]) == {Reason.MOMENTUM}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({2: 70}, Reason.MOMENTUM),
        ({2: 0.5}, Reason.MOMENTUM),
        ({2: -10}, Reason.ANGLE),
        ({4: -21}, Reason.ENTRY_POINT),
        ({0: 50, 3: 30}, Reason.ANGLE | Reason.ENTRY_POINT),
        ({1: np.nan}, Reason.NOT_A_NUMBER),
    ],
)
def test_each_bound_has_its_reason(changed, reason):
    incident = np.array([[0, 0, 20, 0, 0]], dtype=np.float32)
    incident[0, list(changed)] = list(changed.values())
    assert Selection(DOMAIN, (), entry_point=True).reasons(incident, None).tolist() == [reason]
