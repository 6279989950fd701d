from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.toy import toy_geometry, toy_showers
from calogan.errors import ShapeError
from calogan.geometry import Geometry
from calogan.progress import SilentReporter
from calogan.validation.pairing import groups, pair
from calogan.validation.samples import Samples
from calogan.validation.studies.memorisation import Duplicates, study_memorisation

THRESHOLD = 1e-3


def toy(seed, count=300):
    return toy_showers(np.random.default_rng(seed), toy_geometry(), count, first_event=1000 * seed).above(THRESHOLD)


def samples_of(reference, generated):
    generated, paired = pair(reference, generated)
    labels = groups(reference, generated)
    settings = ValidationConfig(bootstrap=50)
    return Samples(reference, generated, THRESHOLD, {}, {}, {}, paired, *labels, settings)


def study(reference, generated, training, **options):
    return study_memorisation(samples_of(reference, generated), training, SilentReporter(), **options)


@pytest.fixture(scope="module")
def training():
    return toy(1, 600)


@pytest.fixture(scope="module")
def reference():
    return toy(2)


def test_an_honest_generator_is_as_near_to_other_showers(reference, training):
    found = study(reference, toy(3), training)

    share = found.nearest.share
    assert share.floor == pytest.approx(600 / 900)
    assert abs(share.value - share.floor) < 3 * share.error
    assert abs(found.nearest.nearer.value - 0.5) < 3 * found.nearest.nearer.error
    assert found.duplicates == Duplicates(0, 0, 0, 0, 0)
    assert (found.copies.value, found.copies.floor) == (0.0, 0.0)
    assert [metric.name for metric in found.metrics] == [
        "copies",
        "nearest is a training shower",
        "nearer to training showers",
    ]


def test_copies_of_training_showers_are_caught_and_counted(reference, training):
    generated = toy(3)
    cells = generated.cell_energy.copy()
    cells[:90] = training.cell_energy[:90]

    found = study(reference, replace(generated, cell_energy=cells), training)

    assert found.duplicates.generated_training == 90
    assert found.copies.value == pytest.approx(0.3)
    assert found.nearest.share.p_value < 0.01
    assert found.nearest.share.value > found.nearest.share.floor + 3 * found.nearest.share.error
    assert found.nearest.closest[0].distance == 0
    assert {pair.training_event for pair in found.nearest.closest} <= set(training.event[:90].tolist())


def test_disturbed_copies_are_caught(reference, training):
    noise = np.random.default_rng(5).normal(1.0, 0.05, (300, training.geometry.n_cells)).astype(np.float32)
    generated = replace(toy(3), cell_energy=training.cell_energy[:300] * noise)

    found = study(reference, generated, training)

    assert found.duplicates.generated_training == 0
    assert found.nearest.share.value > 0.95
    assert found.nearest.nearer.value > 0.95


def test_the_partner_of_a_pair_is_no_candidate(reference, training):
    generated = replace(reference, event=reference.event + 1, cell_energy=reference.cell_energy)

    found = study(reference, generated, training)  # copies of the reference, not of the training showers

    assert found.nearest.other == 299
    assert abs(found.nearest.share.value - found.nearest.share.floor) < 3 * found.nearest.share.error
    assert found.duplicates.between == 300


def test_copies_within_the_samples_are_counted(reference):
    doubled = reference[np.append(np.arange(280), np.arange(20))]

    found = study_memorisation(samples_of(doubled, toy(3)), None, SilentReporter())

    assert found.duplicates == Duplicates(40, 0, 0, None, None)
    assert found.nearest is None
    assert [metric.name for metric in found.metrics] == ["copies"]
    assert found.copies.floor == pytest.approx(40 / 300)


def test_dark_showers_are_no_copies(training):
    dark = replace(toy(2), cell_energy=np.zeros_like(toy(2).cell_energy))

    found = study(dark, toy(3), training)

    assert found.duplicates == Duplicates(0, 0, 0, 0, 0)
    assert found.nearest is None


def test_a_band_without_training_showers_is_left_out(reference, training):
    band = (4.0, 16.0)

    found = study(reference, toy(3), training.without_momenta(band), hold_out=band)

    inside = (reference.momentum >= 4) & (reference.momentum <= 16)
    assert found.nearest.other == (~inside).sum()
    assert abs(found.nearest.share.value - found.nearest.share.floor) < 3 * found.nearest.share.error


def test_histograms_hold_all_queries(reference, training):
    nearest = study(reference, toy(3, 250), training).nearest

    assert nearest.reference.sum() == 300
    assert nearest.generated.sum() == nearest.queries == 250


def test_training_showers_in_other_cells_are_refused(reference):
    other = toy_showers(np.random.default_rng(1), Geometry(toy_geometry().layers[:2]), 30)

    with pytest.raises(ShapeError, match="training showers of 72 other cells"):
        study(reference, toy(3), other)
