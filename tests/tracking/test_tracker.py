"""Tests of the MLflow record against a real SQLite store, read back with MLflow's own client."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from calogan.config import Config
from calogan.errors import StoreError, TrainingInterrupted
from calogan.tracking import NullTracker, log_history, make_tracker, tracked

mlflow = pytest.importorskip("mlflow")


class Lines:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.messages, self.warnings = [], []

    def message(self, text):
        self.messages.append(text)

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def study(tmp_path, empty_mlflow, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    return _config(tmp_path)


def _config(tmp_path, **tracking):
    axis = {"cells": 2, "low": 0.0, "high": 2.0}
    return Config.model_validate(
        {
            "name": "tiny",
            "run_dir": tmp_path / "run",
            "data": {"sources": [{"layout": "hits", "files": ["none.root"]}]},
            "geometry": {"layers": [{"x": axis, "y": axis, "depth": 1.0}]},
            "domain": {"momentum": [1.0, 2.0], "max_angle": 10.0},
            "tracking": tracking,
        }
    )


def _client():
    return mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")


def _run(config):
    kept = json.loads((config.run_dir / "mlflow.json").read_text())
    return _client().get_run(kept["run_id"])


def _history(config, key):
    points = _client().get_metric_history(_run(config).info.run_id, key)
    return sorted((point.step, point.value) for point in points)


def test_params_metrics_tags_dataset_and_artifacts_are_read_back(study):
    lines = Lines()
    (study.run_dir / "bundle").mkdir(parents=True)
    (study.run_dir / "bundle" / "bundle.json").write_text("{}")
    (study.run_dir / "report.html").write_text("<html>")
    many = {f"training.p{number}": number for number in range(130)}
    with tracked(study, lines) as tracker:
        tracker.log_params({**many, "long": "x" * 7000, "edges [mm]": [1.0, 2.5], "none": None, "word": "hits"})
        for step in (10, 20):
            tracker.log_metrics({"loss/critic": step / 10, "auc": math.nan}, step)
        tracker.log_dataset("tiny", "d" * 64, ["a.root"], {"train": 6, "test": 2})
        tracker.set_tags({"colour": 3})
        tracker.log_artifact(study.run_dir / "bundle")
        tracker.log_artifact(study.run_dir / "report.html", "validation/test")
    run = _run(study)
    assert run.info.status == "FINISHED"
    assert run.data.params["training.p129"] == "129"
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["edges _mm_"] == "[1.0, 2.5]"
    assert (run.data.params["none"], run.data.params["word"]) == ("null", "hits")
    assert _history(study, "loss/critic") == [(10, 1.0), (20, 2.0)]
    assert run.data.tags["colour"] == "3"
    assert run.data.tags["calogan.config_digest"] == study.digest()
    assert run.data.tags["calogan.source"]
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("tiny", "d" * 36)
    assert json.loads(dataset.dataset.profile) == {"train": 6, "test": 2}
    paths = [
        item.path
        for folder in ("bundle", "validation/test")
        for item in _client().list_artifacts(run.info.run_id, folder)
    ]
    assert paths == ["bundle/bundle.json", "validation/test/report.html"]
    assert lines.warnings == []


def test_same_folder_goes_on_in_the_same_run_without_sending_steps_twice(study):
    tracker = make_tracker(study, Lines())
    tracker.log_params({"seed": 1})
    for step in (1, 2, 4):
        tracker.log_metrics({"loss": float(step), "score": math.nan}, step)
    tracker.finish("KILLED")
    first = _run(study)
    with tracked(study, Lines()) as tracker:
        tracker.log_params({"seed": 1, "late": 2})
        for step in range(1, 6):
            tracker.log_metrics({"loss": float(step), "score": math.nan}, step)
    second = _run(study)
    assert second.info.run_id == first.info.run_id
    assert second.info.status == "FINISHED"
    assert second.data.params == {"seed": "1", "late": "2"}
    assert _history(study, "loss") == [(step, float(step)) for step in range(1, 6)]
    assert len(_history(study, "score")) == 5


def test_a_new_figure_of_an_old_step_replaces_the_old_one(study):
    for value in (0.7, 0.6):
        with tracked(study, Lines()) as tracker:
            tracker.log_metrics({"test.auc": value}, 100)
    assert _run(study).data.metrics["test.auc"] == 0.6


def test_history_fills_what_the_record_lacks(study):
    path = study.run_dir / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    lines = [json.dumps({"step": step, "loss": step * 0.5, "phase": "warmup"}) + "\n" for step in (1, 2, 3)]
    path.write_text("".join(lines) + '{"step": 4, "lo')
    with tracked(study, Lines()) as tracker:
        tracker.log_metrics({"loss": 1.0}, 2)
        log_history(path, tracker)
        log_history(study.run_dir / "absent.jsonl", tracker)
    assert _history(study, "loss") == [(1, 0.5), (2, 1.0), (3, 1.5)]


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreError("damaged"), "FAILED"), (TrainingInterrupted("stopped"), "KILLED"), (KeyboardInterrupt(), "KILLED")],
)
def test_what_ended_the_work_is_the_status_of_the_run(study, error, status):
    with pytest.raises(type(error)), tracked(study, Lines()):
        raise error
    assert _run(study).info.status == status


def test_a_removed_record_gives_way_to_a_new_one(study):
    make_tracker(study, Lines()).finish("FINISHED")
    first = _run(study).info.run_id
    _client().delete_run(first)
    make_tracker(study, Lines()).finish("FINISHED")
    second = _run(study).info.run_id
    note = study.run_dir / "mlflow.json"
    note.write_text(json.dumps({"run_id": "0" * 32}))
    make_tracker(study, Lines()).finish("FINISHED")
    assert len({first, second, _run(study).info.run_id}) == 3


def test_the_environment_goes_before_the_configuration(study, tmp_path, empty_mlflow, monkeypatch):
    shutil.copy(empty_mlflow, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    make_tracker(study, Lines()).finish("FINISHED")
    kept = json.loads((study.run_dir / "mlflow.json").read_text())
    assert kept["tracking_uri"].endswith("other.db")
    assert mlflow.MlflowClient().get_run(kept["run_id"]).info.status == "FINISHED"
    assert _client().get_experiment_by_name("calogan") is None


def test_a_store_that_fails_on_the_way_is_reported_once(study, tmp_path):
    lines = Lines()
    with tracked(study, lines) as tracker:
        tracker.log_metrics({"loss": 1.0}, 1)
        with sqlite3.connect(tmp_path / "mlflow.db") as database:
            database.execute("DROP TABLE metrics")
            database.execute("DROP TABLE tags")
        tracker.set_tags({"a": 1})
        tracker.log_metrics({"loss": 2.0}, 2)
    (warning,) = lines.warnings
    assert "going on without it" in warning
    assert "\n" not in warning


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:///folder", "nonsense://"])
def test_a_store_that_cannot_be_opened_is_no_obstacle(tmp_path, monkeypatch, uri):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "folder").mkdir()
    lines = Lines()
    with tracked(_config(tmp_path, uri=uri), lines) as tracker:
        assert isinstance(tracker, NullTracker)
        tracker.log_metrics({"loss": 1.0}, 1)
    (warning,) = lines.warnings
    assert uri in warning


def test_without_mlflow_one_message(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    lines = Lines()
    assert isinstance(make_tracker(_config(tmp_path), lines), NullTracker)
    (message,) = lines.messages
    assert "calogan[train]" in message


def test_disabled_is_silent(tmp_path):
    lines = Lines()
    assert isinstance(make_tracker(_config(tmp_path, enabled=False), lines), NullTracker)
    assert lines.messages == lines.warnings == []


def test_the_machine_is_watched(study, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    with tracked(study, Lines()):
        deadline = time.monotonic() + 20
        while "system/cpu_utilization_percentage" not in _run(study).data.metrics and time.monotonic() < deadline:
            time.sleep(0.1)
    assert 0 <= _run(study).data.metrics["system/cpu_utilization_percentage"] <= 100
