"""Bundles with a tiny, untrained generator."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from calogan.bundle import BundleInfo, write_bundle
from calogan.config import DenseSource, HitsSource
from calogan.data.schema import Schema
from calogan.export import export_onnx
from calogan.geometry import Geometry, Layer
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain

GEOMETRY = Geometry(
    (
        Layer((-30.0, -10.0, 10.0, 30.0), (-20.0, -10.0, 0.0, 10.0, 20.0), depth=40.0),
        Layer((-30.0, 0.0, 30.0), (-20.0, 0.0, 20.0), depth=120.0),
        Layer((-30.0, 0.0, 30.0), (-20.0, 20.0), depth=300.0),
    )
)
DOMAIN = Domain((1.0, 64.0), 0.35, (-5.0, 5.0), (-5.0, 5.0))
SOURCES = {
    "hits": HitsSource(layout="hits", files=["-"], tree="hits", cell_layer="cell_layer"),
    "dense": DenseSource(layout="dense", files=["-"], energy=["energy_0", "energy_1", "energy_2"]),
}


@dataclass(frozen=True)
class BundleMaker:
    """Writes bundles into a folder."""

    folder: object
    graph: bytes

    def __call__(self, name="bundle", *, layout="hits", entry_point=True, graph=True, seed=1):
        condition = ("momentum", "direction", "entry_point") if entry_point else ("momentum", "direction")
        architecture = Architecture(latent_size=3, hidden=(8,))
        generator = _generator(architecture, condition, seed)
        info = BundleInfo(
            id="",
            calogan_version="0",
            condition=condition,
            geometry=GEOMETRY,
            domain=DOMAIN,
            threshold=3e-4,
            schema=Schema.from_source(SOURCES[layout]),
            noise_size=generator.noise_size,
            architecture=architecture.to_dict(),
            provenance={},
            files={},
            validation={"passed": True},
        )
        weights = {key: value.numpy() for key, value in generator.state_dict().items()}
        return write_bundle(self.folder / name, info, weights, self.graph if graph and entry_point else None)


def _generator(architecture, condition, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_generator(architecture, GEOMETRY, DOMAIN, condition, threshold=3e-4).eval()


@pytest.fixture(scope="session")
def graph():
    return export_onnx(
        _generator(Architecture(latent_size=3, hidden=(8,)), ("momentum", "direction", "entry_point"), 1)
    )


@pytest.fixture
def make_bundle(tmp_path, graph):
    return BundleMaker(tmp_path, graph)
