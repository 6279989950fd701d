from __future__ import annotations

import numpy as np
import pytest

from calogan.data.showers import Showers
from calogan.data.toy import toy_geometry, toy_showers
from calogan.geometry import Geometry, Layer
from calogan.progress import SilentReporter
from calogan.validation.studies.longitudinal import fit_growth, study_longitudinal

CELLS = (-10.0, 0.0, 10.0)
GEOMETRY = Geometry(tuple(Layer(CELLS, CELLS, depth) for depth in (0.0, 50.0, 100.0)))


def showers_of(momentum, *layer_energy):
    """Showers along the axis with a given energy in the first cell of each layer, one of them empty at the end."""
    count = len(momentum) + 1
    incident = np.zeros((count, 5), dtype=np.float32)
    incident[:, 2] = np.append(momentum, momentum[:1])
    cells = np.zeros((count, GEOMETRY.n_cells), dtype=np.float32)
    for layer, energy in enumerate(layer_energy):
        cells[:-1, GEOMETRY.offsets[layer]] = energy
    return Showers(GEOMETRY, np.arange(count), incident, cells, np.full(count, 11, dtype=np.int32))


def with_growth(momentum, growth):
    """Showers of 1 GeV whose mean depth is 10 mm + growth × ln(|p| / GeV), in the first and the last layer."""
    share = (10 + growth * np.log(momentum)) / 100
    return showers_of(momentum, 1 - share, 0 * share, share)


@pytest.fixture(scope="module")
def momentum():
    return np.random.default_rng(1).uniform(1.0, 16.0, 400)


def test_depth_that_grows_with_the_logarithm_of_the_momentum(momentum, make_samples):
    reference, generated = with_growth(momentum, 20.0), with_growth(momentum, 22.0)

    found = study_longitudinal(make_samples(reference, generated, paired=True), SilentReporter()).growth

    assert found.growth.reference.value == pytest.approx(20.0, rel=1e-5)
    assert found.growth.generated.value == pytest.approx(22.0, rel=1e-5)
    assert found.growth.difference.value == pytest.approx(0.1, rel=1e-4)
    np.testing.assert_allclose(found.reference_line, 10 + 20 * np.log(found.momentum), rtol=1e-5)
    middle = found.profile.x[:-1] * np.sqrt(found.profile.x[1:] / found.profile.x[:-1])
    np.testing.assert_allclose(found.profile.reference, 10 + 20 * np.log(middle), atol=2)


def test_error_of_the_growth_is_its_spread():
    """Also where the showers of low momentum scatter more."""
    rng = np.random.default_rng(2)
    pulls = []
    for _ in range(400):
        momentum = np.exp(rng.uniform(0, 3, 200))
        slope, _, _ = fit_growth(5 * np.log(momentum) + rng.normal(0, 4 / momentum), momentum)
        pulls.append((slope.value - 5) / slope.error)
    assert np.mean(pulls) == pytest.approx(0, abs=0.15)
    assert np.std(pulls) == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("paired", [True, False])
def test_error_of_the_relative_growth(momentum, make_samples, paired):
    """Two times the same showers in pairs have no difference and no error; apart, that of both."""
    rng = np.random.default_rng(3)
    share = np.clip(rng.normal(0.3 + 0.1 * np.log(momentum), 0.05), 0, 1)
    showers = showers_of(momentum, 1 - share, 0 * share, share)

    growth = study_longitudinal(make_samples(showers, showers, paired=paired), SilentReporter()).growth.growth

    apart = np.sqrt(2) * growth.reference.error / growth.reference.value
    assert growth.difference.value == 0
    assert growth.difference.error == pytest.approx(0 if paired else apart)


def test_a_layer_that_is_too_bright_is_named(momentum, make_samples):
    generated = showers_of(momentum, 0.2 * momentum, 0.55 * momentum, 0.01 * momentum)
    reference = showers_of(momentum, 0.2 * momentum, 0.5 * momentum, 0.01 * momentum)

    study = study_longitudinal(make_samples(reference, generated, paired=True), SilentReporter())

    metrics = {one.name: one.value for one in study.metrics}
    assert metrics["layer 1 response difference"] == pytest.approx(0.1, rel=1e-5)
    assert metrics["layer 0 response difference"] == metrics["layer 2 response difference"] == 0
    # the settings' bins; the empty shower is in one of them and has no shares
    assert [(one.low, one.high) for one in study.momentum_bins] == [(1.0, 8.0), (8.0, 64.0)]
    for one in study.momentum_bins:
        np.testing.assert_allclose(one.reference, np.array([20, 50, 1]) / 71, rtol=1e-5)
        np.testing.assert_allclose(one.generated, np.array([20, 55, 1]) / 76, rtol=1e-5)


def test_shares_drawn_apart_lose_their_correlation(make_samples):
    """Showers early in the first layers have less energy in the second and third."""
    rng = np.random.default_rng(4)
    momentum, early = np.full(600, 10.0), rng.uniform(0.5, 1.5, 600)
    reference = showers_of(momentum, 3 * early, 2 / early, 0.5 / early)
    generated = showers_of(momentum, 3 * early, 2 / rng.permutation(early), 0.5 / rng.permutation(early))

    study = study_longitudinal(make_samples(reference, generated), SilentReporter())

    assert study.correlation.reference[1, 2] == pytest.approx(1, abs=0.02)
    assert study.correlation.generated[1, 2] < 0.7
    difference = study.correlation.difference
    assert difference.excess > 5 * difference.excess_error
    assert study.growth is None  # all particles have one momentum


def test_radial_profile_is_that_of_the_layer(make_samples):
    showers = toy_showers(np.random.default_rng(5), toy_geometry(), 150)

    study = study_longitudinal(make_samples(showers, showers), SilentReporter())

    for one in study.layers:
        assert one.radial_profile.reference.sum() == pytest.approx(1)
    assert study.layers[0].radial_profile.x[1] < study.layers[2].radial_profile.x[1]
