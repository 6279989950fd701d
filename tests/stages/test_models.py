"""Tests of the list of registered bundles, from a real MLflow store."""

from __future__ import annotations

import shutil

import pytest

from calogan.errors import BundleError
from calogan.stages.models import list_models

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def client(tmp_path, empty_mlflow, monkeypatch):
    """A store of the test's own."""
    uri = f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'mlflow.db')}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    return mlflow.MlflowClient(uri)


def _register(client, name, **tags):
    if name not in [model.name for model in client.search_registered_models()]:
        client.create_registered_model(name)
    version = client.create_model_version(name, "file:///nowhere", tags={f"calogan.{key}": tags[key] for key in tags})
    return str(version.version)


def test_a_row_a_version_with_what_its_tags_say(client):
    _register(client, "calogan-ecal", bundle="0123456789ab")
    figures = {"figure.low_level_auc": "0.56", "figure.fpd": "0.15"}
    tally = {"verdict": "pass", "verdict.tally": "12 pass, 0 fail, 0 undecided"}
    client.set_registered_model_alias(
        "calogan-ecal", "champion", _register(client, "calogan-ecal", bundle="ba9876543210", **tally, **figures)
    )
    client.set_registered_model_alias("calogan-ecal", "best", "2")

    found = list_models()

    heads = ("model/version", "aliases", "bundle", "registered\n[UTC]", "low-level\nAUC", "FPD", "verdict")
    assert found.header == heads
    (_, _, _, created, *_), (_, _, _, first, *_) = found.rows
    assert found.rows == (
        ("calogan-ecal/2", "best, champion", "ba9876543210", created, "0.56", "0.15", "pass, 12 pass"),
        ("calogan-ecal/1", "", "0123456789ab", first, "", "", ""),
    )
    assert len(created) == len("2025-01-31 12:00")
    assert found.note == ""


def test_one_model_alone_and_one_that_is_not_there(client):
    _register(client, "calogan-ecal", bundle="a")
    _register(client, "calogan-hcal", bundle="b")
    assert [row[0] for row in list_models("calogan-hcal").rows] == ["calogan-hcal/1"]
    with pytest.raises(BundleError, match=r"no registered model 'calogan-ekal'; did you mean 'calogan-ecal'"):
        list_models("calogan-ekal")


def test_models_of_others_are_counted(client):
    _register(client, "churn")
    found = list_models()
    assert found.rows == ()
    assert "no bundle is registered in MLflow at sqlite" in found.note
    assert found.note.endswith("registers one; left out, as they are not calogan's: 1 version")
    assert "no bundle of 'churn' is registered" in list_models("churn").note
    _register(client, "calogan-ecal", bundle="a")
    assert list_models().note == "left out, as they are not calogan's: 1 version"
    _register(client, "churn")
    assert list_models().note == "left out, as they are not calogan's: 2 versions"


def test_an_empty_registry_says_how_to_fill_it(client):
    assert list_models().rows == ()
    assert list_models().note.endswith("`calogan register CONFIG` registers one")
