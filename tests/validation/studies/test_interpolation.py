from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.toy import toy_geometry, toy_showers
from calogan.physics.observables import compute_observables
from calogan.progress import SilentReporter
from calogan.validation.pairing import groups, pair
from calogan.validation.samples import Samples
from calogan.validation.studies.interpolation import MAIN_OBSERVABLES, study_interpolation

BAND = (4.0, 16.0)


def toy(seed, count=1500):
    return toy_showers(np.random.default_rng(seed), toy_geometry(), count)


def samples_of(reference, generated):
    generated, paired = pair(reference, generated)
    labels = groups(reference, generated)
    values = [
        compute_observables(one.cell_energy, one.incident, one.geometry, MAIN_OBSERVABLES)
        for one in (reference, generated)
    ]
    return Samples(reference, generated, 0.0, {}, *values, paired, *labels, ValidationConfig(bootstrap=50))


def study(reference, generated, band=BAND):
    return study_interpolation(samples_of(reference, generated), band, "demo.yaml", SilentReporter())


@pytest.fixture(scope="module")
def reference():
    return toy(1)


def by_name(found):
    return {metric.name: metric for metric in found.metrics}


def test_truth_is_as_good_in_the_band_as_beside_it(reference):
    found = study(reference, toy(2))

    assert [(zone.low, zone.high) for zone in found.zones] == [(1, 4), (4, 16), (16, 64)]
    assert sum(zone.n_reference for zone in found.zones) == 1500
    assert len(found.metrics) == 3 + len(MAIN_OBSERVABLES)
    for metric in found.metrics:
        assert metric.floor == 0
        assert abs(metric.value) < 3.5 * metric.error, metric.name


def test_a_band_that_is_worse_is_seen(reference):
    generated = toy(2)
    inside = (generated.momentum > 4) & (generated.momentum < 16)
    cells = generated.cell_energy * np.where(inside, 1.05, 1.0)[:, None].astype(np.float32)

    found = by_name(study(reference, replace(generated, cell_energy=cells)))

    response = found["interpolation of the response"]
    assert response.value == pytest.approx(0.05, abs=3 * response.error)
    assert response.error < 0.01
    power = found["interpolation, separation of response"]
    assert power.value > 3 * power.error


def test_pairs_have_smaller_errors(reference):
    paired = study(reference, replace(toy(2), incident=reference.incident, cell_energy=reference.cell_energy * 1))
    apart = study(reference, toy(2))

    assert paired.zones[1].response.value == 0
    assert paired.zones[1].response.error == 0
    assert apart.zones[1].response.error > 0


def test_a_neighbour_without_showers_is_left_out(reference):
    upper = reference[reference.momentum > 4]
    found = study(upper, toy(2)[toy(2).momentum > 4])

    assert math.isnan(found.zones[0].response.value)
    response = by_name(found)["interpolation of the response"]
    band, above = found.zones[1].response, found.zones[2].response
    assert response.value == band.value - above.value
    assert response.error == pytest.approx(math.hypot(band.error, above.error))


def test_without_a_band_only_the_edges_are_looked_at(reference):
    found = study(reference, toy(2), None)

    assert found.zones == ()
    assert found.metrics == ()
    low, high = (found.edges[number] for number in (0, 1))
    assert low.low == pytest.approx(reference.momentum.min())
    assert math.log(high.high / high.low) == pytest.approx(0.1 * math.log(found.highest / found.lowest))
    assert low.n_reference == np.sum(reference.momentum < low.high)
    assert high.n_reference == np.sum(reference.momentum >= high.low)
    assert 1 < found.suggested[0] < found.suggested[1] < 64


def test_an_observable_that_is_undefined_everywhere_separates_nothing(reference):
    samples = samples_of(reference, toy(2))
    nothing = {
        name: np.full(1500, np.nan) if name == "depth" else values for name, values in samples.reference_values.items()
    }

    found = study_interpolation(
        replace(samples, reference_values=nothing, generated_values=nothing), BAND, "", SilentReporter()
    )

    assert by_name(found)["interpolation, separation of depth"].value == 0
