import pytest
import torch

from calogan.training.objectives import gradient_penalty


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
