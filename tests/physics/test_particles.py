"""Particle types as numbers and in words."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from calogan.errors import DomainError
from calogan.physics.particles import list_types, network_input, particle_name

INCIDENT = np.arange(15, dtype=np.float32).reshape(3, 5)


def test_the_number_of_the_type_is_the_sixth_column():
    found = network_input(INCIDENT, np.array([22, -11, 211]), (-11, 22, 211))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.column_stack([INCIDENT, [1, 0, 2]]))
    assert network_input(INCIDENT[:0], np.array([], dtype=np.int32), (11,)).shape == (0, 6)


def test_without_types_nothing_is_changed():
    assert network_input(INCIDENT, np.array([0, 1, 2]), ()) is INCIDENT


@pytest.mark.parametrize("pdg", [-300, 13, 300])
def test_an_unknown_type_is_refused(pdg):
    with pytest.raises(DomainError, match=rf"no showers of pdg {pdg}.*; the known types are pdg 11.*, 22"):
        network_input(INCIDENT, np.array([11, pdg, 22]), (11, 22))


def test_types_have_names_where_the_library_knows_them():
    pytest.importorskip("particle")
    assert list_types([11, 22, -211, 123456]) == "11 (e-), 22 (gamma), -211 (pi-), 123456"


def test_types_are_numbers_without_the_library(monkeypatch):
    particle_name.cache_clear()
    monkeypatch.setitem(sys.modules, "particle", None)
    assert list_types([11, 22]) == "11, 22"
    particle_name.cache_clear()
