import numpy as np
import pytest

from calogan.data import stored as stored_module
from calogan.data.store import Store
from calogan.data.stored import StoredShowers
from calogan.errors import StoreError
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare


@pytest.fixture(params=["dense", "sparse"])
def store(toy, tmp_path, request):
    """Two hundred showers in four shards, one of them empty."""
    cuts = [(0, 70), (70, 70), (70, 75), (75, 200)]
    files = [
        str(toy.write(tmp_path / f"part{number}.root", "hits", toy.showers[low:high]))
        for number, (low, high) in enumerate(cuts)
    ]
    return prepare(toy.config(tmp_path / "run", "hits", files=files, storage=request.param), SilentReporter())


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one) if name != "geometry")


@pytest.mark.parametrize("mapped", [2, stored_module.MAPPED])
@pytest.mark.parametrize("threshold", [0.0, 3e-3])
@pytest.mark.parametrize("split", ["train", "test"])
def test_they_are_those_of_the_split_in_memory(store, split, threshold, mapped, monkeypatch):
    monkeypatch.setattr(stored_module, "MAPPED", mapped)
    stored, loaded = StoredShowers(store, split, threshold=threshold), store.load(split, threshold=threshold)
    assert len(stored) == len(loaded)
    for rows in (np.arange(len(loaded)), np.arange(1, len(loaded), 7), np.array([len(loaded) - 1]), np.arange(0)):
        assert same(stored[rows], loaded[rows])


def test_a_band_of_momenta_is_left_out(store):
    band = 4.0, 16.0
    stored, loaded = StoredShowers(store, "train", without=band), store.load("train").without_momenta(band)
    assert 0 < len(stored) == len(loaded) < store.counts()["train"]
    assert same(stored[np.arange(len(loaded))], loaded)


def test_a_shard_that_is_damaged_later_is_told(store):
    stored = StoredShowers(store, "train")
    path = max((store.shards / store.manifest.shards[3].folder).glob("cell_*.npy"), key=lambda path: path.name)
    path.write_bytes(path.read_bytes()[:-4])
    assert len(stored[np.arange(10)]) == 10
    with pytest.raises(StoreError, match=r"cell_(energy|value)\.npy: cannot be read.*run `calogan prepare` again"):
        stored[np.array([0, len(stored) - 1])]


def test_it_holds_places_only(store):
    stored = StoredShowers(Store.open(store.folder), "train")
    assert sum(places.nbytes for places in stored._places) == 4 * len(stored)
