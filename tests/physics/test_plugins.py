"""Observables of the user."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from calogan.errors import ConfigError
from calogan.geometry import Geometry, Layer
from calogan.physics.observable import Observable
from calogan.physics.observables import compute_observables, observable_names
from calogan.physics.plugins import load_observables, observable_catalogue

EDGES = (0.0, 10.0, 20.0, 30.0)
ONE = Geometry((Layer(EDGES, EDGES, 100.0),))
MODULE = """
from calogan.physics.observables import Observable

def first_cell(cell_energy, incident, geometry):
    return cell_energy[:, 0]

def second(cell_energy, incident, geometry):
    return 2 * cell_energy[:, 1]

scaled = Observable(second, "twice the second", "GeV", scale="log")
def broken(cell_energy, incident, geometry):
    raise ValueError("no such\\ncell")

picky = Observable(first_cell, "picky", applies=lambda geometry: geometry.nonsense)
layered = Observable(first_cell, "for layers", applies=lambda geometry: geometry.n_layers > 1)
number = 3
"""
ENTRY_POINTS = """[calogan.observables]
plugged = my_observables:first_cell
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "my_observables.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "misspelt_observables.py").write_text("def first(:")
    (tmp_path / "raising_observables.py").write_text("raise RuntimeError('no\\ndetector')")
    (tmp_path / "ending_observables.py").write_text("raise SystemExit")
    yield tmp_path
    sys.modules.pop("my_observables", None)


def test_a_function_and_an_observable_join_those_of_the_package(package):
    named = {"first": "my_observables:first_cell", "twice_second": "my_observables:scaled"}
    catalogue = observable_catalogue(ONE, {**named, "layered": "my_observables:layered"})
    assert list(catalogue) == [*observable_names(ONE), "first", "twice_second"]
    assert catalogue["first"].axis_label == "first"
    assert catalogue["twice_second"].axis_label == "twice the second [GeV]"
    cells = np.arange(9.0)[None, :] + 1
    found = compute_observables(cells, np.array([[0, 0, 1.0, 0, 0]]), ONE, list(named), catalogue)
    assert {name: values.tolist() for name, values in found.items()} == {"first": [1.0], "twice_second": [4.0]}


def test_installed_packages_bring_observables_by_entry_points(package):
    (package / "mine-1.0.dist-info").mkdir()
    (package / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (package / "mine-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    assert list(load_observables({})) == ["plugged"]
    with pytest.raises(ConfigError, match=r"observable 'plugged' \(my_observables:first_cell\): the name is taken"):
        load_observables({"plugged": "my_observables:first_cell"})


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("mine", "no_such_package:thing", "cannot be imported: No module named 'no_such_package'; its package must be"),
        ("mine", "my_observables:thing", "cannot be imported: module 'my_observables' has no attribute 'thing'"),
        ("mine", "my_observables:number", "is of type int; expected a function"),
        ("mine", "my_observables", "expected a path like 'package.module:attribute'"),
        ("mine", "my_observables:first_cell, x", "expected a path like 'package.module:attribute'"),
        ("mine", "misspelt_observables:first", r"its module raises SyntaxError: .*misspelt_observables.py, line 1"),
        ("mine", "raising_observables:first", "its module raises RuntimeError: no detector; mend the module"),
        ("mine", "ending_observables:first", "its module raises SystemExit; mend the module"),
        ("occupancy", "my_observables:first_cell", "the name is taken"),
        ("ring_fraction_2", "my_observables:first_cell", "the name is taken"),
        ("my own", "my_observables:first_cell", "the name must consist of letters, digits and underscores"),
    ],
)
def test_what_cannot_be_an_observable_is_refused_in_one_line(package, name, path, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_observables({name: path})
    assert str(caught.value).startswith(f"observable {name!r} ({path})")
    assert "\n" not in str(caught.value)


def test_a_function_that_raises_is_named_in_one_line(package):
    catalogue = observable_catalogue(ONE, {"mine": "my_observables:broken"})
    with pytest.raises(ConfigError, match=r"^observable 'mine': its function raises ValueError: no such cell; mend"):
        compute_observables(np.ones((1, 9)), np.array([[0, 0, 1.0, 0, 0]]), ONE, ["mine"], catalogue)
    with pytest.raises(ConfigError, match=r"^observable 'picky': its `applies` raises AttributeError: "):
        observable_catalogue(ONE, {"picky": "my_observables:picky"})


def test_a_bug_in_an_observable_of_the_package_keeps_its_traceback():
    def bug(cell_energy, incident, geometry):
        raise ZeroDivisionError

    catalogue = {"response": Observable(bug, "response")}
    with pytest.raises(ZeroDivisionError):
        compute_observables(np.ones((1, 9)), np.array([[0, 0, 1.0, 0, 0]]), ONE, ["response"], catalogue)
