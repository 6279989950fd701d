"""Trainings and the pipeline as jobs of a real Slurm: submitted, stopped, requeued, preempted."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

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


def test_two_nodes_train_together_and_go_on_on_one(slurm, copy, uninterrupted):
    job = slurm.submit(copy, "--nodes=2", "--cpus-per-task=1", "--mem=1G", SCRIPT, "study.yaml")
    slurm.wait(lambda: last_step(copy) >= 10, "the training to begin")
    slurm("scancel", job)
    assert slurm.wait_for_end(job) == "CANCELLED"
    assert "2 processes" in (copy / f"calogan-{job}.log").read_text()
    job = submit(slurm, copy)
    assert slurm.wait_for_end(job) == "COMPLETED"
    assert re.search(r"going on from step \d\d", (copy / f"calogan-{job}.log").read_text())
    ours, alone = load(weights(copy)), load(uninterrupted)
    for name, values in alone.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-2, atol=1e-3, err_msg=name)


def test_the_pipeline_runs_from_submission_to_report(slurm, study, uninterrupted, ecal30_config, tmp_path):
    """With Snakemake's executor; its training is cancelled on the way, and the next attempt goes on."""
    pytest.importorskip("snakemake_executor_plugin_slurm")
    shutil.copy(study / "study.yaml", tmp_path)
    files = ecal30_config.data.sources[0].files
    generate = {"input": files[:1], "output": "generated", "seed": 7}
    (tmp_path / "pipeline.yaml").write_text(json.dumps({"study": "study.yaml", "parts": 2, "generate": generate}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "pipelines" / "Snakefile"]
    command += ["--profile", ROOT / "pipelines" / "profiles" / "slurm", "--configfile", "pipeline.yaml"]
    # as the profile says to edit it, and more impatient than on a cluster
    command += ["--slurm-status-command", "squeue", "--slurm-no-account", "--set-threads", "generate=1"]
    command += ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5"]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, cwd=tmp_path, env=slurm.environment, stdout=said, stderr=subprocess.STDOUT)
    try:
        slurm.wait(lambda: last_step(tmp_path) >= 10 or process.poll(), "the training to begin")
        (first,) = (tmp_path / "slurm-logs" / "rule_train").rglob("*.log")
        slurm("scancel", first.stem)
        slurm.wait(lambda: process.poll() is not None, "the pipeline to end")
    finally:
        process.terminate()
        process.wait()
    text = (tmp_path / "said").read_text()
    assert process.returncode == 0, text
    jobs = re.findall(r"submitted with SLURM jobid (\d+) \(log: \S+/rule_(\w+?)/", text)
    ran = ["collect", "generate", "prepare", "prepare_part", "prepare_part", "train", "train", "validate"]
    assert sorted(rule for _, rule in jobs) == ran
    assert len({job for job, _ in jobs}) == len(jobs)
    logs = sorted((tmp_path / "slurm-logs" / "rule_train").rglob("*.log"), key=lambda log: int(log.stem))
    assert re.search(r"going on from step \d\d", logs[1].read_text())
    assert weights(tmp_path) == uninterrupted
    assert (tmp_path / "run" / "validation" / "test" / "report.json").is_file()
    manifest = json.loads((tmp_path / "generated" / "manifest.json").read_text())
    assert manifest["entries"] == 200
