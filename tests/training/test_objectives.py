import math

import numpy as np
import pytest
import torch

from calogan.geometry import Geometry, Layer
from calogan.models.encoder import Encoder
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain
from calogan.training.local import LocalShowers
from calogan.training.objectives import (
    cell_log_likelihood,
    gaussian_divergence,
    gradient_penalty,
    warm_start_loss,
)

THRESHOLD = 3e-4


def test_penalty_of_a_linear_critic_is_known():
    weight = torch.tensor([3.0, 4.0], dtype=torch.float64)  # slope 5 everywhere
    reference, generated = torch.randn(2, 16, 2, dtype=torch.float64)
    penalty = gradient_penalty(lambda u: u @ weight, reference, generated, torch.rand(16, 1).double())
    assert penalty.item() == pytest.approx((5 - 1) ** 2)


def test_penalty_is_per_shower():
    """Half of the showers have slope 0, half slope 2: mean of 1 and 1, not (mean slope - 1)^2 = 0."""
    weight = torch.tensor([0.0, 2.0, 0.0, 2.0])
    penalty = gradient_penalty(lambda u: u[:, 0] * weight, torch.zeros(4, 3), torch.ones(4, 3), torch.rand(4, 1))
    assert penalty.item() == pytest.approx(1.0, abs=1e-5)


def test_penalty_reaches_the_critic():
    layer = torch.nn.Linear(3, 1)
    penalty = gradient_penalty(
        lambda u: layer(u).squeeze(1),
        torch.zeros(4, 3),
        torch.ones(4, 3),
        torch.rand(4, 1),
    )
    penalty.backward()
    assert layer.weight.grad is not None
    assert (layer.weight.grad != 0).all()


def make_generator(rows, columns):
    torch.manual_seed(0)
    layer = Layer(tuple(np.linspace(-30, 30, rows + 1)), tuple(np.linspace(-30, 30, columns + 1)), depth=5.0)
    domain = Domain((1.0, 64.0), 0.2, (-20.0, 20.0), (-20.0, 20.0))
    condition = ("momentum", "direction", "entry_point")
    generator = build_generator(Architecture(3, (8,)), Geometry((layer,)), domain, condition, THRESHOLD)
    torch.nn.init.uniform_(generator.shape.free_slope, -1.0, 1.0)
    return generator


@pytest.mark.parametrize(("mean", "width"), [(0.7, 0.9), (-1.5, 1.0), (3.0, 0.4)])
def test_probabilities_of_a_cell_add_up_to_one(mean, width):
    """That of a dark cell, and the integral over a lit one's u."""
    generator = make_generator(1, 1).double()
    u = torch.linspace(0, 60, 120_001).double().unsqueeze(1)
    with torch.no_grad():
        likelihood, _ = cell_log_likelihood(
            generator, u, torch.full_like(u, mean), torch.full_like(u, width), torch.ones_like(u)
        )
    dark, lit = likelihood[0].exp(), likelihood[1:].exp() / math.sqrt(2 * math.pi)
    assert dark.item() == pytest.approx(0.5 * math.erfc(mean / width / math.sqrt(2)))
    assert (dark + lit.sum() * (u[1, 0] - u[0, 0])).item() == pytest.approx(1.0, abs=1e-3)


def test_likelihood_is_highest_where_the_showers_are_from():
    generator, rng = make_generator(1, 1), torch.Generator().manual_seed(0)
    mean, width = (torch.full((4000, 1), value) for value in (0.4, 0.8))
    u = generator.shape(mean + width * torch.randn(4000, 1, generator=rng)).detach()

    def found(shift, factor):
        return cell_log_likelihood(generator, u, mean + shift, width * factor, torch.ones_like(u))[0].mean().item()

    assert found(0, 1) > max(found(0.1, 1), found(-0.1, 1), found(0, 1.15), found(0, 0.87))


def test_gradient_of_the_shapes_is_that_of_the_likelihood():
    """Density jumps at the knots: were they to move with the slopes, automatic differentiation would miss it."""
    generator = make_generator(3, 4).double()
    u = (2 * torch.randn(500, 12, generator=torch.Generator().manual_seed(0)).double()).clamp_min(0)
    slope, step = generator.shape.free_slope, 1e-4

    def found():
        return cell_log_likelihood(generator, u, torch.zeros_like(u), *torch.ones(2, *u.shape, dtype=u.dtype))[0].mean()

    (gradient,) = torch.autograd.grad(found(), slope)
    for knot in range(len(slope)):
        with torch.no_grad():
            slope[knot, 0] += step
            above = found().item()
            slope[knot, 0] -= 2 * step
            below = found().item()
            slope[knot, 0] += step
        assert gradient[knot, 0].item() == pytest.approx((above - below) / (2 * step), rel=1e-5)


def test_likelihood_of_a_shower_is_that_of_its_cells():
    generator = make_generator(3, 4)
    rng = torch.Generator().manual_seed(0)
    mean, width = torch.randn(5, 12, generator=rng), torch.rand(5, 12, generator=rng) + 0.2
    drawn = torch.randn(5, 12, generator=rng)
    u = generator.shape(mean + width * drawn).detach()
    total, noise = cell_log_likelihood(generator, u, mean, width, torch.ones_like(u))
    lit = u > 0
    assert 0.2 < lit.float().mean() < 0.8
    torch.testing.assert_close(noise[lit], drawn[lit], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(noise[~lit], (-mean / width)[~lit])
    v = (mean + width * drawn).requires_grad_(True)
    (slopes,) = torch.autograd.grad(generator.shape(v).sum(), v)
    one = torch.where(lit, -0.5 * drawn.square() - width.log() - slopes.log(), torch.special.log_ndtr(-mean / width))
    torch.testing.assert_close(total, one.sum(dim=1), rtol=1e-4, atol=1e-4)


def test_dark_cells_of_an_empty_layer_say_nothing():
    """That it is empty is for the layer energies to say; counted twice, too many layers would be dark."""
    generator = make_generator(3, 4)
    u, mean, width = torch.zeros(2, 12), torch.zeros(2, 12), torch.ones(2, 12)
    alive = torch.tensor([[1.0], [0.0]]).expand(2, 12)
    total, _ = cell_log_likelihood(generator, u, mean, width, alive)
    torch.testing.assert_close(total, torch.tensor([12 * math.log(0.5), 0.0]))


def test_likelihood_is_finite_far_out():
    generator = make_generator(1, 2)
    mean = torch.tensor([[40.0, 400.0], [-40.0, -400.0]], requires_grad=True)
    u = torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    total, _ = cell_log_likelihood(generator, u, mean, *torch.ones(2, 2, 2))
    total.sum().backward()
    assert torch.isfinite(total).all()
    assert torch.isfinite(mean.grad).all()


def test_divergence_of_gaussians_is_torchs():
    means, log_widths = torch.randn(2, 2, 5, 3, generator=torch.Generator().manual_seed(0))
    first, second = (torch.distributions.Normal(mean, log.exp()) for mean, log in zip(means, log_widths, strict=True))
    found = gaussian_divergence(means[0], log_widths[0], means[1], log_widths[1])
    torch.testing.assert_close(found, torch.distributions.kl_divergence(first, second))


@pytest.fixture
def warm_start():
    """A generator, its encoder, showers and shared noise."""
    generator = make_generator(4, 5)
    encoder = Encoder(20, generator.frame.size + 1, 3)
    rng = torch.Generator().manual_seed(0)
    incident = torch.tensor([0.5, 0.3, 9.0, 5.0, -3.0]) + torch.rand(16, 5, generator=rng)
    energy = 0.1 * torch.rand(16, 20, generator=rng).square()
    energy = torch.where(energy > 0.02, energy, 0.0)
    return generator, encoder, LocalShowers.of(generator, incident, energy), torch.randn(16, 3, generator=rng)


@pytest.mark.parametrize("step", range(4))
def test_pairs_teach_the_correlation_alone(warm_start, step):
    generator = warm_start[0]
    parts = warm_start_loss(*warm_start, step)[1]
    parts["pair_nll"].backward()
    reached = {name for name, weight in generator.named_parameters() if weight.grad is not None}
    assert reached == {"mixing.kernel", "mixing.amplitude.weight", "mixing.amplitude.bias"}
    assert all((weight.grad != 0).any() for weight in generator.mixing.parameters())


def test_warm_start_teaches_every_weight(warm_start):
    generator, encoder = warm_start[:2]
    loss, parts = warm_start_loss(*warm_start, 0)
    loss.backward()
    assert all(torch.isfinite(value) for value in (loss, *parts.values()))
    assert all(torch.isfinite(weight.grad).all() for weight in (*generator.parameters(), *encoder.parameters()))
    expected = (parts["cell_nll"] + parts["pair_nll"] + parts["kl"]) / 20 + parts["energy_nll"]
    torch.testing.assert_close(loss, expected)


def test_shared_noise_learns_where_showers_of_a_particle_lie(warm_start):
    """The divergence alone draws its mean to that of the encoder, and its width to no more than that needs."""
    generator, encoder, showers, noise = warm_start
    optimiser = torch.optim.Adam(generator.shared.parameters(), 0.05)
    for _ in range(300):
        loss = warm_start_loss(generator, encoder, showers, noise, 0)[1]["kl"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        residual = generator.energy_head.residual(showers.features, showers.layer_energy, showers.momentum).clamp(-5, 5)
        centre, log_width = encoder(showers.u, torch.cat([showers.features, residual], dim=1))
        mean, width = generator.shared(showers.features, residual)
    assert (centre.mean(dim=0).abs() > 0.05).any()
    torch.testing.assert_close(mean.mean(dim=0), centre.mean(dim=0), rtol=0, atol=0.02)
    spread = (centre - centre.mean(dim=0)).square().mean(dim=0) + (2 * log_width).exp().mean(dim=0)
    assert ((2 * width).exp().mean(dim=0) < 1.05 * spread).all()


def test_weight_of_the_divergence(warm_start):
    light, parts = warm_start_loss(*warm_start, 0, divergence_weight=0.25)
    full, _ = warm_start_loss(*warm_start, 0)
    torch.testing.assert_close(full - light, 0.75 * parts["kl"] / 20, rtol=1e-3, atol=1e-6)


def test_a_layer_with_energy_is_known_to_have_a_lit_cell():
    """Of two cells a layer, the odds of what can be seen are those of at least one lit cell."""
    edges = (0.0, 10.0, 20.0)
    layers = tuple(Layer(edges, (0.0, 10.0), depth) for depth in (5.0, 15.0))
    domain = Domain((1.0, 64.0), math.radians(20), (-5.0, 5.0), (-5.0, 5.0))
    generator = build_generator(Architecture(2, (8,)), Geometry(layers), domain, ("momentum",), THRESHOLD)
    mean, width = torch.tensor([[-0.5, -1.0, 0.3, -2.0]]), torch.tensor([[1.0, 0.5, 0.7, 1.5]])
    u, alive = torch.tensor([[0.0, 0.4, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    found, _ = cell_log_likelihood(generator, u, mean, width, alive)
    normal = torch.distributions.Normal(0.0, 1.0)
    v, log_slope = generator.shape.inverse(u[0, 1:2], torch.tensor([1]))
    dark = normal.cdf(-mean / width)
    density = torch.exp(-0.5 * ((v + 1.0) / 0.5).square() + log_slope) / 0.5
    expected = (dark[0, 0] * density / (1.0 - dark[0, 0] * dark[0, 1])).log()
    torch.testing.assert_close(found, expected)
