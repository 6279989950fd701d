"""Tests of the Snakemake pipeline."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytest.importorskip("snakemake")


def _snakemake(folder, overrides, *options):
    return subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", ROOT / "pipelines" / "Snakefile"),
            *("--profile", ROOT / "pipelines" / "profiles" / "local", *options),
            *("--config", f"study={ROOT / 'configs' / 'demo.yaml'}", f"set={json.dumps(overrides)}"),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_stages_are_scheduled_in_order_with_the_overrides(tmp_path):
    done = _snakemake(tmp_path, ["run_dir=here", "training.threads=1"], "--dry-run")
    assert done.returncode == 0, done.stdout
    commands = [line.split("-m calogan ")[1] for line in done.stdout.splitlines() if "-m calogan" in line]
    options = f"{ROOT / 'configs' / 'demo.yaml'} --set run_dir=here --set training.threads=1"
    assert commands == [
        f"prepare {options} && touch here/prepared/manifest.json",
        f"train {options} && touch here/bundle/bundle.json",
        f"validate {options} --split test && touch here/validation/test/report.json",
    ]


def test_a_wrong_study_stops_before_any_job(tmp_path):
    done = _snakemake(tmp_path, ["training.step=1"], "--dry-run")
    assert done.returncode == 1
    assert "did you mean 'steps'" in done.stdout


def test_files_of_the_data_are_inputs_and_odd_names_are_quoted(tmp_path, shipped):
    folder = tmp_path / "two words"
    folder.mkdir()
    for number in (1001, 1002):
        shutil.copy(shipped / f"hits_{number}.root", folder)
    overrides = [f"data.sources.0.files=['{folder}']", f"run_dir={tmp_path}/$HOME/here"]
    done = _snakemake(tmp_path, overrides, "--dry-run", "prepare")
    assert done.returncode == 0, done.stdout
    (inputs,) = (line for line in done.stdout.splitlines() if line.strip().startswith("input:"))
    for number in (1001, 1002):
        assert str(folder / f"hits_{number}.root") in inputs
    (command,) = (line.split("-m calogan ")[1] for line in done.stdout.splitlines() if "-m calogan" in line)
    words = shlex.split(command)
    assert words[words.index("--set") + 1] == overrides[0]
    assert words[-1] == f"{tmp_path}/$HOME/here/prepared/manifest.json"


@pytest.mark.multiprocess
def test_a_job_runs_once_and_again_for_a_new_file(tmp_path, shipped):
    overrides = ["run_dir=here", "data.sources.0.files=['*.root']"]
    shutil.copy2(shipped / "hits_1001.root", tmp_path)
    done = _snakemake(tmp_path, overrides, "prepare")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "here" / "prepared" / "manifest.json").is_file()
    assert "Nothing to be done" in _snakemake(tmp_path, overrides, "prepare").stdout
    shutil.copy2(shipped / "hits_1002.root", tmp_path)  # older than the manifest
    assert "calogan prepare" in _snakemake(tmp_path, overrides, "prepare", "--dry-run").stdout
