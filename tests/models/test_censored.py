import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from calogan.models.censored import pair_log_ratio

CORRELATIONS = [-0.7, -0.3, 0.05, 0.4, 0.8]
PLACES = np.array([-2.5, -1.0, 0.2, 1.5, 3.0])
X, Y = (grid.ravel() for grid in np.meshgrid(PLACES, PLACES))


def ratios(correlation, first_lit, second_lit, x=X, y=Y):
    """The function on a grid of noise and thresholds."""
    lit = tuple(torch.full((1, len(x)), one) for one in (first_lit, second_lit))
    x, y = torch.from_numpy(x).unsqueeze(0), torch.from_numpy(y).unsqueeze(0)
    return pair_log_ratio(x, y, lit, torch.full_like(x, correlation))[0].numpy()


def joint(correlation):
    return multivariate_normal([0.0, 0.0], [[1.0, correlation], [correlation, 1.0]])


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_two_lit_cells_have_the_joint_density(correlation):
    expected = joint(correlation).logpdf(np.stack([X, Y], axis=1)) - norm.logpdf(X) - norm.logpdf(Y)
    np.testing.assert_allclose(ratios(correlation, True, True), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_a_lit_and_a_dark_cell_have_the_density_below_the_threshold(correlation):
    density = joint(correlation)
    below = [quad(lambda s, x=x: density.pdf([x, s]), -12, y, epsabs=1e-14)[0] for x, y in zip(X, Y, strict=True)]
    expected = np.log(below) - norm.logpdf(X) - norm.logcdf(Y)
    np.testing.assert_allclose(ratios(correlation, True, False), expected, atol=1e-5)
    np.testing.assert_allclose(ratios(correlation, False, True, Y, X), expected, atol=1e-5)


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_two_dark_cells_have_the_joint_probability(correlation):
    expected = np.log(joint(correlation).cdf(np.stack([X, Y], axis=1))) - norm.logcdf(X) - norm.logcdf(Y)
    likely = (X > -2) & (Y > -2)  # what is nearly always lit is hardly ever dark
    np.testing.assert_allclose(ratios(correlation, False, False)[likely], expected[likely], atol=0.02)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_cells_without_correlation_have_nothing_to_add(first, second):
    np.testing.assert_allclose(ratios(0.0, first, second), 0.0, atol=1e-12)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_values_and_gradients_are_finite_far_out(first, second):
    places = torch.tensor([-1e3, -8.0, 0.0, 8.0, 1e3])
    x, y = (grid.reshape(1, -1) for grid in torch.meshgrid(places, places, indexing="ij"))
    for bound in (-1.0, -0.5, 0.5, 1.0):
        correlation = torch.full_like(x, bound, requires_grad=True)
        ratio = pair_log_ratio(x, y, (torch.full(x.shape, first), torch.full(x.shape, second)), correlation)
        ratio.sum().backward()
        assert torch.isfinite(ratio).all()
        assert torch.isfinite(correlation.grad).all()


def test_gradient_finds_the_correlation_of_cut_gaussians():
    """Cells that are dark in half of the showers and in four of five."""
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 20_000))
    threshold = torch.tensor([0.0, 0.84], dtype=torch.float64)
    lit = noise > threshold
    seen = torch.where(lit, noise, threshold)
    correlation = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([correlation], lr=0.5, max_iter=30)

    def loss():
        optimiser.zero_grad()
        pairs = (seen[:, :1], seen[:, 1:], (lit[:, :1], lit[:, 1:]))
        value = -pair_log_ratio(*pairs, correlation.expand(len(seen), 1)).mean()
        value.backward()
        return value

    optimiser.step(loss)
    assert correlation.item() == pytest.approx(0.6, abs=0.03)
