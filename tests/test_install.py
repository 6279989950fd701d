"""The base install, as a user of the sampler gets it: from the package's wheel, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from calogan import load_sampler

ROOT = Path(__file__).parents[1]
SAMPLE = """
import importlib.util, sys
import numpy as np
from calogan import load_sampler
found = {name for name in ("torch", "mlflow", "matplotlib", "scipy", "sklearn") if importlib.util.find_spec(name)}
assert not found, f"the base install brings {found}"
showers = load_sampler("ecal30-electron").sample(0.2, -0.5, np.linspace(5, 60, 50), 3.0, 4.0, seed=7)
np.save(sys.argv[1], showers.cell_energy)
showers.to_root(sys.argv[2], layout="hits")
assert len(showers.to_awkward()) == 50
"""


@pytest.fixture(scope="module")
def base_install(tmp_path_factory):
    """An environment with the wheel of this tree and what it depends on, of the versions that are pinned."""
    folder = tmp_path_factory.mktemp("install")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], capture_output=True, text=True, timeout=300
    )
    if wheels.returncode and "connection" in wheels.stderr.lower():
        pytest.skip("no package index can be reached, so nothing can be installed")
    assert wheels.returncode == 0, wheels.stderr
    (wheel,) = folder.glob("*.whl")
    options = ["--constraint", ROOT / "constraints.txt", "--no-compile"]
    installed = subprocess.run([*pip, "install", *options, wheel], capture_output=True, text=True, timeout=600)
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_base_install_makes_the_same_showers_without_torch(base_install, tmp_path):
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [base_install, "-c", SAMPLE, tmp_path / "cells.npy", tmp_path / "showers.root"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=outside,
    )
    assert done.returncode == 0, done.stderr
    expected = load_sampler("ecal30-electron", backend="torch", device="cpu").sample(
        0.2, -0.5, np.linspace(5, 60, 50), 3.0, 4.0, seed=7
    )
    np.testing.assert_allclose(np.load(tmp_path / "cells.npy"), expected.cell_energy, rtol=2e-5)
    assert (tmp_path / "showers.root").stat().st_size > 1000
