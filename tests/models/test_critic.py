import math

import numpy as np
import pytest
import torch

from calogan.data.toy import toy_geometry, toy_showers
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.models import critic as critic_module
from calogan.models.critic import SPREAD_FLOOR, Critic
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain

GEOMETRY = toy_geometry()
DOMAIN = Domain((1.0, 64.0), math.radians(15), (-5.0, 5.0), (-5.0, 5.0))


@pytest.fixture
def generator():
    torch.manual_seed(0)
    condition = ("momentum", "direction", "entry_point")
    made = build_generator(Architecture(3, (16,)), GEOMETRY, DOMAIN, condition, 3e-4)
    torch.nn.init.normal_(made.cell_mean.bias)
    torch.nn.init.normal_(made.shape.free_slope, std=0.3)
    return made


@pytest.fixture
def features(generator):
    incident = toy_showers(np.random.default_rng(0), GEOMETRY, 10).incident
    return generator.frame(torch.from_numpy(incident)).features


def test_expectation_is_that_of_drawn_cells(generator, features):
    torch.nn.init.normal_(generator.shared.mean.bias)
    context = Critic((8,), GEOMETRY, generator).context(features[:1])
    with torch.no_grad():
        typical = torch.zeros(1, 3)
        mean, width = generator.cells(features[:1], typical, generator.shared(features[:1], typical)[0])
        noise = torch.randn(40_000, GEOMETRY.n_cells, generator=torch.Generator().manual_seed(1))
        drawn = generator.shape(mean + width * noise)
    torch.testing.assert_close(context.centre[0], drawn.mean(dim=0), rtol=0.05, atol=0.03)
    torch.testing.assert_close(context.spread[0] - SPREAD_FLOOR, drawn.std(dim=0), rtol=0.1, atol=0.05)


def test_expectation_does_not_depend_on_the_pieces(generator, features, monkeypatch):
    critic = Critic((8,), GEOMETRY, generator)
    whole = critic.context(features)
    monkeypatch.setattr(critic_module, "CHUNK", 3)
    pieces = critic.context(features)
    torch.testing.assert_close(pieces.centre, whole.centre)
    torch.testing.assert_close(pieces[4:7].spread, whole.spread[4:7])


def test_baseline_is_taken_when_told_to(generator, features):
    critic = Critic((8,), GEOMETRY, generator)
    before = critic.context(features).centre
    with torch.no_grad():
        generator.cell_mean.bias += 1.0
    assert torch.equal(critic.context(features).centre, before)
    critic.set_baseline(generator)
    assert (critic.context(features).centre >= before).all()
    assert not torch.equal(critic.context(features).centre, before)
    assert not any(weight.requires_grad for weight in critic.baseline.parameters())


def test_coarse_cells_are_sums_of_blocks_of_three_by_three():
    layers = [Layer(tuple(range(5)), tuple(range(4)), 1.0)] * 2 + [PolarLayer((0.0, 1.0, 2.0), 7, 2.0)]
    geometry = Geometry(tuple(layers))
    critic = Critic((8,), geometry, build_generator(Architecture(3, (8,)), geometry, DOMAIN, ("momentum",), 0.0))
    energy = torch.rand(2, geometry.n_cells, generator=torch.Generator().manual_seed(0))
    expected = []
    for layer, image in zip(layers, geometry.layer_images(energy.numpy()), strict=True):
        corners = [(row, column) for row in range(0, layer.rows, 3) for column in range(0, layer.columns, 3)]
        expected += [image[:, row : row + 3, column : column + 3].sum(axis=(1, 2)) for row, column in corners]
    torch.testing.assert_close(critic._blocks(energy), torch.from_numpy(np.stack(expected, axis=1)))
