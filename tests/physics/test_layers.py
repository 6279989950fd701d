"""Layers of hand-made showers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calogan.geometry import Geometry, Layer, PolarLayer
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


def test_layers_have_centres_and_widths_of_their_own(shower):
    # layer 0: cells at (-15, -15) and (5, -15); layer 1: one cell at (0, 20)
    cells = shower(THREE, (0, 0, 0, 3.0), (0, 2, 0, 1.0), (1, 1, 2, 0.5))
    slanted = np.array([[1.0, 0.0, 10.0, 2.0, 0.0]])  # at x = 3 mm in layer 0, at 7 mm in layer 1
    found = {name: values[0] for name, values in compute_observables(cells, slanted, THREE).items()}
    assert [found[f"layer_centre_x_{layer}"] for layer in range(2)] == pytest.approx([-10 - 3, -7])
    assert [found[f"layer_centre_y_{layer}"] for layer in range(2)] == pytest.approx([-15, 20])
    assert found["layer_width_x_0"] == pytest.approx(np.std([-15, -15, -15, 5]))
    assert found["layer_radial_width_0"] == pytest.approx(found["layer_width_x_0"])
    assert found["layer_width_y_0"] == found["layer_width_x_1"] == found["layer_radial_width_1"] == 0
    assert [found[f"layer_hottest_fraction_{layer}"] for layer in range(2)] == [0.75, 1.0]


def test_energy_of_whole_rings_is_as_wide_as_their_radii(shower):
    rings = Geometry((PolarLayer((0.0, 10.0, 30.0), 1, 1.0), PolarLayer((0.0, 10.0), 1, 2.0)))
    cells = shower(rings, (0, 0, 1, 3.0))
    found = compute_observables(cells, STRAIGHT, rings)
    radius = rings.cell_spread[1]
    assert found["layer_radial_width_0"] == pytest.approx(radius)
    assert found["layer_width_x_0"] == pytest.approx(radius / math.sqrt(2))


def test_a_dark_layer_has_no_place_and_no_ratio(shower):
    found = compute_observables(shower(THREE, (0, 0, 0, 1.0), (2, 5, 5, 1.0)), STRAIGHT, THREE)
    names = ["layer_ratio_0", "layer_ratio_1", "layer_shift_0", "layer_shift_1", "layer_hottest_fraction_1"]
    names += [f"layer_{kind}_1" for kind in ("centre_x", "centre_y", "width_x", "width_y", "radial_width")]
    assert all(np.isnan(found[name][0]) for name in names)
    assert found["layer_fraction_1"] == [0.0]
    assert found["layer_occupancy_1"] == [0]


def test_the_hottest_layer_is_the_first_of_the_highest_energy(shower):
    cells = np.concatenate([
        shower(THREE, (0, 0, 0, 1.0), (1, 0, 0, 0.6), (1, 1, 1, 0.6)),
        shower(THREE, (0, 0, 0, 1.0), (2, 0, 0, 1.0)),
        shower(THREE),
    ])  # fmt: skip
    found = compute_observables(cells, np.repeat(STRAIGHT, 3, axis=0), THREE, ["hottest_layer"])
    np.testing.assert_array_equal(found["hottest_layer"], [1, 0, np.nan])


def test_maximum_of_a_gamma_distributed_shower(shower):
    """Layers of 2 mm that hold what a gamma distribution of a = 4, b = 0.05 / mm has there; its maximum is at 60 mm."""
    layers = Geometry(tuple(Layer((0.0, 10.0), (0.0, 10.0), depth) for depth in np.arange(1.0, 600.0, 2.0)))
    depths = np.array([layer.depth for layer in layers.layers])
    cells = (depths**3 * np.exp(-0.05 * depths))[None]
    found = compute_observables(np.concatenate([cells, 0 * cells]), np.repeat(STRAIGHT, 2, axis=0), layers)
    assert found["shower_maximum"] == pytest.approx([60.0, np.nan], rel=1e-3, nan_ok=True)
    assert found["depth"][0] == pytest.approx(80.0, rel=1e-3)
    assert "shower_maximum" not in compute_observables(np.zeros((1, THREE.n_cells)), STRAIGHT, THREE)


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
