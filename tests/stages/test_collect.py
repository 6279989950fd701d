"""Tests of the manifest of generated files, and of the noise that they must not share."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from calogan.data.files import checksum
from calogan.data.reading import read_provenance
from calogan.errors import DataError
from calogan.stages.collect import collect
from calogan.stages.generate import generate


@dataclass(frozen=True)
class Production:
    """Particles in several files, and what is generated from them."""

    folder: Path
    bundle: Path

    def particles(self, name, count=20, shift=0):
        """A file whose event ids begin at 0, as those of many productions do; number 5 is outside the domain."""
        rng = np.random.default_rng(count)
        columns = {"event": np.arange(count), "pdg": np.full(count, 11, dtype=np.int32)}
        columns |= {branch: rng.normal(0, 0.5, count).astype(np.float32) for branch in ("px", "py", "x", "y")}
        columns["pz"] = rng.uniform(5, 50, count).astype(np.float32)
        columns["pz"][5] = 99
        columns["x"] += shift
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        with uproot.recreate(path) as file:
            file.mktree("hits", {branch: values.dtype for branch, values in columns.items()}).extend(columns)
        return path

    def __call__(self, particles, output, **options):
        path = self.folder / output
        generate(self.bundle, str(particles), path, **{"seed": 7, "threads": 1, "seed_by_input": True, **options})
        return path


@pytest.fixture
def production(tmp_path, tiny_bundle):
    return Production(tmp_path, tiny_bundle.path)


def cell_energy(path):
    with uproot.open(path) as file:
        return file["hits"]["cell_energy"].array()


def seed_of(path):
    return int(read_provenance(path)["seed"])


def test_the_manifest_says_what_is_in_each_file(production, tiny_bundle, tmp_path):
    inputs = [production.particles(f"in{number}.root", 20 + number) for number in range(2)]
    files = [production(path, f"generated/{path.name}") for path in inputs]
    collection = collect(files, tmp_path / "generated" / "manifest.json")
    assert (collection.entries, collection.left_out) == (39, 2)
    told = json.loads((tmp_path / "generated" / "manifest.json").read_text())
    assert told["bundle"] == tiny_bundle.info.id
    assert (told["entries"], told["left_out"]) == (39, 2)
    for file, path, read in zip(told["files"], files, inputs, strict=True):
        assert file["path"] == path.name  # the folder may move
        assert file["outside_list"] == f"{path.name}.outside.csv"
        assert file["checksum"] == checksum(str(path))
        assert file["inputs"] == str(read)
        assert (file["seed"], file["base_seed"]) == (seed_of(path), 7)
        with uproot.open(path) as root:
            assert file["entries"] == root["hits"].num_entries


def test_the_same_particles_in_two_files_get_other_showers(production):
    """Same event ids, same momenta and the same --seed, as when jobs are scattered over copies of a particle gun."""
    one, other = production.particles("one.root"), production.particles("other.root")
    first, second = production(one, "first.root"), production(other, "second.root")
    assert seed_of(first) != seed_of(second)
    assert not ak.array_equal(cell_energy(first), cell_energy(second))


def test_the_same_name_with_other_content_gets_another_seed(production):
    one, other = production.particles("a/in.root"), production.particles("b/in.root", shift=1)
    assert seed_of(production(one, "first.root")) != seed_of(production(other, "second.root"))


def test_the_same_file_elsewhere_gives_the_same_showers(production, tmp_path):
    one = production.particles("a/in.root")
    (tmp_path / "moved").mkdir()
    moved = shutil.copy(one, tmp_path / "moved" / "in.root")
    first, second = production(one, "first.root"), production(moved, "second.root")
    assert seed_of(first) == seed_of(second)
    assert ak.array_equal(cell_energy(first), cell_energy(second))
    assert seed_of(production(one, "third.root", seed=8)) != seed_of(first)


def test_a_seed_that_was_given_can_be_given_again(production):
    """The seed in the file, as --seed, makes the same showers without --seed-by-input."""
    one = production.particles("in.root")
    first = production(one, "first.root")
    second = production(one, "second.root", seed=seed_of(first), seed_by_input=False)
    assert ak.array_equal(cell_energy(first), cell_energy(second))
    assert "base_seed" not in read_provenance(second)


def test_files_that_may_share_noise_are_refused(production, tmp_path):
    inputs = [production.particles(f"in{number}.root", 20 + number) for number in range(2)]
    files = [production(path, f"out-{path.name}", seed_by_input=False) for path in inputs]
    with pytest.raises(DataError, match=r"out-in1.root: has the seed 7 of .*out-in0.root.*--seed-by-input"):
        collect(files, tmp_path / "manifest.json")
    assert not (tmp_path / "manifest.json").exists()


def test_files_of_another_bundle_or_other_branches_are_refused(production, tmp_path):
    one, other = production.particles("one.root"), production.particles("other.root")
    first = production(one, "first.root")
    dense = production(other, "dense.root", layout="dense")
    shipped = tmp_path / "shipped.root"
    generate("ecal30-electron", str(other), shipped, seed=1, tree="hits", threads=1)
    with pytest.raises(DataError, match=r"dense.root: is with tree 'hits' of .*but .*first.root is with"):
        collect([first, dense], tmp_path / "manifest.json")
    with pytest.raises(DataError, match=r"shipped.root: is of bundle \w+, but .*first.root is of bundle"):
        collect([first, shipped], tmp_path / "manifest.json")


def test_a_file_of_another_program_is_refused(production, tmp_path):
    with pytest.raises(DataError, match=r"one.root: was not written by calogan generate"):
        collect([production.particles("one.root")], tmp_path / "manifest.json")


@pytest.mark.parametrize("rntuple", [False, True])
def test_particles_that_an_overlay_leaves_are_counted(production, tmp_path, rntuple):
    events = {"event": np.arange(3), "pdg": ak.Array([[11, 11], [11], [211, 11, 11]])}
    for branch, value in {"px": 0.1, "py": 0.0, "pz": 20.0, "x": 1.0, "y": 1.0}.items():
        events[branch] = ak.values_astype(ak.zeros_like(events["pdg"]) + value, np.float32)
    with uproot.recreate(tmp_path / "events.root") as file:
        types = {branch: str(ak.type(values).content) for branch, values in map_arrays(events).items()}
        file.mktree("hits", types, counter_name=lambda _: "npart").extend(map_arrays(events))
    path = production(tmp_path / "events.root", "overlaid.root", overlay=True, pdg=[11], rntuple=rntuple)
    collection = collect([path], tmp_path / "manifest.json")
    assert (collection.entries, collection.left_out) == (3, 1)
    assert collection.files[0].outside_list is None


def map_arrays(columns):
    return {branch: ak.Array(values) for branch, values in columns.items()}
