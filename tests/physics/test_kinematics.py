"""Kinematics and the domain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calogan.config import DomainConfig
from calogan.errors import ConfigError, ShapeError
from calogan.physics.kinematics import Domain, angle, momentum, slopes, track_position

DOMAIN = Domain((1.0, 64.0), math.radians(20.0), (-20.2, 20.2), (0.0, 0.0))
NUMBER = st.floats(-100, 100, width=32)


def test_a_right_angled_track_has_known_momentum_slope_angle_and_position():
    incident = np.array([[3.0, 4.0, 12.0, 1.0, -1.0]])
    assert momentum(incident) == [13.0]
    np.testing.assert_allclose(np.stack(slopes(incident)), [[0.25], [1 / 3]])
    np.testing.assert_allclose(np.stack(track_position(incident, 120.0)), [[31.0], [39.0]])
    np.testing.assert_allclose(angle(incident), math.acos(12 / 13))


@pytest.mark.parametrize(
    ("particle", "outside"),
    [
        ([0, 0, 1.0, 0, 0], False),
        ([0, 0, 64.0, 20.2, 0], False),
        ([0, 0, 64.0004, 0, 0], False),
        ([0, 0, 64.01, 0, 0], True),
        ([0, 0, 0.99, 0, 0], True),
        ([0, 0, -10.0, 0, 0], True),
        ([math.tan(math.radians(19.99)), 0, 1, 0, 0], False),
        ([math.tan(math.radians(20.01)), 0, 1, 0, 0], True),
        ([0, 0, 10, 20.3, 0], True),
        ([0, 0, 10, 0, 1e-6], False),
        ([0, 0, 10, 0, 0.1], True),
        ([0, 0, math.nan, 0, 0], True),
        ([0, 0, 10, math.nan, 0], True),
        ([0, 0, math.inf, 0, 0], True),
    ],
)
def test_bounds_hold_within_the_tolerance(particle, outside):
    assert DOMAIN.outside(np.array([particle], dtype=np.float32)).tolist() == [outside]


@given(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER, NUMBER).filter(lambda p: p[2] > 1e-3))
def test_a_clipped_particle_is_inside_and_clipping_again_changes_nothing(particle):
    incident = np.array([particle], dtype=np.float32)
    clipped = DOMAIN.clip(incident)
    assert not DOMAIN.outside(clipped)[0]
    np.testing.assert_array_equal(DOMAIN.clip(clipped), clipped)
    if not DOMAIN.outside(incident)[0]:
        np.testing.assert_array_equal(clipped, incident)


def test_clip_moves_size_direction_and_entry_point_to_the_nearest_bound():
    incident = np.array([[0, 100.0, 100.0, 30.0, -5.0], [0, 0, math.nan, 0, 0], [0, 0, -5, 0, 0]], dtype=np.float32)
    clipped = DOMAIN.clip(incident)
    expected = [0, 64 * math.sin(math.radians(20)), 64 * math.cos(math.radians(20)), 20.2, 0]
    np.testing.assert_allclose(clipped[0], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(clipped[1:], incident[1:])
    assert DOMAIN.outside(clipped)[1:].all()


def test_configuration_in_degrees_becomes_radian_and_survives_json():
    config = DomainConfig(momentum=(1.0, 64.0), max_angle=20.0, entry_x=(-20.2, 20.2))
    assert Domain.from_config(config) == DOMAIN
    assert Domain.from_dict(DOMAIN.to_dict()) == DOMAIN
    assert DOMAIN.describe() == "|p| 1 to 64 GeV, angle up to 20 degrees, x -20.2 to 20.2 mm, y 0 to 0 mm"


def test_particles_along_the_axis_need_no_angle():
    along = Domain.from_config(DomainConfig(momentum=(1.0, 64.0)))
    incident = np.array([[0, 0, 5.0, 0, 0], [1e-5, 0, 5.0, 0, 0], [1e-3, 0, 5.0, 0, 0], [0, 0, 65.0, 0, 0]])
    assert along.outside(incident).tolist() == [False, False, True, True]
    assert along.clip(incident)[2:] == pytest.approx(np.array([[0, 0, 5.0, 0, 0], [0, 0, 64.0, 0, 0]]))
    assert along.describe() == "|p| 1 to 64 GeV, along the axis"


def test_wrong_columns_and_a_broken_dictionary_are_refused():
    with pytest.raises(ShapeError, match=r"\(2, 3\), expected \(showers, 5\)"):
        DOMAIN.outside(np.zeros((2, 3)))
    with pytest.raises(ConfigError, match="not a domain"):
        Domain.from_dict({"momentum": [1]})
