import numpy as np
import pytest
import torch

from calogan.errors import ConfigError
from calogan.geometry import Geometry, Layer
from calogan.training.symmetry import Symmetries

SQUARE = Geometry((Layer((-30.0, -10.0, 10.0, 30.0), (-30.0, -10.0, 10.0, 30.0), depth=5.0),))
OBLONG = Geometry((Layer((-30.0, 0.0, 30.0), (-30.0, -10.0, 10.0, 30.0), depth=5.0),))
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "names", [["flip_x", "flip_y", "swap_xy"], ["swap_xy", "flip_x"], ["flip_y", "swap_xy", "swap_xy"]]
)
def test_every_image_is_a_shower_of_the_mirrored_particle(names):
    """A cell that lights up where the particle points must do so in each image."""
    symmetries = Symmetries(names, SQUARE, CPU)
    assert len(symmetries) == 8
    point = np.array([21.0, 1.0])
    cell = int(SQUARE.locate(*point))
    incident = torch.tensor([[2.1, 0.1, 10.0, *point]]).float().repeat(8, 1)
    energy = torch.nn.functional.one_hot(torch.tensor(cell), 9).float().repeat(8, 1)
    particles, cells = symmetries.apply(incident, energy, torch.arange(8))
    places = {tuple(row[3:].tolist()) for row in particles}
    assert places == {(a * x, b * y) for x, y in ((21.0, 1.0), (1.0, 21.0)) for a in (1, -1) for b in (1, -1)}
    for particle, image in zip(particles, cells, strict=True):
        assert image.sum() == 1
        assert image.argmax() == SQUARE.locate(particle[3], particle[4])
        torch.testing.assert_close(particle[:2] * 10, particle[3:], rtol=1e-6, atol=1e-5)
        assert particle[2] == 10.0


def test_image_zero_is_the_shower_itself():
    incident, energy = torch.randn(4, 5), torch.rand(4, 9)
    particles, cells = Symmetries(["flip_x"], SQUARE, CPU).apply(incident, energy, torch.zeros(4, dtype=torch.int64))
    assert torch.equal(particles, incident)
    assert torch.equal(cells, energy)


def test_missing_symmetry_is_refused():
    assert len(Symmetries(["flip_x", "flip_y"], OBLONG, CPU)) == 4
    with pytest.raises(ConfigError, match="swap_xy, but the edges of layer 0"):
        Symmetries(["swap_xy"], OBLONG, CPU)
    shifted = Geometry((Layer((-20.0, 0.0, 30.0), (-30.0, 30.0), depth=5.0),))
    with pytest.raises(ConfigError, match="flip_x"):
        Symmetries(["flip_x"], shifted, CPU)
