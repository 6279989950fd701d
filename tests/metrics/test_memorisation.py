from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.spatial import cKDTree

from calogan.errors import DataError, ShapeError
from calogan.metrics.memorisation import Nearest, nearer_share, nearest_showers, training_share
from calogan.metrics.resampling import Resampling


def vectors(seed, count, numbers=8):
    return np.random.default_rng(seed).normal(size=(count, numbers)).astype(np.float32)


def share_of(generated, training, other, seed=1):
    nearest = (nearest_showers(generated, candidates) for candidates in (training, other))
    return training_share(*nearest, len(training), len(other), np.random.default_rng(seed), name="share")


def test_nearest_are_those_of_a_tree():
    queries, candidates = vectors(1, 700), vectors(2, 5000)
    done = []

    found = nearest_showers(queries, candidates, advance=done.append)

    distance, index = cKDTree(candidates).query(queries)
    assert np.array_equal(found.index, index)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-6)
    assert sum(done) == 700


def test_an_excluded_candidate_is_not_found():
    candidates = vectors(1, 300)
    own = np.arange(300)
    own[0] = -1

    found = nearest_showers(candidates, candidates, own)

    distance, index = cKDTree(candidates).query(candidates, k=2)
    assert (found.index[0], found.distance[0]) == (0, 0)
    assert np.array_equal(found.index[1:], index[1:, 1])
    np.testing.assert_allclose(found.distance[1:], distance[1:, 1], rtol=1e-6)


def test_without_candidates_nothing_is_near():
    found = nearest_showers(vectors(1, 2), vectors(2, 0))

    assert found.index.tolist() == [-1, -1]
    assert np.isinf(found.distance).all()


def test_other_lengths_are_refused():
    with pytest.raises(ShapeError, match="have no distance"):
        nearest_showers(vectors(1, 2), vectors(2, 2, 5))


def test_copies_are_exactly_at_0_even_of_long_vectors():
    candidates = 1000 + vectors(1, 50, 900)

    assert np.all(nearest_showers(candidates[::5], candidates).distance == 0)


def test_a_sample_of_the_distribution_takes_its_share_of_the_training_vectors():
    metric = share_of(vectors(1, 600), vectors(2, 900), vectors(3, 300))

    assert metric.floor == 0.75
    assert abs(metric.value - 0.75) < 3 * metric.error
    assert metric.p_value > 0.01
    assert metric.error == pytest.approx(np.sqrt(0.75 * 0.25 / 600), rel=0.5)


def test_a_bad_generator_that_copies_nothing_takes_no_more_than_that():
    metric = share_of(0.2 * vectors(1, 600), vectors(2, 600), vectors(3, 600))

    assert abs(metric.value - 0.5) < 3 * metric.error


def test_some_copies_are_found():
    generated, training = vectors(1, 600), vectors(2, 900)
    generated[:300] = training[:300]

    metric = share_of(generated, training, vectors(3, 300))

    assert metric.value == pytest.approx(0.5 + 0.5 * 0.75, abs=3 * metric.error)
    assert metric.p_value < 0.01


def test_a_generator_of_copies_alone_has_an_error():
    training = vectors(2, 400)

    metric = share_of(training, training, vectors(3, 400))

    assert metric.value == 1
    assert 0 < metric.error < 0.01


def test_the_share_errs_by_as_much_as_it_says():
    drawn = [
        share_of(vectors(3 * seed, 60), vectors(3 * seed + 1, 90), vectors(3 * seed + 2, 60)) for seed in range(300)
    ]

    pulls = [(one.value - one.floor) / one.error for one in drawn]
    assert np.std(pulls) == pytest.approx(1, abs=0.15)
    assert np.mean(pulls) == pytest.approx(0, abs=0.2)
    assert np.mean([one.p_value < 0.1 for one in drawn]) < 0.15


def test_queries_that_share_a_neighbour_count_as_one():
    hub = Nearest(np.zeros(50, dtype=np.int64), np.ones(50))
    far = Nearest(np.arange(50), np.full(50, 2.0))

    metric = training_share(hub, far, 10, 10, np.random.default_rng(1), name="share")

    value = 51 / 52
    assert metric.error == pytest.approx(np.sqrt(value * (1 - value)))
    assert metric.p_value > 0.4  # one label out of two


def test_the_chance_of_many_queries_needs_little_memory():
    near = Nearest(np.arange(4000), np.ones(4000))
    far = Nearest(np.arange(4000), np.tile([0.5, 2.0], 2000))
    tracemalloc.start()
    try:
        metric = training_share(near, far, 10, 10, np.random.default_rng(1), name="share")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1000 * 4000  # bytes: not even one for each label of each exchange
    chance = (np.random.default_rng(1).random((1000, 4000)) < 0.5).mean(axis=1)
    assert metric.value == 0.5
    assert metric.p_value == (1 + np.sum(chance >= 0.5 - 1e-12)) / 1001


def test_no_showers_are_refused():
    nothing = Nearest(np.empty(0, dtype=np.int64), np.empty(0))
    with pytest.raises(DataError, match="0 generated, 3 training and 4 other"):
        training_share(nothing, nothing, 3, 4, np.random.default_rng(1), name="share")


def test_the_probability_of_being_nearer_is_an_area_under_a_curve():
    rng = np.random.default_rng(1)
    reference, generated = rng.normal(1.0, 1.0, 2000), rng.normal(0.0, 1.0, 2000)

    metric = nearer_share(reference, generated, Resampling(2000, 2000, False, 100, 1), name="nearer")

    assert metric.value == pytest.approx(0.7602, abs=4 * metric.error)  # of a Gaussian: Phi(1 / sqrt 2)
    assert metric.floor == 0.5
    assert metric.p_value == pytest.approx(1 / 101)


def test_pairs_in_common_places_make_the_error_smaller():
    rng = np.random.default_rng(1)
    common = rng.normal(0.0, 5.0, 500)
    samples = common + rng.normal(size=500), common + rng.normal(size=500)

    errors = [nearer_share(*samples, Resampling(500, 500, paired, 100, 1), name="n").error for paired in (True, False)]

    assert errors[0] < 0.5 * errors[1]
