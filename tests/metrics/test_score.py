"""The score that picks checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import DataError
from calogan.metrics.score import physics_score, separation_powers


def _observables(shift, seed, showers=1000):
    rng = np.random.default_rng(seed)
    return {
        "response": rng.normal(0.17 + shift, 0.01, showers),
        "occupancy": rng.poisson(50 + 1000 * shift, showers).astype(float),
        "total_energy": rng.lognormal(0, 1 + shift, showers),
    }


def test_score_is_near_0_for_one_distribution_and_grows_with_the_difference():
    reference = _observables(0.0, 1)
    scores = [physics_score(reference, _observables(shift, 2)) for shift in (0.0, 0.004, 0.01, 0.1)]
    assert scores[0] < 0.005
    assert scores == sorted(scores)
    assert scores[-1] > 0.6


def test_an_observable_that_is_undefined_for_all_generated_showers_counts_1():
    reference = _observables(0.0, 1)
    generated = _observables(0.0, 2) | {"response": np.full(1000, np.nan)}
    assert separation_powers(reference, generated)["response"] == pytest.approx(1, abs=0.03)


def test_missing_observables_are_refused():
    reference = _observables(0.0, 1)
    with pytest.raises(DataError, match="lacks \\['response'\\]"):
        physics_score(reference, {name: values for name, values in reference.items() if name != "response"})
    with pytest.raises(DataError, match="needs the same observables"):
        physics_score({}, {})
