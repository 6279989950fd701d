"""Weights of a generator of which half of the showers are too bright."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from calogan.metrics.network import NetworkSettings
from calogan.progress import SilentReporter
from calogan.validation.studies.weights import study_weights

pytest.importorskip("sklearn")
pytest.importorskip("torch")
SMALL = NetworkSettings(hidden=(16,), epochs=6, batch_sizes=(16, 64), learning_rate=0.005, weight_decay=0.01)


def test_weights_take_away_the_half_of_the_showers_that_is_too_bright(electrons, make_samples):
    """The true density ratio is 0 for the bright ones and 2 for the others."""
    bright = np.arange(600) % 2 == 0
    cells = electrons[600:1200].cell_energy * np.where(bright, 1.6, 1.0)[:, None]
    generated = replace(electrons[600:1200], cell_energy=cells.astype(np.float32))
    biased = make_samples(electrons[:600], generated, names=("response", "occupancy"))
    low = SimpleNamespace(generated_score=np.where(bright, 0.9999, 1 / 3))

    found = study_weights(biased, low, SilentReporter(), network=SMALL)

    mean = found.moments[0]
    assert mean.before.value - mean.reference.value > 4 * np.hypot(mean.before.error, mean.reference.error)
    assert abs(mean.after.value - mean.reference.value) < 3 * np.hypot(mean.after.error, mean.reference.error)
    first = found.separation[0]
    assert first.name == "response"
    assert first.after.excess < 0.5 * first.before.excess
    assert found.high.after.value - 0.5 < 0.7 * (found.high.before.value - 0.5)
    assert "halves" in first.after.floor_note
    assert found.effective == pytest.approx(300, rel=0.01)
    assert found.effective < found.n_generated == found.counts.sum() == 600
    assert found.weight.mean() == pytest.approx(1.0)
    assert [metric.name for metric in found.metrics] == [
        "weighted separation response",
        "weighted separation occupancy",
        "weighted high-level AUC",
    ]
