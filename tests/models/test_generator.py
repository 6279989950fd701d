import json
import math

import numpy as np
import pytest
import torch

from calogan.geometry import Geometry, Layer
from calogan.models import frame
from calogan.models.critic import Critic
from calogan.models.generator import Architecture, Generator, build_generator
from calogan.models.preprocessing import CellTransform
from calogan.physics.kinematics import Domain

THRESHOLD = 3e-4
DOMAIN = Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (-20.0, 20.0))
ONE_LAYER = Geometry((Layer(tuple(np.linspace(-40, 40, 9)), tuple(np.linspace(-40, 40, 9)), depth=50.0),))
THREE_LAYERS = Geometry(
    (
        Layer(tuple(np.linspace(-40, 40, 4)), tuple(np.linspace(-40, 40, 13)), depth=10.0),
        Layer(tuple(np.linspace(-40, 40, 7)), tuple(np.linspace(-40, 40, 7)), depth=50.0),
        Layer(tuple(np.linspace(-40, 40, 5)), tuple(np.linspace(-40, 40, 3)), depth=90.0),
    )
)
GEOMETRIES = pytest.mark.parametrize("geometry", [ONE_LAYER, THREE_LAYERS], ids=["one layer", "three layers"])


def make_generator(geometry: Geometry, symmetries: tuple[str, ...] = ()) -> Generator:
    torch.manual_seed(0)
    condition = ("momentum", "direction", "entry_point")
    return build_generator(Architecture(4, (16, 16), symmetries), geometry, DOMAIN, condition, THRESHOLD)


def incidents(count: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    values = np.stack(
        [
            rng.uniform(-1, 1, count),
            rng.uniform(-1, 1, count),
            rng.uniform(5, 50, count),
            rng.uniform(-20, 20, count),
            rng.uniform(-20, 20, count),
        ],
        axis=1,
    )
    return torch.from_numpy(values.astype(np.float32))


@GEOMETRIES
def test_cells_are_dark_or_above_threshold(geometry):
    generator = make_generator(geometry)
    energy = generator(incidents(64), torch.randn(64, generator.noise_size))
    assert energy.shape == (64, geometry.n_cells)
    lit = energy > 0
    assert 0.1 < lit.float().mean() < 0.9
    assert (energy[lit] >= THRESHOLD).all()


@GEOMETRIES
def test_layers_hold_the_energy_that_the_head_drew(geometry):
    generator = make_generator(geometry)
    incident, noise = incidents(64), torch.randn(64, generator.noise_size)
    momentum = incident[:, :3].norm(dim=1, keepdim=True)
    residual = noise[:, 4 : 4 + geometry.n_layers]
    gate = noise[:, 4 + geometry.n_layers : 4 + 2 * geometry.n_layers]
    features = generator.frame(incident, noise[:, noise.shape[1] - generator.frame.choices :]).features
    drawn, _ = generator.energy_head.layer_energy(features, residual, gate, momentum)
    found = torch.from_numpy(geometry.layer_energy(generator(incident, noise).detach().numpy())).float()
    lit = found > 0
    assert lit.float().mean() > 0.9
    if geometry.n_layers > 1:  # there a layer that has energy has a lit cell
        assert torch.equal(lit, drawn > 0)
    torch.testing.assert_close(found[lit], drawn.detach()[lit], rtol=1e-4, atol=1e-5)


@GEOMETRIES
def test_every_weight_but_the_energy_head_gets_a_gradient(geometry):
    generator = make_generator(geometry)
    for head in (generator.shared.mean, generator.shared.log_width):  # which start at zero
        torch.nn.init.normal_(head.weight)
    critic = Critic((16, 8), geometry, generator)
    incident = incidents(32)
    view = generator.frame(incident)
    context = critic.context(view.features)
    energy = generator(incident, torch.randn(32, generator.noise_size))
    cells = view.to_local(generator.transform.encode(energy))
    critic(critic.standardise(cells, context), context).mean().backward()
    for name, weight in generator.named_parameters():
        reached = weight.grad is not None and bool((weight.grad != 0).any())
        assert reached is not name.startswith("energy_head."), name
    assert all(weight.grad is not None for weight in critic.parameters() if weight.requires_grad)


def test_showers_do_not_depend_on_their_neighbours_in_a_batch():
    generator = make_generator(ONE_LAYER).double()
    incident, noise = incidents(20).double(), torch.randn(20, generator.noise_size, dtype=torch.float64)
    together = generator(incident, noise)
    apart = torch.cat([generator(incident[i : i + 1], noise[i : i + 1]) for i in range(20)])
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=0.0)


def test_mirrored_particles_have_mirrored_showers(monkeypatch):
    for name in ("BLUR", "CELL_BLUR"):  # the nearest image, the track's own cell
        monkeypatch.setattr(frame, name, 0.0)
    generator = make_generator(ONE_LAYER, symmetries=("flip_x", "flip_y", "swap_xy")).double()
    incident, noise = incidents(20).double(), torch.randn(20, generator.noise_size, dtype=torch.float64)
    images = generator(incident, noise).reshape(20, 8, 8)
    swapped = generator(incident[:, [1, 0, 2, 4, 3]], noise).reshape(20, 8, 8)
    flipped = generator(incident * torch.tensor([-1, 1, 1, -1, 1]), noise).reshape(20, 8, 8)
    assert not torch.equal(images, images.transpose(1, 2))
    torch.testing.assert_close(swapped, images.transpose(1, 2))
    torch.testing.assert_close(flipped, images.flip(1))


def test_a_particle_one_cell_further_has_the_same_shower_there():
    edges = tuple(np.linspace(-120, 120, 25))
    generator = make_generator(Geometry((Layer(edges, edges, depth=50.0),))).double()
    incident, noise = incidents(20).double(), torch.randn(20, generator.noise_size, dtype=torch.float64)
    moved = generator(incident + torch.tensor([0, 0, 0, 0, 10]), noise).reshape(20, 24, 24)
    torch.testing.assert_close(moved, generator(incident, noise).reshape(20, 24, 24).roll(1, dims=2))


def test_architecture_survives_json():
    architecture = Architecture(4, (16, 8), ("flip_x",))
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


@pytest.mark.parametrize("grid", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_small_layers_work(grid):
    edges = (tuple(np.linspace(-20, 20, cells + 1)) for cells in grid)
    geometry = Geometry((Layer(*edges, depth=5.0), *ONE_LAYER.layers))
    generator = make_generator(geometry)
    critic = Critic((8,), geometry, generator)
    context = critic.context(generator.frame(incidents(8)).features)
    cells = generator.transform.encode(generator(incidents(8), torch.randn(8, generator.noise_size)))
    assert torch.isfinite(critic(critic.standardise(cells, context), context)).all()


def test_transform_inverts_and_cuts():
    transform = CellTransform(THRESHOLD, 1.5e-3)
    energy = torch.tensor([0.0, 1e-4, 4e-4, 1e-2, 5.0], dtype=torch.float64)
    restored = transform.double().decode(transform.encode(energy))
    torch.testing.assert_close(restored, torch.tensor([0.0, 0.0, 4e-4, 1e-2, 5.0], dtype=torch.float64))


def test_an_empty_layer_has_no_lit_cell():
    generator = make_generator(THREE_LAYERS)
    u = torch.ones(1, THREE_LAYERS.n_cells)
    energy = generator.scaled(u, torch.tensor([[1.0, 0.0, 2.0]]))
    layers = THREE_LAYERS.layer_energy(energy.numpy())
    assert layers[0].tolist() == pytest.approx([1.0, 0.0, 2.0])


def test_critic_knows_only_what_the_generator_is_told():
    torch.manual_seed(0)
    generator = build_generator(Architecture(4, (16,)), ONE_LAYER, DOMAIN, ("momentum",), THRESHOLD)
    critic = Critic((8,), ONE_LAYER, generator)
    cells = torch.rand(1, ONE_LAYER.n_cells)
    scores = set()
    for incident in ([0.0, 0.0, 10.0, 0.0, 0.0], [3.0, 0.0, 91.0**0.5, 15.0, -9.0]):
        context = critic.context(generator.frame(torch.tensor([incident])).features)
        scores.add(round(critic(critic.standardise(cells, context), context).item(), 5))
    assert len(scores) == 1


def test_along_the_axis_all_images_are_as_frequent():
    """Also for directions nearly along it: nothing jumps where one image passes into another."""
    generator = make_generator(ONE_LAYER, symmetries=("flip_x", "flip_y", "swap_xy"))
    choice = torch.randn(8000, generator.frame.choices, generator=torch.Generator().manual_seed(0))
    for slope in (0.0, 1e-4):
        incident = torch.tensor([[slope * 10.0, 0.0, 10.0, 0.0, 0.0]]).repeat(8000, 1)
        _, count = generator.frame(incident, choice).place.unique(dim=0, return_counts=True)
        assert len(count) == 8
        assert (count - 1000).abs().max() < 150  # five standard deviations


def test_far_from_the_border_of_the_wedge_one_image_is_almost_certain():
    generator = make_generator(ONE_LAYER, symmetries=("flip_x", "flip_y", "swap_xy"))
    azimuth = math.radians(22.5)
    direction = [10 * 0.3 * math.cos(azimuth), 10 * 0.3 * math.sin(azimuth), 10.0, 3.0, 4.0]
    choice = torch.randn(1000, generator.frame.choices, generator=torch.Generator().manual_seed(0))
    _, count = generator.frame(torch.tensor([direction]).repeat(1000, 1), choice).place.unique(
        dim=0, return_counts=True
    )
    assert count.max() > 900


def test_at_a_border_both_cells_are_as_frequent():
    edges = tuple(np.linspace(-120, 120, 25))
    generator = make_generator(Geometry((Layer(edges, edges, depth=50.0),)))
    choice = torch.randn(8000, generator.frame.choices, generator=torch.Generator().manual_seed(0))
    for x, cells in ((10.0, 2), (15.0, 1)):  # on the border of two cells, in the middle of one
        incident = torch.tensor([[0.0, 0.0, 10.0, x, 5.0]]).repeat(8000, 1)
        view = generator.frame(incident, choice)
        _, count = view.place.unique(dim=0, return_counts=True)
        assert len(count) == cells
        assert (count - 8000 / cells).abs().max() < 250  # more than five standard deviations
        offsets = view.features[:, 3].abs()
        torch.testing.assert_close(offsets, torch.full_like(offsets, cells - 1.0), rtol=0, atol=1e-5)


def test_shared_noise_has_the_mean_and_width_of_the_particle():
    """As if the noise itself had been moved and stretched."""
    generator = make_generator(ONE_LAYER)
    noise = torch.randn(50, generator.noise_size, generator=torch.Generator().manual_seed(0))
    moved = noise.clone()
    moved[:, :4] = 0.5 + 2.0 * noise[:, :4]
    expected = generator(incidents(50), moved)
    torch.nn.init.constant_(generator.shared.mean.bias, 0.5)
    torch.nn.init.constant_(generator.shared.log_width.bias, math.log(2.0))
    torch.testing.assert_close(generator(incidents(50), noise), expected)
    assert not torch.equal(generator(incidents(50), moved), expected)


@GEOMETRIES
def test_working_on_lit_cells_alone_changes_nothing(geometry):
    """What training and a GPU do with all cells, and sampling on a CPU with the lit ones."""
    generator = make_generator(geometry).double()
    incident, noise = incidents(64).double(), torch.randn(64, generator.noise_size, dtype=torch.float64)
    view = generator.frame(incident, noise[:, noise.shape[1] - generator.frame.choices :])
    momentum = incident[:, :3].norm(dim=1, keepdim=True)
    everywhere = view.to_calorimeter(generator.local(view.features, momentum, noise))
    assert 0.1 < (everywhere > 0).double().mean() < 0.9
    torch.testing.assert_close(generator(incident, noise), everywhere, rtol=1e-10, atol=0.0)


def test_a_cell_at_its_threshold_does_not_change_the_others():
    """Else rounding in one cell would change a whole shower."""
    generator = make_generator(ONE_LAYER).double()
    u = torch.full((2, ONE_LAYER.n_cells), -1.0, dtype=torch.float64)
    u[:, :9] = 0.5
    u[:, 9] = torch.tensor([-1e-7, 1e-7])
    dark, lit = generator.scaled(u, torch.full((2, 1), 0.5, dtype=torch.float64))
    assert dark[9] == 0
    assert lit[9] == pytest.approx(THRESHOLD, rel=1e-3)
    torch.testing.assert_close(lit[:9], dark[:9], rtol=1e-6, atol=0.0)
