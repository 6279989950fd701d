from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uproot
import yaml

from calogan.config import Config
from calogan.data.writing import ShowerWriter
from calogan.errors import CaloganError, ConfigError, DataError, GeometryError, SchemaError
from calogan.geometry import Geometry, Layer
from calogan.stages.derivation import derive_geometry
from calogan.stages.geometry import write_geometry
from calogan.stages.prepare import prepare


def edges(cells, size):
    return tuple(size * (np.arange(cells + 1) - cells / 2))


def write_hits(path, **branches):
    with uproot.recreate(path) as file:
        file.mktree("hits", dict.fromkeys(branches, "var * float64"), counter_name=lambda name: f"n_{name}")
        file["hits"].extend(branches)
    return str(path)


def blobs(rng, showers=30, hits=200):
    """Hits at continuous positions about the axis."""
    shape = (showers, hits)
    return {
        "hit_x": rng.normal(scale=10.0, size=shape),
        "hit_y": rng.normal(scale=10.0, size=shape),
        "hit_z": rng.gamma(3.0, 20.0, shape),
        "hit_energy": rng.exponential(size=shape),
    }


def as_lists(branches):
    import awkward as ak

    return {name: ak.from_regular(ak.Array(values)) for name, values in branches.items()}


def test_the_cells_of_each_layer_are_found(toy):
    derived = derive_geometry(str(toy.file("positions")))
    assert len(derived.geometry.layers) == 3
    for layer, known in zip(derived.geometry.layers, toy.geometry.layers, strict=True):
        for found, wanted in ((layer.x_edges, known.x_edges), (layer.y_edges, known.y_edges)):
            assert np.diff(found) == pytest.approx(np.diff(wanted)[0])
            # cells that are there, and no half ones
            inside = np.array(found)[(np.array(found) >= wanted[0]) & (np.array(found) <= wanted[-1])]
            assert len(inside) >= 2
            assert np.abs(inside[:, None] - np.array(wanted)).min(axis=1) == pytest.approx(0, abs=1e-6)
        assert layer.depth == pytest.approx(sum(known.z_range) / 2)
    assert derived.geometry.layers[0].z_range[1] == derived.geometry.layers[1].z_range[0]
    assert "3 planes" in derived.notes[1]
    assert "hold 9" in derived.notes[-1] or "hold 100" in derived.notes[-1]


def test_found_cells_are_prepared_as_they_are(toy, tmp_path, listener):
    derived = derive_geometry(str(toy.file("positions")), coverage=0.95)
    write_geometry(derived.geometry, tmp_path / "geometry.yaml", derived.notes)
    values = toy.config(tmp_path / "run", "positions").model_dump(mode="json")
    values |= yaml.safe_load((tmp_path / "geometry.yaml").read_text())
    (record,) = prepare(Config.model_validate(values), listener).manifest.shards
    assert record.energy_outside <= 0.05
    said = float(derived.notes[-1].split(" of the energy; ")[1].partition("%")[0]) / 100
    assert record.energy_outside == pytest.approx(said, abs=1e-4)


def test_continuous_hits_get_the_cells_that_are_asked_for(tmp_path):
    path = write_hits(tmp_path / "a.root", **as_lists(blobs(np.random.default_rng(1))))
    with pytest.raises(GeometryError, match="in no planes; say how many equal layers to make with --layers"):
        derive_geometry(path)
    with pytest.raises(GeometryError, match=r"hits' x are on no grid; give the size .* --cell-size, such as"):
        derive_geometry(path, layers=4)
    geometry = derive_geometry(path, layers=4, cell_size=(5.0, 2.5)).geometry
    assert [layer.depth for layer in geometry.layers] == pytest.approx(
        np.arange(1, 8, 2) * geometry.layers[0].depth, abs=1e-3
    )
    assert geometry.pitch == pytest.approx(np.tile([5.0, 2.5], (4, 1)))
    assert geometry.layers[0].z_range[0] == 0
    # symmetric about the axis, with a cell on it
    assert geometry.layers[0].x_edges[0] == -geometry.layers[0].x_edges[-1]
    assert geometry.locate(0.0, 0.0, 1.0) >= 0


def on_a_grid(rng):
    """Hits in 12 planes, 5 mm apart, at the centres of cells of 3 mm."""
    branches = blobs(rng)
    branches |= {name: 3 * np.round(branches[name] / 3) for name in ("hit_x", "hit_y")}
    return branches | {"hit_z": 2.0 + 5 * rng.integers(0, 12, branches["hit_z"].shape)}


@pytest.mark.parametrize(("layers", "size"), [(12, 3.0), (4, 6.0), (5, 9.0)])
def test_whole_cells_and_planes_are_merged(tmp_path, layers, size):
    path = write_hits(tmp_path / "a.root", **as_lists(on_a_grid(np.random.default_rng(5))))
    derived = derive_geometry(path, layers=layers, cell_size=(size, size))
    assert len(derived.geometry.layers) == layers
    assert f"{size / 3:g} of 3 mm each" in derived.notes[2]
    for layer in derived.geometry.layers:
        # between two cells, and between two planes
        assert np.abs(np.array(layer.x_edges) % 3 - 1.5) == pytest.approx(0, abs=1e-3)
        assert np.abs(np.array(layer.z_range) % 5 - 4.5) == pytest.approx(0, abs=1e-3)
        assert layer.z_range[0] < layer.depth < layer.z_range[1]


def test_cells_that_hits_do_not_fill_are_told(tmp_path):
    path = write_hits(tmp_path / "a.root", **as_lists(on_a_grid(np.random.default_rng(5))))
    notes = derive_geometry(path, cell_size=(4.0, 3.0)).notes
    assert "the hits' cells of 3 mm do not fill them" in notes[2]
    with pytest.raises(GeometryError, match="--layers 13: hits are in 12 planes"):
        derive_geometry(path, layers=13)


@pytest.mark.parametrize("coverage", [0.9, 0.99])
def test_the_window_holds_the_energy_that_is_asked_for(tmp_path, coverage):
    path = write_hits(tmp_path / "a.root", **as_lists(blobs(np.random.default_rng(2))))
    derived = derive_geometry(path, layers=3, cell_size=(1.0, 1.0), coverage=coverage)
    held = float(derived.notes[-1].partition(" hold ")[2].partition("%")[0]) / 100
    assert coverage <= held <= coverage + (1 - coverage) / 2


def test_one_layer_without_depths(tmp_path):
    branches = blobs(np.random.default_rng(3))
    del branches["hit_z"]
    branches |= {name: 4 * np.round(branches[name] / 4) for name in ("hit_x", "hit_y")}
    path = write_hits(tmp_path / "a.root", **as_lists(branches))
    derived = derive_geometry(path)
    (layer,) = derived.geometry.layers
    assert np.diff(layer.x_edges) == pytest.approx(4.0)
    assert layer.z_range is None
    assert "depth: hits tell none" in derived.notes[1]


def test_only_so_many_showers_are_looked_at(toy):
    assert "from 7 showers" in derive_geometry(str(toy.file("positions")), max_showers=7).notes[0]


def test_what_has_no_positions_is_refused(toy, tmp_path):
    with pytest.raises(SchemaError, match="no tree has a branch hit_x; say with --config"):
        derive_geometry(str(toy.file("hits")))
    config = tmp_path / "config.yaml"
    config.write_text(toy.config(tmp_path / "run", "hits").to_yaml())
    with pytest.raises(ConfigError, match=r"data\.sources has none of layout positions or edm4hep"):
        derive_geometry(str(toy.file("hits")), config)
    config.write_text("name: study")
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        derive_geometry(str(toy.file("hits")), config)
    empty = as_lists({name: np.zeros((3, 2)) for name in ("hit_x", "hit_y", "hit_energy")})
    with pytest.raises(DataError, match="no hits with energy"):
        derive_geometry(write_hits(tmp_path / "b.root", **empty))
    short = as_lists({"hit_x": np.zeros((3, 2)), "hit_y": np.zeros((3, 1)), "hit_energy": np.ones((3, 2))})
    with pytest.raises(DataError, match="'hit_y', entry 0: not as many values as energies"):
        derive_geometry(write_hits(tmp_path / "c.root", **short))


def test_a_depth_of_another_unit_and_moved_cells(toy, tmp_path):
    """Hits in cm whose grid has no centre on the axis, read as a configuration says."""
    moved = Geometry((Layer(tuple(1.0 + np.array(edges(9, 3.0))), edges(9, 3.0), depth=5.0, z_range=(0.0, 10.0)),))
    rng = np.random.default_rng(4)
    showers = replace(
        toy.showers[:50], geometry=moved, cell_energy=rng.exponential(size=(50, moved.n_cells)).astype(np.float32)
    )
    schema = replace(toy.schema("positions"), length_unit="cm")
    with ShowerWriter(tmp_path / "a.root", schema, moved) as writer:
        writer.extend(showers)
    values = toy.config(tmp_path / "run", "positions", files=[str(tmp_path / "a.root")]).model_dump(mode="json")
    values["data"]["sources"][0]["units"]["length"] = "cm"
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"data": values["data"]}))
    (layer,) = derive_geometry(str(tmp_path / "a.root"), config, coverage=1.0).geometry.layers
    assert layer.x_edges == pytest.approx(moved.layers[0].x_edges, abs=1e-3)
    assert layer.y_edges == pytest.approx(moved.layers[0].y_edges, abs=1e-3)


@pytest.mark.skipif(
    not (Path(os.environ.get("CALOGAN_DATA", "none")) / "third_party" / "clic_gamma").is_dir(),
    reason="the photons of CLIC are not there; set CALOGAN_DATA to the folder of the simulated showers",
)
@pytest.mark.parametrize("cell", [None, [5.1, 5.1]])
def test_the_layers_and_cells_of_clic_are_found(tmp_path, cell):
    """Of 40 layers, 5.05 mm apart, with cells of 5.1 mm: https://arxiv.org/abs/1812.07337."""
    path = f"{os.environ['CALOGAN_DATA']}/third_party/clic_gamma/k4clue_clic_gamma_barrel.root"
    frame = {"face": "barrel", "radius": 1500.0, "half_length": 2210.0, "sides": 12, "cell": cell}
    source = {"layout": "edm4hep", "files": [path], "collections": ["EB_SimCaloHits_EDM4hep"], "local_frame": frame}
    source["particles"] = "MCParticlesSkimmed_EDM4hep"
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"data": {"sources": [source]}}))
    derived = derive_geometry(path, config)
    depth = np.array([layer.depth for layer in derived.geometry.layers])
    assert len(depth) == 40
    assert np.diff(depth) == pytest.approx(5.05, abs=0.01)
    assert derived.geometry.pitch == pytest.approx(5.1, abs=1e-3)
    shared = "all showers share one grid"
    assert (shared in derived.notes[2]) == (shared in derived.notes[3]) == (cell is not None)
    if cell:
        # cells lie about the origin
        x = np.array(derived.geometry.layers[0].x_edges) / 5.1
        assert x - 0.5 == pytest.approx(np.round(x - 0.5), abs=1e-3)


def test_all_errors_are_one_line(tmp_path):
    with pytest.raises(CaloganError) as raised:
        derive_geometry(str(tmp_path / "missing.root"))
    assert "\n" not in str(raised.value)
