"""From the vertex to the front face along a straight line."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calogan.errors import DomainError, GeometryError, ShapeError
from calogan.physics.front_face import FrontFace, enter


def rotation(axis, angle):
    """Axes of a frame that is turned by an angle about the x, y or z axis (0, 1, 2)."""
    matrix, others = np.eye(3), [other for other in range(3) if other != axis]
    sine = math.sin(angle) if axis != 1 else -math.sin(angle)
    matrix[np.ix_(others, others)] = [[math.cos(angle), sine], [-sine, math.cos(angle)]]
    return matrix


def face(origin=(0.0, 0.0, 0.0), axes=None):
    return FrontFace(origin, tuple(map(tuple, np.eye(3) if axes is None else axes)))


def test_a_line_meets_the_face_where_it_is_drawn():
    entry = enter([[1.0, -2.0, -50.0]], [[3.0, 4.0, 12.0]], face((0.0, 0.0, 70.0)))
    np.testing.assert_allclose(entry.incident, [[3, 4, 12, 31, 38]])
    assert entry.reaches.tolist() == [True]


def test_why_particles_do_not_reach_the_face():
    vertex = [[0, 0, -1], [0, 0, -1], [0, 0, -1], [0, 0, -1], [0, 0, 1], [0, 0, 1], [0, 0, 0]]
    momentum = [[0, 0, 1], [1, 0, -1], [1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, -1], [0, 1, 1]]
    entry = enter(vertex, momentum)
    assert entry.reaches.tolist() == [True, False, False, False, False, False, True]
    assert np.flatnonzero(entry.away).tolist() == [1]
    assert np.flatnonzero(entry.parallel).tolist() == [2, 3]
    assert np.flatnonzero(entry.behind).tolist() == [4, 5]
    np.testing.assert_array_equal(np.isfinite(entry.incident[:, 3:]).all(axis=1), entry.reaches)
    np.testing.assert_array_equal(entry.incident[:, :3], momentum)


def test_a_line_that_meets_the_face_beyond_all_numbers_is_along_it():
    entry = enter([[0.0, 0.0, -1e300]], [[1e300, 0.0, 1e-300]])
    assert entry.parallel.tolist() == [True]
    assert np.isnan(entry.incident[0, 3:]).all()


def test_a_calorimeter_that_looks_at_the_vertex_from_the_side():
    # its z is the detector's x, its x the detector's -z: as turned by 90 degrees about y
    barrel = face((1000.0, 0.0, 200.0), [[0, 0, -1], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_allclose(barrel.axes, rotation(1, math.pi / 2), atol=1e-15)
    entry = enter([[0.0, 0.0, 0.0]], [[10.0, 1.0, 3.0]], barrel)
    np.testing.assert_allclose(entry.incident, [[-3, 1, 10, -100, 100]])


@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    origin=st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    point=st.tuples(*[st.floats(-100, 100)] * 2),
    slope=st.tuples(*[st.floats(-1, 1)] * 2),
    distance=st.floats(0, 1e4),
)
def test_it_does_not_matter_where_the_calorimeter_stands(angles, origin, point, slope, distance):
    axes = rotation(0, angles[0]) @ rotation(1, angles[1]) @ rotation(2, angles[2])
    flight = np.array([*slope, 1.0])
    local = np.array([*point, 0.0]) - distance * flight
    placed = face(origin, axes)
    entry = enter(local[None] @ axes + origin, flight[None] @ axes, placed)
    assert entry.reaches.all()
    np.testing.assert_allclose(entry.incident, [[*flight, *point]], rtol=1e-9, atol=1e-7)


def test_particles_are_checked():
    with pytest.raises(ShapeError, match=r"^vertex has shape \(3,\), expected \(particles, 3\)$"):
        enter(np.zeros(3), np.zeros((1, 3)))
    with pytest.raises(ShapeError, match=r"^momentum must be numbers of shape \(particles, 3\).* got list$"):
        enter(np.zeros((1, 3)), [[1.0, 2.0, 3.0], [1.0]])
    with pytest.raises(ShapeError, match=r"^2 vertices for 1 momenta; give one a particle$"):
        enter(np.zeros((2, 3)), np.zeros((1, 3)))
    with pytest.raises(DomainError, match=r"^momentum of particle 1 is \[1.0, nan, 0.0\]; leave such particles out$"):
        enter(np.zeros((2, 3)), [[1.0, 0.0, 0.0], [1.0, math.nan, 0.0]])


@pytest.mark.parametrize(
    ("origin", "axes", "text"),
    [
        ((0.0, 0.0, 0.0), 2 * np.eye(3), "orthogonal unit vectors"),
        ((0.0, 0.0, 0.0), np.diag([1.0, 1.0, -1.0]), "x cross y = z"),
        ((0.0, 0.0, 0.0), np.eye(2), r"got \(3,\) and \(2, 2\)"),
        ((0.0, 0.0), np.eye(3), r"got \(2,\) and \(3, 3\)"),
        ((0.0, 0.0, math.inf), np.eye(3), "must be finite"),
    ],
)
def test_what_is_no_frame_is_refused(origin, axes, text):
    with pytest.raises(GeometryError, match=text):
        face(origin, axes)
