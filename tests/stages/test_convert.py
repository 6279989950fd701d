"""Conversion of files: nothing is lost on the way, nothing is left out in silence, nothing is half-written."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import uproot

from calogan.config import Config
from calogan.data.files import InputFile
from calogan.data.reading import iterate_showers, read_provenance, read_showers
from calogan.data.schema import Schema
from calogan.data.toy import toy_showers
from calogan.data.usual import find_showers, usual_schema
from calogan.data.writing import ShowerWriter
from calogan.errors import ConfigError, DataError, SchemaError
from calogan.geometry import Geometry, PolarLayer
from calogan.progress import SilentReporter
from calogan.stages.convert import convert


def branches(path, tree="showers"):
    with uproot.open(path) as root:
        return root[tree].arrays(library="np")


def same_bits(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.dtype == other[name].dtype
        assert values.tobytes() == other[name].tobytes()


def run(source, target, layout, geometry, **options):
    return convert([str(source)], target, layout, geometry, SilentReporter(), **options)


def round_trip(tmp_path, source, geometry, layouts, **options):
    """The last of files that are made from one another."""
    for number, layout in enumerate(layouts):
        target = tmp_path / f"{number}.{'hdf5' if layout.startswith('calo') else 'root'}"
        run(source, target, layout, geometry, **options)
        source = target
    return target


@pytest.fixture(scope="module")
def shipped_dense(shipped, ecal30_showers, tmp_path_factory):
    """The first shipped showers as the full simulation's dense files have them."""
    path = tmp_path_factory.mktemp("dense") / "dense.root"
    run(shipped / "hits_1001.root", path, "dense", ecal30_showers.geometry)
    return path


def test_shipped_showers_come_back_from_hits_and_calochallenge(tmp_path, shipped_dense, ecal30_showers):
    back = round_trip(tmp_path, shipped_dense, ecal30_showers.geometry, ("hits", "calochallenge", "dense"))
    before = branches(shipped_dense)
    same_bits(before, branches(back))
    found = before["energy"].reshape(len(before["energy"]), -1)[: len(ecal30_showers)]
    np.testing.assert_allclose(found, 1e3 * ecal30_showers.cell_energy, rtol=2e-7)


def test_three_layers_come_back_from_calogan_and_an_rntuple(toy, tmp_path):
    hits = tmp_path / "hits.root"
    run(toy.file("dense"), hits, "hits", toy.geometry, rntuple=True)
    assert "RNTuple" in uproot.open(hits).classname_of("showers")
    back = round_trip(tmp_path, hits, toy.geometry, ("calogan", "calochallenge", "positions", "dense"))
    same_bits(branches(toy.file("dense")), branches(back))


def test_rings_come_back_from_all_layouts(tmp_path):
    rings = PolarLayer((0.0, 5.0, 10.0, 30.0), 4, depth=1.0, z_range=(0.0, 2.0))
    whole_rings = PolarLayer((0.0, 10.0, 40.0), 1, depth=3.0, z_range=(2.0, 4.0))
    showers = toy_showers(np.random.default_rng(0), Geometry((rings, whole_rings)), 50)
    with ShowerWriter(tmp_path / "a.root", usual_schema("dense", showers.geometry), showers.geometry) as writer:
        writer.extend(showers)
    layouts = ("positions", "calochallenge", "hits", "calogan", "dense")
    same_bits(
        branches(tmp_path / "a.root"), branches(round_trip(tmp_path, tmp_path / "a.root", showers.geometry, layouts))
    )


@pytest.mark.parametrize("layout", ["dense", "hits", "positions"])
def test_layouts_are_told_from_the_names(toy, tmp_path, layout):
    done = run(toy.file(layout), tmp_path / "a.hdf5", "calochallenge", toy.geometry)
    assert done.layouts == (layout, "calochallenge")
    with h5py.File(tmp_path / "a.hdf5") as file:
        np.testing.assert_allclose(file["showers"][:], 1e3 * toy.showers.cell_energy, rtol=2e-7)
        np.testing.assert_allclose(file["incident_energies"][:, 0], 1e3 * toy.showers.momentum, rtol=1e-6)
        assert file["event"][:, 0].tolist() == toy.showers.event.tolist()


def test_a_configuration_names_what_has_other_names(toy, tmp_path):
    source = {
        "layout": "dense",
        "files": ["-"],
        "tree": "T",
        "event": None,
        "pdg": "kind",
        "momentum": ["a", "b", "c"],
        "entry_point": None,
        "energy": ["one", "two", "three"],
        "units": {"energy": "GeV", "momentum": "MeV"},
    }
    values = toy.config("unused", "dense").model_dump() | {"condition": ["momentum", "direction"]}
    values["data"]["sources"] = [source]
    schema = Schema.from_source(Config.model_validate(values).data.sources[0])
    with ShowerWriter(tmp_path / "other.root", schema, toy.geometry) as writer:
        writer.extend(toy.showers)
    with pytest.raises(SchemaError, match="under the usual names"):
        run(tmp_path / "other.root", tmp_path / "a.hdf5", "calochallenge", toy.geometry)

    run(tmp_path / "other.root", tmp_path / "a.hdf5", "calochallenge", toy.geometry, schema=schema)

    read = find_showers(InputFile(str(tmp_path / "a.hdf5")), toy.geometry).schema
    assert (read.event, read.pdg, read.entry_point) == (None, "pdg", None)
    showers = read_showers([str(tmp_path / "a.hdf5")], read, toy.geometry)
    np.testing.assert_allclose(showers.cell_energy, toy.showers.cell_energy, rtol=2e-7)
    np.testing.assert_allclose(showers.incident[:, :3], toy.showers.incident[:, :3], rtol=3e-7)


def test_several_inputs_become_one_in_their_order(toy, tmp_path):
    files = [toy.write(tmp_path / f"{low}.root", "hits", toy.showers[low : low + 70]) for low in (70, 0, 140)]
    done = convert([str(file) for file in files], tmp_path / "a.root", "dense", toy.geometry, SilentReporter())
    assert done.showers == 200
    order = np.r_[70:140, 0:70, 140:200]
    assert branches(tmp_path / "a.root")["event"].tolist() == toy.showers.event[order].tolist()


def test_showers_without_ids_get_those_that_prepare_gives_them(toy, tmp_path):
    bare = ("event", "pdg", "direction", "entry_point")
    run(toy.file("dense"), tmp_path / "bare.hdf5", "calochallenge", toy.geometry, drop=bare)
    with h5py.File(tmp_path / "bare.hdf5") as file:
        assert set(file) == {"incident_energies", "showers"}
    run(tmp_path / "bare.hdf5", tmp_path / "a.root", "dense", toy.geometry)
    schema = find_showers(InputFile(str(tmp_path / "bare.hdf5")), toy.geometry).schema
    ids = [chunk.event for chunk in iterate_showers(tmp_path / "bare.hdf5", schema, toy.geometry)]
    found = branches(tmp_path / "a.root")
    assert found["event"].tolist() == np.concatenate(ids).tolist()
    assert not found["px"].any()


@pytest.fixture
def with_others(toy, tmp_path):
    """Showers in a plain file with branches that are not of them."""
    path = tmp_path / "others.root"
    with uproot.recreate(path) as root:
        layers = toy.geometry.layer_images(toy.showers.cell_energy)
        incident = dict(zip(("px", "py", "pz", "x", "y"), toy.showers.incident.T, strict=True))
        own = {f"energy_layer{number}": image for number, image in enumerate(layers)}
        others = {
            "time": np.arange(200, dtype=np.float64),
            "lead": np.ones(200, dtype=np.int32),
            "list": np.ones((200, 3)),
        }
        root["showers"] = {"event": toy.showers.event, **incident, **own, **others}
    return path


def test_other_branches_are_listed_or_kept(toy, tmp_path, with_others):
    done = run(with_others, tmp_path / "a.hdf5", "calogan", toy.geometry, keep=["time", "lead"], drop=["entry_point"])
    assert done.left_out == ("list", "entry_point")
    provenance = read_provenance(tmp_path / "a.hdf5")
    assert (provenance["left_out"], provenance["layouts"]) == ("list, entry_point", "dense -> calogan")
    run(tmp_path / "a.hdf5", tmp_path / "b.root", "hits", toy.geometry, keep=["lead", "time"])
    found = branches(tmp_path / "b.root")
    assert (found["time"].dtype, found["lead"].dtype) == (np.float64, np.int32)
    assert found["time"].tolist() == list(range(200))
    assert "a.hdf5" in read_provenance(tmp_path / "b.root")["provenance_of_inputs"]


def test_hits_outside_of_all_cells_are_refused_or_counted(toy, tmp_path):
    front = type(toy.geometry)(tuple(toy.geometry.layers[:2]))
    with pytest.raises(DataError, match=r"positions\.root, entries 0 to \d+: \d+ of \d+ hits are outside of all cells"):
        run(toy.file("positions"), tmp_path / "a.root", "hits", front)
    assert list(tmp_path.iterdir()) == []

    done = run(toy.file("positions"), tmp_path / "a.root", "hits", front, drop=["hits_outside"])

    assert done.hits_outside == np.count_nonzero(toy.showers.cell_energy[:, front.n_cells :])
    assert done.left_out == ()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"keep": ["tyme"]}, ConfigError, "--keep tyme: the inputs have no such other .* did you mean 'time'"),
        ({"keep": ["list"]}, SchemaError, r"others\.root:showers, branch 'list': expected one number a shower"),
        ({"tree": "shower"}, SchemaError, "under the usual names"),
        (
            {"target": "a.root"},
            ConfigError,
            r"a\.root: layout calogan is not one of such files; name it \*\.hdf5",
        ),
        ({"target": "there.hdf5"}, ConfigError, r"there\.hdf5: is there already; choose another name, or give --over"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_no_file(toy, tmp_path, with_others, options, error, message):
    (tmp_path / "there.hdf5").write_text("mine")
    before = sorted(tmp_path.iterdir())
    target = tmp_path / options.pop("target", "a.hdf5")
    with pytest.raises(error, match=message) as caught:
        run(with_others, target, "calogan", toy.geometry, **options)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.hdf5").read_text() == "mine"


def test_an_impossible_value_late_in_the_input_leaves_the_output_as_it_was(toy, tmp_path):
    energy = toy.showers.cell_energy.copy()
    energy[150, 7] = np.nan
    schema, target = usual_schema("dense", toy.geometry), tmp_path / "a.hdf5"
    bad = type(toy.showers)(toy.geometry, toy.showers.event, toy.showers.incident, energy, toy.showers.pdg)
    with ShowerWriter(tmp_path / "bad.root", schema, toy.geometry) as writer:
        writer.extend(bad)
    run(toy.file("dense"), target, "calochallenge", toy.geometry)
    before = target.read_bytes()
    with pytest.raises(DataError, match=r"bad\.root:showers, branch 'energy_layer0', entry 150: the energy is nan"):
        run(tmp_path / "bad.root", target, "calochallenge", toy.geometry, overwrite=True)
    assert target.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.hdf5", "bad.root"]


@pytest.mark.parametrize("link", [None, "symlink", "hardlink"])
def test_an_output_that_is_an_input_is_refused_whatever_its_name(toy, tmp_path, link):
    source = tmp_path / "source.root"
    run(toy.file("hits"), source, "hits", toy.geometry)
    before, target = source.read_bytes(), tmp_path / "target.root" if link else source
    if link == "symlink":
        target.symlink_to(source)
    elif link == "hardlink":
        target.hardlink_to(source)
    with pytest.raises(ConfigError, match="is one of the inputs"):
        run(source, target, "dense", toy.geometry, overwrite=True)
    assert source.read_bytes() == before


def test_inputs_that_differ_are_refused(toy, tmp_path):
    files = [str(toy.file(layout)) for layout in ("dense", "hits")]
    with pytest.raises(SchemaError, match=r"hits\.root: has event, pdg, .*convert them one by one"):
        convert(files, tmp_path / "a.root", "hits", toy.geometry, SilentReporter())
