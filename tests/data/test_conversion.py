import numpy as np
import pytest

from calogan.data.conversion import Conversion
from calogan.data.decode import Decoded
from calogan.data.schema import Schema
from calogan.data.usual import format_alone, usual_schema
from calogan.errors import ConfigError

PARTICLES = {"event", "pdg", "px", "py", "pz", "x", "y"}


@pytest.fixture
def dense(toy):
    return toy.schema("dense")


@pytest.mark.parametrize(
    ("layout", "own"),
    [("calochallenge", {"incident_energies", "showers"}), ("calogan", {"energy", "layer_0", "layer_1", "layer_2"})],
)
def test_hdf5_holds_what_its_format_asks_for_and_the_particles(toy, dense, layout, own):
    conversion = Conversion.of(dense, layout, toy.geometry)
    assert set(conversion.spec.types) == own | PARTICLES
    columns = conversion.columns(Decoded(toy.showers, 0))
    assert columns.keys() == conversion.spec.types.keys()
    assert np.array_equal(columns["pz"], toy.showers.incident[:, 2])
    energies = columns["incident_energies"] / 1000 if layout == "calochallenge" else columns["energy"]
    np.testing.assert_allclose(energies, toy.showers.momentum, rtol=1e-6)


def test_what_is_dropped_leaves_the_format_alone(toy, dense):
    drop = ("event", "pdg", "direction", "entry_point")
    conversion = Conversion.of(dense, "calochallenge", toy.geometry, drop)
    assert set(conversion.spec.types) == {"incident_energies", "showers"}


def test_energies_alone_become_particles_along_the_axis(toy):
    source = format_alone(usual_schema("calochallenge", toy.geometry))
    conversion = Conversion.of(source, "hits", toy.geometry)
    (target,) = conversion.targets
    assert (target.event, target.pdg, target.momentum, target.entry_point) == ("event", None, ("px", "py", "pz"), None)
    again = Conversion.of(source, "calogan", toy.geometry)
    assert set(again.spec.types) == {"energy", "layer_0", "layer_1", "layer_2"}


def test_a_type_that_the_configuration_tells_is_written(toy):
    values = format_alone(usual_schema("calochallenge", toy.geometry)).to_dict() | {"particle_id": 22}
    for layout in ("dense", "calogan"):
        conversion = Conversion.of(Schema.from_dict(values), layout, toy.geometry)
        assert conversion.targets[-1].pdg == "pdg"


def test_numbers_whose_unit_stays_are_not_converted(toy, dense):
    same = Conversion.of(dense, "calochallenge", toy.geometry)
    assert same.source.energy_unit == same.targets[0].energy_unit == "GeV"  # are MeV in both
    assert (same.source.momentum_unit, same.targets[0].momentum_unit) == ("GeV", "MeV")
    other = Conversion.of(Schema.from_dict(dense.to_dict() | {"energy_unit": "keV"}), "calochallenge", toy.geometry)
    assert (other.source.energy_unit, other.targets[0].energy_unit) == ("keV", "MeV")


def test_the_other_file_has_the_usual_names_and_units(toy):
    other = {"tree": "T", "event": "number", "momentum": ["a", "b", "c"], "energy_unit": "GeV", "length_unit": "cm"}
    conversion = Conversion.of(Schema.from_dict(toy.schema("positions").to_dict() | other), "hits", toy.geometry)
    assert conversion.source.length_unit == "cm"
    assert conversion.targets == (usual_schema("hits", toy.geometry),)


@pytest.mark.parametrize(
    ("layout", "drop", "message"),
    [
        ("hits", ["entry"], "'entry' cannot be left out; did you mean 'entry_point'"),
        ("hits", ["direction"], "'direction' cannot be left out of a ROOT file"),
    ],
)
def test_what_cannot_be_left_out_is_refused(toy, dense, layout, drop, message):
    with pytest.raises(ConfigError, match=message):
        Conversion.of(dense, layout, toy.geometry, drop)


def test_a_kept_branch_has_a_name_of_its_own(toy, dense):
    conversion = Conversion.of(dense, "calochallenge", toy.geometry, kept={"showers": np.dtype(np.float32)})
    with pytest.raises(ConfigError, match="'showers' cannot be kept"):
        conversion.spec  # noqa: B018
