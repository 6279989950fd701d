"""Every notebook runs from its first to its last cell."""

from __future__ import annotations

import os
from pathlib import Path

import jupytext
import nbclient
import numpy as np
import pytest
import torch

from calogan.bundle import BundleInfo, write_bundle
from calogan.config import load_config
from calogan.data.schema import Schema
from calogan.geometry import Geometry
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.fixture
def bundle(tmp_path):
    """A small, untrained generator for the calorimeter of the demo."""
    config = load_config(ROOT / "configs" / "demo.yaml")
    geometry, domain = Geometry.from_dict(config.geometry.to_dict()), Domain.from_config(config.domain)
    architecture = Architecture(latent_size=2, hidden=(4,))
    generator = build_generator(architecture, geometry, domain, config.condition, config.threshold)
    torch.nn.init.constant_(generator.cell_mean.bias, -1.0)
    info = BundleInfo(
        id="",
        calogan_version="0",
        condition=tuple(config.condition),
        geometry=geometry,
        domain=domain,
        threshold=config.threshold,
        schema=Schema.from_source(config.data.sources[0]),
        noise_size=generator.noise_size,
        architecture=architecture.to_dict(),
        provenance={},
        files={},
    )
    weights = {name: np.asarray(value) for name, value in generator.state_dict().items()}
    return write_bundle(tmp_path / "bundle", info, weights, None).path


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, bundle, monkeypatch):
    monkeypatch.setenv("CALOGAN_BUNDLE", str(bundle))
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    notebook = jupytext.read(path)
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
