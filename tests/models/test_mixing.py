import pytest
import torch

from calogan.geometry import Geometry, Layer
from calogan.models.mixing import STEPS, NoiseMixing

GEOMETRY = Geometry(
    tuple(
        Layer(tuple(range(rows + 1)), tuple(range(columns + 1)), depth=float(rows))
        for rows, columns in ((6, 5), (4, 7), (1, 3))
    )
)
FEATURES = torch.tensor([[0.3, -0.7]], dtype=torch.float64)


@pytest.fixture
def mixing():
    """A kernel that is the same in no two directions, and amplitudes that are the same in no two cells."""
    torch.manual_seed(0)
    made = NoiseMixing(GEOMETRY, 2).double()
    for weight in made.parameters():
        torch.nn.init.normal_(weight)
    return made


def covariance(mixing):
    """Exact: the mixing is linear in the noise, and unit noise in each cell shows its matrix."""
    unit = torch.eye(GEOMETRY.n_cells, dtype=torch.float64)
    matrix = mixing(FEATURES.expand(len(unit), -1), unit)
    return (matrix.T @ matrix).detach()


def test_noise_stays_standard_normal(mixing):
    found = covariance(mixing)
    torch.testing.assert_close(found.diagonal(), torch.ones(GEOMETRY.n_cells).double())
    assert found.fill_diagonal_(0.0).abs().max() > 0.3


def test_layers_do_not_mix(mixing):
    found, layer = covariance(mixing), torch.from_numpy(GEOMETRY.cell_layer)
    assert (found[layer.unsqueeze(0) != layer.unsqueeze(1)] == 0).all()


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_correlation_is_that_of_the_noise(mixing, step):
    (first, second), correlation = mixing.correlation(FEATURES, step)
    torch.testing.assert_close(correlation[0], covariance(mixing)[first, second])
    assert correlation.std() > 0.05


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_each_pair_of_neighbours_is_met_once(mixing, step):
    (first, second), correlation = mixing.correlation(FEATURES, step)
    assert correlation.shape == (1, len(first))
    layer = torch.from_numpy(GEOMETRY.cell_layer)
    assert torch.equal(layer[first], layer[second])
    down, right = STEPS[step]
    expected = set()
    for number, one in enumerate(GEOMETRY.layers):
        for row in range(one.rows - down):
            for column in range(max(0, -right), one.columns - max(0, right)):
                cell = int(GEOMETRY.offsets[number]) + row * one.columns + column
                expected.add((cell, cell + down * one.columns + right))
    found = list(zip(first.tolist(), second.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_without_amplitude_noise_is_as_it_was(mixing):
    torch.nn.init.zeros_(mixing.amplitude.weight)
    torch.nn.init.zeros_(mixing.amplitude.bias)
    noise = torch.randn(5, GEOMETRY.n_cells, dtype=torch.float64)
    assert torch.equal(mixing(FEATURES.expand(5, -1), noise), noise)
    assert all((mixing.correlation(FEATURES, step)[1] == 0).all() for step in range(len(STEPS)))


def test_a_fresh_mixing_correlates_neighbours_a_little():
    mixing = NoiseMixing(GEOMETRY, 2)
    side, corner = (mixing.correlation(FEATURES.float(), step)[1] for step in (0, 2))
    assert (side > corner.max()).all()
    assert (corner > 0).all()
    assert (side < 0.2).all()


def test_every_weight_gets_a_gradient_but_the_centre_of_the_kernel(mixing):
    noise = torch.randn(5, GEOMETRY.n_cells, dtype=torch.float64)
    mixing(FEATURES.expand(5, -1), noise).square().mul(noise).sum().backward()
    assert all((weight.grad != 0).any() for weight in mixing.parameters())
    assert (mixing.kernel.grad[:, 0, 1, 1] == 0).all()
