"""Tests of the model registry against a real SQLite store."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from calogan.config import Config
from calogan.errors import CaloganError, MissingDependencyError
from calogan.progress import SilentReporter
from calogan.registry import open_record, register_bundle
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


def test_a_bundle_becomes_the_champion_and_keeps_its_files(study):
    record, folder = open_record(study), study.run_dir / "bundle"
    done = register_bundle(record, folder, "abc", "calogan-tiny", {"calogan.verdict": "pass"})

    version = _client().get_model_version_by_alias("calogan-tiny", "champion")
    assert (done.version, done.former, done.uri) == ("1", None, "models:/calogan-tiny@champion")
    assert str(version.version) == done.version
    assert version.run_id == record.run_id
    assert version.tags == {"calogan.verdict": "pass", "calogan.bundle": "abc"}
    assert [item.path for item in _client().list_artifacts(record.run_id, "registered/abc")] == [
        "registered/abc/bundle.json"
    ]
    assert Path(version.source.removeprefix("file://"), "bundle.json").read_text() == "{}"
    assert _client().get_run(record.run_id).info.status == "FINISHED"


def test_the_alias_moves_and_its_former_version_is_named(study):
    record, folder = open_record(study), study.run_dir / "bundle"
    for bundle, version, former in (("abc", "1", None), ("abc", "1", "1"), ("def", "2", "1"), ("abc", "1", "2")):
        done = register_bundle(record, folder, bundle, "calogan-tiny", {})
        assert (done.version, done.former) == (version, former)
        assert _champion() == version
    assert len(_client().search_model_versions("name='calogan-tiny'")) == 2


@pytest.mark.parametrize("name", ["a/b", "it's", ""])
def test_a_name_that_mlflow_refuses_is_one_line(study, name):
    with pytest.raises(CaloganError, match="did not register") as refused:
        register_bundle(open_record(study), study.run_dir / "bundle", "abc", name, {})
    assert "\n" not in str(refused.value)


def test_a_champion_stays_if_the_files_cannot_be_copied(study, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    record = open_record(study)
    register_bundle(record, study.run_dir / "bundle", "abc", "calogan-tiny", {})
    monkeypatch.setattr(record.client, "log_artifacts", fail)
    with pytest.raises(CaloganError, match=r"did not register 'calogan-tiny': .*No space left"):
        register_bundle(record, study.run_dir / "bundle", "def", "calogan-tiny", {})
    assert _champion() == "1"
    assert len(_client().search_model_versions("name='calogan-tiny'")) == 1


def test_without_a_run_there_is_nothing_to_register(study):
    (study.run_dir / "mlflow.json").write_text(json.dumps({"run_id": "0" * 32}))
    with pytest.raises(CaloganError, match="has no run of"):
        open_record(study)
    (study.run_dir / "mlflow.json").unlink()
    with pytest.raises(CaloganError, match="`calogan validate` on that folder makes one"):
        open_record(study)


def test_a_store_that_cannot_be_opened_is_an_error(study, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://")
    with pytest.raises(CaloganError, match="MLflow at nonsense:// cannot be used"):
        open_record(study)


def test_without_mlflow_the_extra_is_named(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingDependencyError, match=r"calogan\[train\]"):
        open_record(study)
