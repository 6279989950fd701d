"""Layers of hand-made showers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calogan.geometry import Geometry, Layer
from calogan.physics.observables import compute_observables


def _grid(cells, pitch, depth):
    edges = tuple(pitch * (np.arange(cells + 1) - cells / 2))
    return Layer(edges, edges, depth)


THREE = Geometry((_grid(4, 10.0, 10.0), _grid(3, 20.0, 50.0), _grid(6, 5.0, 200.0)))
STRAIGHT = np.array([[0.0, 0.0, 10.0, 0.0, 0.0]])


def test_layers_have_energies_fractions_lit_cells_and_a_depth(shower):
    cells = shower(THREE, (0, 0, 0, 1.0), (1, 1, 1, 1.5), (1, 1, 2, 0.5), (2, 0, 0, 1.0))
    found = {name: values[0] for name, values in compute_observables(cells, STRAIGHT, THREE).items()}
    assert [found[f"layer_energy_{layer}"] for layer in range(3)] == [1.0, 2.0, 1.0]
    assert [found[f"layer_fraction_{layer}"] for layer in range(3)] == [0.25, 0.5, 0.25]
    assert [found[f"layer_occupancy_{layer}"] for layer in range(3)] == [1, 2, 1]
    assert [found[f"layer_ratio_{layer}"] for layer in range(2)] == pytest.approx([math.log(2), -math.log(2)])
    assert found["depth"] == pytest.approx((10 + 2 * 50 + 200) / 4)
    assert found["depth_width"] == pytest.approx(np.std([10, 50, 50, 200]))


def test_shift_is_the_distance_of_centres_seen_from_the_track(shower):
    # centres (-15, -15), (0, 5), (12.5, 12.5)
    cells = shower(THREE, (0, 0, 0, 1.0), (1, 1, 1, 1.5), (1, 1, 2, 0.5), (2, 5, 5, 1.0))
    found = compute_observables(cells, STRAIGHT, THREE)
    assert found["layer_shift_0"] == pytest.approx(math.hypot(15, 20))
    assert found["layer_shift_1"] == pytest.approx(math.hypot(12.5, 7.5))
    slanted = np.array([[1.0, 0.0, 10.0, 0.0, 0.0]])  # 0.1 mm a mm along x
    found = compute_observables(cells, slanted, THREE)
    assert found["layer_shift_0"] == pytest.approx(math.hypot(15 - 4, 20))
    assert found["layer_shift_1"] == pytest.approx(math.hypot(12.5 - 15, 7.5))


def test_a_dark_layer_has_no_ratio_and_no_shift(shower):
    found = compute_observables(shower(THREE, (0, 0, 0, 1.0), (2, 5, 5, 1.0)), STRAIGHT, THREE)
    names = ("layer_ratio_0", "layer_ratio_1", "layer_shift_0", "layer_shift_1")
    assert all(np.isnan(found[name][0]) for name in names)
    assert found["layer_fraction_1"] == [0.0]


def test_layers_drawn_independently_widen_the_ratio(random_showers):
    rng = np.random.default_rng(1)
    energy = rng.lognormal(size=2000)
    together, apart = (np.zeros((2000, THREE.n_cells)) for _ in range(2))
    together[:, 0] = apart[:, 0] = energy
    together[:, 16] = 2 * energy
    apart[:, 16] = 2 * rng.permutation(energy)
    incident = np.repeat(STRAIGHT, 2000, axis=0)
    ratios = [compute_observables(cells, incident, THREE, ["layer_ratio_0"]) for cells in (together, apart)]
    np.testing.assert_allclose(ratios[0]["layer_ratio_0"], math.log(2))
    assert ratios[1]["layer_ratio_0"].std() == pytest.approx(math.sqrt(2), rel=0.1)
