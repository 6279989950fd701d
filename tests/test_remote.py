"""Tests of bundles that a real MLflow store holds: what is taken of them, and where it is kept."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from calogan import load_sampler
from calogan.errors import BundleError, CaloganError, MissingDependencyError
from calogan.registry import Registry
from calogan.remote import cache_folder, fetch_bundle

mlflow = pytest.importorskip("mlflow")

CHAMPION = "models:/calogan-tiny@champion"


@pytest.fixture
def store(registered_bundle, tmp_path, monkeypatch):
    """The store of a registered bundle is the one that is looked into, and the cache is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered_bundle.uri)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.setenv("CALOGAN_CACHE", str(tmp_path / "cache"))
    return registered_bundle


@pytest.fixture
def artifacts(store, tmp_path, monkeypatch):
    """A copy of the store, and the folder of its registered model, whose files may be changed."""
    model = Path(tmp_path / "model")
    version = mlflow.MlflowClient(store.uri).get_model_version_by_alias("calogan-tiny", "champion")
    shutil.copytree(version.source.removeprefix("file://"), model)
    monkeypatch.setattr("calogan.remote.version_place", lambda *arguments, **named: str(model))
    return model


def _kept():
    return sorted((cache_folder() / "bundles").iterdir())


@pytest.mark.parametrize(
    "source",
    [
        CHAMPION,
        "models:/calogan-tiny/1",
        "models:/calogan-tiny/latest",
        "runs:/{run}",
        "runs:/{run}/",
        "runs:/{run}/bundle",
        "runs:/{run}/models/{id}-0123abcd",
        "runs:/{run}/models/{id}-0123abcd/artifacts/bundle",
    ],
)
def test_a_bundle_is_found_by_each_of_its_names(store, source):
    bundle = fetch_bundle(source.format(run=store.run_id, id=store.bundle.info.id))
    assert bundle.info == store.bundle.info
    assert [bundle.path] == _kept()
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        "bundle.json",
        "generator.onnx",
        "weights.safetensors",
    ]


def test_showers_are_those_of_the_bundle(store):
    here, there = load_sampler(store.bundle.path), load_sampler(CHAMPION)
    assert there.version == here.version
    np.testing.assert_array_equal(
        there.sample(0, 0, 10, 0, 0, seed=3).cell_energy, here.sample(0, 0, 10, 0, 0, seed=3).cell_energy
    )


@pytest.mark.multiprocess
def test_a_sampler_works_in_another_process_that_knows_nothing_of_mlflow(store, tmp_path):
    sampler = load_sampler(CHAMPION, threads=1)
    (tmp_path / "sampler.pickle").write_bytes(pickle.dumps(sampler))
    code = (
        "import pickle, sys; sys.modules['mlflow'] = None\n"
        "sampler = pickle.load(open('sampler.pickle', 'rb'))\n"
        "print(sampler.version, sampler.sample(0, 0, 10, 0, 0, seed=3).total_energy[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    energy = sampler.sample(0, 0, 10, 0, 0, seed=3).total_energy[0]
    assert done.stdout == f"{sampler.version} {energy}\n", done.stderr


def test_a_bundle_that_is_kept_is_not_downloaded_again(store, monkeypatch):
    names = []
    download = Registry.download
    monkeypatch.setattr(
        Registry,
        "download",
        lambda self, place, name, folder: (names.append(name), download(self, place, name, folder)),
    )
    first, again = fetch_bundle(CHAMPION), fetch_bundle(f"runs:/{store.run_id}")
    assert first.path == again.path
    assert names == ["bundle.json", "weights.safetensors", "generator.onnx", "bundle.json"]


@pytest.mark.parametrize("name", ["bundle.json", "weights.safetensors"])
def test_a_kept_bundle_that_was_damaged_is_replaced(store, name):
    kept = fetch_bundle(CHAMPION).path
    (kept / name).write_bytes(b"{}")
    assert fetch_bundle(CHAMPION).info == store.bundle.info
    assert _kept() == [kept]


def test_many_at_once_keep_one(store):
    with ThreadPoolExecutor(4) as pool:
        paths = {bundle.path for bundle in pool.map(fetch_bundle, [CHAMPION] * 4)}
    assert sorted(paths) == _kept()
    assert len(paths) == 1


def test_nothing_that_comes_with_a_bundle_is_executed_or_kept(artifacts, tmp_path):
    trap = f"from pathlib import Path\nPath({str(tmp_path / 'sprung')!r}).touch()\n"
    for name in ("model.py", "artifacts/bundle/__init__.py", "artifacts/bundle/bundle.py", "sitecustomize.py"):
        (artifacts / name).write_text(trap)
    sampler = load_sampler(CHAMPION)
    sampler.sample(0, 0, 10, 0, 0, seed=3)
    assert not (tmp_path / "sprung").exists()
    assert [path.suffix for path in sampler.bundle.path.iterdir() if path.suffix == ".py"] == []


def test_a_description_cannot_name_files_elsewhere(artifacts, tmp_path):
    description = artifacts / "artifacts/bundle/bundle.json"
    (tmp_path / "secret").write_text("mine")
    description.write_text(description.read_text().replace('"weights.safetensors"', '"../../../secret"'))
    with pytest.raises(BundleError, match=r"not a whole bundle: .*names an unknown file '../../../secret'"):
        fetch_bundle(CHAMPION)
    assert _kept() == []


def test_an_id_cannot_choose_where_a_bundle_is_kept(artifacts, store):
    description = artifacts / "artifacts/bundle/bundle.json"
    description.write_text(description.read_text().replace(f'"{store.bundle.info.id}"', '"../../elsewhere"'))
    path = fetch_bundle(CHAMPION).path
    assert [path] == _kept()
    assert path.resolve().parent == (cache_folder() / "bundles").resolve()


def test_one_bundle_does_not_take_the_place_of_another(artifacts, store):
    """Another description under the id of a bundle that is kept."""
    kept = fetch_bundle(f"runs:/{store.run_id}").path
    other = artifacts / "artifacts/bundle"
    description = (other / "bundle.json").read_text()
    (other / "bundle.json").write_text(description.replace('"passed": true', '"passed": false'))
    assert fetch_bundle(CHAMPION).path != kept
    assert fetch_bundle(f"runs:/{store.run_id}").info == store.bundle.info


def test_damaged_weights_are_not_kept(artifacts):
    weights = artifacts / "artifacts/bundle/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BundleError, match=rf"{CHAMPION}: what MLflow holds .*{weights}: damaged or replaced"):
        fetch_bundle(CHAMPION)
    assert _kept() == []


def test_a_version_of_the_older_layout_is_a_bare_bundle(artifacts, store):
    shutil.rmtree(artifacts)
    shutil.copytree(store.bundle.path, artifacts)
    assert fetch_bundle(CHAMPION).info == store.bundle.info


def test_what_is_no_bundle_is_refused_with_what_it_holds(artifacts):
    shutil.rmtree(artifacts / "artifacts")
    with pytest.raises(BundleError, match=r"not a calogan bundle: there is no bundle.json in .*which holds nothing"):
        fetch_bundle(CHAMPION)
    (artifacts / "MLmodel").unlink()
    with pytest.raises(BundleError, match=r"not a calogan bundle: .*which holds conda.yaml, input_example.json"):
        fetch_bundle(CHAMPION)


@pytest.mark.parametrize("source", ["models:/calogan", "models:/a/b/c", "models://calogan/1", "runs:/", "models:x"])
def test_other_addresses_are_refused_with_the_forms_there_are(source):
    with pytest.raises(BundleError, match=r"expected models:/NAME@ALIAS .* or runs:/RUN_ID/PATH"):
        fetch_bundle(source)


def test_a_misspelt_path_of_a_run(store):
    with pytest.raises(BundleError, match=r"has no artifact 'bundel'; did you mean 'bundle'"):
        fetch_bundle(f"runs:/{store.run_id}/bundel")


def test_without_mlflow_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingDependencyError, match=r"needs MLflow .*pip install 'calogan\[train\]'"):
        load_sampler(CHAMPION)


def test_a_cache_that_cannot_be_written_is_one_line(store, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CALOGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(CaloganError, match="set CALOGAN_CACHE to a folder that can be written") as refused:
        fetch_bundle(CHAMPION)
    assert "\n" not in str(refused.value)


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("CALOGAN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "calogan"
    monkeypatch.setenv("CALOGAN_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
