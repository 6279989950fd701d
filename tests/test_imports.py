"""Tests of what importing a part of calogan pulls in, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ["torch", "mlflow", "matplotlib", "sklearn", "scipy", "pandas", "uproot", "awkward", "onnxruntime"]
ONLY_TRAIN = ["torch", "mlflow", "matplotlib", "sklearn", "scipy", "jinja2", "onnx", "onnxscript"]


def _python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def _importing_without(modules, missing):
    """Import `modules` where `missing` are not installed."""
    lines = ["import sys", f"sys.modules.update(dict.fromkeys({missing}))", *(f"import {name}" for name in modules)]
    return _python("\n".join(lines))


@pytest.mark.parametrize("module", ["calogan", "calogan.cli", "calogan.config", "calogan.remote", "calogan.tracking"])
def test_import_is_light(module):
    done = _python(f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])")
    assert done.stdout == "[]\n", done.stderr


def test_the_base_install_reads_and_samples_without_the_train_extra():
    modules = [
        "calogan.bundle",
        "calogan.data.root",
        "calogan.data.store",
        "calogan.noise",
        "calogan.physics.kinematics",
        "calogan.physics.observables",
        "calogan.sampler",
        "calogan.stages.export",
        "calogan.stages.generate",
        "calogan.stages.inspect",
        "calogan.stages.prepare",
        "calogan.stages.run",
    ]
    done = _importing_without(modules, ONLY_TRAIN)
    assert done.returncode == 0, done.stderr


def test_training_imports_without_root_and_mlflow():
    done = _importing_without(["calogan.stages.train"], ["uproot", "awkward", "awkward_cpp", "mlflow", "fsspec"])
    assert done.returncode == 0, done.stderr
