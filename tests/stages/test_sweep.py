"""Tests of sweeps: what may be varied, trials shared by processes, and what stops or kills leave behind."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import yaml

from calogan.bundle import Bundle
from calogan.config import Config, load_config
from calogan.errors import ConfigError, StoreError, TrainingInterrupted
from calogan.progress import SilentReporter
from calogan.stages.runs import list_runs, sync_runs
from calogan.stages.sweep import sweep
from calogan.stages.sweep.ledger import Ledger, State
from calogan.stages.sweep.space import SearchSpace
from calogan.tracking import RunRecord

TRAINING = {
    "batch_size": 32,
    "warmup_steps": 6,
    "steps": 4,
    "critic_steps": 1,
    "critic_head_start": 1,
    "log_every": 2,
    "evaluate_every": 2,
    "evaluate_showers": 10,
    "checkpoint_every": 4,
    "device": "cpu",
    "threads": 1,
}
MODEL = {"latent_size": 2, "generator_hidden": [8], "critic_hidden": [8]}
PARAMETERS = {
    "training.critic_learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "model.latent_size": {"low": 2, "high": 6},
    "model.generator_hidden": {"choices": [[8], [8, 8]]},
}


class Lines(SilentReporter):
    """Keeps what is said, and acts where something is."""

    def __init__(self, when="nothing", act=lambda: None):
        self.said, self.when, self.act = [], when, act

    def message(self, text):
        self.said.append(text)
        if text.startswith(self.when):
            self.act()

    def begun(self):
        """Trials that this process has worked on."""
        return [line.split()[1] for line in self.said if line.startswith("trial") and "model.latent_size" in line]


@pytest.fixture(autouse=True)
def without_onnx(monkeypatch):
    """No graphs in the bundles, which saves the seconds of an export."""
    monkeypatch.setattr("calogan.stages.train.can_export", lambda: False)


@pytest.fixture
def config(toy, tmp_path):
    return _config(toy.config(tmp_path / "run", "dense"), trials=3)


def _config(config, parameters=PARAMETERS, **changes):
    """A sweep of seconds; `changes` of its section."""
    values = config.model_dump(mode="json") | {"training": TRAINING, "model": MODEL, "tracking": {"enabled": False}}
    values["sweep"] = config.sweep.model_dump(mode="json") | {"parameters": parameters} | changes
    return Config.model_validate(values)


def _ledger(config):
    folder = config.run_dir / "trials"
    folder.mkdir(parents=True, exist_ok=True)
    return Ledger(folder / "journal.log", SearchSpace.of(config))


def _kept(config):
    return json.loads((config.run_dir / "sweep.json").read_text())


def _scores(config):
    return [(trial["parameters"], trial["scores"], trial["physics_score"]) for trial in _kept(config)["trials"]]


def test_a_sweep_ends_with_a_table_the_best_bundle_and_its_configuration(config):
    outcome = sweep(config, SilentReporter())
    assert [trial.state for trial in outcome.trials] == [State.done] * 3
    assert len({json.dumps(trial.parameters) for trial in outcome.trials}) == 3
    for trial in outcome.trials:
        settings = load_config(outcome.folder(trial) / "config.yaml")
        assert settings.training.critic_learning_rate == trial.parameters["training.critic_learning_rate"]
        assert settings.model.latent_size == trial.parameters["model.latent_size"]
        assert settings.model.generator_hidden == trial.parameters["model.generator_hidden"]
        provenance = Bundle.load(outcome.folder(trial) / "bundle").info.provenance
        assert trial.score == provenance["physics_score"] == min(trial.scores.values())
        assert sorted(trial.scores) == [0, 2, 4]
        assert (outcome.folder(trial) / "prepared").samefile(config.run_dir / "prepared")
    best = outcome.best
    assert best.score == min(trial.score for trial in outcome.trials)
    assert load_config(config.run_dir / "best.yaml") == load_config(outcome.folder(best) / "config.yaml")
    header, first, *_ = outcome.table()
    assert header == ["trial", "state", "physics score", *(name.split(".")[1] for name in PARAMETERS), "minutes"]
    assert first[0] == best.folder
    assert (config.run_dir / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert _kept(config)["complete"]
    assert _kept(config)["best"] == best.number


def test_the_best_configuration_is_one_that_run_takes_and_is_trained_already(config):
    outcome = sweep(config, SilentReporter())
    from calogan.stages.run import prepare_run, train_run

    best, lines = load_config(config.run_dir / "best.yaml"), Lines()
    prepare_run(best, lines)
    assert "up to date" in lines.said[-1]
    assert train_run(best, lines) == outcome.folder(outcome.best) / "bundle"
    assert "already there" in lines.said[-1]


def test_a_finished_sweep_is_not_done_again_and_more_trials_may_be_asked_for(config):
    sweep(config, SilentReporter())
    before, lines = _scores(config), Lines()
    assert sweep(config, lines).complete
    assert lines.begun() == []
    more = _config(config, trials=4)
    assert len(sweep(more, lines).trials) == 4
    assert lines.begun() == ["0003:"]
    assert _scores(more)[:3] == before


def test_a_trial_that_diverges_is_recorded_and_does_not_end_the_sweep(config):
    wild = _config(config, {"training.critic_learning_rate": {"choices": [1e-4, 1e20]}}, trials=4)
    outcome = sweep(wild, SilentReporter())
    states = {trial.parameters["training.critic_learning_rate"]: trial.state for trial in outcome.trials}
    assert states == {1e-4: State.done, 1e20: State.failed}
    failed = next(trial for trial in outcome.trials if trial.state is State.failed)
    assert "diverged" in failed.reason
    assert outcome.best.parameters == {"training.critic_learning_rate": 1e-4}
    assert outcome.complete


def test_a_sweep_without_any_score_says_so(config):
    outcome = sweep(_config(config, {"training.critic_learning_rate": {"low": 1e20, "high": 1e21}}, trials=1), Lines())
    assert outcome.best is None
    assert outcome.summary() == [f"no trial has a score; see {config.run_dir / 'sweep.json'}"]
    assert not (config.run_dir / "best.yaml").exists()


def test_a_signal_saves_the_trial_and_the_same_command_goes_on(config):
    uninterrupted = _config(config.model_copy(update={"run_dir": config.run_dir.with_name("other")}))
    sweep(uninterrupted, SilentReporter())
    stopped = Lines("step 8", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(TrainingInterrupted, match="run the same command to go on"):
        sweep(config, stopped)
    assert _ledger(config).trials()[0].state is State.running
    assert _ledger(config).trials()[0].starts == []
    lines = Lines()
    sweep(config, lines)
    assert "going on from step 8" in " ".join(lines.said)
    assert _scores(config) == _scores(uninterrupted)


def test_a_trial_that_is_worse_than_the_median_is_pruned(config):
    ledger = _ledger(config)
    for number in range(5):
        ledger.begin()
        ledger.add_score(ledger.trials()[number], 2, 0.001)
        ledger.finish(ledger.trials()[number], State.done, 0.001)
    _config_file(config, ledger, 5)
    assert _prepared_and_swept(_config(config, trials=6)).trials[5].state is State.pruned
    unpruned = _config(config, trials=7, prune=False)
    assert sweep(unpruned, SilentReporter()).trials[6].state is State.done


def _config_file(config, ledger, count):
    """Folders of trials that were made without training."""
    for trial in ledger.trials()[:count]:
        folder = config.run_dir / "trials" / trial.folder
        folder.mkdir()
        (folder / "config.yaml").write_text(config.to_yaml())


def _prepared_and_swept(config):
    from calogan.stages.prepare import prepare

    prepare(config, SilentReporter())
    return sweep(config, SilentReporter())


def test_a_trial_whose_processes_die_without_a_word_is_given_up(config):
    ledger = _ledger(config)
    ledger.begin()
    for _ in range(3):
        ledger.started(ledger.trials()[0], -1)
    outcome = _prepared_and_swept(_config(config, trials=2))
    assert [trial.state for trial in outcome.trials] == [State.failed, State.done]
    assert "3 processes ended without a word after step -1" in outcome.trials[0].reason


def test_a_line_that_a_kill_cut_short_is_mended(config):
    sweep(_config(config, trials=1), SilentReporter())
    with (config.run_dir / "trials" / "journal.log").open("a") as file:
        file.write('{"op_code":8,"wor')
    assert len(sweep(_config(config, trials=2), SilentReporter()).trials) == 2
    assert [trial.state for trial in _ledger(config).trials()] == [State.done] * 2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "the configuration has no sweep.parameters"),
        ({"training.critic_lerning_rate": {"low": 1, "high": 2}}, "did you mean 'training.critic_learning_rate'"),
        ({"training.device": {"choices": ["cpu", "cuda"]}}, r"sweep\.parameters\.training\.device: no setting that"),
        ({"training.evaluate_showers": {"low": 10, "high": 20}}, "no setting that a sweep can vary"),
        ({"training.steps": {"low": 1.5, "high": 4}}, "low 1.5 and high 4 must be whole numbers"),
        ({"training.steps": {"low": -4, "high": 4}}, r"sweep\.parameters: training\.steps: .* \(got -4\)"),
        ({"model.generator_hidden": {"choices": [[8], "wide"]}}, r"model\.generator_hidden: .* \(got 'wide'\)"),
        ({"model.symmetries": {"choices": [[], ["swap_xy"]]}}, "swap_xy"),
    ],
)
def test_what_cannot_be_varied_is_refused_before_anything_is_written(config, parameters, said):
    with pytest.raises(ConfigError, match=said):
        sweep(_config(config, parameters), SilentReporter())
    assert not config.run_dir.exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{low: 1}", "give low and high, or choices"),
        ("{low: 1, high: 2, choices: [1, 2]}", "give low and high, or choices"),
        ("{}", "give low and high, or choices"),
        ("{low: 2, high: 1}", "low 2 must be below high 1"),
        ("{low: 0, high: 1, log: true}", "log needs a range above 0"),
        ("{low: 1, hihg: 2}", r"sweep\.parameters\.training\.steps\.hihg: unknown key; did you mean 'high'"),
    ],
)
def test_values_that_make_no_range_are_refused_with_their_place(config, tmp_path, values, said):
    study = config.model_dump(mode="json") | {"sweep": {"parameters": {"training.steps": yaml.safe_load(values)}}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(study))
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "my.yaml")


def test_a_sweep_of_something_else_is_refused_in_the_same_folder(config):
    sweep(_config(config, trials=1), SilentReporter())
    values = config.model_dump(mode="json")
    values["training"]["gradient_penalty"] = 5.0
    with pytest.raises(StoreError, match=r"training\.gradient_penalty is 10\.0 there, 5\.0 now"):
        sweep(Config.model_validate(values), SilentReporter())
    with pytest.raises(StoreError, match="holds a sweep of other parameters or values"):
        sweep(_config(config, {"model.latent_size": {"low": 2, "high": 9}}), SilentReporter())


def test_other_showers_in_the_same_folder_are_refused(config, toy, tmp_path):
    sweep(_config(config, trials=1), SilentReporter())
    shutil.rmtree(config.run_dir / "prepared")
    other = toy.write(tmp_path / "other.root", "dense", toy.showers[:150])
    changed = config.model_dump(mode="json")
    changed["data"]["sources"][0]["files"] = [str(other)]
    with pytest.raises(StoreError, match="prepared showers have changed since the sweep began"):
        _prepared_and_swept(Config.model_validate(changed))


def test_a_sweep_is_not_started_as_a_distributed_training(config, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="start calogan sweep itself as often as there are GPUs"):
        sweep(config, SilentReporter())


def test_no_trial_begins_after_the_time_limit(config):
    outcome = sweep(_config(config, max_minutes=1e-9), SilentReporter())
    assert outcome.trials == ()
    assert outcome.summary()[0].startswith("3 trials have not begun: sweep.max_minutes is over")


def test_each_trial_is_a_run_below_that_of_the_sweep(config, tmp_path, empty_mlflow, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'mlflow.db')}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracked = config.model_dump(mode="json") | {"tracking": {"uri": uri}}
    sweep(_tracked(tracked, trials=2), SilentReporter())
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("calogan").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert sorted(runs) == ["toy", "toy-0000", "toy-0001"]
    parent = runs["toy"].info.run_id
    for number in range(2):
        trial = runs[f"toy-000{number}"]
        assert trial.data.tags["mlflow.parentRunId"] == parent
        assert trial.info.status == "FINISHED"
    artifacts = {artifact.path for artifact in client.list_artifacts(parent)}
    assert {"sweep.json", "best.yaml", "sweep.png"} <= artifacts


def test_the_record_of_a_sweep_is_open_until_its_last_trial_has_ended(config, tmp_path, empty_mlflow, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(empty_mlflow, tmp_path / 'mlflow.db')}")
    tracked, seen = _tracked(config.model_dump(mode="json") | {"tracking": {}}, trials=2), []

    def look():
        list(sync_runs([config.run_dir], SilentReporter()))
        run_id = json.loads((config.run_dir / "mlflow.json").read_text())["run_id"]
        seen.append((mlflow.MlflowClient().get_run(run_id).info.status, list_runs([config.run_dir]).rows[0][2:5]))

    sweep(tracked, Lines("trial 0001: training", look))
    look()
    assert seen == [("RUNNING", ("sweep", "running", "1/2")), ("FINISHED", ("sweep", "finished", "2/2"))]
    with pytest.raises(TrainingInterrupted):
        sweep(_tracked(tracked.model_dump(mode="json"), trials=3), Lines("step 8", lambda: os.kill(os.getpid(), 15)))
    look()
    assert seen[-1] == ("KILLED", ("sweep", "killed", "2/3"))
    statuses = [attempt.status for attempt in RunRecord.read(config.run_dir).attempts]
    assert statuses == ["FINISHED", "KILLED"]


def _tracked(values, **changes):
    values["sweep"] |= changes
    return Config.model_validate(values)


def _in_a_process(values, script, folder):
    """Sweep in another process, which marks that it has begun a trial and then dies or waits."""
    import calogan.stages.train

    calogan.stages.train.can_export = lambda: False
    when, act = script
    folder = Path(folder)

    def at_last():
        if act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / "begun").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)

    sweep(Config.model_validate(values), Lines(when, at_last))


@pytest.fixture
def other_process(tmp_path):
    """Starts a sweep in another process: ``other_process(config, when, act)``."""
    started = []

    def start(config, when, act):
        arguments = (config.model_dump(mode="json"), (when, act), str(tmp_path))
        process = multiprocessing.get_context("spawn").Process(target=_in_a_process, args=arguments)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.mark.multiprocess
@pytest.mark.slow
def test_a_killed_process_leaves_a_trial_that_goes_on_from_its_checkpoint(config, other_process):
    uninterrupted = _config(config.model_copy(update={"run_dir": config.run_dir.with_name("other")}), trials=2)
    sweep(uninterrupted, SilentReporter())
    killed = _config(config, trials=2)
    process = other_process(killed, "step 10", "die")
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    lines = Lines()
    sweep(killed, lines)
    assert "going on from step 8" in " ".join(lines.said)
    assert lines.begun() == ["0000:", "0001:"]
    assert _scores(killed) == _scores(uninterrupted)


@pytest.mark.multiprocess
@pytest.mark.slow
def test_two_processes_share_the_trials_and_take_over_those_of_a_killed_one(config, other_process, tmp_path):
    first = other_process(config, "trial 0000", "wait")
    _wait_for(tmp_path / "begun", first)
    lines = Lines()
    outcome = sweep(_config(config, trials=2), lines)
    assert lines.begun() == ["0001:"]
    assert [trial.state for trial in outcome.trials] == [State.running, State.done]
    assert "1 trials are at work in other processes" in outcome.summary()[0]
    lines = Lines("trial 0002", first.kill)
    outcome = sweep(config, lines)
    assert lines.begun() == ["0002:", "0000:"]
    assert [trial.state for trial in outcome.trials] == [State.done] * 3
    assert outcome.complete


def _wait_for(path, process):
    while not path.exists():
        assert process.is_alive()
        time.sleep(0.01)
