from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from calogan.bundle import Bundle, BundleInfo, write_bundle
from calogan.data.store import Store
from calogan.errors import BundleError, CaloganError, StoreError
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare
from calogan.stages.register import register_run
from calogan.stages.validate import report_inputs
from calogan.tracking import make_tracker
from calogan.validation.criteria import Outcome, Verdict
from calogan.validation.document import Document

mlflow = pytest.importorskip("mlflow")

FIGURES = {"low_level_auc": 0.55123456, "low_level_auc_floor": 0.5, "fpd": 0.2, "linearity": 0.1}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, toy):
    """Prepared showers, and a bundle of weights that nobody runs."""
    config = toy.config(tmp_path_factory.mktemp("register") / "run", "dense")
    prepare(config, SilentReporter())
    info = BundleInfo(
        id="",
        calogan_version="0",
        condition=("momentum",),
        geometry=toy.geometry,
        domain=Domain.from_config(config.domain),
        threshold=0.0,
        schema=toy.schema("dense"),
        noise_size=1,
        architecture={},
        provenance={},
        files={},
    )
    write_bundle(config.run_dir / "bundle", info, {"weight": np.zeros(2, np.float32)}, None)
    return config.run_dir


@pytest.fixture
def study(tmp_path, run_dir, toy, empty_mlflow, monkeypatch):
    """A run folder with prepared showers and a bundle, and its finished run in MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    shutil.copytree(run_dir, tmp_path / "run")
    config = toy.config(tmp_path / "run", "dense")
    make_tracker(config, SilentReporter()).finish("FINISHED")
    return config


@pytest.fixture
def report(study):
    """Writes report.json on the test showers with criteria of given outcomes."""

    def write(*outcomes, **changed):
        store = Store.open(study.run_dir / "prepared")
        inputs = report_inputs(study, "test", store, Bundle.load(study.run_dir / "bundle"))
        criteria = tuple(
            Verdict("response", f"criterion {number}", *[0.1] * 7, Outcome(outcome), "note")
            for number, outcome in enumerate(outcomes)
        )
        document = Document("t", {**inputs, **changed}, {}, 100, 100, 3e-4, criteria, (), FIGURES, {})
        folder = study.run_dir / "validation" / "test"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(document.to_json())
        (folder / "report.html").write_text("<html>")

    return write


def _registered():
    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    return {model.name: model.aliases for model in client.search_registered_models()}


def test_a_bundle_that_passes_becomes_the_champion(study, report):
    report("pass", "pass")

    decision = register_run(study, SilentReporter())

    assert decision.in_the_way == ()
    assert decision.registration.uri == "models:/calogan-toy@champion"
    assert {name: str(aliases["champion"]) for name, aliases in _registered().items()} == {"calogan-toy": "1"}


def test_a_version_is_a_model_with_its_report_and_tags(study, report):
    report("pass", "pass")

    register_run(study, SilentReporter())

    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    version = client.get_model_version("calogan-toy", "1")
    bundle = Bundle.load(study.run_dir / "bundle")
    assert len(version.tags.pop("calogan.contents")) == 64
    assert version.tags == {
        "calogan.study": "toy",
        "calogan.bundle": bundle.info.id,
        "calogan.verdict": "pass",
        "calogan.verdict.tally": "2 pass, 0 fail, 0 undecided",
        "calogan.version": "0",
        "calogan.data_digest": Store.open(study.run_dir / "prepared").digest,
        "calogan.figure.low_level_auc": "0.551235",
        "calogan.figure.fpd": "0.2",
    }
    folder = Path(version.source.removeprefix("file://"))
    assert (folder / "MLmodel").is_file()
    assert Bundle.load(folder / "artifacts" / "bundle").info == bundle.info
    assert sorted(path.name for path in (folder / "validation").iterdir()) == ["report.html", "report.json"]


def test_new_weights_and_a_new_report_make_a_new_version_of_the_same_bundle(study, report):
    def version():
        return register_run(study, SilentReporter()).registration.version

    report("pass")
    assert (version(), version()) == ("1", "1")
    bundle = Bundle.load(study.run_dir / "bundle").with_weigher(b"graph", {"limit": 2.0})
    report("pass")
    assert (version(), version()) == ("2", "2")
    bundle.with_validation({"passed": True})
    assert (version(), version()) == ("3", "3")
    report("pass", "pass")
    assert (version(), version()) == ("4", "4")
    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    folders = [Path(client.get_model_version("calogan-toy", str(n)).source.removeprefix("file://")) for n in (1, 2)]
    assert [(folder / "artifacts" / "bundle" / "weigher.onnx").exists() for folder in folders] == [False, True]


def test_the_name_can_be_chosen(study, report):
    report("pass")

    assert register_run(study, SilentReporter(), "mine").registration.name == "mine"


def test_a_criterion_that_does_not_pass_stands_in_the_way(study, report):
    report("pass", "fail", "undecided")

    decision = register_run(study, SilentReporter())

    assert decision.registration is None
    assert [(row.criterion, row.outcome) for row in decision.in_the_way] == [
        ("criterion 1", "fail"),
        ("criterion 2", "undecided"),
    ]
    assert _registered() == {}


@pytest.mark.parametrize("name", ["bundle", "data", "split", "calogan"])
def test_a_report_of_something_else_does_not_count(study, report, name):
    report("pass", **{name: "other"})

    with pytest.raises(StoreError, match=f"out of date: its {name} is other, that of the study"):
        register_run(study, SilentReporter())
    assert _registered() == {}


def test_a_report_with_other_settings_says_what_to_do(study, report):
    report("pass", settings="f" * 64)

    with pytest.raises(StoreError, match=r"made with other settings .* the same --set, --full.*`calogan validate"):
        register_run(study, SilentReporter())
    report("pass", data="0123456789abcdef" * 4)
    with pytest.raises(StoreError, match=r"its data is 01234567, that of the study [0-9a-f]{8}; run"):
        register_run(study, SilentReporter())


def test_a_report_without_criteria_passes_nothing(study, report):
    report()

    with pytest.raises(StoreError, match="has no criteria"):
        register_run(study, SilentReporter())


def test_without_report_bundle_or_record_it_is_said_what_to_do(study, report):
    with pytest.raises(StoreError, match=r"no report there .*calogan validate"):
        register_run(study, SilentReporter())
    report("pass")
    (study.run_dir / "mlflow.json").write_text(json.dumps({"run_id": "0" * 32}))
    with pytest.raises(CaloganError, match="has no run of"):
        register_run(study, SilentReporter())
    shutil.rmtree(study.run_dir / "bundle")
    with pytest.raises(BundleError, match="not a bundle"):
        register_run(study, SilentReporter())
