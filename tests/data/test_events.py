"""Reading events of many particles: indices, converted values, ranges, and lists that do not go together."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from calogan.data.events import iterate_events
from calogan.data.files import InputFile
from calogan.errors import DataError, SchemaError

COUNTS = [2, 0, 3, 1]
INCIDENT = ("px", "py", "pz", "x", "y")


@pytest.fixture
def schema(toy):
    return replace(toy.schema("hits"), momentum_unit="MeV", length_unit="cm")


def write(path, **changed):
    particles = ak.unflatten(np.arange(6.0), COUNTS)
    columns = {"event": np.arange(4, dtype=np.int32), "pdg": ak.values_astype(particles, "int32")}
    columns |= dict.fromkeys(INCIDENT, particles) | changed
    with uproot.recreate(path) as file:
        types = {name: str(ak.type(values).content) for name, values in columns.items()}
        file.mkrntuple("hits", types).extend({name: ak.Array(values) for name, values in columns.items()})
    return InputFile(str(path))


def test_events_have_their_particles_in_order(tmp_path, schema):
    first, second = iterate_events(write(tmp_path / "a.root"), schema, 3)
    assert (len(first), first.start, len(second), second.start) == (3, 0, 1, 3)
    assert first.counts.tolist() == [2, 0, 3]
    assert first.row.tolist() == [0, 0, 2, 2, 2]
    assert first.particle.tolist() == [0, 1, 0, 1, 2]
    assert first.pdg.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(first.incident[4], [4e-3, 4e-3, 4e-3, 40, 40], rtol=1e-6)
    assert first.columns["px"].tolist() == [0, 1, 2, 3, 4]
    assert first.columns["event"].dtype == np.int32
    assert second.event.tolist() == [3]


def test_some_events_are_read(tmp_path, schema):
    (events,) = iterate_events(write(tmp_path / "a.root"), replace(schema, event=None, pdg=None), 10, 1, 3)
    assert (events.start, events.event, events.counts.tolist(), events.pdg.tolist()) == (1, None, [0, 3], [0, 0, 0])


def test_lists_that_do_not_go_together_are_named(tmp_path, schema):
    file = write(tmp_path / "a.root", py=ak.unflatten(np.arange(6.0), [2, 1, 2, 1]))
    with pytest.raises(DataError, match=r"a\.root:hits, branch 'py', entry 1: has 1 particles, but 'px' has 0"):
        list(iterate_events(file, schema, 10))
    with pytest.raises(SchemaError, match="branch 'x': expected a list of numbers"):
        list(iterate_events(write(tmp_path / "b.root", x=np.arange(4.0)), schema, 10))
