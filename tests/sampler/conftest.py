"""Bundles with a tiny, untrained generator: the one of all tests, with its graph, and others without."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from calogan.bundle import Bundle
from calogan.config import DenseSource, HitsSource
from calogan.data.schema import Schema
from calogan.geometry import Geometry, Layer
from calogan.physics.kinematics import Domain

GEOMETRY = Geometry(
    (
        Layer((-30.0, -10.0, 10.0, 30.0), (-20.0, -10.0, 0.0, 10.0, 20.0), depth=40.0),
        Layer((-30.0, 0.0, 30.0), (-20.0, 0.0, 20.0), depth=120.0),
        Layer((-30.0, 0.0, 30.0), (-20.0, 20.0), depth=300.0),
    )
)
DOMAIN = Domain((1.0, 64.0), 0.35, (-5.0, 5.0), (-5.0, 5.0))
CONDITION = ("momentum", "direction", "entry_point")
SOURCES = {
    "hits": HitsSource(layout="hits", files=["-"], tree="hits", cell_layer="cell_layer"),
    "dense": DenseSource(layout="dense", files=["-"], energy=["energy_0", "energy_1", "energy_2"]),
}


@dataclass(frozen=True)
class BundleMaker:
    """Writes bundles into a folder."""

    folder: Path
    tiny: Bundle
    untrained: Any

    def __call__(self, name="bundle"):
        """A copy of the tiny bundle."""
        return Bundle.load(shutil.copytree(self.tiny.path, self.folder / name))

    def without_graph(self, name="plain"):
        """A copy of the tiny bundle with the weights alone."""
        info = self.tiny.info
        return self.untrained(self.folder / name, info.geometry, info.domain, info.schema)

    def three_layers(self, name="bundle", *, layout="hits", condition=CONDITION, domain=DOMAIN):
        """A bundle for a calorimeter of three layers, without a graph."""
        schema = Schema.from_source(SOURCES[layout])
        return self.untrained(self.folder / name, GEOMETRY, domain, schema, condition=condition)


@pytest.fixture
def make_bundle(tmp_path, tiny_bundle, untrained_bundle):
    return BundleMaker(tmp_path, tiny_bundle, untrained_bundle)
