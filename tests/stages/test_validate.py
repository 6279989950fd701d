from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.schema import Schema
from calogan.data.store import Store
from calogan.data.toy import toy_showers
from calogan.data.writing import ShowerWriter
from calogan.errors import CaloganError, ConfigError, DataError, SchemaError, ShapeError, StoreError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.stages import validate as stage
from calogan.stages.prepare import prepare
from calogan.stages.validate import report_folder, validate_files, validate_run
from calogan.validation import report
from calogan.validation.document import Document, digest_of
from calogan.validation.studies import speed
from calogan.validation.summary import Verdicts

EDGES = {"cells": 6, "low": -60.0, "high": 60.0}


class Log(SilentReporter):
    def __init__(self):
        self.lines, self.warnings, self.tasks = [], [], []

    def message(self, text):
        self.lines.append(text)

    def warning(self, text):
        self.warnings.append(text)

    def task(self, description, total, unit, completed=0):
        self.tasks.append(description)
        return super().task(description, total, unit, completed)


class Tracker:
    def __init__(self):
        self.metrics, self.tags = {}, {}

    def log_metrics(self, metrics, step):
        self.metrics.update(metrics)

    def set_tags(self, tags):
        self.tags.update(tags)


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
            "validation": {"momentum_bins": [1, 64], "bootstrap": 20, "classifier_repeats": 3, "max_showers": 120},
        }
    )


@pytest.fixture
def geometry(config):
    return Geometry.from_dict(config.geometry.to_dict())


@pytest.fixture
def compared(monkeypatch):
    """What is compared, instead of comparing it: a list of the arguments."""
    calls = []

    def compare(reference, generated, settings, threshold, reporter, context):
        calls.append(SimpleNamespace(reference=reference, generated=generated, settings=settings, context=context))
        weights = SimpleNamespace(weight=np.arange(len(generated)) / 10) if settings.weights else None
        return SimpleNamespace(weights=weights, reference_count=len(reference))

    def write_report(comparison, verdicts, sections, folder, *, title, inputs, reporter):
        calls[-1].title, calls[-1].inputs = title, inputs
        return Verdicts((), {"auc": 0.5}, comparison.reference_count, Path(folder) / "report.html")

    monkeypatch.setattr(stage, "compare", compare)
    monkeypatch.setattr(stage, "judge", lambda comparison, criteria: ())
    monkeypatch.setattr(stage, "report_sections", lambda comparison, verdicts: [])
    monkeypatch.setattr(stage, "write_report", write_report)
    return calls


def write(path, config, source, showers):
    schema = Schema.from_source(config.data.sources[source])
    with ShowerWriter(path, schema, showers.geometry, provenance={"bundle": "b1"}) as writer:
        writer.extend(showers)


def changed(config, **sections):
    return Config.model_validate(config.model_dump(mode="json") | sections)


def settings(config, **values):
    return changed(config, validation=config.validation.model_dump() | values)


@pytest.fixture
def run_of(config, tmp_path, untrained_bundle):
    """Makes a run folder with prepared showers and an untrained bundle."""

    def make(showers):
        write(tmp_path / "all.root", config, 1, showers)
        dense = changed(config, data={"sources": [config.model_dump(mode="json")["data"]["sources"][1]]})
        prepare(dense, SilentReporter())
        domain, schema = Domain.from_config(dense.domain), Schema.from_source(dense.data.sources[0])
        untrained_bundle(dense.run_dir / "bundle", showers.geometry, domain, schema, condition=dense.condition)
        return dense

    return make


@pytest.fixture
def run(run_of, geometry):
    """A run folder with 700 prepared toy showers."""
    return run_of(toy_showers(np.random.default_rng(1), geometry, 700))


@pytest.fixture
def store(run):
    return Store.open(run.run_dir / "prepared")


def test_run_is_compared_with_its_own_particles(run, store, compared):
    log, tracker = Log(), Tracker()

    verdicts = validate_run(run, "test", log, tracker)

    (call,) = compared
    assert np.array_equal(call.reference.event, store.load("test", max_showers=120).event)
    assert np.array_equal(call.generated.incident, call.reference.incident)
    assert not np.array_equal(call.generated.cell_energy, call.reference.cell_energy)
    assert log.tasks == ["generate"]
    assert verdicts.report == run.run_dir / "validation" / "test" / "report.html"
    assert tracker.metrics == {"test/auc": 0.5}
    assert tracker.tags == verdicts.tags("test")
    assert call.context.provenance["split"].endswith("120 of them, spread evenly (validation.max_showers)")
    assert call.context.provenance["held out of the training"] == "nothing"


def test_another_bundle_has_a_report_of_its_own(run, compared, untrained_bundle, geometry, tmp_path):
    domain, schema = Domain.from_config(run.domain), Schema.from_source(run.data.sources[0])
    untrained_bundle(tmp_path / "other", geometry, domain, schema, condition=run.condition)
    own = validate_run(run, "test", Log())
    other = validate_run(run, "test", Log(), bundle=str(tmp_path / "other"))
    assert own.report.parent.name == "test"
    assert other.report == run.run_dir / "validation" / "test-other" / "report.html"
    assert compared[1].context.provenance["bundle"] == Bundle.load(tmp_path / "other").info.id
    assert np.array_equal(compared[0].reference.event, compared[1].reference.event)


def test_a_bundle_in_another_run_folder_is_named_by_that(run):
    assert report_folder(run, "test", "runs/wide/bundle").name == "test-wide"
    assert report_folder(run, "test", "runs/wide/bundle/").name == "test-wide"
    assert report_folder(run, "validation", "ecal30-electron").name == "validation-ecal30-electron"


def test_a_bundle_of_mlflow_is_named_by_its_model_or_run(run):
    for name, folder in (("models:/wide@best", "wide@best"), ("models:/wide/3", "wide-3"), ("runs:/0f3a", "0f3a")):
        assert report_folder(run, "test", name).name == f"test-{folder}"


def test_a_study_without_a_bundle_has_to_be_trained(run):
    shutil.rmtree(run.run_dir / "bundle")
    with pytest.raises(StoreError, match="nothing has been trained there yet; run calogan train"):
        validate_run(run, "test", Log())


def test_a_bundle_that_does_not_know_all_particles_is_refused(run, untrained_bundle, geometry, tmp_path):
    domain, schema = Domain.from_config(run.domain), Schema.from_source(run.data.sources[0])
    narrow = replace(domain, momentum=(domain.momentum[0], domain.momentum[1] / 2))
    untrained_bundle(tmp_path / "other", geometry, narrow, schema, condition=run.condition)
    with pytest.raises(ConfigError, match=r"knows particles of .* GeV, angles up to .* degrees, .* not all of"):
        validate_run(run, "test", Log(), bundle=str(tmp_path / "other"))


def test_a_bundle_for_other_cells_or_a_higher_threshold_is_refused(run, untrained_bundle, geometry, tmp_path):
    domain, schema = Domain.from_config(run.domain), Schema.from_source(run.data.sources[0])
    half = Geometry((replace(geometry.layers[0], depth=1.0),))
    untrained_bundle(tmp_path / "other", half, domain, schema, condition=run.condition)
    with pytest.raises(ConfigError, match="made for other cells than those of tiny"):
        validate_run(run, "test", Log(), bundle=str(tmp_path / "other"))
    untrained_bundle(tmp_path / "same", geometry, domain, schema, condition=run.condition)
    with pytest.raises(ConfigError, match=r"threshold of 0\.0003 GeV is above that of tiny, 0\.0001 GeV"):
        validate_run(changed(run, threshold=1e-4), "test", Log(), bundle=str(tmp_path / "same"))


def test_studies_get_what_the_run_folder_has(run, store, compared):
    validate_run(run, "test", SilentReporter())

    context = compared[0].context
    assert np.array_equal(context.training.event, store.load("train").event)
    assert context.sampler.version == Bundle.load(run.run_dir / "bundle").info.id
    assert context.hold_out is None
    assert context.simulation is None
    assert context.study == str(run.run_dir / "config.yaml")


def test_training_showers_are_spread_evenly_unless_all_are_wanted(run, store, compared, monkeypatch):
    monkeypatch.setattr(stage, "_MOST_TRAINING", 50)

    validate_run(run, "test", SilentReporter())
    validate_run(settings(run, full=True), "test", SilentReporter())

    first, full = (call.context.training for call in compared)
    assert np.array_equal(first.event, store.load("train", max_showers=50).event)
    assert len(full) == store.counts()["train"]


def test_band_that_the_bundle_was_not_trained_on_is_known(run, compared, monkeypatch):
    info = Bundle.load(run.run_dir / "bundle").info
    held = replace(info, provenance={"hold_out_momentum": [4, 16]})
    monkeypatch.setattr(Bundle, "load", lambda path: Bundle(Path(path), held))

    validate_run(run, "test", SilentReporter())

    context = compared[0].context
    assert context.hold_out == (4.0, 16.0)
    assert not ((context.training.momentum > 4) & (context.training.momentum < 16)).any()
    assert context.provenance["held out of the training"] == "4 to 16 GeV"
    assert ((compared[0].reference.momentum > 4) & (compared[0].reference.momentum < 16)).any()


def test_test_showers_that_were_trained_on_are_left_out(run_of, geometry, compared):
    showers = toy_showers(np.random.default_rng(1), geometry, 350)
    twice = replace(
        showers[np.arange(700) % 350],
        event=np.arange(700),  # the same showers under other ids, so that splits tear them apart
    )
    run = settings(run_of(twice), max_showers=None)
    log = Log()

    validate_run(run, "test", log)

    (call,) = compared
    store = Store.open(run.run_dir / "prepared")
    train, test = store.load("train"), store.load("test")
    known = {row.tobytes() for row in train.cell_energy}
    expected = [row.tobytes() not in known for row in test.cell_energy]
    assert 0 < sum(expected) < len(test)
    assert np.array_equal(call.reference.event, test.event[expected])
    count = len(test) - sum(expected)
    assert f"left out: {count} test showers that are equal to training showers" in log.warnings[0]
    assert call.context.provenance["left out"].startswith(f"{count} test showers")


def test_weights_lie_beside_the_report_as_long_as_they_are_of_it(run, compared):
    path = run.run_dir / "validation" / "test" / "weights.npz"

    validate_run(settings(run, weights=True), "test", SilentReporter())

    with np.load(path, allow_pickle=False) as found:
        assert np.array_equal(found["event"], compared[0].generated.event)
        assert np.array_equal(found["weight"], np.arange(120) / 10)
    assert [child.name for child in path.parent.iterdir()] == ["weights.npz"]
    validate_run(run, "test", SilentReporter())
    assert not path.exists()


def test_weights_of_the_bundle_are_compared_where_it_has_some(run, compared, monkeypatch):
    def weigher(bundle, threads):
        return lambda incident, cells: cells.sum(axis=1)

    monkeypatch.setattr("calogan.sampler.sampler.load_weigher", weigher)
    wanted = settings(run, weights=True)
    validate_run(wanted, "test", SilentReporter())
    bundle = Bundle.load(run.run_dir / "bundle").with_weigher(b"graph", {})
    validate_run(wanted, "test", SilentReporter())
    validate_run(run, "test", SilentReporter())
    before, weighed, unwanted = compared
    assert before.context.weight is None
    assert unwanted.context.weight is None
    np.testing.assert_allclose(weighed.context.weight, weighed.generated.cell_energy.sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(weighed.generated.cell_energy, before.generated.cell_energy)
    assert weighed.inputs["weigher"] == bundle.info.files["weigher.onnx"]
    assert "weigher" not in before.inputs | unwanted.inputs


def test_report_is_made_once_for_the_same_inputs(run, monkeypatch):
    monkeypatch.setattr(report, "draw", lambda sections, reporter: [])
    monkeypatch.setattr(speed, "BATCHES", (1,))
    first, again, other, forced, tracker = Log(), Log(), Log(), Log(), Tracker()
    made = validate_run(run, "test", first)

    found = validate_run(run, "test", again, tracker)

    assert again.tasks == []
    assert "is there already" in again.lines[0]
    assert found.table() == made.table()
    assert tracker.metrics == {f"test/{name}": value for name, value in made.figures.items()}
    assert not made.passed  # the generator is untrained
    document = json.loads(made.report.with_name("report.json").read_text())
    assert document["verdict"] == "fail"
    monkeypatch.setattr(stage, "compare", lambda *arguments: pytest.fail("compared again"))
    with pytest.raises(pytest.fail.Exception, match="compared again"):
        validate_run(run, "test", forced, force=True)
    with pytest.raises(pytest.fail.Exception, match="compared again"):
        validate_run(settings(run, seed=5, full=True), "test", other)
    assert other.lines[0] == f"{made.report.parent}: replacing the report made with other settings"
    assert other.lines[1].startswith("full protocol: learning curve with all sizes, each tested 3 times")


def test_nothing_prepared_is_said(config):
    with pytest.raises(StoreError, match="no prepared showers"):
        validate_run(config, "test", SilentReporter())


def test_prepared_folder_is_a_reference(run, store, compared, config, tmp_path):
    validation = store.load("validation", max_showers=120)
    write(tmp_path / "b.root", config, 1, validation[::-1])

    validate_files(store.folder, tmp_path / "b.root", config, tmp_path / "out", SilentReporter(), split="validation")

    (call,) = compared
    assert np.array_equal(call.reference.event, validation.event)
    assert np.array_equal(call.context.training.event, store.load("train").event)
    assert call.context.sampler is None
    assert call.context.provenance["reference split"] == f"validation ({store.counts()['validation']} showers)"
    assert call.context.provenance["reference showers"] == "120, spread evenly (validation.max_showers)"
    assert call.context.provenance["digest of the reference data"] == store.digest


def test_two_prepared_folders_are_compared_and_training_showers_are_not_searched_for_themselves(
    store, compared, config, tmp_path
):
    folder = str(store.folder)
    validate_files(folder, [folder], config, tmp_path / "out", SilentReporter(), split="train")

    (call,) = compared
    assert np.array_equal(call.reference.event, call.generated.event)
    assert call.context.training is None


def test_partners_of_showers_that_are_left_out_are_left_out_too(run_of, geometry, compared, config, tmp_path):
    showers = toy_showers(np.random.default_rng(1), geometry, 350)
    run = settings(run_of(replace(showers[np.arange(700) % 350], event=np.arange(700))), max_showers=None)
    test = Store.open(run.run_dir / "prepared").load("test")
    write(tmp_path / "b.root", config, 1, replace(test, cell_energy=test.cell_energy * np.float32(1.1))[::-1])

    folder = run.run_dir / "prepared"
    validate_files(folder, tmp_path / "b.root", settings(config, max_showers=None), tmp_path / "out", SilentReporter())

    (call,) = compared
    assert len(call.reference) < len(test)
    assert np.array_equal(call.generated.incident, call.reference.incident)


def test_prepared_folder_of_other_cells_is_refused(store, config, tmp_path):
    finer = changed(config, geometry={"layers": [{"x": {**EDGES, "cells": 12}, "y": EDGES, "depth": 50.0}]})

    with pytest.raises(ShapeError, match="prepared with other cells than those of the configuration"):
        validate_files(store.folder, store.folder, finer, tmp_path / "out", SilentReporter())


def test_prepared_folder_goes_alone(store, config, tmp_path):
    both = [str(store.folder), str(tmp_path / "all.root")]

    with pytest.raises(DataError, match=r"generated: .* a prepared folder goes alone"):
        validate_files(str(tmp_path / "all.root"), both, config, tmp_path / "out", SilentReporter())


def test_files_of_two_layouts_are_compared(config, geometry, tmp_path, compared):
    showers = toy_showers(np.random.default_rng(3), geometry, 260)
    write(tmp_path / "a.root", config, 1, showers[:130])
    write(tmp_path / "b.root", config, 0, showers[130:])

    verdicts = validate_files(tmp_path / "a.root", tmp_path / "b.root", config, tmp_path / "out", SilentReporter())

    (call,) = compared
    assert verdicts.report == tmp_path / "out" / "report.html"
    np.testing.assert_allclose(call.reference.cell_energy, showers.cell_energy[:120], rtol=2e-7)
    np.testing.assert_allclose(call.generated.cell_energy, showers.cell_energy[130:250], rtol=2e-7)
    assert call.context.training is None
    assert call.context.provenance["reference files"] == str(tmp_path / "a.root")
    assert call.context.provenance["generated showers"] == "the first 120 (validation.max_showers)"
    assert "bundle b1" in call.context.provenance["generated made with"]


def test_bins_are_those_of_the_domain_by_default(config, geometry, tmp_path, compared):
    write(tmp_path / "a.root", config, 1, toy_showers(np.random.default_rng(3), geometry, 130))

    validate_files(
        tmp_path / "a.root",
        tmp_path / "a.root",
        settings(config, momentum_bins=None),
        tmp_path / "out",
        SilentReporter(),
    )

    assert compared[0].settings.momentum_bins == [1, 2.8, 8, 23, 64]


def test_empty_file_beside_others_is_said(config, geometry, tmp_path, compared):
    showers = toy_showers(np.random.default_rng(3), geometry, 130)
    log = Log()
    write(tmp_path / "a.root", config, 1, showers[:0])
    write(tmp_path / "b.root", config, 1, showers)
    both = [str(tmp_path / name) for name in ("a.root", "b.root")]

    validate_files(both, tmp_path / "b.root", config, tmp_path / "out", log)

    assert f"{tmp_path / 'a.root'} has no showers; the other reference files are compared" in log.warnings
    with pytest.raises(DataError, match="no showers in the generated files"):
        validate_files(both, tmp_path / "a.root", config, tmp_path / "out", log)


def test_file_that_fits_no_source_is_named(config, geometry, tmp_path):
    only_hits = config.model_copy(update={"data": config.data.model_copy(update={"sources": config.data.sources[:1]})})
    write(tmp_path / "a.root", config, 1, toy_showers(np.random.default_rng(3), geometry, 10))

    with pytest.raises(SchemaError, match=r"a\.root fits none of the configuration's sources: data\.sources\[0\]"):
        validate_files(tmp_path / "a.root", tmp_path / "a.root", only_hits, tmp_path / "out", SilentReporter())
    assert not (tmp_path / "out").exists()


def test_report_on_two_samples_is_made_once_for_the_same_inputs(config, geometry, tmp_path, compared):
    write(tmp_path / "a.root", config, 1, toy_showers(np.random.default_rng(3), geometry, 130))
    log, out = Log(), tmp_path / "out"

    def again(study, **named):
        return validate_files(tmp_path / "a.root", tmp_path / "a.root", study, out, log, **named)

    again(config)
    inputs = compared[0].inputs
    out.mkdir()
    (out / "report.json").write_text(Document("t", inputs, {}, 120, 120, 3e-4, (), (), {}, {}).to_json())
    (out / "report.html").write_text(digest_of(inputs))
    assert again(config).report == out / "report.html"
    assert len(compared) == 1
    assert "is there already" in log.lines[0]
    again(config, force=True)
    assert len(compared) == 2
    again(settings(config, bootstrap=30))
    again(changed(config, domain=config.domain.model_dump(mode="json") | {"momentum": [1, 32]}))
    assert len(compared) == 4
    assert log.lines[1:] == [
        f"{out}: replacing the report made with other settings",
        f"{out}: replacing the report made with other inputs (cells and domain)",
    ]


def test_folder_that_cannot_be_written_is_found_before_anything_is_read(config, tmp_path):
    (tmp_path / "file").write_text("in the way")

    for out in (tmp_path / "file", tmp_path / "file" / "out" / "deeper"):
        with pytest.raises(CaloganError, match=f"{out}: cannot write the report: Not a directory"):
            validate_files("absent.root", "absent.root", config, out, SilentReporter())


def test_run_folder_that_cannot_be_written_is_found_before_anything_is_generated(run, compared):
    (run.run_dir / "validation").write_text("in the way")
    log = Log()

    with pytest.raises(CaloganError, match="cannot write the report: Not a directory"):
        validate_run(run, "test", log)
    assert (log.tasks, compared) == ([], [])
