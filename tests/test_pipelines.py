"""Tests of the Snakemake pipeline."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load

from calogan.bundle import Bundle, write_bundle

ROOT = Path(__file__).parent.parent
pytest.importorskip("snakemake")


def calogan_commands(text):
    """What is run of calogan, from the lines that Snakemake prints."""
    return [line.split("-m calogan ")[1] for line in text.splitlines() if "-m calogan" in line]


def _snakemake(folder, overrides, *options, profile="local", **config):
    return subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", ROOT / "pipelines" / "Snakefile"),
            *("--profile", ROOT / "pipelines" / "profiles" / profile, *options),
            *("--config", f"study={ROOT / 'configs' / 'demo.yaml'}", f"set={json.dumps(overrides)}"),
            *(f"{key}={json.dumps(value)}" for key, value in config.items()),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_stages_are_scheduled_in_order_with_the_overrides(tmp_path):
    done = _snakemake(tmp_path, ["run_dir=here", "training.threads=1"], "--dry-run")
    assert done.returncode == 0, done.stdout
    commands = calogan_commands(done.stdout)
    options = f"{ROOT / 'configs' / 'demo.yaml'} --set run_dir=here --set training.threads=1"
    assert commands == [
        f"prepare {options} && touch here/prepared/manifest.json",
        f"train {options} && touch here/bundle/weights.safetensors",
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
    (command,) = calogan_commands(done.stdout)
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


def test_files_are_scattered_over_parts_and_over_jobs_that_generate(tmp_path):
    generate = {"input": ["calogan://ecal30_electron/hits_*.root"], "output": "out", "seed": 7, "bundle": "b"}
    done = _snakemake(tmp_path, ["run_dir=here"], "--dry-run", parts=2, generate=generate)
    assert done.returncode == 0, done.stdout
    commands = calogan_commands(done.stdout)
    for part in (1, 2):
        (command,) = (command for command in commands if f"--part {part}/2" in command)
        assert command.endswith(f" && touch here/prepared/parts/{part}-of-2.json")
    generated = [command for command in commands if command.startswith("generate")]
    assert len(generated) == 3
    for command, number in zip(sorted(generated), (1001, 1002, 1003), strict=True):
        assert f"--output out/hits_{number}.root --seed 7 --seed-by-input" in command
    (collect,) = (command for command in commands if command.startswith("collect"))
    assert collect.count(".root") == 3


def test_generation_with_a_bundle_that_is_there_needs_no_training(tmp_path):
    generate = {"input": "calogan://ecal30_electron/*.root", "output": "out", "seed": 7, "bundle": "ecal30-electron"}
    done = _snakemake(tmp_path, [], "--dry-run", "production", generate=generate)
    assert {command.split()[0] for command in calogan_commands(done.stdout)} == {"generate", "collect"}


def test_each_seed_and_variant_is_a_run_on_the_same_prepared_showers(tmp_path):
    variants = {"plain": [], "wide": ["model.critic_hidden=[512,256]"]}
    done = _snakemake(tmp_path, ["run_dir=here"], "--dry-run", seeds=[1, 2], variants=variants)
    assert done.returncode == 0, done.stdout
    commands = calogan_commands(done.stdout)
    trained = [command for command in commands if command.startswith("train")]
    assert len(trained) == 4
    assert any(
        "--set 'model.critic_hidden=[512,256]' --set seed=2 --set run_dir=here/runs/wide-seed2" in command
        for command in trained
    )
    assert sum(command.startswith("prepare") for command in commands) == 1
    (best,) = (command for command in commands if command.startswith("best"))
    assert best.split()[1:5] == [f"here/runs/{name}-seed{seed}" for name in ("plain", "wide") for seed in (1, 2)]
    assert not any(command.startswith("validate") for command in commands)  # of the best alone, which is not known yet


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sedes": [1]}, "sedes: unknown key of the pipeline; did you mean 'seeds'"),
        ({"generate": {"inputs": "a.root"}}, "generate.inputs: unknown key of the pipeline; did you mean 'input'"),
        ({"variants": {"far": ["domain.max_angle=5"]}}, "variants.far: changes data, geometry or domain"),
        ({"variants": {"wide": ["model.critic=[8]"]}}, "model.critic: unknown key"),
    ],
)
def test_a_wrong_pipeline_stops_before_any_job(tmp_path, config, message):
    done = _snakemake(tmp_path, [], "--dry-run", **config)
    assert done.returncode == 1
    assert message in done.stdout


@pytest.mark.parametrize("profile", ["slurm", "htcondor"])
def test_profiles_of_clusters_are_understood(tmp_path, profile):
    pytest.importorskip(f"snakemake_executor_plugin_{profile}")
    done = _snakemake(tmp_path, ["run_dir=here"], "--dry-run", profile=profile, parts=2)
    assert done.returncode == 0, done.stdout
    assert len(calogan_commands(done.stdout)) == 5


@pytest.mark.parametrize(
    ("resources", "command"),
    [
        (["processes=2"], "launch --nproc-per-node 2 -- train "),
        (["processes=2", "nodes=3"], "launch --nnodes 3 --nproc-per-node 2 --rdzv-backend c10d "),
    ],
)
def test_several_processes_train_together(tmp_path, resources, command):
    chosen = ["--set-resources", *(f"train:{resource}" for resource in resources)]
    done = _snakemake(tmp_path, ["run_dir=here"], "--dry-run", *chosen)
    assert done.returncode == 0, done.stdout
    (trained,) = (line for line in done.stdout.splitlines() if "launch" in line)
    assert command in trained
    assert ("srun --nodes=3 --ntasks=3 --ntasks-per-node=1" in trained) == (len(resources) == 2)


def test_the_submit_file_for_htcondor_is_understood():
    htcondor = pytest.importorskip("htcondor2")
    submit = htcondor.Submit((ROOT / "examples" / "htcondor" / "train.sub").read_text())
    assert submit["on_exit_remove"] == "(ExitBySignal == False) && (ExitCode =!= 75)"
    assert submit["request_gpus"] == "1"


@pytest.mark.multiprocess
def test_the_best_run_alone_is_compared_with_the_test_showers(tmp_path, tiny_bundle, ecal30_config):
    """Runs as their trainings leave them: the second seed has the lower score on the validation showers."""
    prepared = tmp_path / "here" / "prepared" / "manifest.json"
    prepared.parent.mkdir(parents=True)
    prepared.touch()
    for seed, score in ((1, 2.5), (2, 1.5)):
        told = {"physics_score": score, "selected_step": 4, "steps": 5, "complete": True, "seed": seed}
        info = replace(tiny_bundle.info, provenance=told | {"data_digest": "d", "hold_out_momentum": None})
        run = tmp_path / "here" / "runs" / f"seed{seed}"
        write_bundle(run / "bundle", info, load(tiny_bundle.weights_path.read_bytes()), None)
        (run / "config.yaml").write_text(ecal30_config.to_yaml())
    before = (run / "config.yaml").stat().st_mtime_ns - 10**9
    os.utime(prepared, ns=(before, before))
    done = _snakemake(tmp_path, ["run_dir=here"], "best", seeds=[1, 2])
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "here" / "best.json").read_text())["best"] == "here/runs/seed2"
    done = _snakemake(tmp_path, ["run_dir=here"], "--dry-run", seeds=[1, 2])
    (command,) = calogan_commands(done.stdout)
    assert command.startswith("validate")
    assert "run_dir=here/runs/seed2" in command
    Bundle.load(run / "bundle").with_validation({"split": "test"})  # which changes bundle.json, but not the weights
    report = run / "validation" / "test" / "report.json"
    report.parent.mkdir(parents=True)
    report.touch()
    done = _snakemake(tmp_path, ["run_dir=here"], seeds=[1, 2])
    assert (done.returncode, calogan_commands(done.stdout)) == (0, [])


def test_the_example_is_understood(tmp_path):
    done = _snakemake(tmp_path, ["run_dir=here"], "--dry-run", "--configfile", ROOT / "pipelines" / "example.yaml")
    assert done.returncode == 0, done.stdout
    (wide,) = (line for line in calogan_commands(done.stdout) if line.startswith("train") and "wide-seed2" in line)
    assert "'model.critic_hidden=[512, 256]'" in wide


@pytest.mark.slow
@pytest.mark.multiprocess
def test_files_of_particles_are_generated_side_by_side(tmp_path, tiny_bundle, ecal30_config):
    generate = {"input": ecal30_config.data.sources[0].files, "output": "out", "seed": 7}
    generate |= {"bundle": str(tiny_bundle.path)}
    done = _snakemake(tmp_path, ["run_dir=here"], "production", generate=generate)
    assert done.returncode == 0, done.stdout
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [(file["path"], file["entries"]) for file in manifest["files"]] == [("part0.root", 200), ("part1.root", 200)]
    assert len({file["seed"] for file in manifest["files"]}) == 2
    assert "Nothing to be done" in _snakemake(tmp_path, ["run_dir=here"], "production", generate=generate).stdout


def test_two_inputs_for_one_output_are_refused(tmp_path, shipped):
    (tmp_path / "copy").mkdir()
    shutil.copy(shipped / "hits_1001.root", tmp_path / "copy")
    inputs = [str(shipped / "hits_1001.root"), str(tmp_path / "copy" / "hits_1001.root")]
    generate = {"input": inputs, "output": "out", "seed": 7, "bundle": "b"}
    done = _snakemake(tmp_path, [], "--dry-run", generate=generate)
    assert done.returncode == 1
    assert "would be one output; rename one" in done.stdout
