"""Frechet distance against Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError
from calogan.metrics.frechet import extrapolated_frechet_distance, frechet_distance, frechet_physics_distance
from calogan.metrics.resampling import Resampling


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
    found = frechet_physics_distance(reference, generated, Resampling(20000, 20000, False, 20, 1))
    assert found.value == pytest.approx(0.25 + 0.25, abs=4 * found.error)
    assert 0 < found.error < 0.02
    assert found.floor == pytest.approx((2 + 2 / 4 + 1 / 8) * 2 / 20000, rel=0.5)
    assert found.p_value == pytest.approx(1 / 21)


def test_the_expectation_of_equal_gaussians_is_that_of_the_means_and_widths():
    # of one number: E (m1 - m2)^2 + E (s1 - s2)^2 = 2 / n + 2 / (2 n)
    rng = np.random.default_rng(2)
    metrics = [
        frechet_physics_distance(*rng.normal(size=(2, 300, 1)), Resampling(300, 300, False, 40, seed))
        for seed in range(60)
    ]
    values = np.array([metric.value for metric in metrics])
    assert values.mean() == pytest.approx(3 / 300, rel=0.3)
    assert np.mean([metric.floor for metric in metrics]) == pytest.approx(3 / 300, rel=0.1)
    assert np.mean([metric.p_value for metric in metrics]) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(("paired", "shift"), [(True, 0.0), (False, 0.0), (True, 0.3), (False, 0.3)])
def test_errors_are_the_spread_of_independent_samples(paired, shift):
    rng = np.random.default_rng(3)
    metrics = []
    for seed in range(40):
        particles = rng.normal(size=(2, 300, 4))
        if paired:
            particles[1] = particles[0]
        samples = particles + rng.normal(size=(2, 300, 4))
        metrics.append(frechet_physics_distance(samples[0], samples[1] + shift, Resampling(300, 300, paired, 40, seed)))
    expected = np.sqrt(np.mean([metric.error**2 for metric in metrics]))
    assert np.std([metric.value for metric in metrics], ddof=1) / expected == pytest.approx(1, abs=0.3)


def test_extrapolation_takes_the_floor_away():
    rng = np.random.default_rng(4)
    reference, generated = rng.normal(size=(2, 2400, 10))
    generated[:, 0] += 0.3
    finite = frechet_physics_distance(reference, generated, Resampling(2400, 2400, False, 40, 1))
    found = extrapolated_frechet_distance(reference, generated, finite, rng=rng, paired=False)
    assert finite.floor > 0.01
    assert found.value == pytest.approx(0.09, abs=3 * found.error)
    assert found.value == pytest.approx(finite.value - finite.floor, abs=0.01)
    assert found.floor == pytest.approx(0, abs=4 * found.floor_error)
    assert found.error >= finite.error


def test_pairs_of_the_same_particles_have_a_floor_of_their_own():
    # showers that depend on the particle alone: each exchange of labels within pairs leaves the samples as they are
    rng = np.random.default_rng(8)
    sample = rng.normal(size=(480, 5))
    finite = frechet_physics_distance(sample, sample, Resampling(480, 480, True, 20, 1))
    found = extrapolated_frechet_distance(sample, sample, finite, rng=rng, paired=True)
    assert found.value == pytest.approx(0, abs=1e-5)
    assert found.floor == pytest.approx(0, abs=1e-5)
    assert "exchanges of labels within pairs" in found.floor_note


def test_dependent_constant_and_missing_observables_are_fine():
    rng = np.random.default_rng(5)
    column, share = rng.normal(size=(400, 1)), rng.dirichlet(np.ones(3), size=400)
    sample = np.hstack([column, 2 * column, np.ones((400, 1)), share])
    sample[7] = np.nan
    resampling = Resampling(400, 400, True, 10, 1)
    same = frechet_physics_distance(sample, sample, resampling)
    assert same.value == pytest.approx(0, abs=1e-5)
    assert same.p_value == 1
    empty = np.where(np.arange(400)[:, None] < 40, np.nan, sample)  # a tenth of them without any observable
    assert frechet_physics_distance(sample, empty, resampling).value > 1


def test_too_few_showers_are_refused():
    with pytest.raises(DataError, match="3 reference and 3 generated showers; give at least 4"):
        frechet_physics_distance(np.zeros((3, 2)), np.zeros((3, 2)), Resampling(3, 3, False, 20, 1))


def test_one_shower_in_a_far_tail_does_not_rule():
    reference, generated = np.random.default_rng(6).normal(size=(2, 1000, 2))
    resampling = Resampling(1000, 1000, False, 20, 1)
    before = frechet_physics_distance(reference, generated, resampling)
    generated[3] = 1e6
    after = frechet_physics_distance(reference, generated, resampling)
    assert after.value == pytest.approx(before.value, abs=3 * before.error)
