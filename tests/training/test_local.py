import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calogan.data.toy import toy_geometry, toy_showers
from calogan.models import frame
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain
from calogan.training import local as local_module
from calogan.training.local import FrameChoices, LocalShowers

GEOMETRY = toy_geometry()
THRESHOLD = 3e-4


@pytest.fixture
def generator():
    domain = Domain((1.0, 64.0), math.radians(15), (-5.0, 5.0), (-5.0, 5.0))
    architecture = Architecture(3, (8,), ("flip_x", "flip_y"))
    return build_generator(architecture, GEOMETRY, domain, ("momentum", "direction", "entry_point"), THRESHOLD)


@pytest.fixture
def showers():
    return toy_showers(np.random.default_rng(0), GEOMETRY, 20).above(THRESHOLD)


@pytest.fixture
def local(generator, showers, monkeypatch):
    for name in ("BLUR", "CELL_BLUR"):  # the nearest image, the track's own cell
        monkeypatch.setattr(frame, name, 0.0)
    return LocalShowers.of(generator, torch.from_numpy(showers.incident), torch.from_numpy(showers.cell_energy))


def test_showers_come_back_from_their_frames(generator, showers, local):
    view = generator.frame(torch.from_numpy(showers.incident))
    cells = view.to_calorimeter(generator.transform.decode(local.u)).numpy()
    assert ((cells > 0) == (showers.cell_energy > THRESHOLD)).all()
    np.testing.assert_allclose(cells, np.where(cells > 0, showers.cell_energy, 0.0), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(local.features, view.features)


def test_energies_are_those_of_the_showers(showers, local):
    np.testing.assert_allclose(local.layer_energy, showers.layer_energy, rtol=1e-5)
    np.testing.assert_allclose(local.momentum[:, 0], showers.momentum, rtol=1e-5)


def test_it_does_not_depend_on_the_pieces(generator, showers, local, monkeypatch):
    monkeypatch.setattr(local_module, "CHUNK", 7)
    pieces = LocalShowers.of(generator, torch.from_numpy(showers.incident), torch.from_numpy(showers.cell_energy))
    assert torch.equal(pieces.u, local.u)
    torch.testing.assert_close(pieces.features, local.features)


def test_near_a_border_chance_takes_the_image_and_the_cell(generator, showers, local, monkeypatch):
    monkeypatch.undo()
    given = torch.from_numpy(showers.incident), torch.from_numpy(showers.cell_energy)
    chance = LocalShowers.of(generator, *given)
    assert not torch.equal(chance.features, local.features)
    monkeypatch.setattr(local_module, "CHUNK", 7)
    torch.testing.assert_close(LocalShowers.of(generator, *given).features, chance.features)


@settings(deadline=None)
@given(st.integers(1, 12_500), st.integers(0, 10), st.data())
def test_choices_are_one_draw_in_whatever_pieces(n_showers, size, data):
    whole = torch.randn(n_showers, size, generator=torch.Generator().manual_seed(0))
    choices = FrameChoices(n_showers, size)
    first = data.draw(st.integers(0, n_showers - 1))
    step = data.draw(st.integers(1, 3000))
    for rows in (np.arange(first, n_showers, step), np.arange(n_showers), np.arange(0)):
        assert torch.equal(choices[rows], whole[torch.from_numpy(rows)])


@pytest.mark.parametrize("count", [1, 19, 20])
def test_loaded_piece_by_piece_they_are_the_same(generator, showers, monkeypatch, count):
    some = showers[:count]
    whole = LocalShowers.of(generator, torch.from_numpy(some.incident), torch.from_numpy(some.cell_energy))
    for chunk in (7, 4096):
        monkeypatch.setattr(local_module, "CHUNK", chunk)
        loaded = LocalShowers.load(generator, some, torch.device("cpu"))
        assert torch.equal(loaded.u, whole.u)
        for name in ("features", "momentum", "layer_energy"):
            torch.testing.assert_close(getattr(loaded, name), getattr(whole, name))


def test_some_of_the_showers(local):
    some = local[torch.tensor([3, 0, 3])]
    assert len(local) == 20
    assert len(some) == 3
    for name in ("features", "momentum", "layer_energy", "u"):
        assert torch.equal(getattr(some, name)[0], getattr(local, name)[3])
        assert torch.equal(getattr(some, name)[1], getattr(local, name)[0])


def test_mirrored_showers_are_the_same(generator, showers, local):
    incident = torch.from_numpy(showers.incident) * torch.tensor([-1.0, 1.0, 1.0, -1.0, 1.0])
    images = [image[:, ::-1] for image in GEOMETRY.layer_images(showers.cell_energy)]
    cells = np.concatenate([image.reshape(len(image), -1) for image in images], axis=1)
    mirrored = LocalShowers.of(generator, incident, torch.from_numpy(cells))
    torch.testing.assert_close(mirrored.features, local.features, rtol=0, atol=1e-4)
    assert torch.equal(mirrored.u, local.u)
