"""Trainings and the pipeline as jobs of a real Slurm: submitted, stopped, requeued, preempted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "slurm" / "train.sbatch"
pytestmark = [pytest.mark.slow, pytest.mark.multiprocess, pytest.mark.cluster]


def weights(folder):
    return (folder / "run" / "bundle" / "weights.safetensors").read_bytes()


def last_step(folder):
    path = folder / "run" / "train" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


@pytest.fixture
def copy(study, tmp_path):
    """A copy of the prepared study to train in."""
    return shutil.copytree(study, tmp_path / "study")


@pytest.fixture(scope="module")
def uninterrupted(study, tmp_path_factory):
    """Weights of the training that nothing disturbs, outside of Slurm."""
    folder = shutil.copytree(study, tmp_path_factory.mktemp("alone") / "study")
    command = [sys.executable, "-m", "calogan", "train", "study.yaml", "--quiet"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    return weights(folder)


def cancel_and_submit_again(slurm, folder, job):
    slurm("scancel", job)
    assert slurm.wait_for_end(job) == "CANCELLED"
    return submit(slurm, folder)


def requeue(slurm, folder, job):
    slurm("scontrol", "requeue", job)
    return job


def signal_as_before_the_time_limit(slurm, folder, job):
    slurm("scancel", "--signal=USR1", job)
    return job


def preempt(slurm, folder, job):
    node = slurm("squeue", f"--jobs={job}", "--noheader", "--format=%N")
    slurm.submit(folder, "--partition=urgent", "--exclusive", f"--nodelist={node}", "--wrap=true")
    return job


def submit(slurm, folder):
    return slurm.submit(folder, "--cpus-per-task=1", "--mem=1G", SCRIPT, "study.yaml")


@pytest.mark.parametrize("stop", [cancel_and_submit_again, requeue, signal_as_before_the_time_limit, preempt])
def test_a_stopped_training_ends_with_the_weights_of_an_uninterrupted_one(slurm, copy, uninterrupted, stop):
    job = submit(slurm, copy)
    slurm.wait(lambda: last_step(copy) >= 10, "the training to begin")
    job = stop(slurm, copy, job)
    log = copy / f"calogan-{job}.log"
    slurm.wait(lambda: log.exists() and "going on from step" in log.read_text(), "the training to go on")
    assert slurm.wait_for_end(job) == "COMPLETED", log.read_text()
    (step,) = re.findall(r"going on from step (\d+)", log.read_text())
    assert 10 <= int(step) < 120
    assert weights(copy) == uninterrupted
