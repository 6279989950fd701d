from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from calogan.config import Config
from calogan.data.fingerprints import shower_fingerprints
from calogan.data.split import SPLITS, assign_splits
from calogan.data.store import Manifest, Store, is_store
from calogan.data.writing import ShowerWriter
from calogan.errors import StoreError
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare


@pytest.fixture
def store(toy, tmp_path):
    return prepare(toy.config(tmp_path, "dense"), SilentReporter())


def test_splits_hold_all_showers_in_order_and_exactly(toy, store):
    read = {split: store.load(split) for split in SPLITS}
    assert {split: len(showers) for split, showers in read.items()} == store.counts()
    for number, split in enumerate(SPLITS):
        expected = toy.showers[assign_splits(toy.showers.event) == number]
        assert np.array_equal(read[split].event, expected.event)
        assert np.array_equal(read[split].incident, expected.incident)
        assert np.array_equal(read[split].pdg, expected.pdg)
        np.testing.assert_allclose(read[split].cell_energy, expected.cell_energy, rtol=2e-7)


@pytest.mark.parametrize("layout", ["dense", "hits"])
def test_single_precision_values_come_back_bit_for_bit(toy, tmp_path, layout):
    # In a file in GeV nothing is converted.
    schema = replace(toy.schema(layout), energy_unit="GeV")
    with ShowerWriter(tmp_path / "gev.root", schema, toy.geometry) as writer:
        writer.extend(toy.showers)
    values = toy.config(tmp_path, layout, files=[str(tmp_path / "gev.root")]).model_dump()
    values["data"]["sources"][0]["units"]["energy"] = "GeV"
    store = prepare(Config.model_validate(values), SilentReporter())
    test = toy.showers[assign_splits(toy.showers.event) == 2]
    assert store.load("test").cell_energy.tobytes() == test.cell_energy.tobytes()


def test_sparse_and_dense_shards_hold_the_same(toy, tmp_path):
    dense, sparse = (
        prepare(toy.config(tmp_path / storage, "dense", storage=storage), SilentReporter())
        for storage in ("dense", "sparse")
    )
    names = [{path.stem for path in store.shards.glob("*/cell_*.npy")} for store in (dense, sparse)]
    assert names == [{"cell_energy"}, {"cell_offset", "cell_index", "cell_value"}]
    assert dense.digest == sparse.digest
    for split in SPLITS:
        for wanted in ({}, {"max_showers": 7}, {"threshold": 0.01}):
            one, other = (store.load(split, **wanted) for store in (dense, sparse))
            for name in ("event", "incident", "cell_energy", "pdg"):
                assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
        assert np.array_equal(dense.fingerprints(split), sparse.fingerprints(split))


def test_threshold(store):
    np.testing.assert_array_equal(
        store.load("train", threshold=0.01).cell_energy, store.load("train").above(0.01).cell_energy
    )


def test_some_showers_are_spread_evenly_over_all_files(toy, tmp_path):
    files = [toy.write(tmp_path / f"{start}.root", "dense", toy.showers[start : start + 50]) for start in (0, 50, 100)]
    store = prepare(toy.config(tmp_path, "dense", files=[str(file) for file in files]), SilentReporter())
    whole, part = store.load("train"), store.load("train", max_showers=12)
    chosen = np.searchsorted(whole.event, part.event)
    assert set(np.diff(chosen)) <= {len(whole) // 12, len(whole) // 12 + 1}
    assert set((part.event - 1000) // 50) == {0, 1, 2}
    for name in ("event", "incident", "cell_energy", "pdg"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole[chosen], name))
    np.testing.assert_array_equal(store.load("train", max_showers=12).event, part.event)


@pytest.mark.parametrize(("most", "count"), [(0, 0), (1, 1), (10**6, None)])
def test_as_many_showers_as_there_are(store, most, count):
    whole = store.load("test")
    part = store.load("test", max_showers=most)
    np.testing.assert_array_equal(part.event, whole.event[:count])


def test_opened_store_is_the_same(store):
    again = Store.open(store.folder)
    assert again == store
    assert again.digest == store.digest
    assert Manifest.from_dict(json.loads(json.dumps(store.manifest.to_dict()))) == store.manifest


def test_unknown_split(store):
    with pytest.raises(StoreError, match="no split 'tests'; did you mean 'test'"):
        store.load("tests")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "no prepared showers"),
        (lambda folder: (folder / "manifest.json").write_text("{"), r"manifest\.json: cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 99}'), "format 99, expected 1"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 1}'), "damaged: KeyError"),
        (lambda folder: shutil.rmtree(next((folder / "shards").iterdir())), r"\.npy: cannot be read"),
        (lambda folder: _cut(next((folder / "shards").glob("*/incident.npy"))), r"incident\.npy: cannot be read"),
        (lambda folder: _replace(next((folder / "shards").glob("*/pdg.npy"))), r"pdg\.npy: has shape \(3,\), expected"),
    ],
)
def test_damaged_folders_are_named(store, damage, message):
    damage(store.folder)
    with pytest.raises(StoreError, match=message) as caught:
        Store.open(store.folder)
    assert "\n" not in str(caught.value)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-8])


def _replace(path):
    np.save(path, np.zeros(3, dtype=np.int32))


def test_fingerprints_are_those_of_the_splits_showers_with_energy(toy, tmp_path):
    dark = toy.showers.cell_energy.copy()
    dark[::2] = 0
    file = toy.write(tmp_path / "a.root", "dense", replace(toy.showers, cell_energy=dark))
    store = prepare(toy.config(tmp_path / "run", "dense", files=[str(file)]), SilentReporter())

    found = store.fingerprints("train")

    showers = store.load("train")
    assert np.array_equal(found, shower_fingerprints(showers.cell_energy[showers.cell_energy.any(axis=1)]))
    assert 0 < len(found) < len(showers)


def test_a_manifest_of_an_earlier_version_is_read(store):
    path = store.folder / "manifest.json"
    values = json.loads(path.read_text())
    for shard in values["shards"]:
        del shard["simulation_time"], shard["storage"]
    path.write_text(json.dumps(values))

    manifest = Store.open(store.folder).manifest
    assert manifest.simulation_time() is None
    assert {shard.storage for shard in manifest.shards} == {"dense"}


def test_a_prepared_folder_is_told_from_others(store):
    assert is_store(store.folder)
    assert not is_store(store.folder.parent)
    assert not is_store("data/*.root")
