"""Tests of the model registry against a real SQLite store."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from calogan.config import Config
from calogan.errors import BundleError, CaloganError, MissingDependencyError
from calogan.progress import SilentReporter
from calogan.registry import list_versions, open_record, open_registry, register_bundle, run_place, version_place
from calogan.tracking import make_tracker

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def study(tmp_path, empty_mlflow, monkeypatch):
    """A run that is finished, and its bundle's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    config = _config(tmp_path)
    make_tracker(config, SilentReporter()).finish("FINISHED")
    (config.run_dir / "bundle").mkdir()
    (config.run_dir / "bundle" / "bundle.json").write_text("{}")
    return config


def _config(folder):
    axis = {"cells": 2, "low": 0.0, "high": 1.0}
    return Config.model_validate(
        {
            "name": "tiny",
            "run_dir": folder / "run",
            "data": {"sources": [{"layout": "hits", "files": ["none.root"]}]},
            "geometry": {"layers": [{"x": axis, "y": axis, "depth": 1.0}]},
            "domain": {"momentum": [1.0, 2.0], "max_angle": 10.0},
            "tracking": {},
        }
    )


def _client():
    return mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")


def _champion():
    return str(_client().get_model_version_by_alias("calogan-tiny", "champion").version)


def _register(study, bundle="abc", name="calogan-tiny", tags=None, contents="f00d"):
    def save(folder):
        shutil.copytree(study.run_dir / "bundle", folder)

    return register_bundle(open_record(study), save, bundle, f"{bundle}{contents}", name, tags or {})


def test_a_bundle_becomes_the_champion_and_keeps_its_files(study):
    record = open_record(study)
    done = _register(study, tags={"calogan.verdict": "pass"})

    version = _client().get_model_version_by_alias("calogan-tiny", "champion")
    assert (done.version, done.former, done.uri) == ("1", None, "models:/calogan-tiny@champion")
    assert str(version.version) == done.version
    assert version.run_id == record.run_id
    assert version.tags == {"calogan.verdict": "pass", "calogan.bundle": "abc", "calogan.contents": "abcf00d"}
    files = [item.path for item in _client().list_artifacts(record.run_id, "models/abc-abcf00d")]
    assert files == ["models/abc-abcf00d/bundle.json"]
    assert Path(version.source.removeprefix("file://"), "bundle.json").read_text() == "{}"
    assert _client().get_run(record.run_id).info.status == "FINISHED"


def test_the_alias_moves_and_its_former_version_is_named(study):
    for bundle, version, former in (("abc", "1", None), ("abc", "1", "1"), ("def", "2", "1"), ("abc", "1", "2")):
        done = _register(study, bundle)
        assert (done.version, done.former) == (version, former)
        assert _champion() == version
    assert len(_client().search_model_versions("name='calogan-tiny'")) == 2


def test_a_bundle_with_other_contents_is_a_new_version_and_leaves_the_former_as_it_is(study):
    _register(study)
    (study.run_dir / "bundle" / "bundle.json").write_text('{"weigher": {}}')
    assert [_register(study, contents=contents).version for contents in ("beef", "beef", "f00d")] == ["2", "2", "1"]
    sources = [_client().get_model_version("calogan-tiny", number).source for number in ("1", "2")]
    texts = [Path(source.removeprefix("file://"), "bundle.json").read_text() for source in sources]
    assert texts == ["{}", '{"weigher": {}}']


def test_a_version_that_is_a_bare_bundle_gives_way_to_an_mlflow_model(study):
    record = open_record(study)
    _client().create_registered_model("calogan-tiny")
    _client().log_artifacts(record.run_id, str(study.run_dir / "bundle"), "registered/abc")
    source = f"{_client().get_run(record.run_id).info.artifact_uri}/registered/abc"
    _client().create_model_version("calogan-tiny", source, record.run_id, tags={"calogan.bundle": "abc"})
    assert (_register(study).version, _register(study).version) == ("2", "2")


@pytest.mark.parametrize("name", ["a/b", "it's", ""])
def test_a_name_that_mlflow_refuses_is_one_line(study, name):
    with pytest.raises(CaloganError, match="did not register") as refused:
        _register(study, name=name)
    assert "\n" not in str(refused.value)


def test_a_champion_stays_if_the_files_cannot_be_copied(study):
    def fail(folder):
        raise OSError(28, "No space left on device")

    _register(study)
    with pytest.raises(CaloganError, match=r"did not register 'calogan-tiny': .*No space left"):
        register_bundle(open_record(study), fail, "def", "def", "calogan-tiny", {})
    assert _champion() == "1"
    assert len(_client().search_model_versions("name='calogan-tiny'")) == 1


def test_versions_are_listed_the_newest_first(study):
    _register(study, "abc")
    _register(study, "def", tags={"calogan.verdict": "pass"})
    _register(study, "abc", name="another")
    _client().create_registered_model("empty")
    registry = open_registry()

    listed = list_versions(registry)
    assert [(one.name, one.number, one.aliases, one.bundle) for one in listed] == [
        ("another", 1, ("champion",), "abc"),
        ("calogan-tiny", 2, ("champion",), "def"),
        ("calogan-tiny", 1, (), "abc"),
    ]
    assert listed[1].tags["calogan.verdict"] == "pass"
    assert listed[2].created <= listed[1].created <= listed[0].created
    assert list_versions(registry, "calogan-tiny") == listed[1:]
    assert list_versions(registry, "empty") == []


def test_more_models_and_versions_than_fit_a_page_are_all_found(study, monkeypatch):
    for bundle in ("abc", "def", "fed"):
        _register(study, bundle)
    _register(study, name="another")
    registry = open_registry()
    for search in ("search_registered_models", "search_model_versions"):
        whole = getattr(registry.client, search)
        monkeypatch.setattr(
            registry.client, search, lambda *text, whole=whole, **page: whole(*text, max_results=1, **page)
        )
    assert [(one.name, one.number) for one in list_versions(registry)] == [
        ("another", 1),
        *(("calogan-tiny", number) for number in (3, 2, 1)),
    ]


def test_places_of_versions_and_runs(study):
    _register(study, "abc")
    _register(study, "def")
    registry, run_id = open_registry(), open_record(study).run_id
    root = run_place(registry, run_id)
    assert version_place(registry, "calogan-tiny", alias="champion") == f"{root}/models/def-deff00d"
    assert version_place(registry, "calogan-tiny", number="1") == f"{root}/models/abc-abcf00d"
    assert version_place(registry, "calogan-tiny", number="latest") == f"{root}/models/def-deff00d"


def test_what_is_not_there_comes_with_what_is(study):
    _register(study)
    registry = open_registry()
    with pytest.raises(BundleError, match=r"no registered model 'calogan-tyni'; did you mean 'calogan-tiny'\?"):
        version_place(registry, "calogan-tyni", number="1")
    with pytest.raises(BundleError, match=r"no registered model 'calogan-tyni'; did you mean 'calogan-tiny'\?"):
        list_versions(registry, "calogan-tyni")
    with pytest.raises(BundleError, match=r"has no alias 'champoin'; did you mean 'champion'\?"):
        version_place(registry, "calogan-tiny", alias="champoin")
    with pytest.raises(BundleError, match=r"has no version 7; There are: '1'"):
        version_place(registry, "calogan-tiny", number="7")
    with pytest.raises(BundleError, match="has no run 'grumpy-newt-7'; give the run's id"):
        run_place(registry, "grumpy-newt-7")


def test_a_database_that_is_not_there_is_not_made_by_reading(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(CaloganError, match=r"sqlite:///mlflow.db: there is no such database; set MLFLOW_TRACKING_URI"):
        open_registry()
    assert list(tmp_path.iterdir()) == []


def test_the_registry_may_be_in_another_store(study, tmp_path, empty_mlflow, monkeypatch):
    other = f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'other.db')}"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", other)
    assert [one.name for one in list_versions(open_registry())] == []
    _register(study)
    assert [model.name for model in mlflow.MlflowClient(other).search_registered_models()] == ["calogan-tiny"]
    assert [one.name for one in list_versions(open_registry())] == ["calogan-tiny"]


def test_without_a_run_there_is_nothing_to_register(study):
    (study.run_dir / "mlflow.json").write_text(json.dumps({"run_id": "0" * 32}))
    with pytest.raises(CaloganError, match="has no run of"):
        open_record(study)
    (study.run_dir / "mlflow.json").unlink()
    with pytest.raises(CaloganError, match=r"`calogan runs sync .*` makes one"):
        open_record(study)


def test_a_store_that_cannot_be_opened_is_an_error(study, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://")
    with pytest.raises(CaloganError, match="MLflow at nonsense:// cannot be used"):
        open_record(study)


def test_without_mlflow_the_extra_is_named(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingDependencyError, match=r"calogan\[train\]"):
        open_record(study)
