"""Tests of the MLflow record against a real SQLite store, read back with MLflow's own client."""

from __future__ import annotations

import json
import math
import shutil
import socket
import sqlite3
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from calogan.config import Config, TrackingConfig
from calogan.errors import StoreError, TrainingInterrupted
from calogan.tracking import PARENT, make_tracker, sender, tracked
from calogan.tracking.history import append_line, last_step
from calogan.tracking.record import MACHINE, RunRecord

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


@pytest.fixture
def quick(monkeypatch):
    """A sender that does not wait."""
    for name in ("INTERVAL", "FIRST_WAIT"):
        monkeypatch.setattr(sender, name, 0.05)


def _wait(done):
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _client():
    return mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")


def _run(config):
    note = config.run_dir / "mlflow.json"
    _wait(note.exists)
    kept = json.loads(note.read_text())
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
        tracker.log_dataset("tiny", "d" * 64, ["https://host/a.root?token=s3cret"], {"train": 6, "test": 2})
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
    assert json.loads(dataset.dataset.source) == {"files": ["https://host/a.root?token=***"]}
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


def _journal(study, *lines):
    path = study.run_dir / "train" / "metrics.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "lo')


def test_the_training_is_sent_as_its_file_has_it(study):
    first, second, third = ({"step": step, "time/unix_s": 1e9 + step, "loss": step * 0.5} for step in (1, 2, 3))
    _journal(study, first, second | {"loss": None, "phase": "warmup"}, third)
    with tracked(study, Lines()) as tracker:
        tracker.log_training()
    assert _history(study, "loss")[::2] == [(1, 0.5), (3, 1.5)]
    points = _client().get_metric_history(_run(study).info.run_id, "loss")
    assert [math.isnan(point.value) for point in points] == [False, True, False]
    assert [point.timestamp for point in points] == [1_000_000_001_000, 1_000_000_002_000, 1_000_000_003_000]
    assert not {"phase", "time/unix_s"} & _run(study).data.metrics.keys()


def test_steps_that_may_be_done_again_wait_for_their_checkpoint(study, quick):
    _journal(study, *({"step": step, "time/unix_s": 1e9 + step, "loss": float(step)} for step in (1, 2, 3)))
    tracker = make_tracker(study, Lines())
    tracker.log_training(2)
    _wait(lambda: _run(study).data.metrics.get("loss"))
    assert _history(study, "loss") == [(1, 1.0), (2, 2.0)]
    # what a process that was killed there leaves, and the next one does again
    _journal(study, *({"step": step, "time/unix_s": 1e9 + step, "loss": float(step)} for step in (1, 2)))
    append_line(study.run_dir / "train" / "metrics.jsonl", 3, {"loss": 3.5})
    tracker.finish("FINISHED")
    assert _history(study, "loss") == [(1, 1.0), (2, 2.0), (3, 3.5)]


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreError("damaged"), "FAILED"), (TrainingInterrupted("stopped"), "KILLED"), (KeyboardInterrupt(), "KILLED")],
)
def test_what_ended_the_work_is_the_status_of_the_run(study, error, status):
    with pytest.raises(type(error)), tracked(study, Lines()):
        raise error
    assert _run(study).info.status == status


def test_a_removed_run_gives_way_to_a_new_one_and_a_lost_one_is_found(study):
    make_tracker(study, Lines()).finish("FINISHED")
    first = _run(study).info.run_id
    _client().delete_run(first)
    make_tracker(study, Lines()).finish("FINISHED")
    second = _run(study).info.run_id
    note = study.run_dir / "mlflow.json"
    note.write_text(json.dumps({"run_id": "0" * 32}))
    make_tracker(study, Lines()).finish("FINISHED")
    assert first != second
    assert _run(study).info.run_id == second


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
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "folder").mkdir()
    lines = Lines()
    with tracked(_config(tmp_path, uri=uri), lines) as tracker:
        tracker.log_metrics({"loss": 1.0}, 1)
    (warning,) = lines.warnings
    assert uri in warning
    assert lines.messages == [
        f"the record in MLflow is not complete; send the rest: calogan runs sync {tmp_path / 'run'}"
    ]
    assert RunRecord.read(tmp_path / "run").status == "FINISHED"


def test_a_server_that_never_answers_is_waited_for_a_little(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "600")
    monkeypatch.setattr(sender, "PATIENCE", 0.3)
    lines = Lines()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        make_tracker(_config(tmp_path), lines).finish("FINISHED")
    (warning,) = lines.warnings
    assert "did not take the whole record" in warning
    assert f"calogan runs sync {tmp_path / 'run'}" in warning


def test_without_mlflow_one_message_and_a_record_to_send_later(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    lines = Lines()
    make_tracker(_config(tmp_path), lines).finish("FINISHED")
    (message,) = lines.messages
    assert "calogan[train]" in message
    assert "calogan runs sync" in message
    assert RunRecord.read(tmp_path / "run").status == "FINISHED"


def test_disabled_is_silent_and_keeps_the_record(tmp_path):
    lines = Lines()
    tracker = make_tracker(_config(tmp_path, enabled=False), lines)
    tracker.log_params({"seed": 3})
    tracker.finish("FAILED")
    record = RunRecord.read(tmp_path / "run")
    assert (record.params, record.status) == ({"seed": "3"}, "FAILED")
    assert lines.messages == lines.warnings == []
    assert not (tmp_path / "run" / "mlflow.json").exists()


def test_the_machine_is_watched(study, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    for _ in range(2):
        with tracked(study, Lines()):
            lines = last_step(study.run_dir / MACHINE) or 0
            _wait(lambda lines=lines: (last_step(study.run_dir / MACHINE) or 0) > lines)
    steps = [step for step, _ in _history(study, "system/cpu_utilization_percentage")]
    assert steps == list(range(len(steps)))
    assert 0 <= _run(study).data.metrics["system/cpu_utilization_percentage"] <= 100


def test_each_attempt_keeps_its_job(study, monkeypatch):
    for job, status in (("17", "KILLED"), ("18", "FINISHED")):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        make_tracker(study, Lines()).finish(status)
    tags = _run(study).data.tags
    assert tags["calogan.attempts"] == "2"
    assert tags["slurm.job_id"] == "18"
    assert "slurm.job_id 17: KILLED" in tags["calogan.attempt.1"]
    assert "slurm.job_id 18: FINISHED" in tags["calogan.attempt.2"]
    assert [attempt.job for attempt in RunRecord.read(study.run_dir).attempts] == [
        {"slurm.job_id": "17"},
        {"slurm.job_id": "18"},
    ]


@pytest.mark.parametrize("by_environment", [False, True])
def test_a_run_lies_below_its_parent(study, tmp_path, monkeypatch, by_environment):
    sweep = study.model_copy(update={"run_dir": tmp_path / "sweep"})
    make_tracker(sweep, Lines()).finish("FINISHED")
    if by_environment:
        monkeypatch.setenv(PARENT, str(sweep.run_dir))
    with tracked(study, Lines(), None if by_environment else sweep.run_dir):
        pass
    assert _run(study).data.tags["mlflow.parentRunId"] == _run(sweep).info.run_id


def test_a_database_on_a_network_file_system_is_warned_of_in_a_job(tmp_path, monkeypatch):
    mounts = [SimpleNamespace(mountpoint="/", fstype="ext4"), SimpleNamespace(mountpoint=str(tmp_path), fstype="nfs4")]
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: mounts)
    monkeypatch.setattr("calogan.tracking.tracker.Sender", lambda *_: SimpleNamespace(close=lambda: None))
    config, alone, job, disk = _config(tmp_path, uri=f"sqlite:///{tmp_path}/mlflow.db"), Lines(), Lines(), Lines()
    make_tracker(config, alone).finish("FINISHED")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    make_tracker(config, job).finish("FINISHED")
    make_tracker(_config(tmp_path, uri="sqlite:////mlflow.db"), disk).finish("FINISHED")
    assert alone.warnings == disk.warnings == []
    (warning,) = job.warnings
    assert "network file system (nfs4)" in warning
    assert "tracking.enabled=false" in warning


def test_a_damaged_record_is_begun_again(study):
    make_tracker(study, Lines()).finish("FINISHED")
    first = _run(study).info.run_id
    (study.run_dir / "tracking" / "record.json").write_text("{")
    lines = Lines()
    make_tracker(study, lines).finish("FINISHED")
    (warning,) = lines.warnings
    assert "damaged record" in warning
    assert _run(study).info.run_id == first


def test_a_folder_that_cannot_be_written_is_told_once(study, monkeypatch):
    lines = Lines()
    tracker = make_tracker(study.model_copy(update={"tracking": TrackingConfig(enabled=False)}), lines)
    shutil.rmtree(study.run_dir / "tracking")
    (study.run_dir / "tracking").write_text("")
    tracker.log_params({"a": 1})
    tracker.log_metrics({"b": 1.0}, 1)
    tracker.finish("FINISHED")
    (warning,) = lines.warnings
    assert "the record cannot be kept" in warning
