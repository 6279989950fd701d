"""Reading incident particles: exact columns, converted values, and event ids alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import uproot

from calogan.data.files import InputFile
from calogan.data.particles import iterate_event_ids, iterate_particles, read_simulation_time
from calogan.data.simulation_time import SimulationTime
from calogan.errors import DataError, SchemaError

COUNT = 10
INCIDENT = ("px", "py", "pz", "x", "y")


@pytest.fixture
def schema(toy):
    return replace(toy.schema("hits"), momentum_unit="MeV", length_unit="cm")


@pytest.fixture
def file(tmp_path):
    columns = {
        "event": np.arange(COUNT, dtype=np.int32),
        "pdg": np.full(COUNT, 11, dtype=np.int64),
        **{name: np.full(COUNT, 1000 / 3) for name in INCIDENT},
    }
    with uproot.recreate(tmp_path / "in.root") as file:
        file.mktree("hits", {name: values.dtype for name, values in columns.items()}).extend(columns)
        odd = {"event": np.array([3, 4]), "pdg": np.array([11, 11])} | {name: np.ones((2, 2)) for name in INCIDENT}
        file.mktree("odd", {name: (values.dtype, values.shape[1:]) for name, values in odd.items()}).extend(odd)
    return InputFile(str(tmp_path / "in.root"))


def test_particles_are_converted_and_their_columns_kept(file, schema):
    chunks = list(iterate_particles(file, schema, 4))
    assert [len(chunk) for chunk in chunks] == [4, 4, 2]
    np.testing.assert_array_equal(chunks[1].entry, [4, 5, 6, 7])
    np.testing.assert_array_equal(chunks[1].event, [4, 5, 6, 7])
    np.testing.assert_array_equal(chunks[1].pdg, 11)
    np.testing.assert_allclose(chunks[1].incident, np.tile([1 / 3, 1 / 3, 1 / 3, 1e4 / 3, 1e4 / 3], (4, 1)), rtol=1e-6)
    types = {name: values.dtype.name for name, values in chunks[1].columns.items()}
    assert types == {"event": "int32", "pdg": "int64", **dict.fromkeys(INCIDENT, "float64")}
    np.testing.assert_array_equal(chunks[1].columns["px"], 1000 / 3)


def test_some_entries_are_read(file, schema):
    chunks = list(iterate_particles(file, schema, 4, 3, 9))
    assert [chunk.event.tolist() for chunk in chunks] == [[3, 4, 5, 6], [7, 8]]
    assert [chunk.entry.tolist() for chunk in chunks] == [[3, 4, 5, 6], [7, 8]]
    with pytest.raises(DataError, match="ends after 10 of 12 entries"):
        list(iterate_particles(file, schema, 4, 3, 12))


def test_event_ids_are_read_alone(file, schema):
    """Momenta of a wrong shape, which reading would refuse, are not looked at."""
    odd = InputFile(file.path, "odd")
    np.testing.assert_array_equal(np.concatenate(list(iterate_event_ids(odd, schema))), [3, 4])
    with pytest.raises(SchemaError, match=r"branch 'px': expected one number a shower"):
        next(iterate_particles(odd, schema, 10))


def test_branches_that_particles_need_must_be_there(file, schema):
    with pytest.raises(SchemaError, match="no branch 'p_z'"):
        next(iterate_event_ids(file, replace(schema, momentum=("px", "py", "p_z"))))


def timed(path, times, tree="showers"):
    with uproot.recreate(path) as file:
        file[tree] = {"event": np.arange(len(times)), "time": np.asarray(times)}
    return InputFile(str(path))


def test_simulation_time_is_the_mean_of_its_branch(toy, tmp_path):
    file = timed(tmp_path / "a.root", [1.0, 2.0, 6.0])

    assert read_simulation_time(file, toy.schema("dense"), "time") == SimulationTime("time", 3, 3.0)


def test_bad_simulation_times_are_named(toy, tmp_path):
    schema = toy.schema("dense")
    with pytest.raises(DataError, match=r"a\.root:showers, branch 'time', entry 1: -2 is no time"):
        read_simulation_time(timed(tmp_path / "a.root", [1.0, -2.0]), schema, "time")
    with pytest.raises(DataError, match="entry 0: nan is no time"):
        read_simulation_time(timed(tmp_path / "b.root", [np.nan]), schema, "time")
    with pytest.raises(SchemaError, match="no branch 'tine'; did you mean 'time'"):
        read_simulation_time(timed(tmp_path / "c.root", [1.0]), schema, "tine")
