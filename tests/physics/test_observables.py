"""Observables against showers that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calogan.errors import ConfigError, ShapeError
from calogan.geometry import Geometry, Layer
from calogan.physics.cells import sparsity
from calogan.physics.observables import OBSERVABLES, compute_observables, observable_names


def _grid(cells, pitch, depth):
    edges = tuple(pitch * (np.arange(cells + 1) - cells / 2))
    return Layer(edges, edges, depth)


ONE = Geometry((_grid(5, 10.0, 100.0),))  # cell centres at -20, -10, 0, 10, 20 mm
THREE = Geometry((_grid(4, 10.0, 10.0), _grid(3, 20.0, 50.0), _grid(6, 5.0, 200.0)))
STRAIGHT = np.array([[0.0, 0.0, 10.0, 0.0, 0.0]])


def _shower(geometry, *deposits):
    """One shower from (layer, row, column, energy)."""
    cells = np.zeros((1, geometry.n_cells))
    for layer, row, column, energy in deposits:
        cells[0, geometry.flat_index(layer, row, column)] = energy
    return cells


def _random(geometry, showers=40, seed=3):
    rng = np.random.default_rng(seed)
    cells = rng.gamma(0.3, 0.05, (showers, geometry.n_cells)) * (rng.random((showers, geometry.n_cells)) < 0.6)
    cells[0] = 0.0
    incident = rng.normal(0, [0.5, 0.5, 1, 5, 5], (showers, 5)) + np.array([0, 0, 10, 0, 0])
    return cells, incident


def test_three_cells_in_a_row_have_the_values_worked_out_by_hand():
    shower = _shower(ONE, (0, 2, 2, 2.0), (0, 3, 2, 1.0), (0, 1, 2, 0.02))
    found = {name: float(values[0]) for name, values in compute_observables(shower, STRAIGHT, ONE).items()}
    x, energy = np.array([0.0, 10.0, -10.0]), np.array([2.0, 1.0, 0.02])
    mean = np.average(x, weights=energy)
    spread = math.sqrt(np.average((x - mean) ** 2, weights=energy))
    expected = {
        "response": 0.302,
        "total_energy": 3.02,
        "centre_x": mean,
        "centre_y": 0.0,
        "width_x": spread,
        "width_y": 0.0,
        "radial_width": spread,
        "longitudinal_asymmetry": 0.98 / 3.02,
        "transverse_asymmetry": 0.0,
        "longitudinal_width": spread,
        "transverse_width": 0.0,
        "ring_fraction_0": 1.0,
        "occupancy": 3,
        "occupancy_1mev": 3,
        "occupancy_30mev": 2,
        "lit_pairs": 2,
        "hottest_fraction": 2 / 3.02,
        "second_hottest_fraction": 1 / 3.02,
        "hottest_ratio": 0.5,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_frame_follows_the_track_to_the_depth_of_the_layer():
    slanted = np.array([[0.0, 1.0, 10.0, 0.0, 0.0]])  # at y = 10 mm at the layer, momentum along +y
    shower = _shower(ONE, (0, 2, 4, 3.0), (0, 2, 2, 1.0), (0, 1, 3, 4.0))
    found = compute_observables(shower, slanted, ONE)
    assert found["centre_y"][0] == pytest.approx((3 * 20 + 1 * 0 + 4 * 10) / 8 - 10)
    assert found["longitudinal_asymmetry"][0] == pytest.approx((3 - 1) / 8)
    assert found["transverse_asymmetry"][0] == pytest.approx(4 / 8)  # x below the track is left of +y
    assert found["longitudinal_width"][0] == pytest.approx(math.sqrt(100 - 5**2))
    assert found["ring_fraction_0"][0] == 1.0


def test_layers_have_energies_fractions_and_a_depth():
    shower = _shower(THREE, (0, 0, 0, 1.0), (1, 1, 1, 2.0), (2, 0, 0, 1.0))
    found = {name: values[0] for name, values in compute_observables(shower, STRAIGHT, THREE).items()}
    assert [found[f"layer_energy_{layer}"] for layer in range(3)] == [1.0, 2.0, 1.0]
    assert [found[f"layer_fraction_{layer}"] for layer in range(3)] == [0.25, 0.5, 0.25]
    assert found["depth"] == pytest.approx((10 + 2 * 50 + 200) / 4)
    assert found["depth_width"] == pytest.approx(np.std([10, 50, 50, 200]))


def test_one_layer_has_no_layer_observables():
    names = observable_names(ONE)
    assert not [name for name in names if name.startswith(("layer_", "depth"))]
    assert OBSERVABLES["layer_energy_7"].axis_label == "energy in layer 7 [GeV]"
    assert all(OBSERVABLES[name].label for name in observable_names(THREE))


def test_empty_shower_is_nan_where_undefined_and_zero_where_not():
    found = compute_observables(np.zeros((1, ONE.n_cells)), STRAIGHT, ONE)
    zero = {name for name, values in found.items() if values[0] == 0}
    assert zero == {"response", "total_energy", "lit_pairs"} | {name for name in found if name.startswith("occupancy")}
    assert all(np.isnan(values[0]) for name, values in found.items() if name not in zero)


@pytest.mark.parametrize("geometry", [ONE, THREE])
def test_torch_and_numpy_agree(geometry):
    torch = pytest.importorskip("torch")
    cells, incident = _random(geometry)
    for name in observable_names(geometry):
        function = OBSERVABLES[name].function
        expected = function(cells, incident, geometry)
        found = function(torch.from_numpy(cells), torch.from_numpy(incident), geometry)
        assert isinstance(found, torch.Tensor), name
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)), st.floats(0.25, 4.0))
def test_order_of_showers_and_scale_of_energies(order, factor):
    cells, incident = _random(THREE, showers=12)
    found = compute_observables(cells, incident, THREE)
    permuted = compute_observables(cells[order], incident[order], THREE)
    scaled = compute_observables(factor * cells, incident, THREE)
    for name, values in found.items():
        np.testing.assert_allclose(permuted[name], values[order], rtol=1e-12, atol=1e-12)
        if name in {"response", "total_energy"} or name.startswith("layer_energy"):
            np.testing.assert_allclose(scaled[name], factor * values, rtol=1e-9)
        elif not name.startswith("occupancy_"):
            np.testing.assert_allclose(scaled[name], values, rtol=1e-5, atol=1e-5)


def test_sum_rules():
    cells, incident = _random(THREE)
    found = compute_observables(cells[1:], incident[1:], THREE)
    np.testing.assert_allclose(sum(found[f"ring_fraction_{ring}"] for ring in range(5)), 1)
    np.testing.assert_allclose(sum(found[f"layer_energy_{layer}"] for layer in range(3)), found["total_energy"])
    np.testing.assert_allclose(np.hypot(found["width_x"], found["width_y"]), found["radial_width"])


def test_sparsity_counts_cells_above_fractions_of_the_total():
    shower = _shower(ONE, (0, 0, 0, 0.9), (0, 1, 1, 0.09), (0, 2, 2, 0.01))
    np.testing.assert_allclose(sparsity(shower, [1e-3, 0.05, 0.5]), [[3 / 25, 2 / 25, 1 / 25]])


def test_chunks_change_nothing():
    cells, incident = _random(ONE, showers=6000)
    found = compute_observables(cells, incident, ONE, ["width_x", "lit_pairs"])
    assert list(found) == ["width_x", "lit_pairs"]
    for name, values in found.items():
        np.testing.assert_allclose(values, OBSERVABLES[name].function(cells, incident, ONE), rtol=1e-9)


def test_unknown_names_and_wrong_shapes_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'width_x'"):
        compute_observables(np.zeros((1, 25)), STRAIGHT, ONE, ["widthx"])
    with pytest.raises(ConfigError, match="unknown observable 'layer_energy_0' for 1 layer"):
        compute_observables(np.zeros((1, 25)), STRAIGHT, ONE, ["layer_energy_0"])
    with pytest.raises(ShapeError, match=r"expected \(showers, 25\)"):
        compute_observables(np.zeros((1, 24)), STRAIGHT, ONE)
    with pytest.raises(ConfigError, match="unknown observable 'nothing'"):
        OBSERVABLES["nothing"]
