import hashlib
import json
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.store import Store
from calogan.errors import StoreError, TrainingError
from calogan.export import describe
from calogan.progress import SilentReporter
from calogan.stages import train as train_stage
from calogan.stages.prepare import prepare
from calogan.stages.train import train
from calogan.training import windows
from calogan.training.state import FORMAT

TRAINING = {
    "batch_size": 32,
    "warmup_steps": 20,
    "steps": 6,
    "critic_steps": 1,
    "log_every": 5,
    "evaluate_every": 3,
    "evaluate_showers": 50,
    "checkpoint_every": 10,
    "device": "cpu",
}
SHORT = {**TRAINING, "warmup_steps": 2, "steps": 0}
MODEL = {
    "latent_size": 4,
    "generator_hidden": [16],
    "critic_hidden": [16],
    "symmetries": ["flip_x", "flip_y", "swap_xy"],
}


class Lines(SilentReporter):
    def __init__(self):
        self.said, self.warned = [], []

    def message(self, text):
        self.said.append(text)

    def warning(self, text):
        self.warned.append(text)


@pytest.fixture
def config(ecal30_config, tmp_path):
    values = ecal30_config.model_dump(mode="json")
    values |= {"run_dir": str(tmp_path / "run"), "training": TRAINING, "model": MODEL}
    config = Config.model_validate(values)
    prepare(config, SilentReporter())
    return config


@pytest.fixture
def without_onnx(monkeypatch):
    """As on a node without onnx: the bundle has no graph, which saves the seconds of an export."""
    monkeypatch.setattr("calogan.stages.train.can_export", lambda: False)


def changed(config, **sections):
    return Config.model_validate(config.model_dump(mode="json") | sections)


def test_training_ends_with_a_bundle_that_says_what_made_it(config):
    reporter = Lines()
    path = train(config, reporter)
    bundle = Bundle.load(path)
    store = Store.open(config.run_dir / "prepared")
    assert bundle.info.condition == ("momentum", "direction", "entry_point")
    assert bundle.info.threshold == 3e-4
    assert bundle.info.geometry == store.geometry
    assert bundle.info.provenance["data_digest"] == store.digest
    assert bundle.info.provenance["training_showers"] == store.counts()["train"]
    assert bundle.info.provenance["steps"] == 26
    assert bundle.info.provenance["pdg"] == [11]
    said = onnxruntime.InferenceSession(bundle.onnx_path).get_modelmeta().custom_metadata_map
    assert said == describe(replace(bundle.info, id=""))  # the bundle's name is a hash of what is in it
    lines = [json.loads(line) for line in (config.run_dir / "train" / "metrics.jsonl").read_text().splitlines()]
    scores = {line["step"]: line["validation/physics_score"] for line in lines if "validation/physics_score" in line}
    assert sorted(scores) == [20, 23, 26]
    assert bundle.info.provenance["physics_score"] == min(scores.values())
    assert scores[bundle.info.provenance["selected_step"]] == min(scores.values())


def test_finished_training_is_not_done_again(config, without_onnx):
    reporter = Lines()
    path = train(config, reporter)
    assert any("no ONNX graph" in line for line in reporter.warned)
    assert Bundle.load(path).onnx_path is None
    before = (path / "bundle.json").stat().st_mtime_ns
    reporter = Lines()
    train(config, reporter)
    assert (path / "bundle.json").stat().st_mtime_ns == before
    assert "already there" in reporter.said[0]


def test_energy_response_is_that_of_the_training_showers(config, without_onnx):
    """The likelihood head starts at the data's mean, so even a short training has the right total energy."""
    config = changed(config, training=TRAINING | {"warmup_steps": 100, "steps": 0})
    generator = Bundle.load(train(config, SilentReporter())).load_generator()
    showers = Store.open(config.run_dir / "prepared").load("train", threshold=3e-4)
    with torch.no_grad():
        noise = torch.randn(len(showers), generator.noise_size, generator=torch.Generator().manual_seed(0))
        energy = generator(torch.from_numpy(showers.incident), noise).numpy()
    response = energy.sum(axis=1) / showers.momentum
    expected = showers.total_energy / showers.momentum
    error = np.hypot(response.std(), expected.std()) / np.sqrt(len(showers))
    assert abs(response.mean() - expected.mean()) < 5 * error


def test_other_configuration_in_the_same_folder_is_refused(config, without_onnx):
    train(config, SilentReporter())
    (config.run_dir / "bundle" / "bundle.json").unlink()
    with pytest.raises(TrainingError, match="another configuration"):
        train(changed(config, seed=7), SilentReporter())


def test_settings_that_are_not_used_change_no_fingerprint(config):
    """A checkpoint of a version that did not know them goes on."""
    store = Store.open(config.run_dir / "prepared")
    usual = train_stage._fingerprint(config, store)

    def with_settings(**settings):
        return train_stage._fingerprint(changed(config, training=TRAINING | settings), store)

    assert with_settings(precision="float32", batch_per="global", accumulate=4) == usual
    assert len({usual, with_settings(precision="bf16"), with_settings(batch_per="process")}) == 3
    later = {"balance_particles", "batch_per", "precision"}
    known = config.training.model_dump_json(exclude={*config.training.FREE, *later}, exclude_none=True)
    sections = config.digest("seed", "threshold", "condition", "geometry", "domain", "model")
    text = "\n".join([str(FORMAT), sections, known, store.digest])
    assert usual == hashlib.sha256(text.encode()).hexdigest()


def test_tf32_on_a_cpu_is_told(config, without_onnx):
    reporter = Lines()
    train(changed(config, training=SHORT | {"precision": "tf32"}), reporter)
    assert "training.precision is tf32, which only GPUs have: computing in float32" in reporter.warned


def test_without_prepared_showers_it_says_so(config, tmp_path):
    with pytest.raises(StoreError, match="prepare"):
        train(changed(config, run_dir=str(tmp_path / "empty")), SilentReporter())


def test_threshold_above_all_cells_is_refused(config):
    with pytest.raises(TrainingError, match="no training shower has a cell above the threshold"):
        train(changed(config, threshold=1e3), SilentReporter())


def test_unknown_device_is_one_line(config):
    with pytest.raises(TrainingError, match=r"training\.device is 'cuda:99'") as error:
        train(changed(config, training=TRAINING | {"device": "cuda:99"}), SilentReporter())
    assert "\n" not in str(error.value)


def test_a_fresh_state_trains_every_weight_and_keeps_the_showers(config):
    store = Store.open(config.run_dir / "prepared")
    showers = store.load("train", threshold=3e-4)
    torch.manual_seed(0)
    state, local = train_stage.fresh_state(config, store.geometry, showers, torch.device("cpu"))
    assert state.generator.architecture.symmetries == ("flip_x", "flip_y", "swap_xy")
    np.testing.assert_allclose(local.layer_energy, showers.layer_energy, rtol=1e-5)
    shapes = {id(weight) for weight in state.generator.shape.parameters()}
    head = {id(weight) for weight in state.generator.energy_head.parameters()}
    every = {id(weight) for network in (state.generator, state.encoder) for weight in network.parameters()}
    common, slow = state.warmup_optimiser.param_groups
    assert {id(weight) for weight in slow["params"]} == shapes
    assert slow["share"] < 1
    assert sorted(id(weight) for group in (common, slow) for weight in group["params"]) == sorted(every)
    adversarial = {id(weight) for weight in state.generator_optimiser.param_groups[0]["params"]}
    assert adversarial == {id(weight) for weight in state.generator.parameters()} - head
    excess = state.generator.transform.excess(local.u)
    assert state.critic.physics(local.u, excess, local.features).std(dim=0).median().item() == pytest.approx(1, abs=0.3)


def test_averaged_weights_lag_behind_and_forget_the_start(config):
    store = Store.open(config.run_dir / "prepared")
    state, _ = train_stage.fresh_state(config, store.geometry, store.load("train", threshold=3e-4), torch.device("cpu"))
    weight, averaged = state.generator.cell_mean.bias, state.ema.module.cell_mean.bias
    for value in (1.0, 2.0, 3.0):
        torch.nn.init.constant_(weight, value)
        state.ema.update_parameters(state.generator)
    shares = [1.0, 9 / 11, 9 / 12]  # of the newest: the first is taken as it is, then 9 / (n + 10)
    expected = 0.0
    for value, share in zip((1.0, 2.0, 3.0), shares, strict=True):
        expected += share * (value - expected)
    torch.testing.assert_close(averaged, torch.full_like(averaged, expected))


def test_the_critic_is_built_for_a_generator_on_any_device(config):
    """Constants of the critic are computed on the CPU, then moved."""
    store = Store.open(config.run_dir / "prepared")
    state, local = train_stage.fresh_state(
        config, store.geometry, store.load("train", threshold=3e-4), torch.device("cpu")
    )
    generator, critic = state.generator.to("meta"), state.critic.to("meta")
    features, u = local.features[:4].to("meta"), local.u[:4].to("meta")
    context = critic.context(features)
    assert critic(critic.standardise(u, context), context).shape == (4,)
    assert generator.local(
        features, local.momentum[:4].to("meta"), torch.empty(4, generator.noise_size, device="meta")
    ).is_meta


def test_scales_come_from_showers_of_all_files(config, monkeypatch):
    store = Store.open(config.run_dir / "prepared")
    showers = store.load("train", threshold=3e-4)
    ordered = showers[np.argsort(showers.cell_energy.max(axis=1))]  # as of files of one energy each
    monkeypatch.setattr(train_stage, "FITTED", 50)
    scales = [
        train_stage.fresh_state(config, store.geometry, some, torch.device("cpu"))[0].generator.transform.scale.item()
        for some in (showers, ordered)
    ]
    assert scales[1] == pytest.approx(scales[0], rel=0.3)


def test_a_head_start_as_long_as_the_phase_is_told(config, without_onnx):
    warnings = []

    class Reporter(SilentReporter):
        def warning(self, text):
            warnings.append(text)

    settings = config.training.model_copy(update={"warmup_steps": 2, "steps": 2, "critic_head_start": 2})
    train_stage.train(config.model_copy(update={"training": settings}), Reporter())
    assert any("the generator stays as the warm start leaves it" in text for text in warnings)


@pytest.mark.multiprocess
def test_killed_training_resumes_to_the_same_weights(config, tmp_path, without_onnx):
    """SIGKILL, not an exception: the process dies inside a step."""
    straight = changed(config, run_dir=str(tmp_path / "straight"))
    prepare(straight, SilentReporter())
    expected = Bundle.load(train(straight, SilentReporter()))
    (tmp_path / "config.json").write_text(config.model_dump_json())
    script = """
import os, pathlib, signal, sys
from calogan.config import Config
from calogan.export import describe
from calogan.progress import SilentReporter
from calogan.training.loop import Trainer
from calogan.stages.train import train
from calogan.training import windows
from calogan.training.state import FORMAT
original = Trainer._step
def step(self):
    if self._state.step == 23:
        os.kill(os.getpid(), signal.SIGKILL)
    original(self)
Trainer._step = step
train(Config.model_validate_json(pathlib.Path(sys.argv[1]).read_text()), SilentReporter())
"""
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "config.json")], check=False)
    assert killed.returncode == -9
    assert (config.run_dir / "train" / "checkpoint.pt").exists()
    reporter = Lines()
    resumed = Bundle.load(train(config, reporter))
    assert any("going on from step 20" in line for line in reporter.said)
    assert resumed.weights_path.read_bytes() == expected.weights_path.read_bytes()


def test_streamed_training_is_that_in_memory_and_either_goes_on_from_the_other(config, tmp_path, without_onnx):
    straight = changed(config, run_dir=str(tmp_path / "straight"))
    prepare(straight, SilentReporter())
    expected = Bundle.load(train(straight, SilentReporter()))
    streamed = {**TRAINING, "data": "stream", "memory_gb": 1e-3}
    reporter, calls = Lines(), []
    step = train_stage.Trainer._step

    def interrupted(trainer):
        calls.append(trainer)
        if len(calls) == 23:
            raise KeyboardInterrupt
        step(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_stage.Trainer, "_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(changed(config, training=streamed), reporter)
    assert any("showers streamed from disk" in line and "training.data is stream" in line for line in reporter.said)
    assert not any(thread.name.startswith("showers") for thread in threading.enumerate())
    resumed = Bundle.load(train(config, reporter := Lines()))
    assert any("going on from step 20" in line for line in reporter.said)
    assert any("showers in memory" in line for line in reporter.said)
    assert resumed.weights_path.read_bytes() == expected.weights_path.read_bytes()


def test_a_window_is_another_training_wherever_the_showers_are(config, tmp_path, without_onnx, monkeypatch):
    monkeypatch.setattr(windows, "BLOCK", 16)
    shuffled = {**TRAINING, "steps": 0, "shuffle_window": 64}
    made = {}
    for name, settings in (
        ("memory", shuffled),
        ("stream", {**shuffled, "data": "stream", "memory_gb": 1e-4}),
        ("all", {**shuffled, "shuffle_window": None}),
    ):
        one = changed(config, run_dir=str(tmp_path / name), training=settings)
        prepare(one, SilentReporter())
        made[name] = Bundle.load(train(one, SilentReporter())).weights_path.read_bytes()
    assert made["memory"] == made["stream"] != made["all"]
    (tmp_path / "memory" / "bundle" / "bundle.json").unlink()
    with pytest.raises(TrainingError, match="another configuration"):
        train(changed(one, run_dir=str(tmp_path / "memory")), SilentReporter())


def test_training_stopped_by_the_clock_goes_on_without_the_limit(config, without_onnx):
    limited = changed(config, training=TRAINING | {"max_minutes": 1e-9})
    assert Bundle.load(train(limited, SilentReporter())).info.provenance["complete"] is False
    provenance = Bundle.load(train(config, SilentReporter())).info.provenance
    assert provenance["complete"] is True
    assert provenance["steps"] == 26


def test_a_held_out_band_is_seen_by_no_part_of_the_training(config, without_onnx, monkeypatch):
    seen = []
    fresh_state, score = train_stage.fresh_state, train_stage.PhysicsScore

    def spied_state(config, geometry, showers, device, **options):
        seen.append(showers[np.arange(len(showers))].incident)
        return fresh_state(config, geometry, showers, device, **options)

    def spied_score(showers, seed):
        seen.append(showers.incident)
        return score(showers, seed)

    monkeypatch.setattr(train_stage, "fresh_state", spied_state)
    monkeypatch.setattr(train_stage, "PhysicsScore", spied_score)

    made = Bundle.load(train(changed(config, training={**SHORT, "hold_out_momentum": [4, 16]}), SilentReporter())).info

    momenta = [np.linalg.norm(incident[:, :3], axis=1) for incident in seen]
    known = Store.open(config.run_dir / "prepared").load("train").momentum
    assert not any(((momentum > 4) & (momentum < 16)).any() for momentum in momenta)
    assert len(momenta[0]) == ((known < 4) | (known > 16)).sum() < len(known)
    assert made.provenance["hold_out_momentum"] == [4, 16]
    assert made.provenance["training_showers"] == len(momenta[0])
    assert made.domain.momentum == (1, 64)


def test_a_band_that_leaves_nothing_is_refused(config):
    band = changed(config, training={**TRAINING, "hold_out_momentum": [1.0000001, 63.999]})

    with pytest.raises(TrainingError, match="leaves 0 training and 0 validation showers; choose a narrower band"):
        train(band, SilentReporter())


@pytest.mark.parametrize("band", [[0.5, 4], [16, 4], [16, 64]])
def test_a_band_that_is_not_inside_of_the_domain_is_refused(config, band):
    with pytest.raises(ValueError, match=r"must be a band inside of domain\.momentum"):
        changed(config, training={**TRAINING, "hold_out_momentum": band})


def test_a_training_without_the_band_is_another_one(config, without_onnx):
    train(changed(config, training=SHORT), SilentReporter())

    with pytest.raises(TrainingError, match="another"):
        train(changed(config, training={**SHORT, "hold_out_momentum": [4, 16]}), SilentReporter())
