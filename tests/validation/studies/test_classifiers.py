"""The classifier study on electrons with cells changed one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.metrics.network import NetworkSettings
from calogan.progress import SilentReporter
from calogan.validation.studies.classifiers import study_classifiers

pytest.importorskip("torch")
SMALL = NetworkSettings(hidden=(32,), epochs=12, batch_sizes=(16, 64), weight_decay=0.01)


def smeared(showers):
    factors = np.random.default_rng(2).lognormal(0.0, 0.5, showers.cell_energy.shape)
    return replace(showers, cell_energy=(showers.cell_energy * factors).astype(np.float32))


@pytest.fixture(scope="module")
def samples(electrons, make_samples):
    return make_samples(electrons[:300], smeared(electrons[300:600]))


@pytest.fixture(scope="module")
def study(samples):
    return study_classifiers(samples, SilentReporter(), network=SMALL)


def test_smeared_cells_are_seen_by_the_low_level_and_name_what_they_change(study):
    assert study.low.auc.value > 0.6
    assert study.low.auc.p_value < 1e-3
    assert {metric.name for metric in study.metrics} == {
        "low-level AUC",
        "low-level JSD",
        "high-level AUC",
        "high-level JSD",
    }
    assert {entry.name for entry in study.importance} == {"response", "occupancy", "radial_width"}
    lost = [entry.lost.value for entry in study.importance]
    assert lost == sorted(lost, reverse=True)


def test_learning_curve_ends_at_the_test_itself(study):
    assert [point.n_training for point in study.learning_curve] == pytest.approx([25, 50, 100], rel=0.25)
    assert study.learning_curve[-1].area.value == study.low.auc.value


def test_surest_showers_are_those_of_the_extreme_scores(study, samples):
    score, event = study.low.generated_score, samples.generated.event
    assert [shower.score for shower in study.surest_generated] == sorted(score, reverse=True)[:4]
    assert all(score[event == shower.event] == shower.score for shower in study.surest_generated)
    assert [shower.score for shower in study.surest_reference] == sorted(study.low.reference_score)[:4]
    shower = study.surest_reference[0]
    (index,) = np.flatnonzero(samples.reference.event == shower.event)
    assert np.array_equal(shower.energy.ravel(), samples.reference.cell_energy[index].astype(np.float64))


def test_the_challenge_says_how_long_it_takes_and_has_no_learning_curve(samples):
    said = []

    class Listener(SilentReporter):
        def message(self, text):
            said.append(text)

    tiny = NetworkSettings(hidden=(8, 8), epochs=1, best="accuracy", standardised=False)
    challenge = replace(samples, settings=samples.settings.model_copy(update={"protocol": "calochallenge"}))
    found = study_classifiers(challenge, Listener(), network=tiny)
    assert len(said) == 1
    assert "13 trainings of up to 1 epochs, about 1 minutes" in said[0]
    assert found.protocol == "calochallenge"
    assert len(found.learning_curve) == 1
    assert 0 <= found.high.auc.value <= 1
