"""Tests of run folders found, listed and sent to a real SQLite store."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from calogan.config import Config
from calogan.errors import ConfigError, MissingDependencyError
from calogan.progress import SilentReporter
from calogan.stages.runs import find_runs, list_runs, sync_runs
from calogan.tracking import make_tracker, tracked
from calogan.tracking.history import append_line

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def make(tmp_path, empty_mlflow, monkeypatch):
    """Makes a run folder that no MLflow has heard of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")

    def make(name, parent=None, status="FINISHED"):
        axis = {"cells": 2, "low": 0.0, "high": 2.0}
        config = Config.model_validate(
            {
                "name": "tiny",
                "run_dir": tmp_path / "runs" / name,
                "data": {"sources": [{"layout": "hits", "files": ["none.root"]}]},
                "geometry": {"layers": [{"x": axis, "y": axis, "depth": 1.0}]},
                "domain": {"momentum": [1.0, 2.0], "max_angle": 10.0},
                "training": {"warmup_steps": 6, "steps": 4},
                "tracking": {"enabled": False},
            }
        )
        tracker = make_tracker(config, SilentReporter(), parent)
        (config.run_dir / "config.yaml").write_text(config.to_yaml())
        tracker.log_artifact(config.run_dir / "config.yaml")
        for step in (2, 4):
            figures = {"loss": 1.0 / step, "validation/physics_score": 0.5 + step}
            append_line(config.run_dir / "train" / "metrics.jsonl", step, figures)
        tracker.finish(status)
        return config

    return make


def run_of(config):
    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    return client.get_run(json.loads((config.run_dir / "mlflow.json").read_text())["run_id"])


def sync(*folders):
    return list(sync_runs(folders, SilentReporter()))


def test_run_folders_are_found_at_any_depth_once_and_from_above(tmp_path, make):
    made = [make(name).run_dir for name in ("b", "a", "a/trials/1")]
    (made[0] / "prepared").mkdir()
    (made[0] / "prepared" / "config.yaml").write_text("")
    runs = tmp_path / "runs"
    assert find_runs([runs]) == [runs / "a", runs / "a" / "trials" / "1", runs / "b"]
    assert find_runs([runs / "b", runs]) == [runs / "b", runs / "a", runs / "a" / "trials" / "1"]


@pytest.mark.parametrize(("place", "what"), [("none", "there is no such folder"), ("empty", "no run folder there")])
def test_a_place_without_runs_is_refused(tmp_path, place, what):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=what):
        find_runs([tmp_path / place])


def test_what_is_sent_once_is_not_sent_again_until_something_is_new(make):
    config = make("a", status="FAILED")
    (first,), (second,) = sync(config.run_dir), sync(config.run_dir)
    run = run_of(config)
    assert first.text.startswith("sent 0 params, 4 metrics")
    assert str(second) == f"{config.run_dir}: nothing to do, run {run.info.run_id}"
    assert (run.info.status, run.data.metrics["loss"]) == ("FAILED", 0.25)
    with tracked(config, SilentReporter()) as tracker:
        tracker.log_metrics({"test/auc": 0.5}, 0)
    assert list_runs([config.run_dir]).rows[0][-1] == "incomplete"
    (third,) = sync(config.run_dir)
    assert third.text.startswith("sent 0 params, 1 metrics")
    assert run_of(config).info.status == "FINISHED"


def test_the_list_says_how_far_runs_are_and_what_mlflow_lacks(make):
    first, second = make("a"), make("b", status="KILLED")
    sync(first.run_dir)
    runs = list_runs([first.run_dir, second.run_dir])
    assert [len(row) for row in runs.rows] == [len(runs.header)] * 2
    run_id = run_of(first).info.run_id
    assert runs.rows[0][1:] == ("tiny", "training", "finished", "4/10", "2.5", run_id, "complete")
    assert runs.rows[1][1:] == ("tiny", "training", "killed", "4/10", "2.5", "", "not sent")
    assert runs.incomplete == (second.run_dir,)


def test_what_cannot_be_read_is_listed_as_such(make):
    config = make("a")
    (config.run_dir / "tracking" / "record.json").write_text("{")
    (config.run_dir / "config.yaml").write_text("name: of another version\n")
    assert list_runs([config.run_dir]).rows[0][1:] == ("?", "training", "?", "4/?", "2.5", "", "damaged")


def test_a_parent_that_is_sent_later_is_found(make):
    parent = make("sweep")
    child = make("sweep/trials/1", parent.run_dir)
    sync(child.run_dir)
    assert "mlflow.parentRunId" not in run_of(child).data.tags
    assert list_runs([child.run_dir]).incomplete == (child.run_dir,)
    sync(parent.run_dir, child.run_dir)
    assert run_of(child).data.tags["mlflow.parentRunId"] == run_of(parent).info.run_id
    assert list_runs([child.run_dir]).incomplete == ()


def test_a_file_that_is_gone_is_named_and_hinders_nothing(make):
    config = make("a")
    (config.run_dir / "config.yaml").unlink()
    (synced,) = sync(config.run_dir)
    assert not synced.failed
    assert synced.text.endswith(f"no longer there: {config.run_dir / 'config.yaml'}")


def test_one_folder_that_cannot_be_sent_leaves_the_others(make):
    damaged, older, whole = (make(name) for name in "abc")
    (damaged.run_dir / "tracking" / "record.json").write_text("[]")
    (older.run_dir / "tracking" / "record.json").unlink()
    found = sync(damaged.run_dir, older.run_dir, whole.run_dir)
    assert [one.failed for one in found] == [True, True, False]
    assert "damaged record" in found[0].text
    assert "calogan train" in found[1].text


def test_without_mlflow_the_extra_is_named(make, monkeypatch):
    config = make("a")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingDependencyError, match="calogan\\[train\\]"):
        sync(config.run_dir)
