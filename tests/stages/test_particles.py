"""Two particle types in one model, from files to showers: the second type's cells hold a third of the energy."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.reading import read_showers
from calogan.data.store import Store
from calogan.errors import ConfigError, DataError, DomainError, ShapeError, TrainingError
from calogan.export import check_parity, describe, export_onnx
from calogan.progress import SilentReporter
from calogan.sampler import load_sampler
from calogan.sampler.network import open_session
from calogan.sampler.request import OutsideDomainWarning
from calogan.stages import train as train_stage
from calogan.stages.generate import generate
from calogan.stages.partners import generate_partners
from calogan.stages.prepare import prepare
from calogan.stages.train import train
from calogan.training import loop

TRAINING = {
    "batch_size": 64,
    "warmup_steps": 120,
    "steps": 4,
    "critic_steps": 1,
    "critic_head_start": 1,
    "evaluate_showers": 50,
    "device": "cpu",
}
MODEL = {"latent_size": 4, "generator_hidden": [16], "critic_hidden": [16]}
CONDITION = ["momentum", "direction", "entry_point", "particle"]
CONFIGS = Path(__file__).parents[2] / "configs"
FAINT = 22


@pytest.fixture(scope="module")
def make_config(toy, tmp_path_factory):
    """Writes the toy's showers as two types and returns the study: ``make_config(particles=..., condition=...)``."""
    folder = tmp_path_factory.mktemp("two")
    pdg = np.resize(np.array([11, FAINT, 11], dtype=np.int32), len(toy.showers))
    scale = np.where(pdg == FAINT, 1 / 3, 1.0).astype(np.float32)
    showers = replace(toy.showers, pdg=pdg, cell_energy=toy.showers.cell_energy * scale[:, None])
    files = [str(toy.write(folder / "two.root", "dense", showers))]

    def make(run_dir, *, particles=None, condition=CONDITION, training=TRAINING):
        values = toy.config(run_dir, "dense", files=files).model_dump(mode="json")
        values |= {"condition": condition, "training": training, "model": MODEL, "threshold": 1e-4}
        values["domain"]["particles"] = particles or {}
        return Config.model_validate(values)

    return make


@pytest.fixture(scope="module")
def study(make_config, tmp_path_factory):
    """A study whose faint particles have 2 GeV at least, trained."""
    config = make_config(tmp_path_factory.mktemp("study") / "run", particles={FAINT: {"momentum": [2.0, 64.0]}})
    prepare(config, SilentReporter())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_stage, "can_export", lambda: False)  # as without onnx, whose export takes long
        train(config, SilentReporter())
    return config


@pytest.fixture
def sampler(study):
    return load_sampler(study.run_dir / "bundle")


def test_data_outside_of_their_types_own_domain_are_left_out(study):
    store = Store.open(study.run_dir / "prepared")
    (record,) = store.manifest.shards
    kept = store.load("train")
    assert record.outside_domain > 0
    assert set(kept.pdg) == {11, FAINT}
    assert kept.momentum[kept.pdg == FAINT].min() >= 2.0 * (1 - 1e-5)
    assert kept.momentum[kept.pdg == 11].min() < 2.0


def test_types_that_are_told_are_no_mixture_to_warn_of(make_config, tmp_path, listener):
    prepare(make_config(tmp_path / "told"), listener)
    assert not [text for text in listener.warnings if "several particle types" in text]
    prepare(make_config(tmp_path / "mixed", condition=CONDITION[:3]), listener)
    assert "list particle in condition" in listener.warnings[-1]


def test_bounds_of_a_type_without_showers_are_refused(make_config, tmp_path):
    config = make_config(tmp_path, particles={211: {"max_angle": 5.0}})
    with pytest.raises(
        DataError, match=r"domain\.particles names pdg 211.*; showers in the domain are of pdg 11.*, 22"
    ):
        prepare(config, SilentReporter())


def test_the_bundle_says_which_types_it_makes(study, sampler):
    info = Bundle.load(study.run_dir / "bundle").info
    assert (info.particles, sampler.pdg) == ((11, FAINT), (11, FAINT))
    assert info.domain.of(FAINT).momentum == (2.0, 64.0)
    assert info.domain.of(11).momentum == (1.0, 64.0)
    assert "pdg 11" in repr(sampler)


def test_showers_are_of_the_type_that_is_asked_for(sampler):
    """A third of the energy, within what so short a training gives."""
    pz = np.geomspace(3, 60, 200)
    response = {
        pdg: np.log(sampler.sample(0.0, 0.0, pz, 0.0, 0.0, pdg, seed=3).total_energy / pz).mean() for pdg in sampler.pdg
    }
    assert response[11] - response[FAINT] == pytest.approx(np.log(3), abs=0.35)


def test_a_shower_does_not_depend_on_the_types_beside_it(sampler):
    both = sampler.sample(0.0, 0.0, [20.0, 20.0], 0.0, 0.0, pdg=[FAINT, 11], seed=7)
    alone = sampler.sample(0.0, 0.0, 20.0, 0.0, 0.0, pdg=11, seed=7, shower_id=1)
    np.testing.assert_allclose(both.cell_energy[1], alone.cell_energy[0], rtol=1e-3)
    ragged = sampler.sample(0.0, 0.0, ak.Array([[20.0], [30.0, 20.0]]), 0.0, 0.0, ak.Array([[22], [11, 22]]), seed=7)
    assert ragged.pdg.tolist() == [22, 11, 22]
    np.testing.assert_allclose(ragged.cell_energy[0], both.cell_energy[0], rtol=1e-3)


@pytest.mark.parametrize("outside", ["raise", "warn", "clip"])
def test_a_type_that_it_does_not_know_is_refused(sampler, outside):
    with pytest.raises(DomainError, match=r"1 of 2 .*trained with \(pdg 11.*, 22.*number 1 with pdg 211; give it"):
        sampler.sample(0.0, 0.0, [9.0, 9.0], 0.0, 0.0, pdg=[11, 211], outside=outside)


def test_the_type_is_needed(sampler):
    with pytest.raises(ShapeError, match=r"makes showers of several particle types; give pdg, out of 11.*, 22"):
        sampler.sample(0.0, 0.0, 9.0, 0.0, 0.0)
    with pytest.raises(DomainError, match="no showers of pdg 0; the known types are pdg 11"):
        sampler.cell_energy(np.float32([[0, 0, 9, 0, 0]]), 1, np.array([0]))


def test_each_type_is_kept_to_its_own_domain(sampler):
    assert len(sampler.sample(0.0, 0.0, 1.5, 0.0, 0.0, pdg=11)) == 1
    with pytest.raises(DomainError, match=r"outside the domain .*pdg 22: \|p\| 2 to 64 GeV"):
        sampler.sample(0.0, 0.0, 1.5, 0.0, 0.0, pdg=FAINT)
    with pytest.warns(OutsideDomainWarning, match="1 of 2"):
        sampler.sample(0.0, 0.0, 1.5, 0.0, 0.0, pdg=[11, FAINT], outside="warn")
    clipped = sampler.sample(0.0, 0.0, 1.5, 0.0, 0.0, pdg=[11, FAINT], outside="clip")
    np.testing.assert_allclose(clipped.momentum, [1.5, 2.0], rtol=1e-6)


def test_partners_are_of_the_references_types(study, sampler):
    reference = Store.open(study.run_dir / "prepared").load("test")
    generated, _ = generate_partners(sampler, reference, 3, SilentReporter())
    asked = sampler.sample(*reference.incident.T, pdg=reference.pdg, seed=3, shower_id=reference.event)
    np.testing.assert_allclose(generated.total_energy, asked.total_energy, rtol=1e-4)


@pytest.fixture
def particles(tmp_path):
    """A file of particles, of which the third is of an unknown type and the fourth too slow for its own."""
    columns = {"event": np.arange(5), "pdg": np.array([11, 22, 211, 22, 11], dtype=np.int32)}
    columns |= {"px": np.zeros(5), "py": np.zeros(5), "pz": [9.0, 9.0, 9.0, 1.5, 1.5], "x": np.zeros(5)}
    columns = {name: np.asarray(values) for name, values in (columns | {"y": np.zeros(5)}).items()}
    with uproot.recreate(tmp_path / "particles.root") as file:
        file.mktree("showers", {name: values.dtype for name, values in columns.items()}).extend(columns)
    return tmp_path / "particles.root"


def test_generate_makes_each_particles_type_and_lists_the_others(study, sampler, particles, tmp_path):
    result = generate(study.run_dir / "bundle", [particles], tmp_path / "out.root", seed=7)
    assert (result.showers, result.outside) == (3, 2)
    with result.outside_list.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert [(row["pdg"], row["reason"]) for row in rows] == [("211", "particle type"), ("22", "momentum")]
    made = read_showers([str(result.output)], sampler.bundle.info.schema, sampler.geometry)
    assert made.pdg.tolist() == [11, 22, 11]
    asked = sampler.sample(0.0, 0.0, [9.0, 9.0, 1.5], 0.0, 0.0, made.pdg, seed=7, shower_id=[0, 1, 4])
    np.testing.assert_allclose(made.total_energy, asked.total_energy, rtol=1e-3)


def test_generate_needs_the_type(study, sampler, particles, tmp_path):
    bundle, untyped = study.run_dir / "bundle", {"input_branches": {"pdg": None}, "seed": 7}
    with pytest.raises(ConfigError, match=r"makes showers of pdg 11.*, 22.*: name the inputs' branch .*--pdg"):
        generate(bundle, [particles], tmp_path / "out.root", **untyped)
    with pytest.raises(ConfigError, match=r"no showers of pdg 13.*: the model makes those of pdg 11.*, 22"):
        generate(bundle, [particles], tmp_path / "out.root", seed=7, pdg=[13])
    result = generate(bundle, [particles], tmp_path / "out.root", pdg=[FAINT], **untyped)
    assert (result.showers, result.outside) == (3, 2)
    with uproot.open(result.output) as file:
        energies = file["showers"].arrays(sampler.bundle.info.schema.energy, library="np")
    total = sum(values.reshape(3, -1).sum(axis=1) for values in energies.values()) / 1e3
    asked = sampler.sample(0.0, 0.0, [9.0, 9.0, 9.0], 0.0, 0.0, FAINT, seed=7)
    np.testing.assert_allclose(total, asked.total_energy, rtol=1e-3)


def test_a_type_without_training_showers_is_refused(make_config, tmp_path):
    config = make_config(tmp_path / "run")
    store = prepare(config, SilentReporter())
    pdg = store.shards / store.manifest.shards[0].folder / "pdg.npy"
    values, split = np.load(pdg), np.load(pdg.with_name("split.npy"))
    np.save(pdg, np.where(split == 0, 11, values).astype(np.int32))
    with pytest.raises(TrainingError, match="no training shower is of pdg 22, which other showers are"):
        train(config, SilentReporter())


@pytest.mark.parametrize(("balance", "share"), [(False, 1 / 3), (True, 1 / 2)])
def test_batches_have_as_many_of_each_type_where_that_is_asked_for(make_config, tmp_path, monkeypatch, balance, share):
    short = {**TRAINING, "warmup_steps": 6, "steps": 0, "balance_particles": balance}
    config = make_config(tmp_path, training=short)
    prepare(config, SilentReporter())
    batches, warm_start_loss = [], loop.warm_start_loss

    def spied(generator, encoder, showers, *others):
        batches.append(showers.features[:, -1])
        return warm_start_loss(generator, encoder, showers, *others)

    monkeypatch.setattr(loop, "warm_start_loss", spied)
    monkeypatch.setattr(train_stage, "can_export", lambda: False)
    train(config, SilentReporter())
    assert len(batches) == 6
    assert float(np.concatenate(batches).mean()) == pytest.approx(share, abs=0.06)


def test_the_exported_graph_is_told_the_type(study, sampler):
    generator, info = sampler.bundle.load_generator(), sampler.bundle.info
    graph = export_onnx(generator, describe(info))
    session = open_session(graph, 1)
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["calogan.particles"]) == [11, FAINT]
    assert json.loads(said["calogan.inputs"])["incident"][-1] == "particle"
    assert json.loads(said["calogan.domain"])["particles"]["22"]["momentum"] == [2.0, 64.0]
    incident = np.float32([[0, 0, 9, 0, 0, 0], [0, 0, 9, 0, 0, 1]])
    assert check_parity(generator, graph, incident).flipped <= 1
