"""Tests of `calogan inspect`: what it suggests prepares and trains as it is."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from calogan.cli import app
from calogan.config import load_config
from calogan.data.schema import Schema
from calogan.data.writing import ShowerWriter
from calogan.errors import ConfigError, DataError, SchemaError
from calogan.inspection.cells import Given
from calogan.stages.inspect import inspect
from calogan.stages.prepare import prepare

DATA = os.environ.get("CALOGAN_DATA")
SHORT = ["training.warmup_steps=2", "training.steps=2", "training.evaluate_every=2", "training.evaluate_showers=20"]
SMALL = ["model.generator_hidden=[8]", "model.critic_hidden=[8]", "training.device=cpu", "tracking.enabled=false"]


def look(*files, given=None, units=None):
    return inspect([str(file) for file in files], given or Given(), units or {})


def says(found, subject):
    return [text for name, text in found.findings if name == subject]


@pytest.fixture
def prepares(tmp_path, monkeypatch, listener):
    """Write the suggested configuration, and prepare it as it is: no shower and no hit may be left out."""

    def check(found):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my.yaml").write_text(found.suggestion.yaml)
        config = load_config(tmp_path / "my.yaml")
        assert found.missing == ()
        assert config == found.suggestion.config
        store = prepare(config, listener)
        assert listener.warnings == []
        assert sum(store.counts().values()) == sum(record.entries for record in store.manifest.shards)
        return store

    return check


@pytest.mark.parametrize("pattern", ["hits_1001.root", "dense_1004.root", "*.root"])
def test_shipped_showers_prepare_as_suggested(shipped, prepares, pattern):
    found = look(f"calogan://ecal30_electron/{pattern}")
    store = prepares(found)
    assert [(layer.rows, layer.columns) for layer in store.geometry.layers] == [(30, 30)]
    config = found.suggestion.config
    assert config.domain.momentum == (1.0, 64.0)
    assert config.domain.max_angle == 20.0
    assert config.domain.entry_x == config.domain.entry_y == (-20.2, 20.2)
    assert config.threshold == 3e-4
    # simulated with cells of 20.2 mm; the mean depth of a shower is 122 mm
    assert store.geometry.pitch == pytest.approx(20.2, rel=0.03)
    assert store.geometry.layers[0].depth == pytest.approx(122, rel=0.03)


def test_suggested_training_starts(toy, prepares, tmp_path, monkeypatch):
    from calogan.bundle import Bundle
    from calogan.progress import SilentReporter
    from calogan.stages.train import train

    monkeypatch.setattr("calogan.stages.train.can_export", lambda: False)  # takes long
    prepares(look(toy.file("hits")))
    config = load_config(tmp_path / "my.yaml", [*SHORT, *SMALL])
    assert Bundle.load(train(config, SilentReporter())).info.condition == tuple(config.condition)


@pytest.mark.parametrize("layout", ["dense", "hits", "positions"])
@pytest.mark.parametrize("rntuple", [False, True])
def test_each_layout_is_found_and_prepares(toy, tmp_path, prepares, layout, rntuple):
    path = toy.write(tmp_path / "a.root", layout, rntuple=rntuple)
    found = look(path)
    (source,) = found.suggestion.config.data.sources
    assert Schema.from_source(source) == toy.schema(layout)
    store = prepares(found)
    shapes = [(layer.rows, layer.columns) for layer in store.geometry.layers]
    assert shapes == [(layer.rows, layer.columns) for layer in toy.geometry.layers]


def test_positions_give_the_cells_that_the_hits_lie_in(toy, prepares):
    store = prepares(look(toy.file("positions")))
    for found, true in zip(store.geometry.layers, toy.geometry.layers, strict=True):
        assert found.x_edges == pytest.approx(true.x_edges)
        assert found.y_edges == pytest.approx(true.y_edges)
        assert found.depth == pytest.approx(true.depth)


def test_depths_are_measured_and_what_is_not_known_is_marked(toy):
    found = look(toy.file("dense"))
    depths = [layer.depth for layer in found.suggestion.config.geometry.layers]
    assert depths[:2] == pytest.approx([25, 125], rel=0.15)
    (assumed,) = says(found, "assumed")
    assert "the finest cells are 10 mm wide" in assumed
    assert "# ASSUMED: the finest cells are 10 mm wide" in found.suggestion.yaml


def test_given_cells_go_before_guesses(toy, tmp_path):
    given = Given(sizes=((40.0, 10.0), (20.0, 20.0), (30.0, 60.0)), depths=(25.0, 125.0, 250.0))
    found = look(toy.file("dense"), given=given)
    assert says(found, "assumed") == []
    layers = found.suggestion.config.geometry.to_dict()["layers"]
    for layer, true in zip(layers, toy.geometry.layers, strict=True):
        assert layer["x_edges"] == pytest.approx(true.x_edges)
        assert layer["y_edges"] == pytest.approx(true.y_edges)
        assert layer["depth"] == true.depth
    with pytest.raises(ConfigError, match="--depths: 1 depths for 3 layers"):
        look(toy.file("dense"), given=Given(depths=(25.0,)))


def test_a_given_geometry_is_taken_as_it_is(toy, tmp_path, prepares):
    geometry = toy.config(tmp_path, "positions").geometry
    store = prepares(look(toy.file("positions"), given=Given(geometry.model_dump(mode="json"))))
    assert store.geometry == toy.geometry


@pytest.mark.parametrize(
    ("units", "scale"),
    [
        ({"energy": "GeV", "momentum": "GeV", "length": "mm"}, (1e-3, 1.0)),
        ({"energy": "keV", "momentum": "GeV", "length": "mm"}, (1e3, 1.0)),
        ({"energy": "MeV", "momentum": "MeV", "length": "cm"}, (1.0, 0.1)),
    ],
)
def test_units_are_guessed(ecal30_showers, ecal30_config, tmp_path, units, scale):
    schema = replace(
        Schema.from_source(ecal30_config.data.sources[0]),
        energy_unit=units["energy"],
        momentum_unit=units["momentum"],
        length_unit=units["length"],
    )
    with ShowerWriter(tmp_path / "a.root", schema, ecal30_showers.geometry) as writer:
        writer.extend(ecal30_showers)
    config = look(tmp_path / "a.root").suggestion.config
    assert config.data.sources[0].units.model_dump() == units
    assert config.domain.momentum == (1.0, 64.0)
    assert config.domain.entry_x == (-20.2, 20.2)
    assert config.threshold == pytest.approx(3e-4, rel=1)


def test_implausible_units_are_said(toy):
    found = look(toy.file("dense"), units={"energy": "GeV"})
    assert found.suggestion.config.data.sources[0].units.energy == "GeV"
    assert any(
        "expected 0.0001 to 1.2; plausible: energy MeV with momentum GeV, energy keV with momentum MeV" in text
        for text in found.warnings
    )


def test_other_names_are_recognised(toy, tmp_path, prepares):
    showers = toy.showers
    incident = dict(zip(("gen_Px", "gen_Py", "gen_Pz", "vx", "vy"), showers.incident.T, strict=True))
    with uproot.recreate(tmp_path / "a.root") as file:
        layers = dict(zip("abc", toy.geometry.layer_images(showers.cell_energy * 1e3), strict=True))
        columns = {"eventNumber": showers.event, "pdgId": showers.pdg, **incident, "edep": layers["b"]}
        file.mktree(
            "Events of [bold]mine",
            {
                name: values.dtype if values.ndim == 1 else (values.dtype, values.shape[1:])
                for name, values in columns.items()
            },
        )
        file["Events of [bold]mine"].extend(columns)
    (source,) = look(tmp_path / "a.root").suggestion.config.data.sources
    assert (source.event, source.pdg) == ("eventNumber", "pdgId")
    assert source.momentum == ("gen_Px", "gen_Py", "gen_Pz")
    assert source.entry_point == ("vx", "vy")
    assert source.energy == ["edep"]
    prepares(look(tmp_path / "a.root"))


def test_alternatives_are_named(toy, tmp_path):
    path = toy.write(tmp_path / "a.root", "dense")
    with uproot.update(path) as file:
        file["other"] = {
            "px": np.ones(3, np.float32),
            "py": np.ones(3, np.float32),
            "pz": np.ones(3, np.float32),
            "lar": np.ones((3, 2, 2), np.float32),
        }
    found = look(path)
    assert "energy_layer0" in says(found, "layout")[0]
    assert [text.split(":")[0] for text in says(found, "or")] == ["dense, tree 'other'"]
    (source,) = look(f"{path}:other").suggestion.config.data.sources
    assert source.energy == ["lar"]


def test_files_of_two_layouts_are_two_sources(toy, prepares, tmp_path):
    half = [
        toy.write(tmp_path / f"{layout}.root", layout, toy.showers[100 * n : 100 * n + 100])
        for n, layout in enumerate(("hits", "dense"))
    ]
    found = look(*half)
    assert [source.layout for source in found.suggestion.config.data.sources] == ["hits", "dense"]
    prepares(found)


def test_repeated_event_ids_are_not_used(toy, prepares, tmp_path):
    paths = [
        toy.write(tmp_path / f"{name}.root", "hits", toy.showers[start : start + 150])
        for name, start in (("a", 0), ("b", 50))
    ]
    found = look(*paths)
    assert "100 of 300 event ids are there before" in found.warnings[0]
    assert found.suggestion.config.data.sources[0].event is None
    prepares(found)


def test_files_that_do_not_go_together_are_refused(toy, shipped, tmp_path):
    uproot.recreate(tmp_path / "other.root").close()
    with pytest.raises(SchemaError, match=r"other\.root: holds no showers, as other files do"):
        look(toy.file("dense"), tmp_path / "other.root")
    with pytest.raises(SchemaError, match=r"dense_1004\.root: has cells of another calorimeter \(30x30\)"):
        look(toy.file("dense"), shipped / "dense_1004.root")


def test_few_showers_are_said(toy, tmp_path):
    found = look(toy.write(tmp_path / "a.root", "dense", toy.showers[:3]))
    assert len(found.missing) == 1
    assert found.missing[0].startswith("showers: 3 are too few for three splits (train ")
    assert look(toy.write(tmp_path / "b.root", "dense", toy.showers[:60])).missing == ()


def test_showers_of_one_momentum_along_the_axis(toy, tmp_path, prepares):
    incident = np.zeros_like(toy.showers.incident)
    incident[:, 2] = 10.0
    found = look(toy.write(tmp_path / "a.root", "dense", replace(toy.showers, incident=incident)))
    assert found.suggestion.config.condition == ["momentum"]
    prepares(found)


def test_a_file_without_showers_lists_what_it_lacks(tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("t", {"px": "f4", "energy": ("f4", (2, 2))})
    found = look(tmp_path / "a.root")
    assert found.suggestion is None
    assert "tree 't' (0 entries) lacks branches of the incident momentum" in found.missing[0]


def test_a_file_without_trees_lacks_showers(tmp_path):
    with uproot.recreate(tmp_path / "histogram.root") as root:
        root["h"] = np.histogram([1.0, 2.0])
    assert look(tmp_path / "histogram.root").missing == (f"{tmp_path / 'histogram.root'}: no TTree or RNTuple in it",)


def test_bad_files_are_one_line(toy, tmp_path):
    (tmp_path / "a.root").write_bytes(b"nothing")
    with pytest.raises(DataError, match="not a ROOT file"):
        look(tmp_path / "a.root")
    cut = tmp_path / "b.root"
    cut.write_bytes(toy.file("dense").read_bytes()[:5000])
    with pytest.raises(DataError, match="truncated"):
        look(cut)
    energy = toy.showers.cell_energy.copy()
    energy[7, 3] = np.nan
    bad = toy.write(tmp_path / "c.root", "dense", replace(toy.showers, cell_energy=energy))
    with pytest.raises(DataError, match=r"energy_layer0', entry 7: the energy is nan"):
        look(bad)


def test_names_of_others_reach_neither_the_terminal_nor_the_yaml_as_commands(toy, tmp_path):
    odd = "cells: !a \x1b\n# energy"
    with uproot.recreate(tmp_path / "a.root") as file:
        columns = {
            **dict(zip(("px", "py", "pz"), toy.showers.incident.T, strict=False)),
            odd: toy.geometry.layer_images(toy.showers.cell_energy)[0],
        }
        file.mktree("t", {name: (values.dtype, values.shape[1:]) for name, values in columns.items()}).extend(columns)
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "a.root"), "-o", str(tmp_path / "my.yaml")])
    assert "\x1b" not in done.stdout
    assert load_config(tmp_path / "my.yaml").data.sources[0].energy == [odd]


def test_command_prints_tables_and_the_configuration(toy, tmp_path):
    done = CliRunner().invoke(app, ["inspect", str(toy.file("hits"))])
    assert done.exit_code == 0, done.stderr
    assert "cell_layer, cell_ix, cell_iy" in done.stdout
    assert done.stdout.endswith(look(toy.file("hits")).suggestion.yaml)
    done = CliRunner().invoke(
        app, ["inspect", str(toy.file("hits")), "-o", str(tmp_path / "my.yaml"), "--cell-size", "10x20"]
    )
    assert done.stdout.splitlines()[-1] == str(tmp_path / "my.yaml")
    assert load_config(tmp_path / "my.yaml").geometry.layers[1].y.high == 60.0


def test_command_prints_json(toy):
    done = CliRunner().invoke(app, ["inspect", str(toy.file("hits")), "--json"])
    told = json.loads(done.stdout)
    assert told["files"][0]["trees"]["hits"]["entries"] == 200
    assert told["config"]["data"]["sources"][0]["layout"] == "hits"
    assert told["missing"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cell-size", "a"], "--cell-size a: expected numbers"),
        (["--cell-size", "1x2x3"], "--cell-size 1x2x3: expected a size above 0, or XxY"),
        (["--unit", "energy=TeV"], "--unit energy=TeV: did you mean 'energy="),
        (["--depths", "1", "--geometry", "g.yaml"], "with the last two alone"),
    ],
)
def test_wrong_options_are_one_line(toy, options, message):
    done = CliRunner().invoke(app, ["inspect", str(toy.file("hits")), *options])
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def along_the_axis(toy):
    incident = np.zeros_like(toy.showers.incident)
    incident[:, 2] = toy.showers.momentum
    return replace(toy.showers, incident=incident)


def write_hdf5(toy, path, layout):
    schema = toy.schema("dense").as_layout(layout, toy.geometry)
    with ShowerWriter(path, schema, toy.geometry) as writer:
        writer.extend(along_the_axis(toy))
    return path


def test_files_of_calogan(toy, tmp_path, prepares):
    found = look(write_hdf5(toy, tmp_path / "a.hdf5", "calogan"))
    (source,) = found.suggestion.config.data.sources
    assert (source.layout, source.momentum, source.energy) == (
        "calogan",
        ("energy",),
        ["layer_0", "layer_1", "layer_2"],
    )
    assert found.suggestion.config.condition == ["momentum"]
    assert found.suggestion.config.domain.max_angle == 0
    assert says(found, "layout") == [
        "calogan: 'layer_0 to layer_2', a fixed number of values an entry (3x12, 6x6, 4x2)"
    ]
    prepares(found)


def test_the_calorimeter_of_calogan_is_known_by_its_layers(tmp_path, prepares):
    rng = np.random.default_rng(2)
    with h5py.File(tmp_path / "eplus.hdf5", "w") as file:
        file["energy"] = rng.uniform(1, 100, (100, 1))
        for number, shape in enumerate(((3, 96), (12, 12), (12, 6))):
            file[f"layer_{number}"] = rng.exponential(10.0, (100, *shape))
        file["overflow"] = np.zeros((100, 3))
    found = look(tmp_path / "eplus.hdf5")
    assert "arXiv:1705.02355" in says(found, "assumed")[0]
    store = prepares(found)
    assert [layer.z_range for layer in store.geometry.layers] == [(0.0, 90.0), (90.0, 437.0), (437.0, 480.0)]
    assert store.geometry.layers[0].y_edges[1] == -235.0


BINNING = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,5,10,20" n_bin_alpha="12"/><Layer id="1" r_edges="0" n_bin_alpha="1"/>
<Layer id="2" r_edges="0,10,20,30,40,50,60" n_bin_alpha="6"/><Layer id="3" r_edges="0,50,100" n_bin_alpha="4"/>
</Bin></Bins>"""


def test_files_of_the_calochallenge(toy, tmp_path, prepares):
    path = write_hdf5(toy, tmp_path / "dataset.hdf5", "calochallenge")
    found = look(path)
    units = found.suggestion.config.data.sources[0].units
    assert (units.energy, units.momentum) == ("MeV", "MeV")
    assert found.suggestion.config.domain.momentum == (1.01, 63.0)
    assert "inspect with --xml" in says(found, "assumed")[0]
    assert prepares(found).geometry.n_cells == 80
    (tmp_path / "binning.xml").write_text(BINNING)
    (tmp_path / "other.xml").write_text("<svg/>")
    assert "binning.xml, which lies beside the files and has 80 cells" in says(look(path), "assumed")[0]


def test_a_binning_file_is_taken(toy, tmp_path, prepares):
    path = write_hdf5(toy, tmp_path / "dataset.hdf5", "calochallenge")
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "b.xml").write_text(BINNING)
    options = ["--xml", str(tmp_path / "xml" / "b.xml"), "--depths", "10,50,90", "--json"]
    done = CliRunner().invoke(app, ["inspect", str(path), *options])
    assert json.loads(done.stdout)["config"]["geometry"]["layer_depths"] == [10.0, 50.0, 90.0]
    given = Given({"xml": str(tmp_path / "xml" / "b.xml"), "layer_depths": [10.0, 50.0, 90.0]})
    store = prepares(look(path, given=given))
    assert [layer.depth for layer in store.geometry.layers] == [10.0, 50.0, 90.0]
    assert store.geometry.layers[1].r_edges[-1] == 60.0


def test_several_particle_types_are_a_condition(toy, tmp_path, prepares):
    pdg = np.where(np.arange(200) % 2, 11, 22).astype(np.int32)
    found = look(toy.write(tmp_path / "a.root", "dense", replace(toy.showers, pdg=pdg)))
    assert found.suggestion.config.condition[-1] == "particle"
    assert "(11) 100" in says(found, "particles")[0]
    assert "(22) 100" in says(found, "particles")[0]
    prepares(found)


def photons(rng, count, radius=1000.0, sides=8, cell=5.0, pitch=10.0):
    """Photons from the origin into a flat barrel, with hits in the centres of its cells, in planes."""
    side = rng.integers(0, sides, count) * 2 * np.pi / sides
    local = np.stack([rng.uniform(-0.1, 0.1, count), rng.uniform(-0.1, 0.1, count), np.ones(count)], axis=1)
    normal, along = (
        np.stack([f(side), g(side)], axis=1) for f, g in ((np.cos, np.sin), (lambda s: -np.sin(s), np.cos))
    )
    depth = radius + pitch * (np.arange(6) + 0.5)
    at = local[:, None, None, :2] * depth[None, :, None, None] + rng.normal(scale=6.0, size=(count, 6, 8, 2))
    at = np.round(at / cell) * cell
    flat = depth[None, :, None, None] * normal[:, None, None] + at[..., :1] * along[:, None, None]
    position = np.concatenate([flat, at[..., 1:]], axis=-1).reshape(count, 48, 3)
    momentum = np.concatenate([normal + local[:, :1] * along, local[:, 1:2]], axis=1) * rng.uniform(5, 10, (count, 1))
    whole = dict.fromkeys(("charge", "parents_begin", "parents_end"), np.zeros((count, 1), dtype=np.int32))
    particle = whole | {
        name: np.full((count, 1), value, np.int32) for name, value in (("PDG", 22), ("generatorStatus", 1))
    }
    for axis, name in enumerate("xyz"):
        particle |= {f"momentum.{name}": momentum[:, axis, None], f"vertex.{name}": np.zeros((count, 1))}
    size = np.linalg.norm(momentum, axis=1)[:, None]
    hits = {"energy": rng.dirichlet(np.ones(48), count) * 0.02 * size}
    hits |= {f"position.{name}": position[..., axis] for axis, name in enumerate("xyz")}
    header = {"eventNumber": np.arange(count)[:, None], "runNumber": np.zeros((count, 1), dtype=np.int32)}
    return {"EventHeader": header, "MCParticles": particle, "ECalBarrel": hits}


@pytest.mark.parametrize("form", ["tree", "rntuple"])
def test_the_front_face_of_a_collider_detector_is_found(write_podio, tmp_path, monkeypatch, listener, form):
    path = write_podio(tmp_path / "a.root", photons(np.random.default_rng(3), 80), form)
    found = look(path)
    config = found.suggestion.config
    (source,) = config.data.sources
    assert (source.layout, source.collections, source.particles) == ("edm4hep", ["ECalBarrel"], "MCParticles")
    frame = source.local_frame
    assert (frame.face, frame.radius, frame.sides, frame.cell) == ("barrel", 1000.0, 8, (5.0, 5.0))
    assert len(config.geometry.layers) == 6
    assert "ASSUMED: the front face" in found.suggestion.yaml
    monkeypatch.chdir(tmp_path)
    assert sum(prepare(config, listener).counts().values()) == 80


@pytest.mark.skipif(DATA is None, reason="CALOGAN_DATA names no folder of the full data")
@pytest.mark.parametrize(("name", "count"), [("barrel", 10), pytest.param("10GeV", 3, marks=pytest.mark.slow)])
def test_photons_of_clic_are_too_few(name, count):
    found = look(Path(DATA, "third_party", "clic_gamma", f"k4clue_clic_gamma_{name}.root"))
    assert found.missing[0].startswith(f"showers: {count} are too few for three splits")
    if name == "barrel":
        frame = found.suggestion.config.data.sources[0].local_frame
        assert (frame.radius, frame.sides, frame.cell) == (1500.0, 12, (5.1, 5.1))


@pytest.mark.skipif(DATA is None, reason="CALOGAN_DATA names no folder of the full data")
@pytest.mark.parametrize("name", ["ecal30_electron", "ecal30_photon", "calogan3_positron"])
def test_full_data_prepare_as_suggested(name, prepares):
    prepares(look(min(Path(DATA, name).glob("*.root"))))
