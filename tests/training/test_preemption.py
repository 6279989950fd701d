"""A training that is killed and stopped again and again ends as one that was left alone; benchmarks do it at random."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare

TRAINING = {
    "batch_size": 16,
    "warmup_steps": 8,
    "steps": 8,
    "critic_steps": 1,
    "critic_head_start": 2,
    "log_every": 3,
    "evaluate_every": 4,
    "evaluate_showers": 20,
    "checkpoint_every": 5,
    "device": "cpu",
    "threads": 1,
}
MODEL = {"latent_size": 2, "generator_hidden": [8], "critic_hidden": [8]}

# Each attempt is a process of its own, forked before torch has made any threads.
ATTEMPTS = """
import json, os, signal, sys
from calogan.cli import main
from calogan.stages import train
from calogan.training import checkpoint, loop

def attempt(run_dir, where=None, number=None):
    child = os.fork()
    if not child:
        strike = lambda: os.kill(os.getpid(), number)
        if isinstance(where, int):
            step = loop.Trainer._step
            loop.Trainer._step = lambda trainer: (trainer._state.step == where and strike(), step(trainer))
        elif where:
            module, name = {"load": (train, "_load"), "score": (loop.Trainer, "_evaluate"), "write": (train, "_export"),
                            "save": (checkpoint, "write_durably")}[where]
            call = getattr(module, name)
            setattr(module, name, lambda *arguments: (strike(), strike(), call(*arguments))[2])
        train.can_export = lambda: False
        sys.argv = ["calogan", "train", sys.argv[1], "--set", f"run_dir={run_dir}", "--quiet"]
        try:
            main()
        finally:
            os._exit(sys.exc_info()[1].code or 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

print(json.dumps([attempt(sys.argv[2])] + [
    attempt(sys.argv[3], where, getattr(signal, f"SIG{number}")) for where, number in json.loads(sys.argv[4])
] + [attempt(sys.argv[3])]))
"""
MOMENTS = {  # step 8 is the first of the adversarial phase and the first with a score
    "load": ("TERM", 75),
    7: ("KILL", -9),
    "score": ("INT", 75),
    "save": ("USR1", 75),
    "write": ("TERM", 75),
}


@pytest.fixture
def config(ecal30_config, tmp_path):
    values = ecal30_config.model_dump(mode="json") | {"training": TRAINING, "model": MODEL}
    values |= {"tracking": {"enabled": False}, "run_dir": str(tmp_path / "straight")}
    config = Config.model_validate(values)
    for name in ("straight", "killed"):
        prepare(config.model_copy(update={"run_dir": tmp_path / name}), SilentReporter())
    return config


@pytest.mark.multiprocess
def test_killed_at_every_turn_it_ends_with_the_same_bits(config, tmp_path):
    (tmp_path / "study.yaml").write_text(config.to_yaml())
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    moments = json.dumps([(where, number) for where, (number, _) in MOMENTS.items()])
    arguments = [tmp_path / "study.yaml", straight, killed, moments]
    command = [sys.executable, "-c", ATTEMPTS, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    codes = [code for _, code in MOMENTS.values()]
    assert json.loads(done.stdout.splitlines()[-1]) == [0, *codes, 0], done.stderr
    bundles = [Bundle.load(folder / "bundle") for folder in (straight, killed)]
    assert bundles[0].info.id == bundles[1].info.id
    assert bundles[0].weights_path.read_bytes() == bundles[1].weights_path.read_bytes()
    assert timeless(straight) == timeless(killed)
    assert {file.name for file in (killed / "train").iterdir()} == {
        "checkpoint.pt",
        "checkpoint.previous.pt",
        "metrics.jsonl",
    }


def timeless(run):
    lines = [json.loads(line) for line in (run / "train" / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if not key.startswith(("time/", "memory/"))} for line in lines]
