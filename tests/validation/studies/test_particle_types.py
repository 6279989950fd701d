from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.data.toy import toy_geometry, toy_showers
from calogan.progress import SilentReporter
from calogan.validation.studies.particle_types import study_types

NAMES = ("response", "occupancy", "layer_fraction_0")


class Listener(SilentReporter):
    """Keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def warning(self, text):
        self.warnings.append(text)


def with_types(showers, *pdg):
    """The same, types taking turns."""
    return replace(showers, pdg=np.resize(np.array(pdg, dtype=np.int32), len(showers)))


@pytest.fixture(scope="module")
def showers():
    rng = np.random.default_rng(1)
    return [toy_showers(rng, toy_geometry(), 500, first_event=first) for first in (0, 1000)]


@pytest.fixture(scope="module")
def bright_photons(showers, make_samples):
    """Two samples of electrons and photons; generated photons have a tenth more energy."""
    reference, generated = (with_types(one, 11, 22) for one in showers)
    cells = generated.cell_energy * np.where(generated.pdg == 22, 1.1, 1.0)[:, None].astype(np.float32)
    return make_samples(reference, replace(generated, cell_energy=cells), names=NAMES)


def test_the_type_that_differs_is_told(bright_photons):
    electrons, photons = study_types(bright_photons, None, SilentReporter())

    assert [(one.pdg, one.name) for one in (electrons, photons)] == [(11, "e-"), (22, "gamma")]
    assert (electrons.reference_count, photons.generated_count) == (250, 250)
    differences = [one.response.response.difference for one in (electrons, photons)]
    assert abs(differences[0].value) < 4 * differences[0].error
    assert differences[1].value == pytest.approx(0.1, abs=0.03)
    assert [one.layer for one in photons.longitudinal.layers] == [0, 1, 2]
    assert photons.condition.agree
    assert photons.classifiers is None


def test_showers_of_one_type_are_not_parted(showers, make_samples):
    assert study_types(make_samples(*showers, names=NAMES), None, SilentReporter()) == ()


def test_momentum_bins_are_those_that_the_type_reaches(showers, make_samples):
    reference, generated = (replace(one, pdg=np.where(one.momentum > 8.5, 22, 11).astype(np.int32)) for one in showers)

    electrons, photons = study_types(make_samples(reference, generated, names=NAMES), None, SilentReporter())

    # electrons have some showers between 8 and 8.5 GeV
    assert [(one.low, one.high) for one in electrons.response.momentum_bins] == [(1.0, 8.0), (8.0, 64.0)]
    assert [(one.low, one.high) for one in photons.response.momentum_bins] == [(8.0, 64.0)]


def test_a_type_is_compared_in_pairs_only_if_both_samples_call_the_same_showers_so(showers, make_samples):
    reference = with_types(showers[0], 11, 22)
    other = with_types(showers[0], 11, 22, 22, 11)

    found = [make_samples(reference, one, paired=True, names=NAMES).of_type(22) for one in (reference, other)]

    assert [one.paired for one in found] == [True, False]
    assert all((one.pdg == 22).all() for one in (found[1].reference, found[1].generated))


def test_a_type_of_few_showers_is_named(showers, make_samples):
    reference, generated = (with_types(one, 11, 11, 11, 11, 11, -211) for one in showers)
    listener = Listener()

    found = study_types(make_samples(reference, generated, names=NAMES), None, listener)

    assert [one.name for one in found] == ["e-"]
    assert "pi-: 83 reference and 83 generated showers; a section of its own needs 100" in listener.warnings[0]


def test_a_sample_that_does_not_know_its_types_is_named(showers, make_samples):
    reference, generated = with_types(showers[0], 11, 22), with_types(showers[1], 0)
    listener = Listener()

    assert study_types(make_samples(reference, generated, names=NAMES), None, listener) == ()
    assert "the generated sample has showers of unknown particle type" in listener.warnings[0]


def test_classifiers_are_asked_about_each_type(showers, make_samples):
    from calogan.metrics.network import NetworkSettings
    from calogan.validation.studies.classifiers import study_classifiers

    pytest.importorskip("sklearn")
    reference, generated = (with_types(one[:240], 11, 22) for one in showers)
    cells = generated.cell_energy * np.where(generated.pdg == 22, 1.5, 1.0)[:, None].astype(np.float32)
    samples = make_samples(reference, replace(generated, cell_energy=cells), names=NAMES)
    classifiers = study_classifiers(samples, SilentReporter(), network=NetworkSettings(hidden=(4,), epochs=1))

    electrons, photons = (one.classifiers for one in study_types(samples, classifiers, SilentReporter()))

    for areas in (electrons, photons):
        assert (areas.low.name, areas.high.name) == ("low-level AUC", "high-level AUC")
    assert photons.high.value > 0.8
    assert abs(electrons.high.value - 0.5) < 5 * electrons.high.error
    assert (photons.low.n_reference, photons.low.n_generated) == (120, 120)
