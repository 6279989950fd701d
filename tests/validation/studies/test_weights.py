"""Weights of a generator that makes too many bright showers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from calogan.progress import SilentReporter
from calogan.validation.studies.weights import study_weights

pytest.importorskip("sklearn")


def test_weights_of_the_true_density_ratio_bring_the_response_back(electrons, make_samples):
    rng = np.random.default_rng(0)
    samples = make_samples(electrons[:400], electrons[400:1000], names=("response", "occupancy"))
    response = samples.generated_values["response"]
    # keep showers of a high response more often, by odds that are known
    odds = np.exp(2 * (response - response.mean()) / response.std())
    kept = np.flatnonzero(rng.random(len(response)) < odds / (1 + odds))
    biased = make_samples(electrons[:400], electrons[400:1000][kept], names=("response", "occupancy"))
    density = odds[kept] / (1 + odds[kept]) / np.mean(odds / (1 + odds))

    found = study_weights(biased, SimpleNamespace(generated_score=density / (1 + density)), SilentReporter())

    mean = found.moments[0]
    assert mean.before.value - mean.reference.value > 4 * np.hypot(mean.before.error, mean.reference.error)
    assert abs(mean.after.value - mean.reference.value) < 3 * np.hypot(mean.after.error, mean.reference.error)
    first = found.separation[0]
    assert first.name == "response"
    assert first.after.excess < 0.5 * first.before.excess
    assert found.high.after.value < found.high.before.value
    assert found.effective < found.n_generated == found.counts.sum() == len(kept)
    assert found.weight.mean() == pytest.approx(1.0)
    assert [metric.name for metric in found.metrics] == [
        "weighted separation response",
        "weighted separation occupancy",
        "weighted high-level AUC",
    ]
