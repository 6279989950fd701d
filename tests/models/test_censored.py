import math

import pytest
import torch

from calogan.models.censored import censored_log_likelihood, censored_moments


def test_censored_likelihood_against_the_formula():
    u = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    mean, width = torch.tensor([[0.5, 0.4]]).double(), torch.tensor([[2.0, 0.5]]).double()
    dark = math.log(0.5 * math.erfc(0.25 / math.sqrt(2)))
    lit = -0.5 * (0.6 / 0.5) ** 2 - math.log(0.5)
    assert censored_log_likelihood(u, mean, width).item() == pytest.approx(dark + lit)


def test_censored_likelihood_is_finite_far_out():
    u = torch.zeros(1, 2)
    mean = torch.tensor([[40.0, 400.0]], requires_grad=True)
    loss = -censored_log_likelihood(u, mean, torch.ones(1, 2)).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(mean.grad).all()


def test_censored_moments_are_those_of_drawn_numbers():
    mean, width = torch.tensor([-2.0, -0.3, 0.5, 4.0]).double(), torch.tensor([1.0, 0.5, 2.0, 0.1]).double()
    rng = torch.Generator().manual_seed(0)
    drawn = (mean + width * torch.randn(200_000, 4, generator=rng).double()).clamp_min(0.0)
    centre, spread = censored_moments(mean, width)
    torch.testing.assert_close(centre, drawn.mean(dim=0), rtol=0.02, atol=1e-3)
    torch.testing.assert_close(spread, drawn.std(dim=0), rtol=0.02, atol=1e-3)
