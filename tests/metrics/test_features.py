"""Vectors of showers."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import ShapeError
from calogan.geometry import Geometry, Layer
from calogan.metrics.features import cell_features, condition_features, observable_matrix, standardise, voxel_features
from calogan.metrics.neighbours import neighbour_features


def test_columns_follow_the_names():
    observables = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}
    assert observable_matrix(observables, ["b", "a"]).tolist() == [[3.0, 1.0], [4.0, 2.0]]
    with pytest.raises(ShapeError, match="no observable 'c'"):
        observable_matrix(observables, ["c"])


def test_reference_gets_mean_0_and_width_1_and_undefined_numbers_stand_out():
    first, second = standardise(np.array([[0.0, 7.0], [4.0, 7.0]]), np.array([[6.0, 7.5], [np.nan, np.inf]]))
    assert first.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert second.tolist() == [[2.0, 0.5], [-5.0, -5.0]]


def test_far_numbers_are_brought_to_the_limit():
    first, second = standardise(np.array([[0.0], [4.0]]), np.array([[20.0], [-6.0]]), limit=3.0)
    assert first.tolist() == [[-1.0], [1.0]]
    assert second.tolist() == [[3.0], [-3.0]]


def test_cells_are_seen_alone_together_by_size_and_along_the_track():
    geometry = Geometry((Layer((0.0, 20.0, 40.0), (-10.0, 0.0), 50.0), Layer((0.0, 40.0), (-10.0, 0.0), 100.0)))
    incident = np.array([[0.0, 0.0, 4.0, 10.0, -5.0], [2.0, 0.0, 5.0, 10.0, -5.0]])  # at 30 mm in the first layer
    energy = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0]])

    found = cell_features(energy, incident, geometry, scale=1.0)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :3], np.arcsinh(energy) / 100, rtol=1e-6)
    np.testing.assert_allclose(found[:, 3:8], condition_features(incident))
    np.testing.assert_allclose(found[0, 8:10], np.log([3.0, 3 / 4]), rtol=1e-6)
    layers, brightest, nearest = [1, 2], [2, 1, 0], [0, 1, 2]
    np.testing.assert_allclose(np.exp(found[0, 10:18]) * 3 - 1, [*layers, *brightest, *nearest], atol=1e-5)
    np.testing.assert_allclose(np.exp(found[1, 15:18]) * 4 - 1, [1, 3, 0], atol=1e-5)
    np.testing.assert_array_equal(found[:, 18:], neighbour_features(energy, incident, geometry, 1.0))


def test_the_challenge_sees_percent_of_the_incident_energy():
    found = voxel_features(np.array([[1.0, 0.5]]), np.array([[6.0, 0.0, 8.0, 1.0, 2.0]]))
    np.testing.assert_allclose(found, [[1.0, 10.0, 5.0]], rtol=1e-6)
