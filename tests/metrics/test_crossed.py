"""Two draws of one conditional toy for the same particles, which differ by chance alone."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from calogan.metrics.binning import make_edges
from calogan.metrics.chi2 import chi2_per_ndf
from calogan.metrics.crossed import crossed, random_half
from calogan.metrics.distances import kolmogorov_smirnov, wasserstein
from calogan.metrics.frechet import frechet_physics_distance
from calogan.metrics.metric import Metric
from calogan.metrics.separation import separation_power


def trials(measure, number=40, showers=2000, width=0.3):
    """Metrics of pairs of samples whose observable follows the particle up to a narrow width."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(number):
        particle = rng.normal(size=showers)
        reference, generated = particle + width * rng.normal(size=(2, showers))
        half = random_half(showers, rng)
        found.append(crossed(partial(measure, edges=make_edges(reference)), reference, generated, half))
    return found


def test_chi2_of_the_same_particles_is_that_of_independent_samples():
    found = trials(chi2_per_ndf)
    assert np.mean([one.value for one in found]) == pytest.approx(1.0, abs=0.12)
    assert np.mean([one.p_value < 0.1 for one in found]) <= 0.2


def test_separation_power_of_the_same_particles_is_about_its_floor():
    found = trials(separation_power)
    assert np.mean([one.value / one.floor for one in found]) == pytest.approx(1.0, abs=0.12)
    assert np.mean([abs(one.excess) < 2 * one.excess_error for one in found]) > 0.85


def test_uncrossed_pairs_agree_too_well():
    """What the crossing is for."""
    rng = np.random.default_rng(8)
    particle = rng.normal(size=2000)
    reference, generated = particle + 0.3 * rng.normal(size=(2, 2000))
    assert chi2_per_ndf(reference, generated, make_edges(reference)).value < 0.6


@pytest.mark.parametrize("measure", [kolmogorov_smirnov, partial(wasserstein, rng=np.random.default_rng(1))])
def test_distances_without_bins_are_about_their_floors(measure):
    found = trials(lambda reference, generated, edges: measure(reference, generated), number=20, showers=600)
    assert np.mean([one.value / one.floor for one in found]) == pytest.approx(1.0, abs=0.3)


def test_frechet_distance_of_the_same_particles_is_about_its_floor():
    rng = np.random.default_rng(9)
    particle = rng.normal(size=(1000, 3))
    samples = particle + 0.3 * rng.normal(size=(2, 1000, 3))
    measure = partial(frechet_physics_distance, rng=rng, resamplings=20)
    found = [crossed(measure, *samples, random_half(1000, rng)) for _ in range(10)]
    assert np.mean([one.value / one.floor for one in found]) == pytest.approx(1.0, abs=0.5)


def test_independent_samples_are_compared_as_they_are():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=500), rng.normal(size=300)
    edges = make_edges(first)
    assert crossed(partial(separation_power, edges=edges), first, second, None) == separation_power(
        first, second, edges
    )


def test_two_results_become_one():
    values = {0.0: (0.2, 0.03, 0.1, 0.0, 0.4), 1.0: (0.4, 0.04, 0.3, 0.0, 0.02)}

    def measure(reference, generated):
        value, error, floor, floor_error, p_value = values[reference[0]]
        return Metric("m", value, error, floor, floor_error, len(reference), len(generated), "", "f", p_value)

    half = np.array([True, True, False, False, False])
    reference = np.where(half, 0.0, 1.0)
    found = crossed(measure, reference, reference, half)

    assert (found.value, found.floor, found.p_value) == pytest.approx((0.3, 0.2, 0.04))
    assert found.error == pytest.approx(np.sqrt((0.03**2 + 0.04**2) / 2))
    assert (found.n_reference, found.n_generated) == (5, 5)
    assert found.floor_note == "f; mean of two crossed halves of 2 and 3 showers"
