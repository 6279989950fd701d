"""EDM4hep files through the stages."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.split import SPLITS
from calogan.stages.prepare import prepare
from calogan.stages.train import train

GRID = {"cells": 6, "low": -15.0, "high": 15.0}
GUN = ("PDG", "charge", "generatorStatus", "parents_begin", "parents_end")


def gun(rng, count):
    """Photons from the origin into a flat barrel of 4 sides at 1 m, and 20 hits about each line."""
    azimuth, slope = rng.uniform(-np.pi, np.pi, count), rng.uniform(-0.1, 0.1, count)
    side = np.round(azimuth / (np.pi / 2)) * np.pi / 2
    azimuth = side + np.clip(azimuth - side, -0.2, 0.2)
    direction = np.column_stack([np.cos(azimuth), np.sin(azimuth), slope])
    momentum = rng.uniform(5, 10, (count, 1)) * direction
    depth = rng.uniform(0, 20, (count, 20, 1))
    flight = (1000 + depth) / np.cos(azimuth - side)[:, None, None]
    position = flight * direction[:, None] + rng.normal(scale=3.0, size=(count, 20, 3)) * [0, 0, 1]
    size = np.linalg.norm(momentum, axis=1)[:, None]
    energy = rng.dirichlet(np.ones(20), count) * 0.02 * size
    particle = dict.fromkeys(GUN, np.zeros((count, 1), dtype=np.int32)) | {
        "PDG": np.full((count, 1), 22, dtype=np.int32),
        "generatorStatus": np.ones((count, 1), dtype=np.int32),
    }
    for axis, name in enumerate("xyz"):
        particle |= {f"momentum.{name}": momentum[:, axis, None], f"vertex.{name}": np.zeros((count, 1))}
    hits = {"energy": energy} | {f"position.{name}": position[:, :, axis] for axis, name in enumerate("xyz")}
    header = {"eventNumber": np.arange(count)[:, None], "runNumber": np.zeros((count, 1), dtype=np.int32)}
    return {"EventHeader": header, "MCParticles": particle, "ECal": hits}


def config_of(tmp_path, file, **changes):
    source = {
        "layout": "edm4hep",
        "files": [str(file)],
        "collections": ["ECal"],
        "local_frame": {"face": "barrel", "radius": 1000.0, "half_length": 500.0, "sides": 4},
    }
    values = {
        "name": "barrel",
        "run_dir": str(tmp_path / "run"),
        "condition": ["momentum", "direction"],
        "data": {"sources": [source]},
        "geometry": {"layers": [{"x": GRID, "y": GRID, "depth": 10.0, "z_range": [0.0, 21.0]}]},
        "domain": {"momentum": [4, 12], "max_angle": 20},
        "training": {"batch_size": 16, "warmup_steps": 2, "steps": 0, "evaluate_showers": 10, "device": "cpu"},
        "model": {"latent_size": 2, "generator_hidden": [8], "critic_hidden": [8]},
    }
    return Config.model_validate(values | changes)


@pytest.fixture
def file(tmp_path, write_podio):
    return write_podio(tmp_path / "gun.root", gun(np.random.default_rng(5), 80))


def test_a_barrel_is_prepared_and_trained(tmp_path, file, listener, monkeypatch):
    config = config_of(tmp_path, file)
    store = prepare(config, listener)
    showers = [store.load(split) for split in SPLITS]
    assert sum(map(len, showers)) == 80
    for sample in showers:
        assert sample.total_energy / sample.momentum == pytest.approx(0.02, rel=0.2)
        assert (sample.pdg == 22).all()
    (record,) = store.manifest.shards
    assert record.hits == 1600
    assert record.outside_domain == 0
    monkeypatch.setattr("calogan.stages.train.can_export", lambda: False)
    schema = Bundle.load(train(config, listener)).info.schema
    assert (schema.layout, schema.tree, schema.energy_unit) == ("hits", "showers", "GeV")


def test_much_energy_outside_of_the_cells_is_told(tmp_path, file, listener):
    thin = {"layers": [{"x": GRID, "y": GRID, "depth": 5.0, "z_range": [0.0, 10.0]}]}
    store = prepare(config_of(tmp_path, file, geometry=thin), listener)
    (record,) = store.manifest.shards
    assert record.energy_outside == pytest.approx(0.5, abs=0.05)
    (told,) = listener.warnings
    assert f"{record.hits_outside} of 1600 hits are outside of all cells and left out" in told
    assert f"with {record.energy_outside:.0%} of their energy: widen the geometry" in told


def test_particles_beside_the_front_face_are_outside_the_domain(tmp_path, file, listener):
    config = config_of(tmp_path, file)
    values = config.model_dump(mode="json")
    values["data"]["sources"][0]["local_frame"]["half_length"] = 50.0
    (record,) = prepare(Config.model_validate(values), listener).manifest.shards
    # of slopes up to 0.1 at 1 m, half pass beyond 50 mm
    assert 25 <= record.outside_domain <= 55
    assert any("showers are outside the domain" in text for text in listener.warnings)


@pytest.mark.skipif(
    not (Path(os.environ.get("CALOGAN_DATA", "none")) / "third_party" / "clic_gamma").is_dir(),
    reason="the photons of CLIC are not there; set CALOGAN_DATA to the folder of the simulated showers",
)
def test_photons_of_clic_are_prepared(tmp_path, listener):
    cells = {"cells": 31, "low": -79.05, "high": 79.05}
    config = config_of(
        tmp_path,
        Path(os.environ["CALOGAN_DATA"]) / "third_party" / "clic_gamma" / "k4clue_clic_gamma_barrel.root",
        geometry={"layers": [{"x": cells, "y": cells, "depth": 80.0, "z_range": [0.0, 300.0]}]},
        domain={"momentum": [1, 20], "max_angle": 40, "entry_x": [-2.6, 2.6], "entry_y": [-2.6, 2.6]},
    )
    values = config.model_dump(mode="json")
    values["data"]["sources"][0] |= {
        "collections": ["EB_SimCaloHits_EDM4hep"],
        "particles": "MCParticlesSkimmed_EDM4hep",
        "local_frame": {"face": "barrel", "radius": 1500.0, "half_length": 2210.0, "sides": 12, "cell": [5.1, 5.1]},
    }
    store = prepare(Config.model_validate(values), listener)
    assert store.counts() == {"train": 7, "validation": 1, "test": 2}
    assert store.manifest.shards[0].energy_outside < 0.05
