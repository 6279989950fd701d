from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.errors import GeometryError
from calogan.physics.local_frame import Barrel, Endcap, LocalFrame

PRISM = Barrel(radius=1500.0, half_length=2000.0, sides=12)
CYLINDER = Barrel(radius=1500.0, half_length=2000.0)
ENDCAP = Endcap(z=2300.0, radii=(300.0, 1700.0))
FACES = [PRISM, CYLINDER, ENDCAP, replace(ENDCAP, phi=15.0)]


def turned(vectors, angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return vectors @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def event(rng, face, count=50):
    """Particles from near the origin that meet the face, and ten positions about where each enters it."""
    vertex = rng.normal(scale=5.0, size=(count, 3))
    azimuth, slope = rng.uniform(-np.pi, np.pi, count), rng.uniform(-1, 1, count)
    if isinstance(face, Barrel):
        target = np.column_stack([1500 * np.cos(azimuth), 1500 * np.sin(azimuth), 1400 * slope])
    else:
        radius = rng.uniform(500, 1500, count)
        target = np.column_stack([radius * np.cos(azimuth), radius * np.sin(azimuth), 2300 * np.sign(slope)])
    momentum = rng.uniform(1, 20, (count, 1)) * (target - vertex) / np.linalg.norm(target, axis=1, keepdims=True)
    particle = np.repeat(np.arange(count), 10)
    return vertex, momentum, target[particle] * 1.04 + rng.normal(scale=30.0, size=(10 * count, 3)), particle


@pytest.mark.parametrize("axes", ["face", "particle"])
@pytest.mark.parametrize("face", FACES)
def test_local_frames_keep_lengths_and_momenta(face, axes):
    vertex, momentum, position, particle = event(np.random.default_rng(1), face)
    views = LocalFrame(face, axes).about(vertex, momentum)
    size = np.linalg.norm(momentum, axis=1)
    assert np.linalg.norm(views.incident[:, :3], axis=1) == pytest.approx(size)
    assert (views.incident[:, 2] > 0).all()
    assert np.abs(views.incident[:, 3:]).max() < 1e-9
    assert np.linalg.det(views.axes) == pytest.approx(1.0)
    local = views.to_local(position, particle)
    if views.radius is None:
        assert np.linalg.norm(local, axis=1) == pytest.approx(np.linalg.norm(position - views.origin[particle], axis=1))
    # what lies on the line of flight is seen along the local direction
    ahead = views.to_local(views.origin + 1e-3 * momentum, np.arange(len(momentum)))
    assert ahead == pytest.approx(1e-3 * views.incident[:, :3], abs=1e-6)


@pytest.mark.parametrize(
    ("frame", "angle"),
    [
        (LocalFrame(CYLINDER), 0.7),
        (LocalFrame(PRISM), 5 * np.pi / 6),
        (LocalFrame(PRISM, cell=(5.1, 5.1), cell_centre=(1.0, 2.0)), 5 * np.pi / 6),
        (LocalFrame(ENDCAP), 0.7),
        (LocalFrame(CYLINDER, "particle"), 0.7),
        (LocalFrame(PRISM, "particle"), np.pi / 6),
        (LocalFrame(ENDCAP, "particle"), 0.7),
        (LocalFrame(replace(ENDCAP, phi=15.0), "particle"), 0.7),
    ],
)
def test_turning_the_event_about_the_beam_changes_nothing(frame, angle):
    vertex, momentum, position, particle = event(np.random.default_rng(2), frame.face)
    before = frame.about(vertex, momentum)
    after = frame.about(turned(vertex, angle), turned(momentum, angle))
    assert after.incident == pytest.approx(before.incident, abs=1e-8)
    assert after.flight == pytest.approx(before.flight)
    expected = before.to_local(position, particle)
    assert after.to_local(turned(position, angle), particle) == pytest.approx(expected, abs=1e-8)


def test_axes_of_the_endcap_turn_with_the_event_where_they_are_fixed():
    frame = LocalFrame(replace(ENDCAP, phi=0.0))
    vertex, momentum = np.zeros((1, 3)), np.array([[1.0, 0.5, 4.0]])
    quarter = frame.about(vertex, turned(momentum, np.pi / 2)).incident
    assert quarter == pytest.approx(np.array([[-0.5, 1.0, 4.0, 0, 0]]))


def test_the_other_end_is_the_mirror_image():
    frame = LocalFrame(ENDCAP)
    mirror = np.array([1.0, 1.0, -1.0])
    vertex, momentum, position, particle = event(np.random.default_rng(3), ENDCAP)
    before, after = frame.about(vertex, momentum), frame.about(vertex * mirror, momentum * mirror)
    flip = np.array([-1.0, 1.0, 1.0])
    assert after.incident[:, :3] == pytest.approx(flip * before.incident[:, :3])
    assert after.to_local(position * mirror, particle) == pytest.approx(flip * before.to_local(position, particle))


def test_known_points_of_a_flat_barrel():
    # straight up at phi 90 degrees, the normal of a side, and along the diagonal of the beam
    vertex, momentum = np.array([[0.0, 0.0, 7.0]] * 2), np.array([[0.0, 3.0, 0.0], [0.0, 3.0, 3.0]])
    views = LocalFrame(PRISM).about(vertex, momentum)
    assert views.incident == pytest.approx(np.array([[0, 0, 3, 0, 0], [0, 3, 3, 0, 0]]), abs=1e-12)
    assert views.origin == pytest.approx(np.array([[0, 1500, 7], [0, 1500, 1507]]))
    assert views.flight == pytest.approx([1500, 1500 * np.sqrt(2)])
    # 20 mm deeper, 3 mm towards smaller x, which is larger phi, and 2 mm along the beam
    assert views.to_local(np.array([[-3.0, 1520.0, 9.0]]), np.array([0])) == pytest.approx(np.array([[3, 2, 20]]))


def test_a_flat_side_is_the_one_that_is_met_first():
    # 14 degrees is on the side at 0, 16 on that at 30
    azimuth = np.radians([14.0, 16.0])
    momentum = np.column_stack([np.cos(azimuth), np.sin(azimuth), np.zeros(2)])
    views = LocalFrame(PRISM).about(np.zeros((2, 3)), momentum)
    assert np.degrees(np.arctan2(views.axes[:, 2, 1], views.axes[:, 2, 0])) == pytest.approx([0, 30])
    assert views.flight == pytest.approx([1500 / np.cos(azimuth[0])] * 2)


def test_layers_of_a_cylinder_have_one_depth():
    views = LocalFrame(CYLINDER).about(np.zeros((1, 3)), np.array([[1.0, 0.0, 0.0]]))
    azimuth = np.linspace(-0.3, 0.3, 7)
    position = np.column_stack([1550 * np.cos(azimuth), 1550 * np.sin(azimuth), np.zeros(7)])
    local = views.to_local(position, np.zeros(7, dtype=int))
    assert local[:, 2] == pytest.approx(50.0)
    assert local[:, 0] == pytest.approx(1500 * azimuth)


@pytest.mark.parametrize("face", [PRISM, CYLINDER, replace(ENDCAP, phi=-15.0)])
def test_cells_of_the_detector_fall_on_whole_cells(face):
    cell, centre = np.array([5.1, 4.0]), np.array([1.0, -0.5])
    if face == CYLINDER:
        cell[0] = 2 * np.pi * 1500 / 1800
    frame = LocalFrame(face, cell=tuple(cell), cell_centre=tuple(centre))
    vertex, momentum, _, _ = event(np.random.default_rng(4), face)
    views = frame.about(vertex, momentum)
    assert (np.abs(views.incident[:, 3:]) <= cell / 2 + 1e-9).all()
    assert (np.abs(views.incident[:, 3:]).max(axis=0) > 0.4 * cell).all()
    # centres of the detector's cells, built from the face's axes without the frame
    flat = LocalFrame(face).about(vertex, momentum)
    for number in range(len(vertex)):
        origin, axes = flat.origin[number], flat.axes[number]
        if face == CYLINDER:
            azimuth, along = (centre[0] + 7 * cell[0]) / 1500, centre[1] + 11 * cell[1]
            position = np.array([[1510 * np.cos(azimuth), 1510 * np.sin(azimuth), along]])
        else:
            end = axes[2, 2] if face is not PRISM else 1.0
            wanted = np.array([end * (centre[0] + 7 * cell[0]), centre[1] + 11 * cell[1]])
            position = (origin @ axes[2] + 10) * axes[2] + wanted @ axes[:2]
            position = position[None]
        steps = views.to_local(position, np.array([number]))[0, :2] / cell
        if face == CYLINDER:
            steps[0] %= 1800
        assert steps == pytest.approx(np.round(steps), abs=1e-6)


@pytest.mark.parametrize("axes", ["face", "particle"])
def test_particles_that_pass_beside_the_face_enter_far_from_the_origin(axes):
    momentum = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, -1.0]])
    for face, beside in ((PRISM, 1000.0), (CYLINDER, 1000.0)):
        entry = LocalFrame(face, axes).about(np.zeros((2, 3)), momentum).incident[:, 3:]
        assert entry[0] == pytest.approx([0, beside], abs=1e-9)
        assert entry[1, 1] < -1e8
    missed = np.array([[1.0, 0.0, 1.0], [0.1, 0.0, 1.0], [1.0, 0.0, 0.0]])
    entry = LocalFrame(ENDCAP, axes).about(np.zeros((3, 3)), missed).incident[:, 3:]
    assert entry[:2] == pytest.approx(np.array([[0, 600], [0, -70]]), abs=1e-9)
    assert entry[2, 1] > 1e8


def test_vertices_behind_the_face_are_measured():
    vertex = np.array([[1510.0, 0.0, 0.0], [1500.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for face in (PRISM, CYLINDER):
        views = LocalFrame(face).about(vertex, np.tile([1.0, 0.0, 0.0], (3, 1)))
        assert views.behind == pytest.approx([10, 0, -1500])
        assert views.flight == pytest.approx([0, 0, 1500])
    views = LocalFrame(ENDCAP).about(np.array([[500.0, 0.0, -2310.0]]), np.array([[0.0, 0.0, -1.0]]))
    assert views.behind == pytest.approx([10])


@pytest.mark.parametrize("face", FACES)
def test_frames_come_back_from_plain_values(face):
    cell = (5.1, 5.0) if face != ENDCAP else None
    frame = LocalFrame(face, cell=cell, cell_centre=(1.0, 0.0))
    assert LocalFrame.from_dict(frame.to_dict()) == frame


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Barrel(0.0, 10.0), "radius"),
        (lambda: Barrel(10.0, 10.0, sides=2), "at least 3"),
        (lambda: Endcap(100.0, (20.0, 10.0)), "inner radius"),
        (lambda: LocalFrame(ENDCAP, cell=(5.0, 5.0)), "phi in an endcap"),
        (lambda: LocalFrame(PRISM, "particle", cell=(5.0, 5.0)), "axes 'face'"),
        (lambda: LocalFrame.from_dict({"face": "sphere"}), "not a local frame"),
        (lambda: LocalFrame.from_dict({"face": "barrel", "z": 1.0}), "not a local frame"),
    ],
)
def test_impossible_frames_are_refused(make, said):
    with pytest.raises(GeometryError, match=said):
        make()
