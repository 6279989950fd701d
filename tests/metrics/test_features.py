"""Vectors of showers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calogan.errors import ShapeError
from calogan.metrics.features import cell_features, condition_features, observable_matrix, standardise


def test_columns_follow_the_names():
    observables = {"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}
    assert observable_matrix(observables, ["b", "a"]).tolist() == [[3.0, 1.0], [4.0, 2.0]]
    with pytest.raises(ShapeError, match="no observable 'c'"):
        observable_matrix(observables, ["c"])


def test_reference_gets_mean_0_and_width_1_and_undefined_numbers_stand_out():
    first, second = standardise(np.array([[0.0, 7.0], [4.0, 7.0]]), np.array([[6.0, 7.5], [np.nan, np.inf]]))
    assert first.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert second.tolist() == [[2.0, 0.5], [-5.0, -5.0]]


def test_cells_are_seen_on_two_scales_beside_the_condition():
    incident = np.array([[0.0, 0.0, 4.0, 10.0, -5.0]])
    found = cell_features(np.array([[0.0, 1.0]]), incident, scale=1.0)
    np.testing.assert_allclose(found, [[0, math.asinh(1) / 4, 0, 1.5, math.log(4), 0, 0, 1.0, -0.5]], rtol=1e-6)
    assert condition_features(incident).dtype == np.float32
