import pytest
import torch

from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.models.mixing import STEPS, NoiseMixing


def grid(rows, columns):
    return Layer(tuple(range(rows + 1)), tuple(range(columns + 1)), depth=float(rows))


def rings(sectors, number):
    return PolarLayer(tuple(range(number + 1)), sectors, depth=9.0)


LAYERS = {
    "grids": Geometry((grid(6, 5), grid(4, 7), grid(1, 3))),
    "rings": Geometry((rings(5, 3), rings(4, 2), rings(1, 4), rings(2, 2))),
    "equal layers": Geometry((rings(5, 3), rings(5, 3), grid(5, 3), grid(5, 3), grid(5, 3), rings(5, 3))),
}
FEATURES = torch.tensor([[0.3, -0.7]], dtype=torch.float64)


@pytest.fixture(params=LAYERS.values(), ids=LAYERS.keys())
def geometry(request):
    return request.param


@pytest.fixture
def mixing(geometry):
    """A kernel that is the same in no two directions, and amplitudes that are the same in no two cells."""
    torch.manual_seed(0)
    made = NoiseMixing(geometry, 2).double()
    for weight in made.parameters():
        torch.nn.init.normal_(weight)
    return made


def covariance(mixing):
    """Exact: the mixing is linear in the noise, and unit noise in each cell shows its matrix."""
    unit = torch.eye(mixing.amplitude.out_features, dtype=torch.float64)
    matrix = mixing(FEATURES.expand(len(unit), -1), unit)
    return (matrix.T @ matrix).detach()


def test_noise_stays_standard_normal(mixing, geometry):
    found = covariance(mixing)
    torch.testing.assert_close(found.diagonal(), torch.ones(geometry.n_cells).double())
    assert found.fill_diagonal_(0.0).abs().max() > 0.3


def test_layers_do_not_mix(mixing, geometry):
    found, layer = covariance(mixing), torch.from_numpy(geometry.cell_layer)
    assert (found[layer.unsqueeze(0) != layer.unsqueeze(1)] == 0).all()


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_correlation_is_that_of_the_noise(mixing, step):
    (first, second), correlation = mixing.correlation(FEATURES, step)
    torch.testing.assert_close(correlation[0], covariance(mixing)[first, second])
    assert correlation.std() > 0.05


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_each_pair_of_neighbours_is_met_once(mixing, geometry, step):
    (first, second), correlation = mixing.correlation(FEATURES, step)
    assert correlation.shape == (1, len(first))
    layer = torch.from_numpy(geometry.cell_layer)
    assert torch.equal(layer[first], layer[second])
    down, right = STEPS[step]
    expected = set()
    for number, one in enumerate(geometry.layers):
        start, around = int(geometry.offsets[number]), one.rows > 3 and isinstance(one, PolarLayer)
        for row in range(one.rows if around else one.rows - down):
            for column in range(max(0, -right), one.columns - max(0, right)):
                partner = (row + down) % one.rows * one.columns + column + right
                expected.add((start + row * one.columns + column, start + partner))
    found = list(zip(first.tolist(), second.tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_without_amplitude_noise_is_as_it_was(mixing, geometry):
    torch.nn.init.zeros_(mixing.amplitude.weight)
    torch.nn.init.zeros_(mixing.amplitude.bias)
    noise = torch.randn(5, geometry.n_cells, dtype=torch.float64)
    assert torch.equal(mixing(FEATURES.expand(5, -1), noise), noise)
    assert all((mixing.correlation(FEATURES, step)[1] == 0).all() for step in range(len(STEPS)))


def test_a_fresh_mixing_correlates_neighbours_a_little(geometry):
    mixing = NoiseMixing(geometry, 2)
    side, corner = (mixing.correlation(FEATURES.float(), step)[1] for step in (0, 2))
    assert (side > corner.max()).all()
    assert (corner > 0).all()
    assert (side < 0.2).all()


def test_every_weight_gets_a_gradient_but_the_centre_of_the_kernel(mixing, geometry):
    noise = torch.randn(5, geometry.n_cells, dtype=torch.float64)
    mixing(FEATURES.expand(5, -1), noise).square().mul(noise).sum().backward()
    assert all((weight.grad != 0).any() for weight in mixing.parameters())
    assert (mixing.kernel.grad[:, 0, 1, 1] == 0).all()
