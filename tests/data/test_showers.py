from __future__ import annotations

import numpy as np

from calogan.data.toy import toy_geometry, toy_showers


def test_momenta_of_a_band_are_left_out():
    showers = toy_showers(np.random.default_rng(1), toy_geometry(), 200)

    left = showers.without_momenta((4.0, 16.0))

    outside = (showers.momentum < 4) | (showers.momentum > 16)
    assert 0 < outside.sum() < 200
    assert np.array_equal(left.event, showers.event[outside])
    assert np.array_equal(left.cell_energy, showers.cell_energy[outside])


def test_no_band_leaves_the_very_showers():
    showers = toy_showers(np.random.default_rng(1), toy_geometry(), 3)

    assert showers.without_momenta(None) is showers
