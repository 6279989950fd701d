from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from calogan.config import Config
from calogan.data.root import ShowerWriter
from calogan.data.schema import Schema
from calogan.data.toy import toy_showers
from calogan.errors import DataError, SchemaError, StoreError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare
from calogan.stages.validate import validate_files, validate_run
from calogan.validation import report

EDGES = {"cells": 6, "low": -60.0, "high": 60.0}


class Log(SilentReporter):
    def __init__(self):
        self.lines, self.tasks = [], []

    def message(self, text):
        self.lines.append(text)

    def task(self, description, total, unit, completed=0):
        self.tasks.append(description)
        return super().task(description, total, unit, completed)


class Tracker:
    def __init__(self):
        self.metrics = {}

    def log_metrics(self, metrics, step):
        self.metrics.update(metrics)


@pytest.fixture
def config(tmp_path):
    return Config.model_validate(
        {
            "name": "tiny",
            "run_dir": tmp_path / "run",
            "threshold": 3e-4,
            "data": {
                "sources": [
                    {"layout": "hits", "files": [str(tmp_path / "*.hits.root")], "tree": "hits", "pdg": "pdg"},
                    {"layout": "dense", "files": [str(tmp_path / "*.root")], "pdg": "pdg"},
                ]
            },
            "geometry": {"layers": [{"x": EDGES, "y": EDGES, "depth": 50.0}]},
            "domain": {"momentum": [1, 64], "max_angle": 16, "entry_x": [-5, 5], "entry_y": [-5, 5]},
            "validation": {"momentum_bins": [1, 64], "bootstrap": 20, "classifier_repeats": 1, "max_showers": 120},
        }
    )


@pytest.fixture
def geometry(config):
    return Geometry.from_dict(config.geometry.to_dict())


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch):
    monkeypatch.setattr(report, "draw", lambda comparison, reporter: [])


def write(path, config, source, showers):
    schema = Schema.from_source(config.data.sources[source])
    with ShowerWriter(path, schema, showers.geometry, provenance={"bundle": "b1"}) as writer:
        writer.extend(showers)


@pytest.fixture
def run(config, geometry, tmp_path, untrained_bundle):
    """A run folder with prepared toy showers and an untrained bundle."""
    showers = toy_showers(np.random.default_rng(1), geometry, 700)
    write(tmp_path / "all.root", config, 1, showers)
    dense = config.data.model_copy(update={"sources": config.data.sources[1:]})
    config = config.model_copy(update={"data": dense})
    prepare(config, SilentReporter())
    domain, schema = Domain.from_config(config.domain), Schema.from_source(dense.sources[0])
    untrained_bundle(config.run_dir / "bundle", geometry, domain, schema, condition=config.condition)
    return config


def test_run_is_compared_with_its_own_particles(run):
    log, tracker = Log(), Tracker()

    verdicts = validate_run(run, "test", log, tracker)

    assert verdicts.report == run.run_dir / "validation" / "test" / "report.html"
    assert not verdicts.passed  # the generator is untrained
    document = json.loads(verdicts.report.with_name("report.json").read_text())
    assert document["comparison"]["condition"]["paired"]
    assert document["comparison"]["reference_count"] == 120
    assert tracker.metrics["test/auc_low"] == document["figures"]["auc_low"]
    assert {"generate", "observables", "distributions", "classifiers"} <= set(log.tasks)


def test_report_is_made_once_for_the_same_inputs(run):
    first, again, forced, tracker = Log(), Log(), Log(), Tracker()
    made = validate_run(run, "test", first)
    before = made.report.stat().st_mtime_ns

    found = validate_run(run, "test", again, tracker)

    assert again.tasks == []
    assert "is there already" in again.lines[0]
    assert found.table() == made.table()
    assert tracker.metrics == {f"test/{name}": value for name, value in made.figures.items()}
    assert made.report.stat().st_mtime_ns == before
    validate_run(run, "test", forced, force=True)
    assert "classifiers" in forced.tasks


def test_other_settings_make_another_report(run):
    validate_run(run, "test", SilentReporter())
    settings = run.validation.model_copy(update={"seed": 5})

    log = Log()
    validate_run(run.model_copy(update={"validation": settings}), "test", log)

    assert "classifiers" in log.tasks


def test_nothing_prepared_is_said(config):
    with pytest.raises(StoreError, match="no prepared showers"):
        validate_run(config, "test", SilentReporter())


def test_files_of_two_layouts_are_compared(config, geometry, tmp_path):
    rng = np.random.default_rng(3)
    write(tmp_path / "a.root", config, 1, toy_showers(rng, geometry, 130))
    write(tmp_path / "b.root", config, 0, toy_showers(rng, geometry, 130, first_event=1000))

    verdicts = validate_files(tmp_path / "a.root", tmp_path / "b.root", config, tmp_path / "out", SilentReporter())

    assert verdicts.report == tmp_path / "out" / "report.html"
    failed = [row for row in verdicts.rows if row.outcome.value == "fail"]
    assert failed == []
    provenance = json.loads((tmp_path / "out" / "report.json").read_text())["comparison"]["provenance"]
    assert provenance["reference files"] == str(tmp_path / "a.root")
    assert "bundle b1" in provenance["generated made with"]


def test_bins_of_the_domain_and_first_showers_are_named(config, geometry, tmp_path):
    settings = config.validation.model_copy(update={"momentum_bins": None})
    config = config.model_copy(update={"validation": settings})
    write(tmp_path / "a.root", config, 1, toy_showers(np.random.default_rng(3), geometry, 130))

    verdicts = validate_files(tmp_path / "a.root", tmp_path / "a.root", config, tmp_path / "out", SilentReporter())

    assert [row.criterion for row in verdicts.rows if row.group.startswith("response")] == [
        f"response, {low} to {high} GeV" for low, high in [("1", "2.8"), ("2.8", "8"), ("8", "23"), ("23", "64")]
    ]
    document = json.loads((tmp_path / "out" / "report.json").read_text())
    assert document["comparison"]["provenance"]["generated showers"] == "the first 120 (validation.max_showers)"
    assert verdicts.showers == 120


def test_empty_file_beside_others_is_said(config, geometry, tmp_path):
    showers = toy_showers(np.random.default_rng(3), geometry, 130)
    log = Log()
    log.warning = log.lines.append
    write(tmp_path / "a.root", config, 1, showers[:0])
    write(tmp_path / "b.root", config, 1, showers)
    both = [str(tmp_path / name) for name in ("a.root", "b.root")]

    validate_files(both, tmp_path / "b.root", config, tmp_path / "out", log)

    assert f"{tmp_path / 'a.root'} has no showers; the other reference files are compared" in log.lines
    with pytest.raises(DataError, match="no showers in the generated files"):
        validate_files(both, tmp_path / "a.root", config, tmp_path / "out", log)


def test_wrong_energies_fail(config, geometry, tmp_path):
    showers = toy_showers(np.random.default_rng(3), geometry, 130)
    write(tmp_path / "a.root", config, 1, showers)
    write(tmp_path / "b.root", config, 1, replace(showers, cell_energy=showers.cell_energy * np.float32(1.3)))

    verdicts = validate_files(tmp_path / "a.root", tmp_path / "b.root", config, tmp_path / "out", SilentReporter())

    outcomes = {row.criterion: row.outcome.value for row in verdicts.rows}
    assert outcomes["response, 1 to 64 GeV"] == "fail"
    assert not verdicts.passed


def test_file_that_fits_no_source_is_named(config, geometry, tmp_path):
    only_hits = config.model_copy(update={"data": config.data.model_copy(update={"sources": config.data.sources[:1]})})
    write(tmp_path / "a.root", config, 1, toy_showers(np.random.default_rng(3), geometry, 10))

    with pytest.raises(SchemaError, match=r"a\.root fits none of the configuration's sources: data\.sources\[0\]"):
        validate_files(tmp_path / "a.root", tmp_path / "a.root", only_hits, tmp_path / "out", SilentReporter())
    assert not (tmp_path / "out").exists()
