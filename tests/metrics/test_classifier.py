"""Classifier tests on Gaussians, where the best possible area is known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from calogan.errors import DataError, ShapeError
from calogan.metrics.classifier import _split_events, classifier_auc
from calogan.metrics.labelled import area_under_curve, cross_entropy

pytest.importorskip("sklearn")
pytest.importorskip("torch")


def _samples(shift, showers=1500, seed=1):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, showers, 3))
    return first, second + np.array([shift, 0, 0]), np.arange(showers)


def _best(shift):
    return NormalDist().cdf(shift / 2**0.5)


@pytest.mark.parametrize("kind", ["network", "trees"])
def test_area_of_shifted_gaussians(kind):
    first, second, event = _samples(1.0)
    found = classifier_auc(first, second, event, event, rng=np.random.default_rng(2), kind=kind, repeats=2)
    assert found.value == pytest.approx(_best(1.0), abs=0.05)
    assert abs(found.floor - 0.5) < 4 * found.floor_error
    assert "halves of 750" in found.floor_note


@pytest.mark.parametrize("kind", ["network", "trees"])
def test_equal_distributions_cannot_be_told_apart_and_seeds_repeat(kind):
    first, second, event = _samples(0.0, showers=600)
    found, again = (
        classifier_auc(first, second, event, event, rng=np.random.default_rng(3), kind=kind, repeats=1) for _ in "12"
    )
    assert abs(found.value - 0.5) < 4 * found.error
    assert found == again


def test_network_leaves_the_global_random_state():
    import torch

    first, second, event = _samples(0.0, showers=50)
    before = torch.random.get_rng_state()
    classifier_auc(first, second, event, event, rng=np.random.default_rng(0), repeats=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_memorised_twins_give_no_advantage():
    """Generated copies of the reference, event by event: no split may tell them apart."""
    first, _, event = _samples(0.0, showers=400)
    found = classifier_auc(first, first, event, event, rng=np.random.default_rng(4), kind="trees")
    assert found.value == pytest.approx(0.5, abs=1e-12)


def test_events_stay_together_in_parts_of_60_20_20():
    event = np.repeat(np.arange(100), 3)
    parts = _split_events(event, np.random.default_rng(0))
    assert [len(part) for part in parts] == [180, 60, 60]
    assert not set(event[parts[0]]) & set(event[parts[1]]) | set(event[parts[1]]) & set(event[parts[2]])


def test_area_and_its_error_agree_with_simulation():
    rng = np.random.default_rng(5)
    label = np.repeat([0, 1], [200, 300])
    found = [area_under_curve(rng.normal(size=500) + 0.8 * label, label) for _ in range(300)]
    assert np.mean([area for area, _ in found]) == pytest.approx(_best(0.8), abs=0.01)
    assert np.mean([error for _, error in found]) == pytest.approx(np.std([area for area, _ in found]), rel=0.15)
    assert area_under_curve(np.zeros(500), label)[0] == 0.5


def test_cross_entropy_of_indifferent_and_of_certain_scores():
    label = np.array([0, 1])
    assert cross_entropy(np.zeros(2), label) == pytest.approx(np.log(2))
    assert cross_entropy(np.array([-1e3, 1e3]), label) == 0.0


def test_mismatched_arrays_and_few_events_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match="do not go together"):
        classifier_auc(np.zeros((30, 2)), np.zeros((30, 3)), np.arange(30), np.arange(30), rng=rng)
    with pytest.raises(DataError, match="generated has 1"):
        classifier_auc(np.zeros((30, 2)), np.zeros((30, 2)), np.arange(30), np.zeros(30, int), rng=rng)
