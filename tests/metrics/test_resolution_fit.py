"""Fits of the resolution."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.metrics.resampling import Resampling
from calogan.metrics.resolution_fit import fit_resolution

pytest.importorskip("scipy")
EDGES = np.geomspace(1, 64, 7).tolist()


def _responses(rng, momentum, stochastic, constant, noise=0.0):
    width = np.sqrt(stochastic**2 / momentum + constant**2 + noise**2 / momentum**2)
    return rng.normal(0.17, 0.17 * width)


def _momentum(rng, showers):
    return np.exp(rng.uniform(0, np.log(64), showers))


def test_known_terms_are_found_within_their_errors():
    rng = np.random.default_rng(1)
    pulls = []
    for seed in range(40):
        momentum = _momentum(rng, 3000)
        samples = _responses(rng, momentum, 0.10, 0.02), _responses(rng, momentum, 0.12, 0.02)
        fit = fit_resolution(*samples, momentum, momentum, EDGES, Resampling(3000, 3000, True, 50, seed))
        stochastic, constant = fit.parameters[:2]
        assert fit.degrees == len(EDGES) - 1 - len(fit.parameters)
        if len(fit.parameters) == 2:
            pulls.append(
                [
                    (stochastic.reference.value - 0.10) / stochastic.reference.error,
                    (stochastic.squared_difference.value - 0.0044) / stochastic.squared_difference.error,
                    constant.sigmas,
                ]
            )
    assert len(pulls) > 35
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 0.6)
    assert np.all((np.std(pulls, axis=0) > 0.7) & (np.std(pulls, axis=0) < 1.4))


def test_a_noise_term_is_added_where_the_reference_needs_it():
    rng = np.random.default_rng(2)
    momentum = _momentum(rng, 20_000)
    samples = [_responses(rng, momentum, 0.08, 0.01, 0.2) for _ in range(2)]
    fit = fit_resolution(*samples, momentum, momentum, EDGES, Resampling(20_000, 20_000, True, 20, 3))
    noise = next(one for one in fit.parameters if one.name == "noise")
    assert noise.unit == "GeV"
    assert noise.reference.value == pytest.approx(0.2, abs=0.01)
    assert fit.reference_curve[0] == pytest.approx(np.sqrt(0.08**2 + 0.01**2 + 0.2**2), rel=0.05)


def test_a_perfect_calorimeter_has_a_constant_term_of_0_with_an_error():
    rng = np.random.default_rng(3)
    momentum = _momentum(rng, 2000)
    samples = [_responses(rng, momentum, 0.1, 0.0) for _ in range(2)]
    constant = fit_resolution(*samples, momentum, momentum, EDGES, Resampling(2000, 2000, False, 40, 4)).parameters[1]
    assert constant.name == "constant"
    assert 0 <= constant.reference.value < 0.012
    assert constant.reference.error > 0


def test_few_bins_are_not_fitted():
    rng = np.random.default_rng(4)
    momentum = rng.uniform(1, 2, 500)
    samples = [_responses(rng, momentum, 0.1, 0.0) for _ in range(2)]
    assert fit_resolution(*samples, momentum, momentum, EDGES, Resampling(500, 500, True, 20, 4)) is None
