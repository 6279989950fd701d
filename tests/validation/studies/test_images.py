from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.data.showers import Showers
from calogan.data.toy import toy_geometry, toy_showers
from calogan.geometry import Geometry, PolarLayer
from calogan.validation.studies.images import mean_images, shower_pairs


@pytest.fixture
def showers():
    return toy_showers(np.random.default_rng(1), toy_geometry(), 200)


def test_mean_image_is_the_mean_of_each_cell(showers):
    images = mean_images(showers, replace(showers, cell_energy=3 * showers.cell_energy))

    first = showers.cell_energy[:, :36].reshape(-1, 3, 12)
    assert images[0].reference == pytest.approx(first.mean(axis=0), rel=1e-5)
    assert images[0].generated == pytest.approx(3 * images[0].reference, rel=1e-5)


def test_error_of_the_ratio_agrees_with_the_spread_between_samples():
    rng = np.random.default_rng(6)
    samples = [toy_showers(rng, toy_geometry(), 200) for _ in range(40)]
    ratios, errors = [], []
    for first, second in zip(samples[::2], samples[1::2], strict=True):
        images = mean_images(first, second)[1]
        ratios.append(images.generated[3, 3] / images.reference[3, 3])
        errors.append(images.ratio_error[3, 3])

    assert np.std(ratios) == pytest.approx(np.mean(errors), rel=0.5)


def test_layers_with_most_energy_are_shown_front_first(showers):
    cells = showers.cell_energy.copy()
    cells[:, 36:72] = 0  # the middle layer

    assert [images.layer for images in mean_images(replace(showers, cell_energy=cells), showers, max_layers=2)] == [
        0,
        2,
    ]


def test_partner_of_a_shower_has_the_same_particle(showers):
    order = np.random.default_rng(2).permutation(len(showers))

    pairs = shower_pairs(showers, showers[order])

    assert [pair.reference_event for pair in pairs] == [pair.generated_event for pair in pairs]
    momenta = [pair.reference_momentum for pair in pairs]
    assert momenta == sorted(momenta)
    for pair in pairs:
        assert np.array_equal(pair.reference, pair.generated)


def test_partner_of_a_shower_is_of_its_type(showers):
    """Two showers of each particle, the nearer one of the other type."""
    other = replace(showers, event=showers.event + 1000, pdg=np.full(len(showers), 22, dtype=np.int32))
    moved = showers.incident.copy()
    moved[:, 3] += 1.0
    both = Showers(
        showers.geometry,
        np.concatenate([showers.event, other.event]),
        np.concatenate([moved, other.incident]),
        np.concatenate([showers.cell_energy, other.cell_energy]),
        np.concatenate([showers.pdg, other.pdg]),
    )

    pairs = shower_pairs(showers, both)

    assert [pair.generated_event for pair in pairs] == [pair.reference_event for pair in pairs]


def test_of_many_layers_those_shown_have_equal_shares_of_the_energy_between_them():
    geometry = Geometry(tuple(PolarLayer((0.0, 10.0), 1, float(depth)) for depth in range(20)))
    showers = toy_showers(np.random.default_rng(3), geometry, 2)
    cells = np.zeros_like(showers.cell_energy)
    cells[:, 4:16] = 1.0
    images = mean_images(replace(showers, cell_energy=cells), showers)
    assert [one.layer for one in images] == [4, 6, 8, 10, 12, 14]
    assert images[0].cells == geometry.layers[4]
