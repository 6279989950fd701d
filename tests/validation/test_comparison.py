from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.toy import toy_geometry, toy_showers
from calogan.errors import DataError, ShapeError
from calogan.physics.observables import observable_names
from calogan.progress import SilentReporter
from calogan.validation.comparison import compare
from calogan.validation.criteria import Outcome, judge, overall

THRESHOLD = 3e-4
SETTINGS = ValidationConfig(momentum_bins=[1.0, 8.0, 64.0], bootstrap=20, classifier_repeats=1)


def verdicts(reference, generated, settings=SETTINGS):
    return judge(compare(reference, generated, settings, THRESHOLD, SilentReporter()), settings.criteria)


def test_truth_against_truth_passes(electrons):
    found = verdicts(electrons[:800], electrons[800:])

    assert overall(found) is Outcome.PASS, [row for row in found if row.outcome is not Outcome.PASS]


def test_wrong_energies_and_shuffled_cells_fail(electrons):
    generated = electrons[800:]
    rng = np.random.default_rng(5)
    half = len(generated) // 2
    cells = generated.cell_energy * np.float32(1.1)
    cells[:half] = rng.permuted(cells[:half], axis=1)

    found = {row.criterion: row.outcome for row in verdicts(electrons[:800], replace(generated, cell_energy=cells))}

    assert found["same distributions: p-value, at least"] is Outcome.PASS
    assert found["response, 1 to 8 GeV"] is Outcome.FAIL
    assert found["response, 8 to 64 GeV"] is Outcome.FAIL
    assert found["radial_width"] is Outcome.FAIL
    assert found["high-level classifier (observables)"] is Outcome.FAIL
    assert found["centre_x"] is Outcome.FAIL


def test_every_observable_of_three_layers_is_compared(toy_comparison):
    names = [one.name for one in toy_comparison.distributions]

    assert names == observable_names(toy_geometry())
    assert [images.layer for images in toy_comparison.images] == [0, 1, 2]
    assert [images.reference.shape for images in toy_comparison.images] == [(3, 12), (6, 6), (4, 2)]


def test_means_and_counts_are_those_of_the_samples():
    rng = np.random.default_rng(1)
    showers, generated = (toy_showers(rng, toy_geometry(), count) for count in (300, 250))

    found = compare(showers, generated, SETTINGS, THRESHOLD, SilentReporter())

    assert (found.reference_count, found.generated_count) == (300, 250)
    lit = (showers.cell_energy >= THRESHOLD).sum(axis=1).mean()
    assert found.occupancy.reference.value == pytest.approx(lit)
    means = []
    for sample in (showers, generated):
        visible = sample.above(THRESHOLD).total_energy / sample.momentum
        means.append(visible[sample.momentum < 8].mean())
    response = found.momentum_bins[0].response
    assert response.reference.value == pytest.approx(means[0], rel=1e-5)
    assert response.generated.value == pytest.approx(means[1], rel=1e-5)
    assert response.difference.value == pytest.approx(means[1] / means[0] - 1, abs=1e-5)


def test_the_seed_fixes_every_number():
    rng = np.random.default_rng(2)
    samples = [toy_showers(rng, toy_geometry(), 120, first_event=1000 * index) for index in range(2)]

    first, second = (compare(*samples, SETTINGS, THRESHOLD, SilentReporter()) for _ in range(2))

    assert first.classifier_low == second.classifier_low
    assert first.classifier_high == second.classifier_high
    assert first.fpd == second.fpd
    assert [one.wasserstein for one in first.distributions] == [one.wasserstein for one in second.distributions]


def test_empty_showers_are_counted_not_dropped():
    showers = toy_showers(np.random.default_rng(4), toy_geometry(), 200)
    cells = showers.cell_energy.copy()
    cells[:30] = 0

    found = compare(showers, replace(showers, cell_energy=cells), SETTINGS, THRESHOLD, SilentReporter())

    centre = next(one for one in found.distributions if one.name == "centre_x")
    assert (centre.reference_undefined, centre.generated_undefined) == (0, 30)
    assert centre.separation.value > 0.07  # 15% of the generated showers are in a bin that the reference leaves empty


def test_too_few_showers_are_refused(electrons):
    with pytest.raises(DataError, match="generated sample has 50 showers; a comparison needs at least 100"):
        verdicts(electrons[:200], electrons[:50])


def test_different_cells_are_refused(electrons):
    toys = toy_showers(np.random.default_rng(1), toy_geometry(), 200)

    with pytest.raises(ShapeError, match=r"different cells: 900 in 1 layer\(s\) against 80 in 3"):
        verdicts(electrons[:200], toys)


def test_showers_of_the_same_particles_are_compared_as_pairs():
    showers = toy_showers(np.random.default_rng(6), toy_geometry(), 300)
    rng = np.random.default_rng(7)
    factor = rng.normal(1.0, 0.01, size=(300, 1)).astype(np.float32)
    settings = SETTINGS.model_copy(update={"momentum_bins": [1.0, 8.0, 20.0]})

    found = compare(
        showers, replace(showers, cell_energy=showers.cell_energy * factor), settings, THRESHOLD, SilentReporter()
    )

    assert found.condition.paired
    response = found.momentum_bins[0].response
    assert response.difference.error < 0.2 * response.reference.error / response.reference.value
    assert "crossed halves of 150 and 150 showers" in found.distributions[0].separation.floor_note
    assert "crossed halves" in found.fpd.floor_note
    above = int((showers.momentum > 20.1).sum())
    assert found.reference_outside == found.generated_outside >= above > 0


def test_momentum_bins_cover_the_reference_if_none_are_given():
    rng = np.random.default_rng(8)
    samples = [toy_showers(rng, toy_geometry(), 150, first_event=1000 * index) for index in range(2)]
    settings = SETTINGS.model_copy(update={"momentum_bins": None})

    found = compare(*samples, settings, THRESHOLD, SilentReporter())

    assert len(found.momentum_bins) == 4
    assert found.reference_outside == 0
