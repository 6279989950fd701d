"""Tests of the run folder: order of the stages, what may change in it, and who may write it."""

from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from calogan.config import Config, TrackingConfig, load_config
from calogan.errors import ConfigError, StoreError
from calogan.progress import SilentReporter
from calogan.stages import run as stage
from calogan.tracking import NullTracker, RunRecord, make_tracker


class Record(NullTracker):
    """A tracker that keeps names."""

    def __init__(self):
        self.params, self.artifacts, self.training, self.datasets, self.status = {}, [], [], [], None

    def log_params(self, params):
        self.params.update(params)

    def log_training(self, last=None):
        self.training.append(last)

    def log_artifact(self, path, folder=""):
        self.artifacts.append((path.name, folder))

    def log_dataset(self, name, digest, source, counts):
        self.datasets.append((name, digest, list(source), dict(counts)))

    def finish(self, status):
        self.status = status


@dataclass
class Bundle:
    """A bundle that keeps its validation summary."""

    path: Path
    summaries: ClassVar[list[dict]] = []

    def with_validation(self, summary):
        self.summaries.append(summary)


@dataclass
class Store:
    """Prepared showers of 6, 2 and 2."""

    digest: str = "d" * 64

    def counts(self):
        return {"train": 6, "validation": 2, "test": 2}


def _config(tmp_path, **changes):
    axis = {"cells": 2, "low": 0.0, "high": 2.0}
    values = {
        "name": "tiny",
        "run_dir": tmp_path / "run",
        "data": {"sources": [{"layout": "hits", "files": ["none.root"]}]},
        "geometry": {"layers": [{"x": axis, "y": axis, "depth": 1.0}]},
        "domain": {"momentum": [1.0, 2.0], "max_angle": 10.0},
        "tracking": {"enabled": False},
    }
    return Config.model_validate({**values, **changes})


@pytest.fixture
def stages(monkeypatch):
    """Stages that only leave their last file, and the order in which they are called."""
    called = []

    def prepare(config, reporter):
        called.append("prepare")
        _write(config.run_dir / "prepared" / "manifest.json")
        return Store()

    def train(config, reporter, tracker, group, watch=None):
        called.append("train")
        _write(config.run_dir / "train" / "metrics.jsonl", '{"step": 5, "loss": 0.5}\n')
        _write(config.run_dir / "bundle" / "bundle.json")
        return config.run_dir / "bundle"

    def validate_run(config, split, reporter, tracker=None, *, bundle=None, force=False):
        called.append(f"validate {split}" if bundle is None else f"validate {split} of {bundle}")
        report = config.run_dir / "validation" / split / "report.html"
        _write(report)
        return SimpleNamespace(passed=True, report=report, showers=100, figures={"auc_low": 0.6}, outcomes={})

    def require_bundle(config, bundle):
        called.append(f"require {bundle}")

    monkeypatch.setitem(sys.modules, "calogan.stages.prepare", SimpleNamespace(prepare=prepare))
    monkeypatch.setitem(
        sys.modules, "calogan.stages.train", SimpleNamespace(train=train, require_model=lambda config: None)
    )
    monkeypatch.setitem(
        sys.modules,
        "calogan.stages.validate",
        SimpleNamespace(validate_run=validate_run, require_bundle=require_bundle, trained_sampler=lambda config: None),
    )
    monkeypatch.setattr(stage, "Store", SimpleNamespace(open=lambda folder: Store()))
    monkeypatch.setattr(stage, "Bundle", SimpleNamespace(load=Bundle))
    monkeypatch.setattr(Bundle, "summaries", [])
    return called


def _write(path, text="{}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_run_calls_the_stages_in_order_and_keeps_the_resolved_configuration(tmp_path, stages):
    config = _config(tmp_path)
    verdicts = stage.run(config, SilentReporter())
    assert stages == ["prepare", "train", "validate test"]
    assert verdicts.report == tmp_path / "run" / "validation" / "test" / "report.html"
    assert load_config(tmp_path / "run" / "config.yaml") == config
    assert Bundle.summaries == [
        {
            "split": "test",
            "passed": True,
            "showers": 100,
            "criteria": config.validation.criteria.model_dump(),
            "settings": config.digest("validation", "threshold"),
            "figures": {"auc_low": 0.6},
        }
    ]
    assert stage.run(config, SilentReporter()).passed


def test_a_model_that_does_not_go_with_the_condition_is_refused_first(tmp_path):
    config = _config(tmp_path, condition=["momentum"], model={"symmetries": ["flip_x"]})
    with pytest.raises(ConfigError, match=r"model\.symmetries needs direction or entry_point"):
        stage.run(config, SilentReporter())
    assert list(tmp_path.iterdir()) == []


def test_single_stages_work_in_the_same_folder(tmp_path, stages):
    config = _config(tmp_path)
    assert stage.prepare_run(config, SilentReporter()).counts()["train"] == 6
    assert stage.train_run(config, SilentReporter()) == tmp_path / "run" / "bundle"
    stage.validate_run(config, "validation", SilentReporter(), force=True)
    assert stages == ["prepare", "train", "validate validation"]
    assert Bundle.summaries == []


def test_another_bundle_is_validated_beside_the_trained_one_and_leaves_its_figures_alone(tmp_path, stages):
    config = _config(tmp_path, beside="ecal30-electron")
    stage.run(config, SilentReporter())
    stage.validate_run(config, "validation", SilentReporter(), bundle="other")
    assert stages[:3] == ["require ecal30-electron", "prepare", "train"]
    assert stages[3:] == ["validate test", "validate test of ecal30-electron", "validate validation of other"]
    assert len(Bundle.summaries) == 1


def test_one_record_holds_the_whole_chain(tmp_path, stages, monkeypatch):
    record = Record()
    monkeypatch.setattr("calogan.tracking.tracker.make_tracker", lambda config, reporter: record)
    stage.run(_config(tmp_path), SilentReporter())
    assert record.params["training.batch_size"] == 128
    assert record.params["data.sources.0.layout"] == "hits"
    assert record.params["geometry.layers.0.x.cells"] == 2
    assert record.datasets == [("tiny", "d" * 64, ["none.root"], {"train": 6, "validation": 2, "test": 2})]
    assert record.training == [None]
    assert record.artifacts == [
        ("config.yaml", ""),
        ("manifest.json", ""),
        ("metrics.jsonl", ""),
        ("bundle", ""),
        ("test", "validation/test"),
    ]
    assert record.status == "FINISHED"


@pytest.mark.parametrize(
    "command", [stage.train_run, lambda config, reporter: stage.validate_run(config, "test", reporter)]
)
def test_a_command_that_comes_too_early_is_no_attempt(tmp_path, command):
    config = _config(tmp_path)
    make_tracker(config, SilentReporter()).finish("KILLED")
    with pytest.raises(StoreError, match="calogan prepare"):
        command(config, SilentReporter())
    assert [attempt.status for attempt in RunRecord.read(config.run_dir).attempts] == ["KILLED"]


def test_a_validation_before_the_training_has_ended_is_no_attempt(ecal30_config, ecal30_store, tmp_path):
    config = ecal30_config.model_copy(update={"run_dir": tmp_path, "tracking": TrackingConfig(enabled=False)})
    (tmp_path / "prepared").symlink_to(ecal30_config.run_dir / "prepared")
    make_tracker(config, SilentReporter()).finish("KILLED")
    with pytest.raises(StoreError, match="nothing has been trained there yet"):
        stage.validate_run(config, "test", SilentReporter())
    assert [attempt.status for attempt in RunRecord.read(tmp_path).attempts] == ["KILLED"]


@pytest.mark.parametrize(
    "changes",
    [
        {"validation": {"bootstrap": 50}},
        {"training": {"device": "cuda", "threads": 3, "max_minutes": 5.0, "checkpoint_every": 7}},
        {"name": "other", "tracking": {"enabled": False, "experiment": "e"}},
        {"data": {"sources": [{"layout": "hits", "files": ["elsewhere/*.root"]}], "workers": 2}},
    ],
)
def test_what_changes_no_result_may_change(tmp_path, stages, changes):
    stage.run(_config(tmp_path), SilentReporter())
    stage.run(_config(tmp_path, **changes), SilentReporter())
    assert load_config(tmp_path / "run" / "config.yaml") == _config(tmp_path, **changes)


def test_results_of_another_configuration_are_refused_with_the_fields(tmp_path, stages):
    stage.run(_config(tmp_path), SilentReporter())
    before = (tmp_path / "run" / "config.yaml").read_text()
    other = _config(tmp_path, seed=2, training={"batch_size": 64})
    with pytest.raises(StoreError) as refusal:
        stage.run(other, SilentReporter())
    assert "seed is 1 there, 2 now; training.batch_size is 128 there, 64 now" in str(refusal.value)
    assert "--set run_dir=" in str(refusal.value)
    assert (tmp_path / "run" / "config.yaml").read_text() == before


def test_a_long_list_of_differences_is_cut(tmp_path, stages):
    stage.run(_config(tmp_path), SilentReporter())
    axis = {"cells": 3, "low": 1.0, "high": 3.0}
    layers = [{"x": axis, "y": axis, "depth": 2.0}]
    with pytest.raises(StoreError, match="and 2 more; take another folder"):
        stage.run(_config(tmp_path, seed=2, geometry={"layers": layers}), SilentReporter())


def test_a_configuration_may_be_corrected_until_something_is_trained(tmp_path, stages):
    stage.prepare_run(_config(tmp_path), SilentReporter())
    corrected = _config(tmp_path, threshold=0.001)
    stage.prepare_run(corrected, SilentReporter())
    assert load_config(tmp_path / "run" / "config.yaml") == corrected


def _hold(run_dir, held, release):
    with stage.run_folder(_config(Path(run_dir).parent), SilentReporter()):
        held.set()
        release.wait(30)


@pytest.mark.multiprocess
def test_a_second_process_is_refused_and_told_who_is_first(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    first = context.Process(target=_hold, args=(str(tmp_path / "run"), held, release))
    first.start()
    assert held.wait(30)
    with pytest.raises(StoreError, match=f"process {first.pid} on .* works in this run folder"):
        stage.prepare_run(_config(tmp_path), SilentReporter())
    release.set()
    first.join(30)
    with stage.run_folder(_config(tmp_path), SilentReporter()):
        assert f"process {os.getpid()} " in (tmp_path / "run" / ".lock").read_text()
