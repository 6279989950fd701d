"""From HDF5 files of energies alone to a sampler: what asks for no direction, no entry point and no id."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from calogan.config import Config
from calogan.data.schema import Schema
from calogan.data.split import assign_splits
from calogan.data.store import Store
from calogan.data.writing import ShowerWriter
from calogan.errors import DataError
from calogan.progress import SilentReporter
from calogan.sampler import load_sampler
from calogan.stages.prepare import prepare
from calogan.stages.train import train

TRAINING = {"batch_size": 32, "warmup_steps": 3, "steps": 0, "evaluate_showers": 30, "device": "cpu", "threads": 1}
MODEL = {"latent_size": 4, "generator_hidden": [16], "critic_hidden": [16], "symmetries": []}


def config_of(toy, folder, layout="calochallenge", **changes):
    values = toy.config(folder / "run", "hits", files=[str(folder)]).model_dump(mode="json")
    source = {"layout": layout, "files": [str(folder)], **changes.pop("source", {})}
    changes = {"condition": ["momentum"], "domain": {"momentum": [1, 64]}, **changes}
    return Config.model_validate(
        values | {"data": {"sources": [source]}, "training": TRAINING, "model": MODEL} | changes
    )


@pytest.fixture
def folder(toy, tmp_path):
    """Two CaloChallenge files of the toy showers."""
    for number in range(2):
        schema = toy.schema("hits")
        with ShowerWriter(tmp_path / f"{number}.hdf5", schema, toy.geometry, layout="calochallenge") as writer:
            writer.extend(toy.showers[100 * number : 100 * (number + 1)])
    return tmp_path


def test_prepared_as_the_same_showers_in_root(toy, folder, listener):
    store = prepare(config_of(toy, folder, source={"particle_id": 11}), listener)
    assert listener.warnings == []
    assert sum(store.counts().values()) == 200
    assert store.manifest.pdg_counts() == {11: 200}
    train_split = store.load("train")
    assert not train_split.incident[:, [0, 1, 3, 4]].any()
    # by momentum, which is unique: the ids are other ones
    place = {round(float(size), 4): number for number, size in enumerate(toy.showers.momentum)}
    rows = [place[round(float(size), 4)] for size in train_split.momentum]
    assert train_split.cell_energy == pytest.approx(toy.showers.cell_energy[rows], rel=1e-6)
    assert set(assign_splits(train_split.event)) == {0}
    assert prepare(config_of(toy, folder, source={"particle_id": 11}), listener).digest == store.digest
    assert "nothing to do" in listener.messages[-1]


def test_event_ids_keep_the_split_in_every_packaging(toy, tmp_path, listener):
    source = {"event": "id", "pdg": "type"}
    config = config_of(toy, tmp_path, source=source)
    with ShowerWriter(tmp_path / "a.hdf5", Schema.from_source(config.data.sources[0]), toy.geometry) as writer:
        writer.extend(toy.showers)
    store = prepare(config, listener)
    root = prepare(toy.config(tmp_path / "root", "hits"), listener)
    for split in ("train", "validation", "test"):
        assert np.array_equal(np.sort(store.load(split).event), np.sort(root.load(split).event))


def test_the_same_file_twice_is_refused(toy, folder, listener):
    (folder / "copy.h5").write_bytes((folder / "0.hdf5").read_bytes())
    with pytest.raises(
        DataError, match=r"0\.hdf5, entry 0: event \d+ is in .*copy\.h5, entry 0 too|copy\.h5.* is in .*0\.hdf5"
    ):
        prepare(config_of(toy, folder), listener)


def test_trained_and_asked_for_energies(toy, folder, monkeypatch):
    monkeypatch.setattr("calogan.stages.train.can_export", lambda: False)
    config = config_of(toy, folder, threshold=1e-4)
    prepare(config, SilentReporter())
    sampler = load_sampler(train(config, SilentReporter()))
    assert sampler.condition == ("momentum",)
    assert sampler.domain.describe() == "|p| 1 to 64 GeV, along the axis"
    assert Store.open(config.run_dir / "prepared").counts()["train"] > 100
    response = sampler.sample(momentum=np.full(200, 20.0), seed=1).total_energy / 20
    assert 0.05 < response.mean() < 0.8  # 0.2, roughly, after three steps


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"condition": ["momentum", "direction"]},
            r"lists direction, but data.sources\[0\].momentum .incident_energies",
        ),
        ({"condition": ["momentum", "entry_point"]}, "lists entry_point, but data.sources"),
        ({"source": {"momentum": ["a", "b"]}}, "name px, py, pz or the size alone, got 2 names"),
        ({"source": {"pdg": "pdg", "particle_id": 22}}, "leave one of them out"),
        ({"source": {"tree": "showers"}}, "tree"),
        ({"layout": "calogan", "source": {"energy": ["layer_0"]}}, "has 1 names, but the geometry has 3 layers"),
    ],
)
def test_configurations_that_contradict_themselves(toy, tmp_path, changes, match):
    with pytest.raises(ValidationError, match=match):
        config_of(toy, tmp_path, **changes)


def test_direction_needs_an_angle(toy, tmp_path):
    values = toy.config(tmp_path, "hits").model_dump(mode="json")
    with pytest.raises(ValidationError, match=r"lists direction: set domain\.max_angle"):
        Config.model_validate(values | {"domain": {"momentum": [1, 64]}})


def test_units_of_calochallenge(toy, tmp_path):
    units = config_of(toy, tmp_path, source={"units": {"energy": "GeV"}}).data.sources[0].units
    assert (units.energy, units.momentum) == ("GeV", "MeV")
    units = config_of(toy, tmp_path, "calogan").data.sources[0].units
    assert (units.energy, units.momentum) == ("MeV", "GeV")


def test_a_size_in_root_files(toy, tmp_path):
    schema = toy.config("unused", "dense").data.sources[0].model_dump() | {"momentum": ["p"], "entry_point": None}
    config = config_of(toy, tmp_path, "dense", source={**schema, "files": [str(tmp_path)]})
    with ShowerWriter(tmp_path / "a.root", Schema.from_source(config.data.sources[0]), toy.geometry) as writer:
        writer.extend(toy.showers)
    store = prepare(config, SilentReporter())
    assert store.load("train").incident[:, 2].tolist() == pytest.approx(store.load("train").momentum.tolist())
