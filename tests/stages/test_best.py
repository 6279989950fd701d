"""Tests of the choice among trained runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from safetensors.numpy import load

from calogan.bundle import write_bundle
from calogan.config import Config
from calogan.errors import BundleError, StoreError
from calogan.stages.best import choose_best


@pytest.fixture
def trained(tmp_path, tiny_bundle, ecal30_config):
    """Writes a run folder as a training leaves it: ``trained(name, score)``."""

    def write(name, score, training=None, **provenance):
        run = tmp_path / name
        told = {"physics_score": score, "selected_step": 400, "steps": 500, "complete": True, "seed": 1}
        told |= {"data_digest": "showers", "hold_out_momentum": None} | provenance
        info = replace(tiny_bundle.info, provenance=told)
        write_bundle(run / "bundle", info, load(tiny_bundle.weights_path.read_bytes()), None)
        values = ecal30_config.model_dump(mode="json") | {"training": training or {}}
        (run / "config.yaml").write_text(Config.model_validate(values).to_yaml())
        return run

    return write


def test_the_lowest_score_on_the_validation_showers_is_first(trained, tmp_path):
    runs = [trained("a", 3.5), trained("b", 1.25, seed=2), trained("c", 2.0, complete=False)]
    ranking = choose_best(runs, tmp_path / "best.json")
    assert [one.run for one in ranking] == [str(runs[1]), str(runs[2]), str(runs[0])]
    assert [one.complete for one in ranking] == [True, False, True]
    told = json.loads((tmp_path / "best.json").read_text())
    assert told["best"] == str(runs[1])
    assert [(one["score"], one["seed"]) for one in told["runs"]] == [(1.25, 2), (2.0, 1), (3.5, 1)]


def test_figures_of_the_test_showers_change_nothing(trained, tmp_path):
    runs = [trained("a", 1.0), trained("b", 2.0)]
    before = choose_best(runs, tmp_path / "best.json")
    description = runs[1] / "bundle" / "bundle.json"
    values = json.loads(description.read_text())
    description.write_text(json.dumps(values | {"validation": {"passed": True, "figures": {"low_level_auc": 0.5}}}))
    assert choose_best(runs, tmp_path / "best.json") == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"data_digest": "others"}, "data is others, not showers"),
        ({"hold_out_momentum": [20, 30]}, "hold_out_momentum is .20, 30., not None"),
        ({"training": {"evaluate_showers": 50}}, "training.evaluate_showers is 50, not"),
    ],
)
def test_scores_on_other_showers_are_not_compared(trained, tmp_path, other, message):
    runs = [trained("a", 1.0), trained("b", 2.0, **other)]
    with pytest.raises(StoreError, match=f"b: was scored on other showers than .*a: .*{message}"):
        choose_best(runs, tmp_path / "best.json")
    assert not (tmp_path / "best.json").exists()


def test_a_run_without_a_bundle_is_named(trained, tmp_path):
    with pytest.raises(BundleError, match="nothing/bundle: not a bundle"):
        choose_best([trained("a", 1.0), tmp_path / "nothing"], tmp_path / "best.json")
