"""Files of particles and of events for the shipped calorimeter, and what came out for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from calogan.stages.generate import generate


@dataclass(frozen=True)
class Production:
    """Writes inputs to a folder, and generates from them."""

    folder: Path
    bundle: Path

    def write(self, name, columns, *, rntuple=False):
        """A file of flat and of awkward columns."""
        types = {branch: str(ak.type(values).content) for branch, values in columns.items()}
        with uproot.recreate(self.folder / name) as file:
            if rntuple:
                tree = file.mkrntuple("hits", types)
            else:
                tree = file.mktree("hits", types, counter_name=lambda _: "npart")
            tree.extend({branch: ak.Array(values) for branch, values in columns.items()})
        return str(self.folder / name)

    def particles(self, name="in.root", count=60, first=100):
        """A file of particles, of which number 5 and number 33 are outside the domain."""
        rng = np.random.default_rng(first)
        columns = {"event": np.arange(first, first + count), "pdg": np.full(count, 11, dtype=np.int32)}
        columns |= {branch: rng.normal(0, 0.5, count).astype(np.float32) for branch in ("px", "py", "x", "y")}
        columns["pz"] = rng.uniform(5, 50, count).astype(np.float32)
        columns["pz"][[5, 33]] = 99
        return self.write(name, columns)

    def __call__(self, inputs, output="out.root", **options):
        inputs = [inputs] if isinstance(inputs, str) else inputs
        return generate(self.bundle, inputs, self.folder / output, **{"seed": 7, "threads": 1, **options})

    def read(self, output="out.root", tree="hits") -> dict[str, Any]:
        """Branches of an output."""
        with uproot.open(self.folder / output) as file:
            return {branch: file[tree][branch].array() for branch in file[tree].keys()}  # noqa: SIM118

    def assert_same(self, one, other, tree="hits"):
        """Two outputs have the same branches, types and values, to the last bit."""
        first, second = self.read(one, tree), self.read(other, tree)
        assert list(first) == list(second)
        for branch, values in first.items():
            assert values.type == second[branch].type
            assert ak.array_equal(values, second[branch], equal_nan=True), branch

    def assert_close(self, one, other, tree="hits"):
        """Two outputs have the same branches and types; others than whole numbers within 1e-5, or 1 keV."""
        first, second = self.read(one, tree), self.read(other, tree)
        assert list(first) == list(second)
        for branch, values in first.items():
            assert values.type == second[branch].type
            flat = [np.asarray(ak.flatten(each, axis=None)) for each in (values, second[branch])]
            rtol, atol = (0, 0) if flat[0].dtype.kind in "iu" else (1e-5, 1e-3)  # [MeV], for cells at the threshold
            np.testing.assert_allclose(*flat, rtol=rtol, atol=atol, err_msg=branch)

    @property
    def names(self):
        """What is in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def production(tmp_path, tiny_bundle):
    return Production(tmp_path, tiny_bundle.path)
