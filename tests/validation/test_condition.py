from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.data.toy import toy_geometry, toy_showers
from calogan.validation.condition import check_condition


@pytest.fixture
def showers():
    return toy_showers(np.random.default_rng(1), toy_geometry(), 400)


def test_the_same_particles_are_paired(showers):
    check = check_condition(showers, replace(showers, cell_energy=0 * showers.cell_energy))

    assert check.paired
    assert [test.distance for test in check.tests] == [0] * 6
    assert check.lowest_p == 1


def test_particles_of_one_distribution_agree(showers):
    check = check_condition(showers, toy_showers(np.random.default_rng(2), toy_geometry(), 300))

    assert not check.paired
    assert check.lowest_p > 0.01


@pytest.mark.parametrize(("column", "name"), [(0, "px/pz"), (1, "py/pz")])
def test_directions_to_one_side_only_are_found(showers, column, name):
    left, right = showers.incident.copy(), showers.incident.copy()
    left[:, column] = -abs(left[:, column])
    right[:, column] = abs(right[:, column])

    check = check_condition(replace(showers, incident=left), replace(showers, incident=right))

    p_values = {test.name: test.p_value for test in check.tests}
    assert check.lowest_p < 1e-6
    assert [other for other, p_value in p_values.items() if p_value < 0.1] == [name]


@pytest.mark.parametrize(("columns", "name"), [(slice(3), "|p| [GeV]"), (3, "entry point x [mm]")])
def test_other_particles_are_found(showers, columns, name):
    incident = showers.incident.copy()
    incident[:, columns] *= 1.5

    check = check_condition(showers, replace(showers, incident=incident))

    p_values = {test.name: test.p_value for test in check.tests}
    assert min(p_values, key=p_values.get) == name
    assert check.lowest_p < 0.05
