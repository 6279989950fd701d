"""A Slurm of two nodes on this machine, and a small study for its jobs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from calogan.config import Config
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare

ROOT = Path(__file__).parents[2]
SECONDS = 400  # that a job may take on a busy machine; only a failure waits for so long
TRAINING = {
    "threads": 1,
    "device": "cpu",
    "batch_size": 32,
    "warmup_steps": 60,
    "steps": 60,
    "critic_steps": 1,
    "critic_head_start": 20,
    "log_every": 2,
    "evaluate_every": 60,
    "evaluate_showers": 50,
    "checkpoint_every": 100_000,
}
SMALL = {
    "training": TRAINING,
    "model": {"latent_size": 4, "generator_hidden": [16], "critic_hidden": [16]},
    "validation": {"momentum_bins": [1, 64], "bootstrap": 20, "classifiers": False, "max_showers": 100},
    "tracking": {"enabled": False},
}


@dataclass(frozen=True)
class Slurm:
    """Commands of a Slurm that is up."""

    environment: dict[str, str]

    def __call__(self, *command, folder=None):
        """What a command prints."""
        done = subprocess.run(
            [str(word) for word in command], cwd=folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def submit(self, folder, *words):
        """Submit a batch script and return the job's number."""
        return self("sbatch", "--parsable", *words, folder=folder)

    def states(self):
        """States of all jobs that are known, by number."""
        listed = self("squeue", "--all", "--states=all", "--noheader", "--format=%i %T")
        return dict(line.split() for line in listed.splitlines())

    def wait(self, ready, what):
        """Wait until something is so."""
        deadline = time.monotonic() + SECONDS
        while not (found := ready()):
            if time.monotonic() > deadline:
                pytest.fail(f"waited {SECONDS} s for {what}; jobs: {self.states()}")
            time.sleep(0.1)
        return found

    def wait_for_end(self, job):
        """State that a job ends in."""
        ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
        return self.wait(lambda: state if (state := self.states()[job]) in ended else None, f"job {job} to end")


@pytest.fixture(scope="session")
def slurm():
    """Slurm's commands; a worker of pytest-xdist has a Slurm of its own."""
    folder = Path(tempfile.mkdtemp(prefix="calogan-slurm-"))  # pytest's own paths are too long for sockets
    command = [sys.executable, Path(__file__).with_name("slurm.py"), folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        line = process.stdout.readline().decode()
        if not line.startswith("export "):
            rest = line + process.stdout.read().decode()
            if line.startswith("no Slurm here"):
                pytest.skip(rest.strip())
            pytest.fail(rest)
        (folder / "bin" / "calogan").write_text(f'#!/bin/sh\nexec {sys.executable} -m calogan "$@"\n')
        (folder / "bin" / "calogan").chmod(0o755)
        yield Slurm(
            {
                **os.environ,
                "SLURM_CONF": str(folder / "slurm.conf"),
                "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
            }
        )
        process.stdin.close()
    assert process.returncode == 0
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def study(tmp_path_factory, ecal30_config, shipped):
    """A configuration of two shipped files and a short training, and its prepared showers."""
    folder = tmp_path_factory.mktemp("study")
    values = {**ecal30_config.model_dump(mode="json"), "run_dir": "run", **SMALL}
    values["data"]["sources"][0]["files"] = [str(shipped / f"hits_{number}.root") for number in (1001, 1002)]
    config = Config.model_validate(values)
    (folder / "study.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    prepare(config.model_copy(update={"run_dir": folder / "run"}), SilentReporter())
    return folder
