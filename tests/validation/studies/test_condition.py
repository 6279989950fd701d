from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.toy import toy_geometry, toy_showers
from calogan.validation.pairing import groups, pair
from calogan.validation.samples import Samples
from calogan.validation.studies.condition import check_condition


@pytest.fixture
def showers():
    return toy_showers(np.random.default_rng(1), toy_geometry(), 400)


def check(reference, generated):
    generated, paired = pair(reference, generated)
    labels = groups(reference, generated)
    return check_condition(Samples(reference, generated, 0.0, {}, {}, {}, paired, *labels, ValidationConfig()))


def p_values(found):
    return {test.name: test.p_value for test in found.tests}


def test_the_same_particles_are_paired_in_any_order(showers):
    found = check(showers, replace(showers, cell_energy=0 * showers.cell_energy)[::-1])

    assert found.paired
    assert [test.distance for test in found.tests] == [0] * 7
    assert found.lowest_p == 1
    assert "same incident particles" in found.sentence


def test_particles_of_one_distribution_agree(showers):
    found = check(showers, toy_showers(np.random.default_rng(2), toy_geometry(), 300))

    assert not found.paired
    assert found.lowest_p > 0.01
    assert "agree in their distributions" in found.sentence


@pytest.mark.parametrize(("column", "name"), [(0, "px/pz"), (1, "py/pz")])
def test_directions_to_one_side_only_are_found(showers, column, name):
    left, right = showers.incident.copy(), showers.incident.copy()
    left[:, column] = -abs(left[:, column])
    right[:, column] = abs(right[:, column])

    found = check(replace(showers, incident=left), replace(showers, incident=right))

    assert found.lowest_p < 1e-6
    assert [other for other, p_value in p_values(found).items() if p_value < 0.1] == [name]
    assert found.sentence.startswith(f"the incident particles of the two samples differ, most of all in {name}")


@pytest.mark.parametrize(("columns", "name"), [(slice(3), "|p| [GeV]"), (3, "entry point x [mm]")])
def test_other_particles_are_found(showers, columns, name):
    incident = showers.incident.copy()
    incident[:, columns] *= 1.5

    found = check(showers, replace(showers, incident=incident))

    assert found.worst.name == name
    assert found.lowest_p < 0.05


def test_other_particle_types_are_found(showers):
    types = np.where(np.arange(400) < 40, 22, 11).astype(np.int32)

    found = check(showers, replace(showers, pdg=types))

    assert found.paired  # the same momenta all the same
    assert found.worst.name == "particle type (pdg)"
    assert found.worst.distance == pytest.approx(0.1)
    assert found.lowest_p < 1e-6


def test_types_that_a_sample_does_not_know_are_not_compared(showers):
    found = check(showers, replace(showers, pdg=0 * showers.pdg))

    assert "particle type (pdg)" not in p_values(found)


@pytest.mark.parametrize(("factor", "agree"), [(1 + 2e-7, True), (1.001, False)])
def test_one_momentum_for_all_is_the_same_up_to_rounding(showers, factor, agree):
    incident = np.zeros((400, 5))
    incident[:, 2] = 10.0
    first, second = (replace(showers, incident=(incident * scale).astype(np.float32)) for scale in (1, factor))

    found = check(first, second)

    assert (p_values(found)["|p| [GeV]"] > 0.9) == agree


def test_what_the_files_do_not_have_is_not_compared(showers):
    along = np.zeros_like(showers.incident)
    along[:, 2] = showers.momentum

    found = check(replace(showers, incident=along), replace(showers, incident=along)[:300])

    assert [test.name for test in found.tests] == ["|p| [GeV]", "particle type (pdg)"]
    assert found.agree
