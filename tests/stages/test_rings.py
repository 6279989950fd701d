"""A calorimeter of rings, as the CaloChallenge has it, through the stages: files in, showers of its shape out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.binning import read_binning
from calogan.data.schema import Schema
from calogan.data.store import Store
from calogan.data.toy import toy_showers
from calogan.data.writing import ShowerWriter
from calogan.export import check_parity, describe, export_onnx
from calogan.progress import SilentReporter
from calogan.sampler import load_sampler
from calogan.stages.prepare import prepare
from calogan.stages.train import train

BINNING = """<Bins><Bin pid="22" name="photon">
<Layer id="0" r_edges="0,5,15,30,60" n_bin_alpha="1"/>
<Layer id="1" r_edges="0,5,10,20,40,60" n_bin_alpha="6"/>
<Layer id="2" r_edges="0,5,10,20,40,60" n_bin_alpha="6"/>
<Layer id="3" r_edges="0" n_bin_alpha="1"/>
<Layer id="4" r_edges="0,30,60" n_bin_alpha="2"/>
</Bin></Bins>"""
TRAINING = {"batch_size": 16, "warmup_steps": 20, "steps": 10, "critic_steps": 1, "critic_head_start": 0, "threads": 1}
OFTEN = {"log_every": 5, "evaluate_every": 10, "evaluate_showers": 20, "checkpoint_every": 30, "device": "cpu"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Configuration, and the showers that are in its file."""
    folder = tmp_path_factory.mktemp("rings")
    binning = folder / "binning.xml"
    binning.write_text(BINNING)
    showers = toy_showers(np.random.default_rng(5), read_binning(binning), 150)
    along = np.zeros_like(showers.incident)
    along[:, 2] = showers.momentum
    showers = replace(showers, incident=along)
    source = {
        "layout": "dense",
        "files": [str(folder / "in.root")],
        "energy": [f"layer{number}" for number in range(4)],
    }
    config = Config.model_validate(
        {
            "name": "rings",
            "run_dir": str(folder / "run"),
            "threshold": 3e-4,
            "condition": ["momentum"],
            "geometry": {"xml": str(binning), "particle": "photon"},
            "domain": {"momentum": [0.5, 70], "max_angle": 1},
            "data": {"sources": [{**source, "entry_point": None}]},
            "model": {"latent_size": 2, "generator_hidden": [16], "critic_hidden": [16]},
            "training": TRAINING | OFTEN,
        }
    )
    with ShowerWriter(folder / "in.root", Schema.from_source(config.data.sources[0]), showers.geometry) as writer:
        writer.extend(showers)
    prepare(config, SilentReporter())
    return config, showers


@pytest.fixture(scope="module")
def bundle(study):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calogan.stages.train.can_export", lambda: False)
        return Bundle.load(train(study[0], SilentReporter()))


def test_cells_of_rings_are_read_in_their_order(study):
    config, showers = study
    store = Store.open(config.run_dir / "prepared")
    assert store.geometry == showers.geometry
    read = store.load("train")
    assert len(read) > 50
    np.testing.assert_allclose(read.cell_energy, showers.cell_energy[read.event], rtol=1e-5)


def test_a_training_on_rings_ends_with_showers_of_rings(study, bundle):
    assert bundle.info.geometry == study[1].geometry
    assert bundle.info.provenance["steps"] == 30
    made = load_sampler(bundle.path, backend="torch").sample(0.0, 0.0, np.full(50, 20.0), seed=1)
    assert made.cell_energy.shape == (50, 68)
    assert made.layer_energy.sum(axis=1) == pytest.approx(made.total_energy, rel=1e-5)
    assert made.total_energy.mean() == pytest.approx(4.0, rel=0.2)  # the toy shows a fifth


@pytest.mark.slow
def test_the_graph_makes_the_same_showers(study, bundle):
    generator = bundle.load_generator()
    graph = export_onnx(generator, describe(bundle.info))
    check_parity(generator, graph, study[1].incident)
