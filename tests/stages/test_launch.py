import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
import torch
from torch.distributed.elastic.agent.server.api import RunResult, WorkerState

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.errors import ConfigError
from calogan.progress import SilentReporter
from calogan.stages.launch import _ending, _launch_config, parse_options
from calogan.stages.prepare import prepare

TRAINING = {
    "batch_size": 16,
    "warmup_steps": 10,
    "steps": 100_000,
    "critic_steps": 1,
    "log_every": 2,
    "evaluate_every": 1000,
    "evaluate_showers": 10,
    "checkpoint_every": 10,
    "device": "cpu",
}


class Study:
    """A training of the toy that takes hours, started as often as wanted."""

    def __init__(self, folder, toy):
        values = toy.config(folder / "run", "dense").model_dump(mode="json")
        model = {"latent_size": 2, "generator_hidden": [8], "critic_hidden": [8]}
        config = Config.model_validate(values | {"training": TRAINING, "model": model, "tracking": {"enabled": False}})
        self.train, self.yaml = config.run_dir / "train", folder / "toy.yaml"
        self.yaml.write_text(config.to_yaml())
        self.started = []
        prepare(config, SilentReporter())

    def start(self, *options, set_=()):
        command = [sys.executable, "-m", "calogan", "launch", "--nproc-per-node", "2", *options, "--", "train"]
        overrides = [word for override in set_ for word in ("--set", override)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.started.append(subprocess.Popen([*command, str(self.yaml), *overrides], **pipes))
        return self.started[-1]

    def end(self):
        """Leave no process behind where a test has failed."""
        for launcher in self.started:
            launcher.terminate()
            launcher.communicate(timeout=120)

    def wait_for_checkpoint(self, process):
        """Wait until there is another one than there is now."""
        path = self.train / "checkpoint.pt"
        before = path.stat().st_mtime_ns if path.exists() else None
        while not path.exists() or path.stat().st_mtime_ns == before:
            time.sleep(0.1)
            assert process.poll() is None, process.communicate()

    def checkpoint(self):
        return torch.load(self.train / "checkpoint.pt", weights_only=True)


def rank(launcher, number):
    """Process of a rank."""
    for child in psutil.Process(launcher.pid).children():
        if child.environ().get("RANK") == str(number):
            return child.pid
    raise AssertionError


@pytest.fixture
def study(tmp_path, toy):
    study = Study(tmp_path, toy)
    yield study
    study.end()


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_lost_process_ends_all_and_a_signal_saves_and_the_same_command_goes_on(study):
    first = study.start()
    study.wait_for_checkpoint(first)
    os.kill(rank(first, 1), signal.SIGKILL)
    error = first.communicate(timeout=120)[1]
    assert first.returncode == 128 + signal.SIGKILL, error
    told = [line for line in error.splitlines() if line.startswith("error:")]
    assert len(told) == 1
    assert "error: process 1 (pid " in told[0]
    assert "was killed by SIGKILL" in told[0]
    step = study.checkpoint()["step"]
    assert step % 10 == 0

    second = study.start()
    study.wait_for_checkpoint(second)
    second.send_signal(signal.SIGUSR1)
    error = second.communicate(timeout=120)[1]
    assert second.returncode == 75, error
    assert f"going on from step {step}" in error
    stopped = study.checkpoint()["step"]
    assert error.count(f"stopped by SIGUSR1 at step {stopped}; run the same command to go on") == 1

    third = study.start()
    study.wait_for_checkpoint(third)
    third.kill()  # its processes save and end, too
    error = third.communicate(timeout=120)[1]
    stopped = study.checkpoint()["step"]
    assert f"stopped by SIGTERM at step {stopped}; " in error

    fourth = study.start(set_=["training.max_minutes=0.001"])
    out, error = fourth.communicate(timeout=120)
    assert fourth.returncode == 0, error
    assert f"going on from step {stopped}" in error
    assert out.count(str(study.train.with_name("bundle"))) == 1
    provenance = Bundle.load(study.train.with_name("bundle")).info.provenance
    assert (provenance["steps"], provenance["processes"]) == (stopped, 2)


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_lost_process_is_started_again_where_restarts_are_allowed_but_not_what_has_stopped(study):
    launcher = study.start("--max-restarts", "3")
    study.wait_for_checkpoint(launcher)
    os.kill(rank(launcher, 0), signal.SIGKILL)
    study.wait_for_checkpoint(launcher)
    os.kill(rank(launcher, 1), signal.SIGTERM)
    error = launcher.communicate(timeout=120)[1]
    assert launcher.returncode == 75, error
    assert error.count("training on") == 2
    assert error.count("stopped by SIGTERM at step") == 1


@pytest.mark.slow
@pytest.mark.multiprocess
def test_what_one_process_refuses_all_refuse_and_say_once(study):
    (study.train.with_name("prepared") / "manifest.json").unlink()
    launcher = study.start("--max-restarts", "3")
    error = launcher.communicate(timeout=120)[1]
    assert launcher.returncode == 2
    assert error.count("error:") == error.count("no prepared showers") == 1


def failed(**failures):
    """Result of an agent: exit code and second of the end of each process."""
    ends = {
        int(name.removeprefix("rank")): SimpleNamespace(exitcode=code, timestamp=second, pid=7)
        for name, (code, second) in failures.items()
    }
    return RunResult(WorkerState.FAILED, failures=ends)


@pytest.mark.parametrize(
    ("result", "stopped_by", "code", "text"),
    [
        (RunResult(WorkerState.SUCCEEDED), None, 0, ""),
        (failed(rank0=(75, 5), rank1=(75, 5)), signal.SIGUSR1, 75, ""),
        (failed(rank0=(75, 5), rank1=(-15, 5)), None, 75, ""),
        (failed(rank0=(75, 5), rank1=(-9, 35)), None, 75, ""),
        (failed(rank0=(-10, 5), rank1=(-9, 35)), signal.SIGUSR1, 75, ""),
        (failed(rank0=(2, 5), rank1=(1, 6)), None, 2, ""),
        (failed(rank0=(1, 5), rank1=(-9, 5)), None, 137, "process 1 (pid 7) was killed by SIGKILL"),
        (failed(rank0=(75, 5), rank1=(-9, 5)), None, 137, "process 1 (pid 7) was killed by SIGKILL"),
        (failed(rank0=(-15, 5), rank1=(-15, 5)), None, 143, "process 0 (pid 7) was killed by SIGTERM"),
        (failed(rank0=(-15, 5), rank1=(1, 5)), None, 1, "process 1 failed with exit code 1"),
        (failed(rank0=(1, 5), rank1=(1, 5)), None, 1, "one of the processes 0, 1 failed with exit code 1"),
        (failed(rank3=(1, 5)), None, 1, "process 3 failed with exit code 1"),
    ],
)
def test_the_exit_code_is_that_of_the_process_that_ended_first(result, stopped_by, code, text):
    ending = _ending(result, stopped_by)
    assert ending.code == code
    assert text in ending.text
    assert bool(ending.text) is bool(text)


def test_options_are_torchruns_and_the_command_comes_after():
    options, command = parse_options(["--nnodes", "2", "--max-restarts=1", "--", "train", "my.yaml", "--set", "a=b"])
    assert (options.nnodes, options.max_restarts, command) == ("2", 1, ["my.yaml", "--set", "a=b"])
    assert parse_options(["--standalone", "train", "my.yaml"])[1] == ["my.yaml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: training_script"),
        (["--nproc", "2", "--", "train", "a.yaml"], r"ambiguous|unrecognized"),
        (["--", "run", "a.yaml"], "starts calogan train, not 'run'"),
        (["--no-python", "--", "train", "a.yaml"], "leave out --module, --no-python"),
    ],
)
def test_wrong_options_are_one_line(words, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse_options(words)
    assert "\n" not in str(error.value)


def test_no_gpus_are_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    options, _ = parse_options(["--nproc-per-node", "gpu", "--", "train", "a.yaml"])
    with pytest.raises(ConfigError, match="calogan launch: Cuda is not available"):
        _launch_config(options)


@pytest.mark.parametrize("options", [[], ["--standalone"], ["--nnodes", "1"]])
def test_one_node_needs_no_rendezvous(options):
    config = _launch_config(parse_options([*options, "train", "a.yaml"])[0])
    assert (config.rdzv_backend, config.rdzv_endpoint, config.local_addr) == ("c10d", "localhost:0", "localhost")


def test_several_nodes_meet_where_they_are_told():
    words = ["--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "a:1", "--rdzv-id", "7", "train", "a.yaml"]
    config = _launch_config(parse_options(words)[0])
    assert (config.rdzv_backend, config.rdzv_endpoint, config.run_id) == ("c10d", "a:1", "7")
    assert (config.min_nodes, config.local_addr) == (2, None)
