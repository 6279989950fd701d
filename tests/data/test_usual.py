import h5py
import numpy as np
import pytest

from calogan.data.encode import encode_energy, encode_particles
from calogan.data.files import InputFile
from calogan.data.trees import ShowerTrees
from calogan.data.usual import find_showers, usual_schema
from calogan.data.writer import RootWriter
from calogan.data.writing import ShowerWriter
from calogan.errors import SchemaError

LAYOUTS = ("dense", "hits", "positions", "calochallenge", "calogan")


def write(path, schema, showers):
    with ShowerWriter(path, schema, showers.geometry) as writer:
        writer.extend(showers)
    return InputFile(str(path))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_showers_under_the_usual_names_are_found(toy, tmp_path, layout):
    schema = usual_schema(layout, toy.geometry)
    found = find_showers(write(tmp_path / "a", schema, toy.showers), toy.geometry)
    assert found.schema == schema
    assert found.others == ()


@pytest.mark.parametrize(
    ("layout", "momentum", "unit"), [("calochallenge", "incident_energies", "MeV"), ("calogan", "energy", "GeV")]
)
def test_files_of_other_programs_have_energies_alone(toy, tmp_path, layout, momentum, unit):
    showers = usual_schema(layout, toy.geometry)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name in (momentum, *showers.energy, "overflow"):
            file[name] = np.ones((3, 1))

    found = find_showers(InputFile(str(tmp_path / "a.hdf5")), toy.geometry)

    assert (found.schema.momentum, found.schema.momentum_unit) == ((momentum,), unit)
    assert (found.schema.event, found.schema.pdg, found.schema.entry_point) == (None, None, None)
    assert found.others == ("overflow",)


def test_what_a_root_file_lacks_and_what_it_has_besides(toy, tmp_path):
    with RootWriter(tmp_path / "a.root", [_spec(toy, drop=("pdg", "x"), more={"time": "float64"})]) as writer:
        writer.extend("hits", _columns(toy, drop=("pdg", "x"), more=("time",)))

    found = find_showers(InputFile(str(tmp_path / "a.root")), toy.geometry)

    assert (found.schema.pdg, found.schema.entry_point, found.schema.event) == (None, None, "event")
    assert found.others == ("time", "y")  # but not the length of the lists


def _spec(toy, drop, more):
    (spec,) = ShowerTrees.of(toy.schema("hits"), toy.geometry).specs
    types = {name: kind for name, kind in spec.types.items() if name not in drop}
    return type(spec)(spec.name, types | more, spec.counter)


def _columns(toy, drop, more):
    columns = encode_particles(toy.showers, toy.schema("hits")) | encode_energy(toy.showers, toy.schema("hits"))
    return {name: values for name, values in columns.items() if name not in drop} | {
        name: np.arange(len(toy.showers), dtype=np.float64) for name in more
    }


@pytest.fixture
def both(toy, tmp_path):
    """A file with the same showers in two trees."""
    trees = ShowerTrees.of(toy.schema("dense"), toy.geometry, ("dense", "hits"))
    with RootWriter(tmp_path / "both.root", trees.specs) as writer:
        trees.write(writer, toy.showers)
    return str(tmp_path / "both.root")


def test_of_several_trees_the_first_or_the_wanted_one_is_taken(toy, both):
    def chosen(file_tree=None, **wanted):
        schema = find_showers(InputFile(both, file_tree), toy.geometry, **wanted).schema
        return schema.layout, schema.tree

    assert chosen() == ("dense", "showers")
    assert chosen(layout="hits") == chosen(tree="hits") == chosen("hits") == ("hits", "hits")


@pytest.mark.parametrize("wanted", [{"layout": "calogan"}, {"tree": "absent"}, {"layout": "dense", "tree": "hits"}])
def test_other_names_are_refused_with_what_there_is(toy, both, wanted):
    with pytest.raises(
        SchemaError, match=r"both\.root: no .* of 3 layers under the usual names \(.*cell_ix.*--config"
    ) as caught:
        find_showers(InputFile(both), toy.geometry, **wanted)
    assert "\n" not in str(caught.value)
