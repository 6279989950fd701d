from __future__ import annotations

import numpy as np
import pytest

from calogan.physics.lattice import find_grid, find_planes


def hits(rng, showers=20, count=60):
    return np.repeat(np.arange(showers), count), rng.integers(0, 12, showers * count)


def test_planes_are_found_among_stray_hits():
    rng = np.random.default_rng(1)
    shower, plane = hits(rng)
    depth = 3.0 + 5.05 * plane + rng.uniform(-0.04, 0.04, len(plane))
    stray = rng.random(len(depth)) < 0.05
    depth[stray] = rng.uniform(-300, 300, stray.sum())
    found = find_planes(depth, shower)
    assert found.depth == pytest.approx(3.0 + 5.05 * np.arange(12), abs=0.02)
    assert found.thickness <= 0.3
    assert (found.plane[~stray] == plane[~stray]).all()
    assert np.mean(found.plane[stray] < 0) > 0.9


def test_unequal_planes_are_found():
    depth = np.array([1.0, 3.0, 3.5, 40.0])
    shower = np.repeat(np.arange(5), 4)
    found = find_planes(np.tile(depth, 5), shower)
    assert found.depth.tolist() == depth.tolist()
    assert found.plane.tolist() == [0, 1, 2, 3] * 5


def test_a_stray_coincidence_beside_a_plane_makes_none():
    shower, plane = hits(np.random.default_rng(6))
    depth = 5.0 * plane
    depth[[3, 100]] = 20.7
    assert find_planes(depth, shower).depth == pytest.approx(5.0 * np.arange(12))


def test_continuous_depths_have_no_planes():
    rng = np.random.default_rng(2)
    shower, _ = hits(rng)
    assert find_planes(rng.gamma(3.0, 30.0, len(shower)), shower) is None


def test_a_plane_of_one_shower_is_none():
    shower = np.repeat([0, 1, 2], 10)
    depth = np.where(np.arange(30) == 7, 99.0, 5.0)
    assert find_planes(depth, shower).depth.tolist() == [5.0]


@pytest.mark.parametrize("pitch", [0.3, 5.1, 160.0])
def test_a_common_grid_is_found_with_its_centres(pitch):
    rng = np.random.default_rng(3)
    shower, plane = hits(rng)
    position = 0.2 * pitch + pitch * np.round(rng.normal(scale=4.0, size=len(shower)))
    position += rng.normal(scale=0.002 * pitch, size=len(shower))
    found = find_grid(position, 12 * shower + plane)
    assert found.pitch == pytest.approx(pitch, rel=2e-3)
    assert found.aligned
    assert found.centre == pytest.approx(0.2 * pitch, abs=0.02 * pitch)
    assert found.multiples > 0.99


def test_a_grid_of_each_shower_has_a_pitch_and_no_centre():
    rng = np.random.default_rng(4)
    shower, plane = hits(rng)
    position = 4.0 * np.round(rng.normal(scale=5.0, size=len(shower))) + rng.uniform(-2, 2, 20)[shower]
    found = find_grid(position, 12 * shower + plane)
    assert found.pitch == pytest.approx(4.0)
    assert not found.aligned
    assert found.centre == 0


def test_continuous_positions_are_on_no_grid():
    rng = np.random.default_rng(5)
    shower, plane = hits(rng)
    assert find_grid(rng.normal(scale=20.0, size=len(shower)), 12 * shower + plane) is None


def test_a_few_hits_tell_no_grid():
    assert find_grid(np.arange(5.0), np.zeros(5, dtype=int)) is None
    assert find_grid(np.empty(0), np.empty(0, dtype=int)) is None
