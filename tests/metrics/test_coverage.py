"""Neighbours of shifted, shrunk and mode-dropped samples."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError
from calogan.metrics.coverage import block_length, neighbour_metrics, neighbour_scores, scaled_cells


def measure(reference, generated, *, paired=False, seed=1, **options):
    metrics = neighbour_metrics(
        reference,
        generated,
        lambda showers: showers.astype(np.float32),
        rng=np.random.default_rng(seed),
        paired=paired,
        suffix="of numbers",
        **options,
    )
    return {metric.name.split()[0]: metric for metric in metrics}


def test_five_points_on_a_line():
    # one neighbour: balls of the reference 0, 1, 3 reach 1, 1, 2; of the generated 0.5, 10 both reach 9.5
    reference, generated = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [10.0]])
    found = neighbour_scores(reference, generated, neighbours=1)
    assert (found.precision, found.recall, found.coverage) == (0.5, 1.0, pytest.approx(2 / 3))
    assert found.density == pytest.approx(2 / 2)  # 0.5 is in two balls, 10 in none


def test_samples_of_one_distribution_are_at_their_floors():
    reference, generated = np.random.default_rng(2).normal(size=(2, 2000, 3))
    for metric in measure(reference, generated).values():
        assert metric.value == pytest.approx(metric.floor, abs=4 * metric.excess_error)
        assert 0 < metric.error < 0.05
    density = measure(reference, generated)["density"]
    assert density.value == pytest.approx(1, abs=4 * density.error)


def test_a_far_sample_shares_nothing():
    reference, generated = np.random.default_rng(3).normal(size=(2, 400, 3))
    assert {metric.value for metric in measure(reference, generated + 100).values()} == {0.0}


def test_a_shrunk_sample_loses_recall_and_gains_density():
    reference, generated = np.random.default_rng(4).normal(size=(2, 1200, 3))
    found = measure(reference, 0.3 * generated)
    assert found["precision"].value > 0.98
    assert found["recall"].value < 0.3
    assert found["density"].value > 1.3
    assert found["coverage"].value < found["coverage"].floor - 0.2


def test_a_dropped_mode_is_not_covered():
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(1200, 2)) + 50.0 * rng.integers(2, size=(1200, 1))
    found = measure(reference, rng.normal(size=(1200, 2)))
    assert found["recall"].value == pytest.approx(found["recall"].floor / 2, abs=0.06)
    assert found["coverage"].value == pytest.approx(0.5, abs=0.06)
    assert found["precision"].value > 0.8


@pytest.mark.parametrize("paired", [True, False])
def test_errors_are_the_spread_of_independent_samples(paired):
    rng = np.random.default_rng(6)
    values, errors = [], []
    for seed in range(50):
        particles = rng.normal(size=(2, 1200, 3))
        if paired:
            particles[1] = particles[0]
        samples = particles + 0.5 * rng.normal(size=(2, 1200, 3))
        found = measure(samples[0], 0.8 * samples[1], paired=paired, seed=seed)
        values.append([metric.value for metric in found.values()])
        errors.append([metric.error for metric in found.values()])
    expected = np.sqrt(np.mean(np.square(errors), axis=0))
    assert np.std(values, axis=0, ddof=1) / expected == pytest.approx(np.ones(4), abs=0.3)


def test_no_particle_is_on_both_sides():
    # generated showers that are copies of the reference are no nearer than those of other particles
    reference = np.random.default_rng(7).normal(size=(1000, 3))
    for metric in measure(reference, reference, paired=True).values():
        assert metric.value == pytest.approx(metric.floor, abs=1e-9)


def test_blocks_are_of_one_size_and_few_showers_make_four():
    assert [block_length(size) for size in (100, 1000, 20000, 10**6)] == [25, 50, 500, 1000]
    sample = np.random.default_rng(8).normal(size=(400, 2))
    assert measure(sample, sample, most_blocks=4)["recall"].n_reference == 200
    with pytest.raises(DataError, match="give at least 24 of each"):
        measure(sample[:20], sample[:20])


def test_cells_are_cut_and_scaled_by_the_threshold():
    found = scaled_cells(np.array([[0.5, 1.0, 3.0]]), 1.0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.0, np.log(2), np.log(4)]], rtol=1e-6)
