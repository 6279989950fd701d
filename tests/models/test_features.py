import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from calogan.data.toy import toy_geometry, toy_showers
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.models.features import FARTHEST_PULL, FIELDS, NEAR, RINGS, ShowerFeatures
from calogan.models.generator import Architecture, build_generator
from calogan.models.mixing import STEPS
from calogan.physics.kinematics import Domain
from calogan.training.local import LocalShowers

DOMAIN = Domain((1.0, 64.0), math.radians(15), (-5.0, 5.0), (-5.0, 5.0))


def even(cells, half):
    return tuple(np.linspace(-half, half, cells + 1))


BIG = Geometry((Layer(even(24, 240.0), even(21, 210.0), depth=50.0), Layer(even(4, 40.0), even(7, 70.0), depth=90.0)))
RINGS_ABOUT = tuple(10.0 * ring for ring in range(13))
CIRCLES = Geometry(
    tuple(
        PolarLayer(edges, sectors, depth)
        for edges, sectors, depth in (
            (RINGS_ABOUT, 5, 10.0),
            (RINGS_ABOUT, 5, 30.0),
            (RINGS_ABOUT[:4], 1, 50.0),
            (RINGS_ABOUT[:4], 2, 70.0),
        )
    )
)
GEOMETRIES = pytest.mark.parametrize(
    "geometry", [toy_geometry(), BIG, CIRCLES], ids=["toy", "wider than what is near", "rings"]
)


def made(geometry, count=10):
    """Features fitted to toy showers, and those showers as the critic sees them."""
    showers = toy_showers(np.random.default_rng(0), geometry, count)
    condition = ("momentum", "direction", "entry_point")
    generator = build_generator(Architecture(3, (8,)), geometry, DOMAIN, condition, 3e-4)
    local = LocalShowers.of(generator, torch.from_numpy(showers.incident), torch.from_numpy(showers.cell_energy))
    physics = ShowerFeatures(geometry, generator.frame, 1e-3)
    physics.fit_scale(local.u, generator.transform.excess(local.u), local.features)
    return SimpleNamespace(physics=physics, local=local, transform=generator.transform, frame=generator.frame)


@GEOMETRIES
@pytest.mark.parametrize("fill", [0.0, 1e-3, 6.0], ids=["empty", "faint", "full"])
def test_values_and_gradients_are_finite(geometry, fill):
    one = made(geometry, 200)
    u = torch.full((4, geometry.n_cells), fill, requires_grad=True)
    found = one.physics(u, one.transform.excess(u), one.local.features[:4])
    assert found.shape == (4, one.physics.size)
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(u.grad).all()


def test_one_lit_cell_has_finite_gradients():
    one = made(BIG, 200)
    u = torch.zeros(BIG.n_cells, BIG.n_cells).fill_diagonal_(2.0).requires_grad_(True)
    one.physics(u, one.transform.excess(u), one.local.features[:1].expand(len(u), -1)).sum().backward()
    assert torch.isfinite(u.grad).all()


def test_fitted_showers_are_standardised():
    one = made(toy_geometry(), 8000)
    found = one.physics(one.local.u, one.transform.excess(one.local.u), one.local.features)
    varies = found.std(dim=0) > 0.5  # a ring without a cell says nothing
    assert varies.sum() > 100
    assert found.mean(dim=0).abs().max() < 0.1
    spread = found.std(dim=0)[varies]  # a little below 1, since what is far out is drawn in
    assert spread.min() > 0.6
    assert spread.max() < 1.05
    assert found.abs().max() < FARTHEST_PULL


def test_expectation_follows_the_particle():
    """Half of the showers have low momenta, half high ones; in both halves the residuals are about zero."""
    one = made(toy_geometry(), 2000)
    found = one.physics(one.local.u, one.transform.excess(one.local.u), one.local.features)
    high = one.local.features[:, 0] > 0
    assert 500 < high.sum() < 1500
    for half in (high, ~high):
        assert found[half].mean(dim=0).abs().max() < 0.3


def neighbours_by_loop(geometry, frame, fields):
    """Sums of products of pairs, shape (steps, fields, rings), and numbers of isolated cells, shape (rings,)."""
    pairs, isolated = np.zeros((len(STEPS), FIELDS, len(RINGS) + 1)), np.zeros(len(RINGS) + 1)
    for number, layer in enumerate(geometry.layers):
        first = int(geometry.offsets[number])
        polar = isinstance(layer, PolarLayer)
        width = 1.0 if polar else min(np.ptp(layer.x_edges) / layer.rows, np.ptp(layer.y_edges) / layer.columns)
        around_rows = layer.rows if polar and layer.rows > 3 else math.inf
        near = {}
        for row in range(layer.rows):
            for column in range(layer.columns):
                cell = first + row * layer.columns + column
                x, y = (column, 0) if polar else (frame.cell_x[cell].item(), frame.cell_y[cell].item())
                if max(abs(x), abs(y)) <= NEAR * width:
                    near[row, column] = cell, int(np.searchsorted(RINGS, math.hypot(x, y) / width))
        for (row, column), (cell, ring) in near.items():
            around = 0.0
            for step, (down, right) in enumerate(STEPS):
                ahead = near.get(((row + down) % around_rows, column + right))
                behind = near.get(((row - down) % around_rows, column - right))
                if ahead is not None:
                    pairs[step, :, ring] += fields[:, cell] * fields[:, ahead[0]]
                around += sum(fields[0, one[0]] for one in (ahead, behind) if one is not None)
            isolated[ring] += fields[0, cell] * math.exp(-2 * around)
    return pairs, isolated


@GEOMETRIES
def test_pairs_are_those_of_a_loop_over_cells(geometry):
    one = made(geometry)
    fields = torch.rand(FIELDS, 2, geometry.n_cells, generator=torch.Generator().manual_seed(0))
    pairs, isolated = one.physics._pairs(fields)
    for shower in range(2):
        expected = neighbours_by_loop(geometry, one.frame, fields[:, shower].double().numpy())
        np.testing.assert_allclose(pairs[shower].reshape(expected[0].shape), expected[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(isolated[shower], expected[1], rtol=1e-5, atol=1e-6)


def test_expectation_and_spread_are_those_of_each_type():
    """Every fifth shower is of a type whose energies are a third, and fluctuate less where they are brightest."""
    geometry = toy_geometry()
    showers = toy_showers(np.random.default_rng(0), geometry, 4000)
    number = (np.arange(4000) % 5 == 0).astype(np.float32)
    cells = torch.from_numpy(showers.cell_energy * np.where(number, 1 / 3, 1.0)[:, None].astype(np.float32))
    incident = torch.from_numpy(np.column_stack([showers.incident, number]))
    condition = ("momentum", "direction", "entry_point", "particle")
    generator = build_generator(Architecture(3, (8,), particles=(11, 22)), geometry, DOMAIN, condition, 3e-4)
    local = LocalShowers.of(generator, incident, cells)
    physics = ShowerFeatures(geometry, generator.frame, 1e-3)
    energy = generator.transform.excess(local.u)
    physics.fit_scale(local.u, energy, local.features)
    found = physics(local.u, energy, local.features)
    for own in (number == 0, number == 1):
        assert found[own].mean(dim=0).abs().max() < 0.15
    other = local.features.clone()
    other[:, -2:] = other[:, -2:].flip(1)
    confused = physics(local.u, energy, other)
    assert confused[number == 1].mean(dim=0).abs().max() > 1.0


def test_slopes_are_bounded_where_a_layer_is_one_cell_to_most_showers():
    """Its width never differs; what never differs must not rule the gradient penalty."""
    geometry = Geometry((PolarLayer(RINGS_ABOUT, 5, 10.0), PolarLayer((0.0, 1000.0, 2000.0), 1, 60.0)))
    one = made(geometry, 500)
    u = one.local.u[:16].clone().requires_grad_(True)
    found = one.physics(u, one.transform.excess(u), one.local.features[:16])
    slopes = [torch.autograd.grad(column.sum(), u, retain_graph=True)[0].norm(dim=1).max() for column in found.T]
    assert max(slopes) < 1e4
