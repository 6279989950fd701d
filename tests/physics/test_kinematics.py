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


def test_a_type_has_its_own_narrower_domain():
    """Photons from 5 GeV on and near the axis; muons have all of the domain."""
    config = DomainConfig(
        momentum=(1, 64), max_angle=20, entry_x=(-20, 20), particles={22: {"momentum": (5, 64), "max_angle": 10}}
    )
    domain = Domain.from_config(config)
    assert domain.of(22) == Domain((5.0, 64.0), math.radians(10), (-20.0, 20.0), (0.0, 0.0))
    assert domain.of(13) == Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (0.0, 0.0))
    incident, pdg = np.array([[0, 0, 2.0, 0, 0], [0, 0, 9.0, 0, 0], [2.0, 0, 9.0, 0, 0]]), np.array([22, 22, 22])
    assert domain.outside(incident, pdg).tolist() == [True, False, True]
    assert domain.outside(incident, np.array([13, 22, 11])).tolist() == [False, False, False]
    assert not domain.outside(incident).any()
    clipped = domain.clip(incident, pdg)
    np.testing.assert_allclose(momentum(clipped), [5, 9, np.hypot(2, 9)], rtol=1e-6)
    np.testing.assert_allclose(angle(clipped), np.radians([0, 0, 10]), atol=1e-6)
    assert not domain.outside(clipped, pdg).any()
    assert "pdg 22: |p| 5 to 64 GeV, angle up to 10 degrees" in domain.describe()
    assert "of pdg 22 5 to 64 GeV" in str(domain)


def test_domains_of_types_are_kept_in_plain_values_and_compared():
    photons = Domain((5.0, 64.0), 0.1, (-10.0, 4.0), (0.0, 8.0))
    wide = Domain((1.0, 64.0), 0.2, (-20.0, 5.0), (0.0, 9.0))
    domain = Domain((1.0, 64.0), 0.2, (-20.0, 5.0), (0.0, 9.0), particles={22: photons})
    assert Domain.from_dict(domain.to_dict()) == domain
    assert "particles" not in wide.to_dict()
    assert wide.holds(domain)
    assert not domain.holds(wide)
    assert domain.common_window() == ((-10.0, 4.0), (0.0, 8.0))
    moved = domain.entering((0.0, 1.0), (2.0, 3.0))
    assert (moved.entry_x, moved.of(22).entry_y, moved.of(22).momentum) == ((0.0, 1.0), (2.0, 3.0), (5.0, 64.0))


@pytest.mark.parametrize(
    ("own", "text"),
    [
        (
            {"momentum": (0.5, 64)},
            r"particles\.22\.momentum: \[0.5, 64.0\] is no range within .* \[1.0, 64.0\]",
        ),
        ({"entry_x": (3, 2)}, r"particles\.22\.entry_x: \[3.0, 2.0\] is no range within"),
        ({"max_angle": 21}, r"particles\.22\.max_angle: 21.0 is above the domain's max_angle 20.0"),
    ],
)
def test_a_type_cannot_have_more_than_the_domain(own, text):
    with pytest.raises(ValueError, match=text):
        DomainConfig(momentum=(1, 64), max_angle=20, entry_x=(-20, 20), particles={22: own})
