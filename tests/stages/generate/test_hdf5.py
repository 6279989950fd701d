"""Generating HDF5 files: energies in, showers out, and what such files cannot hold."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import uproot
from pydantic import TypeAdapter

from calogan.config import Source
from calogan.data.reading import read_provenance
from calogan.data.schema import Schema
from calogan.errors import ConfigError, DataError, SchemaError
from calogan.geometry import Geometry, Layer
from calogan.physics.kinematics import Domain
from calogan.sampler import load_sampler
from calogan.stages.collect import collect
from calogan.stages.generate import generate

CELLS = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
GEOMETRY = Geometry((Layer(CELLS, CELLS, 40.0), Layer(CELLS[::2], CELLS[::3], 90.0)))
ALONG = Domain((1.0, 64.0), 0.0, (0.0, 0.0), (0.0, 0.0))
WIDE = Domain((1.0, 64.0), 0.35, (-5.0, 5.0), (-5.0, 5.0))
SOURCES = {
    "calochallenge": {},
    "calogan": {"energy": ["layer_0", "layer_1"]},
    "dense": {"energy": ["front", "back"], "pdg": "pdg"},
}


@pytest.fixture
def make_bundle(tmp_path, untrained_bundle):
    def make(layout, condition=("momentum",), domain=ALONG, **options):
        values = {"layout": layout, "files": ["-"], **SOURCES[layout], **options}
        schema = Schema.from_source(TypeAdapter(Source).validate_python(values))
        return untrained_bundle(tmp_path / f"bundle-{layout}", GEOMETRY, domain, schema, condition=condition).path

    return make


@pytest.fixture
def energies(tmp_path):
    """A file of the incident energies of 41 showers [MeV], one of which is above the domain."""
    path = tmp_path / "energies.hdf5"
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.append(np.random.default_rng(1).uniform(1e3, 64e3, 40), 65e3).reshape(-1, 1)
    return path


@pytest.fixture
def momenta(tmp_path):
    """A ROOT file of the momenta of 30 particles, of which the last ten are not along the axis."""
    rng = np.random.default_rng(2)
    columns = {"event": np.arange(100, 130), "pdg": np.full(30, 11, dtype=np.int32)}
    columns |= {name: np.zeros(30, dtype=np.float32) for name in ("px", "py", "x", "y")}
    columns["px"][20:] = 1
    columns["pz"] = rng.uniform(5, 50, 30).astype(np.float32)
    path = tmp_path / "momenta.root"
    with uproot.recreate(path) as file:
        file.mktree("showers", {name: values.dtype for name, values in columns.items()}).extend(columns)
    return path


def sets(path):
    with h5py.File(path) as file:
        return {name: data[:] for name, data in file.items()}


def make(bundle, inputs, output, **options):
    return generate(bundle, str(inputs), output, **{"seed": 7, "threads": 1, **options})


def test_energies_in_showers_out(make_bundle, energies, tmp_path):
    bundle, output = make_bundle("calochallenge"), tmp_path / "out.hdf5"
    made = make(bundle, energies, output)
    assert (made.showers, made.outside) == (40, 1)
    found = sets(output)
    asked = sets(energies)["incident_energies"]
    assert np.array_equal(found["incident_energies"], asked[:40])
    showers = load_sampler(bundle).sample(momentum=asked[:40, 0] / 1000, seed=7)
    assert found["showers"].dtype == np.float64
    assert found["showers"] == pytest.approx(showers.cell_energy * 1000, rel=1e-5)
    assert showers.cell_energy.any()
    assert read_provenance(output)["key"] == "entry"
    assert (tmp_path / "out.hdf5.outside.csv").read_text().splitlines()[1].endswith(",0,0,65,0,0,momentum")


def test_parts_are_merged_and_killed_jobs_go_on(make_bundle, energies, tmp_path, monkeypatch):
    bundle = make_bundle("calogan", units={"momentum": "MeV"}, momentum=["incident_energies"])
    whole = sets(make(bundle, energies, tmp_path / "whole.hdf5").output)
    calls = []
    from calogan.stages.generate import workers

    def fail(job, part, *rest):
        calls.append(part.number)
        if part.number == 2:
            msg = "stop"
            raise DataError(msg)
        return make_part(job, part, *rest)

    make_part = workers.make_part
    monkeypatch.setattr(workers, "make_part", fail)
    with pytest.raises(DataError, match="stop"):
        make(bundle, energies, tmp_path / "parts.hdf5", part_showers=10)
    assert (
        sorted(path.suffix for path in (tmp_path / "parts.hdf5.parts").glob("part-*")) == [".hdf5"] * 2 + [".json"] * 2
    )
    monkeypatch.setattr(workers, "make_part", make_part)
    parts = sets(make(bundle, energies, tmp_path / "parts.hdf5", part_showers=10).output)
    assert calls == [0, 1, 2]
    assert whole.keys() == parts.keys() == {"incident_energies", "layer_0", "layer_1"}
    for name, values in whole.items():
        assert parts[name] == pytest.approx(values, rel=1e-4, abs=1e-3)
    assert not (tmp_path / "parts.hdf5.parts").exists()


def test_momenta_in_along_the_axis(make_bundle, momenta, tmp_path, listener):
    made = make(make_bundle("calochallenge"), momenta, tmp_path / "out.hdf5", reporter=listener)
    assert (made.showers, made.outside) == (20, 10)
    assert "layout calochallenge has no place for the particles' event id" in listener.warnings
    with uproot.open(momenta) as file:
        pz = file["showers"]["pz"].array(library="np")
    assert sets(tmp_path / "out.hdf5")["incident_energies"][:, 0] == pytest.approx(pz[:20] * 1000, rel=1e-6)
    assert (tmp_path / "out.hdf5.outside.csv").read_text().count(",angle\n") == 10


def test_names_for_ids_are_kept(make_bundle, momenta, tmp_path, listener):
    bundle = make_bundle("calochallenge", event="id", particle_id=11)
    make(bundle, momenta, tmp_path / "out.hdf5", reporter=listener)
    assert sets(tmp_path / "out.hdf5")["id"][:, 0].tolist() == list(range(100, 120))


def test_other_layouts(make_bundle, energies, momenta, tmp_path, listener):
    make(make_bundle("calochallenge"), energies, tmp_path / "out.root", layout="hits")
    with uproot.open(tmp_path / "out.root") as file:
        tree = file["showers"]
        assert tree["pz"].array(library="np") == pytest.approx(sets(energies)["incident_energies"][:40, 0] / 1000)
        assert tree["event"].array(library="np").tolist() == list(range(40))
    told = ("momentum", "direction", "entry_point")
    bundle = make_bundle("dense", condition=told, domain=WIDE)
    make(bundle, momenta, tmp_path / "out.hdf5", layout="calogan", reporter=listener)
    assert sets(tmp_path / "out.hdf5")["layer_1"].shape == (30, 3, 2)
    assert listener.warnings == [
        "layout calogan has no place for the particles' direction, entry point, event id, particle type"
    ]


def test_what_cannot_be(make_bundle, energies, momenta, tmp_path):
    bundle, out = make_bundle("calochallenge"), tmp_path / "out.hdf5"
    for options, kind, match in (
        ({"overlay": True}, ConfigError, "events cannot be overlaid: HDF5 files have one particle an entry"),
        ({"rntuple": True}, SchemaError, "has no RNTuple"),
        ({"layout": ["calochallenge", "calogan"]}, SchemaError, "an HDF5 file holds one layout"),
        ({"layout": "dense"}, DataError, r"out.hdf5: layout dense goes to a file named \*\.root"),
        ({"input_branches": {"px": "p"}}, ConfigError, "'px'='p': not one that the model reads"),
    ):
        with pytest.raises(kind, match=match):
            make(bundle, energies, out, **options)
    with pytest.raises(DataError, match=r"out.root: layout calochallenge goes to a file named \*\.hdf5"):
        make(bundle, energies, tmp_path / "out.root")
    with pytest.raises(DataError, match="inputs are of different formats"):
        generate(bundle, [str(energies), str(momenta)], out, seed=1)
    told = make_bundle("dense", condition=("momentum", "direction", "entry_point"), domain=WIDE)
    with pytest.raises(ConfigError, match="has energies alone, but the model is told direction and entry_point"):
        make(told, energies, tmp_path / "other.root")
    with pytest.raises(ConfigError, match="showers cannot be placed: HDF5 files have"):
        make(told, momenta, out, layout="calochallenge", calorimeter=GEOMETRY)
    assert not out.exists()


def test_energies_under_another_name(make_bundle, energies, tmp_path):
    with h5py.File(energies, "a") as file:
        file["e"] = file["incident_energies"][:20]
        del file["incident_energies"]
    bundle = make_bundle("calochallenge")
    with pytest.raises(SchemaError, match="no data set 'incident_energies'"):
        make(bundle, energies, tmp_path / "out.hdf5")
    assert make(bundle, energies, tmp_path / "out.hdf5", input_branches={"momentum": "e"}).showers == 20


def test_files_are_collected(make_bundle, energies, tmp_path):
    bundle = make_bundle("calochallenge")
    files = [make(bundle, energies, tmp_path / f"{seed}.hdf5", seed=seed).output for seed in (1, 2)]
    collection = collect(files, tmp_path / "all.json")
    assert (collection.entries, collection.left_out) == (80, 2)
    assert collection.trees == {"": {"incident_energies": "float64[1]", "showers": "float64[42]"}}
    other = make(bundle, energies, tmp_path / "3.hdf5", layout="calogan", seed=3).output
    with pytest.raises(DataError, match=r"is with data sets energy float64\[1\]"):
        collect([*files, other], tmp_path / "all.json")
