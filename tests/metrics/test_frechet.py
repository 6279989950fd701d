"""Frechet distance against Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError
from calogan.metrics.frechet import frechet_distance, frechet_physics_distance


def test_commuting_covariances_have_the_closed_form():
    mean, first, second = np.array([1.0, -2.0]), np.diag([1.0, 4.0]), np.diag([9.0, 0.0])
    assert frechet_distance(mean, first, np.zeros(2), second) == pytest.approx(5 + (1 - 3) ** 2 + 2**2)


def test_rotating_both_gaussians_changes_nothing():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    first, second = (matrix @ matrix.T for matrix in rng.normal(size=(2, 4, 4)))
    mean = rng.normal(size=4)
    turned = frechet_distance(
        rotation @ mean, rotation @ first @ rotation.T, np.zeros(4), rotation @ second @ rotation.T
    )
    assert turned == pytest.approx(frechet_distance(mean, first, np.zeros(4), second))


def test_samples_of_shifted_and_stretched_gaussians():
    rng = np.random.default_rng(1)
    reference = rng.normal(3, 2, size=(20000, 2))
    generated = rng.normal([4, 3], [2, 3], size=(20000, 2))  # in units of the reference: shift 0.5, stretch 1.5
    found = frechet_physics_distance(reference, generated, rng=rng, resamplings=20)
    assert found.value == pytest.approx(0.25 + 0.25, abs=4 * found.error + 0.01)
    assert found.floor < 0.01


def test_floor_and_error_by_simulation():
    rng = np.random.default_rng(2)
    found = [
        frechet_physics_distance(rng.normal(size=(400, 6)), rng.normal(size=(300, 6)), rng=rng, resamplings=20)
        for _ in range(60)
    ]
    values = np.array([metric.value for metric in found])
    assert np.mean([metric.floor for metric in found]) == pytest.approx(values.mean(), rel=0.15)
    assert 0.5 < values.std() / np.mean([metric.error for metric in found]) < 1.5


def test_collinear_and_constant_columns_are_fine():
    rng = np.random.default_rng(3)
    column = rng.normal(size=(200, 1))
    sample = np.hstack([column, 2 * column, np.ones((200, 1))])
    assert frechet_physics_distance(sample, sample, rng=rng).value == pytest.approx(0, abs=1e-6)


def test_too_few_showers_are_refused():
    with pytest.raises(DataError, match="too few"):
        frechet_physics_distance(np.zeros((3, 2)), np.zeros((3, 2)), rng=np.random.default_rng(0))
