"""Weights of a surrogate, learnt from a reference that is a known selection of its own showers."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.schema import Schema
from calogan.data.store import Store
from calogan.data.writing import ShowerWriter
from calogan.errors import BundleError, ConfigError, DataError, MissingDependencyError, StoreError
from calogan.geometry import Geometry
from calogan.metrics.weighting import weighted_mean
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.sampler import ShowerSampler
from calogan.sampler.source import find_bundle
from calogan.stages import weigh as stage
from calogan.stages.prepare import prepare
from calogan.stages.weigh import summary, weigh
from calogan.training.weigher import FittedWeigher, fit_weigher

pytest.importorskip("onnxscript")
pytest.importorskip("sklearn")
AXIS = {"cells": 4, "low": -60.0, "high": 60.0}
STUDY = {
    "name": "kept",
    "threshold": 3e-4,
    "geometry": {"layers": [{"x": AXIS, "y": AXIS, "depth": 50.0}]},
    "domain": {"momentum": [1, 64], "max_angle": 10, "entry_x": [-5, 5], "entry_y": [-5, 5]},
    "training": {"threads": 1},
    "validation": {"classifier_repeats": 3},
}


@dataclass(frozen=True)
class Weighed:
    """A study whose reference showers are kept ones of its own surrogate, the bundle without and with weights."""

    config: Config
    before: Bundle
    after: Bundle
    fitted: FittedWeigher


def particles(rng, count):
    """Incident particles all over the domain, shape ``(count, 5)``."""
    momentum = np.exp(rng.uniform(0.01, np.log(63), count))
    slope = rng.uniform(-0.1, 0.1, (2, count))
    along = momentum / np.sqrt(1 + (slope**2).sum(axis=0))
    return np.stack([*(slope * along), along, *rng.uniform(-4, 4, (2, count))], axis=1).astype(np.float32)


def brightness(showers):
    return np.log1p(showers.total_energy / showers.momentum)


def kept(showers):
    """Chance that a shower is one of the reference: bright ones are likelier."""
    return 1 / (1 + np.exp(1 - brightness(showers)))


@pytest.fixture(scope="module")
def study(tmp_path_factory, untrained_bundle):
    """A run folder with a bundle, and prepared showers that are those of its showers that were kept."""
    folder, rng = tmp_path_factory.mktemp("weigh"), np.random.default_rng(3)
    source = {"layout": "dense", "files": [str(folder / "kept.root")], "energy": ["energy"]}
    config = Config.model_validate(STUDY | {"run_dir": str(folder / "run"), "data": {"sources": [source]}})
    geometry, schema = Geometry.from_dict(config.geometry.to_dict()), Schema.from_source(config.data.sources[0])
    bundle = untrained_bundle(config.run_dir / "bundle", geometry, Domain.from_config(config.domain), schema)
    made = ShowerSampler(bundle, threads=1).sample(*particles(rng, 8000).T, seed=1)
    with ShowerWriter(folder / "kept.root", schema, geometry) as writer:
        writer.extend(made[rng.random(8000) < kept(made)])
    prepare(config, SilentReporter())
    return config, bundle


@pytest.fixture(scope="module")
def weighed(study):
    config, bundle = study
    with pytest.MonkeyPatch.context() as patch:
        learnt = []
        patch.setattr(stage, "fit_weigher", lambda *given: learnt.append(fit_weigher(*given)) or learnt[0])
        return Weighed(config, bundle, weigh(config, SilentReporter()), learnt[0])


@pytest.fixture(scope="module")
def fresh(weighed):
    """Showers that nothing was learnt from, with weights."""
    incident = particles(np.random.default_rng(9), 4000)
    return ShowerSampler(weighed.after, threads=1).sample(*incident.T, seed=2, weights=True)


@pytest.fixture
def copied(weighed, tmp_path):
    """The study in a run folder of its own, with weights."""
    folder = shutil.copytree(weighed.config.run_dir, tmp_path / "run")
    return weighed.config.model_copy(update={"run_dir": folder})


def test_weights_turn_fresh_showers_towards_the_reference(fresh):
    values = brightness(fresh)
    before, after, truth = (
        weighted_mean(values, weight) for weight in (np.ones(4000), fresh.weight.astype(float), kept(fresh))
    )
    assert truth.value - before.value > 10 * before.error
    assert after.value - before.value > 5 * after.error
    assert after.value - before.value > 0.3 * (truth.value - before.value)
    assert np.corrcoef(fresh.weight, kept(fresh))[0, 1] > 0.7
    assert fresh.weight.mean() == pytest.approx(1.0, abs=0.03)


def test_the_graph_is_the_network(weighed, fresh):
    with torch.no_grad():
        expected = weighed.fitted.weigher(torch.from_numpy(fresh.incident), torch.from_numpy(fresh.cell_energy))
    np.testing.assert_allclose(fresh.weight, expected.numpy(), rtol=1e-4)


def test_the_bundle_keeps_its_id_and_says_what_its_weights_are(weighed):
    info = Bundle.load(weighed.after.path).info
    assert info.id == weighed.before.info.id
    assert info.files.keys() == weighed.before.info.files.keys() | {"weigher.onnx"}
    counts = Store.open(weighed.config.run_dir / "prepared").counts()
    found = info.weigher
    assert found["training_showers"] == counts["train"]
    assert found["generated_showers"] == 2 * counts["train"]
    assert found["validation_showers"] == counts["validation"]
    assert found["seed"] == 1
    assert 0.5 < found["effective_fraction"] < 1
    before, after = (found["own_auc"][when] for when in ("before", "after"))
    assert before[0] - 0.5 > 3 * before[1]
    assert after[0] == pytest.approx(0.5, abs=0.03)
    lines = summary(found)
    assert f"of {counts['validation']} weighted showers" in lines[0]
    assert all("without" in line and "with weights" in line for line in lines[1:])


def test_weights_stay_below_the_limit(weighed, fresh):
    found = weighed.after.info.weigher
    assert fresh.weight.max() <= found["limit"] / found["mean"] * (1 + 1e-5)
    assert fresh.weight.min() > 0


def test_what_is_there_is_not_learnt_again_unless_it_is_wanted(copied, weighed, monkeypatch):
    monkeypatch.setattr(stage, "fit_weigher", lambda *given: pytest.fail("learnt again"))
    assert weigh(copied, SilentReporter()).info == weighed.after.info
    with pytest.raises(pytest.fail.Exception, match="learnt again"):
        weigh(copied, SilentReporter(), force=True)


def test_another_bundle_is_weighed_where_it_is(copied, weighed, monkeypatch):
    other = shutil.copytree(weighed.before.path, copied.run_dir.parent / "other")
    Bundle.load(other).with_weigher(b"former", {"seed": 0})
    graph = weighed.after.weigher_path.read_bytes()
    monkeypatch.setattr(stage, "export_weigher", lambda *given: graph)
    monkeypatch.setattr(stage, "fit_weigher", lambda *given: weighed.fitted)
    found = weigh(copied, SilentReporter(), bundle=str(other))
    assert found.path == other
    assert Bundle.load(other).weigher_path.read_bytes() == graph
    assert Bundle.load(other).info.weigher["data_digest"] == weighed.after.info.weigher["data_digest"]


def test_a_graph_that_is_not_the_network_is_not_kept(copied, weighed, monkeypatch):
    ratio = replace(weighed.fitted.ratio, weight=1.01 * weighed.fitted.ratio.weight)
    monkeypatch.setattr(stage, "export_weigher", lambda *given: weighed.after.weigher_path.read_bytes())
    monkeypatch.setattr(stage, "fit_weigher", lambda *given: replace(weighed.fitted, ratio=ratio))
    with pytest.raises(BundleError, match=r"differs from the network by 0.0099 of a weight"):
        weigh(copied, SilentReporter(), force=True)
    assert Bundle.load(copied.run_dir / "bundle").info == weighed.after.info


def test_momenta_that_the_generator_did_not_see_are_not_learnt_from(copied, monkeypatch):
    bundle = Bundle.load(copied.run_dir / "bundle")
    values = bundle.info.to_dict() | {"provenance": {"hold_out_momentum": [4.0, 16.0]}}
    (bundle.path / "bundle.json").write_text(json.dumps(values))

    seen = []

    def stop(features, training, validation, *others):
        seen.extend([training, validation])
        pytest.fail("seen")

    monkeypatch.setattr(stage, "fit_weigher", stop)
    with pytest.raises(pytest.fail.Exception, match="seen"):
        weigh(copied, SilentReporter(), force=True)
    half_width = np.log(64) / 2
    for sample in seen:
        momentum = np.exp(half_width * (1 + sample.features[:, 0]))
        assert not np.any((momentum > 4.01) & (momentum < 15.99))
        assert momentum.min() < 3
        assert momentum.max() > 20


def test_too_few_showers_are_refused(copied, monkeypatch):
    load = Store.load
    monkeypatch.setattr(Store, "load", lambda store, split, **given: load(store, split, **given)[:50])
    with pytest.raises(DataError, match=r"^weights need at least 100 training showers, there are 50; prepare more$"):
        weigh(copied, SilentReporter(), force=True)


@pytest.mark.parametrize(
    ("bundle", "place"),
    [
        ("ecal30-electron", "shipped with calogan"),
        (str(find_bundle("ecal30-electron").path), "shipped with calogan"),
        ("models:/calogan-kept@champion", "in MLflow"),
        ("runs:/0123", "in MLflow"),
        ("cache/bundles/0123", "in the cache of bundles from MLflow, cache"),
        ("link", "in the cache of bundles from MLflow, cache"),
    ],
)
def test_a_bundle_that_others_rely_on_is_not_changed(copied, tmp_path, monkeypatch, bundle, place):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALOGAN_CACHE", "cache")
    shutil.copytree(copied.run_dir / "bundle", tmp_path / "cache" / "bundles" / "0123")
    (tmp_path / "link").symlink_to(tmp_path / "cache" / "bundles" / "0123")
    text = f"bundle {bundle} is {place} and stays as it is; copy the bundle and give the copy"
    with pytest.raises(ConfigError, match=f"^{re.escape(text)}$"):
        weigh(copied, SilentReporter(), bundle=bundle, force=True)


def test_without_a_bundle_or_onnx_it_says_so(copied, monkeypatch):
    shutil.rmtree(copied.run_dir / "bundle")
    with pytest.raises(StoreError, match="nothing has been trained there yet"):
        weigh(copied, SilentReporter())
    monkeypatch.setattr(stage, "can_export", lambda: False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'calogan\[train\]'"):
        weigh(copied, SilentReporter())
