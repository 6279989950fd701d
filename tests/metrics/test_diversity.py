"""Spreads at a fixed condition, of numbers whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError, ShapeError
from calogan.geometry import Geometry, Layer
from calogan.metrics.diversity import (
    compare_spreads,
    condition_coordinates,
    half_squared_differences,
    neighbour_pairs,
    without_trend,
)
from calogan.metrics.resampling import Resampling

GEOMETRY = Geometry(
    (
        Layer((0.0, 40.0, 80.0), (0.0, 40.0, 80.0), depth=0.0),
        Layer(tuple(np.arange(0.0, 81.0, 20.0)), tuple(np.arange(0.0, 81.0, 20.0)), depth=100.0),
    )
)


def particles(rng, count):
    """|p| of 1 to 64 GeV, slopes to 0.2, entering within 10 mm of (40, 40) mm."""
    slopes, entry = rng.uniform(-0.2, 0.2, size=(count, 2)), rng.uniform(30, 50, size=(count, 2))
    size = np.exp(rng.uniform(0, np.log(64), count)) / np.sqrt(1 + (slopes**2).sum(axis=1))
    return np.concatenate([slopes * size[:, None], size[:, None], entry], axis=1)


def test_nearest_points_are_joined_first_and_once():
    found = neighbour_pairs(np.array([[0.0], [1.0], [1.9], [10.0], [11.5]]), np.random.default_rng(0))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == {(1, 2), (3, 4)}
    assert sorted(found.distance) == pytest.approx([0.9, 1.5])
    with pytest.raises(DataError, match="1 showers make no pairs"):
        neighbour_pairs(np.zeros((1, 2)), np.random.default_rng(0))


def test_nearly_all_points_find_a_partner_and_none_finds_two():
    found = neighbour_pairs(np.random.default_rng(1).normal(size=(500, 4)), np.random.default_rng(0))
    places = np.concatenate([found.first, found.second])
    assert len(places) == len(set(places.tolist()))
    assert len(places) > 0.85 * 500


@pytest.mark.parametrize("coordinates", [np.zeros((2000, 0)), np.zeros((2000, 3))])
def test_all_points_in_one_place_are_joined_at_random(coordinates):
    first, second = (neighbour_pairs(coordinates, np.random.default_rng(seed)) for seed in (1, 2))
    for found in (first, second):
        assert sorted([*found.first, *found.second]) == list(range(2000))
        assert not found.distance.any()
        assert abs(np.corrcoef(found.first, found.second)[0, 1]) < 0.15
    assert not np.array_equal(first.first, second.first)


def test_equal_points_are_joined_first_and_the_odd_one_out_stays_alone():
    steps = np.repeat([0.0, 1.0, 2.0], [400, 301, 300])
    others = np.array([10.0, 10.5])
    found = neighbour_pairs(np.concatenate([steps, others])[:, None], np.random.default_rng(1))
    assert len(found.first) == 200 + 150 + 150 + 1
    assert sorted(found.distance)[-2:] == pytest.approx([0, 0.5])


def test_what_only_rounding_varies_is_left_out():
    # |p| of 20 GeV in all directions, all into one place, in single precision
    rng = np.random.default_rng(8)
    slopes = np.concatenate([rng.uniform(-0.2, 0.2, size=(500, 2)), np.ones((500, 1))], axis=1)
    momenta = 20 * slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    places = np.full((500, 2), [33.3, 1e-3]) * (1 + 1e-7 * rng.normal(size=(500, 2)))
    incident = np.concatenate([momenta, places], axis=1).astype(np.float32)
    coordinates = condition_coordinates(incident, GEOMETRY, up_to_whole_cells=False)
    direction = incident[:, :2].astype(float) / incident[:, 2:3]
    np.testing.assert_allclose(coordinates, (direction - direction.mean(axis=0)) / direction.std(axis=0), atol=1e-5)
    # a polynomial of two variables has 6 terms; one of five would have 21, and as many values would leave none
    assert np.isfinite(without_trend(rng.normal(size=8), incident[:8])).all()


def test_coordinates_repeat_from_cell_to_cell_of_the_finest_layer():
    incident = np.array([[0.0, 0.0, 5.0, 33.0, 47.0], [1.0, 0.0, 5.0, 33.0, 47.0], [0.0, 0.0, 5.0, 53.0, 27.0]])
    phases, places = (condition_coordinates(incident, GEOMETRY, up_to_whole_cells=up) for up in (True, False))
    np.testing.assert_allclose(phases[0], phases[2], atol=1e-12)
    # the slope of 0.2 moves the track by a whole cell of 20 mm: only |p| and the slope differ
    np.testing.assert_allclose(phases[0, -4:], phases[1, -4:], atol=1e-12)
    assert not np.allclose(places[0], places[2])
    assert phases.shape[1] == 2 + 4  # the slope along y is the same for all and left out
    np.testing.assert_allclose(places.std(axis=0), 1)


def test_a_polynomial_is_taken_off_and_noise_stays():
    rng = np.random.default_rng(2)
    incident = particles(rng, 3000)
    noise = rng.normal(0, 0.3, 3000)
    size = np.log(np.linalg.norm(incident[:, :3], axis=1))
    values = 5 * size**2 - size * incident[:, 3] + 4 * incident[:, 0] / incident[:, 2] + 7 + noise
    values[5] = np.nan
    residual = without_trend(values, incident)
    assert np.isnan(residual[5])
    assert np.nanstd(residual) == pytest.approx(0.3, rel=0.04)
    assert np.isnan(without_trend(values[:15], incident[:15])).all()
    assert np.isnan(without_trend(np.full(30, np.nan), incident[:30])).all()


def test_neighbours_give_the_variance_and_their_distance_adds_to_it():
    # values a c + noise: half the squared difference is the variance of the noise, and a^2 / 2 of the squared distance
    rng = np.random.default_rng(3)
    condition = rng.uniform(size=(4000, 1))
    pairs = neighbour_pairs(condition, rng)
    trend = 900.0 * condition[:, 0]
    added = half_squared_differences(trend, pairs)
    np.testing.assert_allclose(added, 900**2 * pairs.distance**2 / 2)
    noise = rng.normal(0, 2.0, 4000)
    found = half_squared_differences(trend + noise, pairs).mean()
    assert found == pytest.approx(4.0 + added.mean(), rel=0.1)
    vectors = np.stack([trend, noise], axis=1)
    np.testing.assert_allclose(
        half_squared_differences(vectors, pairs), added + half_squared_differences(noise, pairs), rtol=1e-9
    )


@pytest.mark.parametrize(("width", "expected"), [(1.0, 0.0), (0.8, -0.2), (0.0, -1.0)])
def test_spreads_of_the_same_particles(width, expected):
    rng = np.random.default_rng(4)
    incident = particles(rng, 3000)
    pairs = neighbour_pairs(condition_coordinates(incident, GEOMETRY, up_to_whole_cells=True), rng)
    trend = 3 * np.log(incident[:, 2]) + incident[:, 3]
    samples = [trend + rng.normal(0, 1.0, 3000), trend + rng.normal(0, width, 3000) if width else trend]
    halves = [half_squared_differences(without_trend(values, incident), pairs) for values in samples]
    found = compare_spreads(*halves, Resampling(len(halves[0]), len(halves[1]), True, 40, 1))
    assert found.reference.value == pytest.approx(1, abs=0.06)
    assert found.difference.value == pytest.approx(expected, abs=4 * found.difference.error + 0.02)
    assert found.difference.error < 0.05


def test_what_remains_of_the_distance_cancels_for_equal_samples_and_dilutes_a_difference():
    rng = np.random.default_rng(5)
    condition = rng.uniform(size=(4000, 1))
    pairs = neighbour_pairs(condition, rng)
    trend = 4000.0 * condition[:, 0]  # not taken off
    added = half_squared_differences(trend, pairs).mean()
    assert added > 0.3
    resampling = Resampling(len(pairs.first), len(pairs.first), True, 40, 1)
    reference, equal, alike = (
        half_squared_differences(trend + rng.normal(0, width, 4000), pairs) for width in (1.0, 1.0, 0.5)
    )
    same = compare_spreads(reference, equal, resampling).difference
    assert same.value == pytest.approx(0, abs=4 * same.error)
    less = compare_spreads(reference, alike, resampling).difference
    assert less.value == pytest.approx(np.sqrt((0.25 + added) / (1 + added)) - 1, abs=4 * less.error)


@pytest.mark.parametrize("paired", [True, False])
def test_errors_are_the_spread_of_independent_samples(paired):
    rng = np.random.default_rng(6)
    found = []
    for seed in range(60):
        widths = np.exp(rng.normal(0, 0.3, size=(2, 300)))  # of the conditions
        if paired:
            widths[1] = widths[0]
        halves = (widths * rng.normal(size=(2, 300))) ** 2
        found.append(compare_spreads(halves[0], 0.9 * halves[1], Resampling(300, 300, paired, 60, seed)).difference)
    expected = np.sqrt(np.mean([estimate.error**2 for estimate in found]))
    assert np.std([estimate.value for estimate in found], ddof=1) / expected == pytest.approx(1, abs=0.25)


def test_numbers_of_pairs_must_fit():
    with pytest.raises(ShapeError, match="3 and 4 pairs for draws of 4 and 4"):
        compare_spreads(np.ones(3), np.ones(4), Resampling(4, 4, True, 20, 1))
