"""Observables against showers that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calogan.errors import ConfigError, ShapeError
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.physics.observables import (
    OBSERVABLES,
    Observable,
    compute_observables,
    geometry_observables,
    is_registered,
    observable_names,
)


def _grid(cells, pitch, depth):
    edges = tuple(pitch * (np.arange(cells + 1) - cells / 2))
    return Layer(edges, edges, depth)


ONE = Geometry((_grid(5, 10.0, 100.0),))  # cell centres at -20, -10, 0, 10, 20 mm
THREE = Geometry((_grid(4, 10.0, 10.0), _grid(3, 20.0, 50.0), _grid(6, 5.0, 200.0)))
ECAL = Geometry((_grid(30, 20.2, 122.0),))
STRAIGHT = np.array([[0.0, 0.0, 10.0, 0.0, 0.0]])


def test_three_cells_in_a_row_have_the_values_worked_out_by_hand(shower):
    cells = shower(ONE, (0, 2, 2, 2.0), (0, 3, 2, 1.0), (0, 1, 2, 0.02))
    found = {name: float(values[0]) for name, values in compute_observables(cells, STRAIGHT, ONE).items()}
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
        "ring_fraction_0": 2 / 3.02,
        "ring_fraction_1": 1.02 / 3.02,
        "ring_occupancy_0": 1,
        "ring_occupancy_1": 2,
        "occupancy": 3,
        "occupancy_1mev": 3,
        "occupancy_30mev": 2,
        "lit_pairs": 2,
        "lit_pairs_10mev": 2,
        "lit_clusters": 1,
        "largest_lit_cluster": 3,
        "faint_clusters": 0,
        "largest_faint_cluster": 0,
        "isolated_cells": 0,
        "hottest_fraction": 2 / 3.02,
        "second_hottest_fraction": 1 / 3.02,
        "hottest_ratio": 0.5,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_frame_follows_the_track_to_the_depth_of_the_layer(shower):
    slanted = np.array([[0.0, 1.0, 10.0, 0.0, 0.0]])  # at y = 10 mm at the layer, momentum along +y
    found = compute_observables(shower(ONE, (0, 2, 4, 3.0), (0, 2, 2, 1.0), (0, 1, 3, 4.0)), slanted, ONE)
    assert found["centre_y"][0] == pytest.approx((3 * 20 + 1 * 0 + 4 * 10) / 8 - 10)
    assert found["longitudinal_asymmetry"][0] == pytest.approx((3 - 1) / 8)
    assert found["transverse_asymmetry"][0] == pytest.approx(4 / 8)  # x below the track is left of +y
    assert found["longitudinal_width"][0] == pytest.approx(math.sqrt(100 - 5**2))
    assert found["ring_fraction_1"][0] == 1.0


def test_energy_and_lit_cells_are_counted_in_rings_out_to_the_corners(shower):
    columns = (15, 17, 19, 22, 25, 27, 29)  # 10.1, 50.5, 90.9, 151.5, 212.1, 252.5, 292.9 mm along y
    deposits = [(0, 15, column, 1.0) for column in columns] + [(0, 29, 29, 3.0)]  # the corner at 414 mm
    found = compute_observables(shower(ECAL, *deposits), STRAIGHT, ECAL)
    assert [found[f"ring_occupancy_{ring}"][0] for ring in range(7)] == [1, 1, 1, 1, 1, 2, 1]
    np.testing.assert_allclose(
        [found[f"ring_fraction_{ring}"][0] for ring in range(7)], np.array([1, 1, 1, 1, 1, 2, 3]) / 10
    )


def test_labels_have_units_and_the_radii_of_the_geometry():
    known = geometry_observables(ECAL)
    assert known["ring_fraction_0"].axis_label == "energy fraction within 20 mm"
    assert known["ring_occupancy_4"].axis_label == "lit cells 180 to 240 mm"
    assert known["ring_fraction_6"].axis_label == "energy fraction beyond 320 mm"
    assert known["centre_x"].axis_label == "$x$ of the centre from the track [mm]"
    assert "ring_fraction_7" not in known
    assert OBSERVABLES["layer_energy_7"].axis_label == "energy in layer 7 [GeV]"
    assert all(observable.label for observable in geometry_observables(THREE).values())


def test_names_are_registered_whatever_the_geometry():
    assert all(map(is_registered, ("response", "layer_energy_7", "ring_fraction_12")))
    assert not any(map(is_registered, ("responses", "layer_energies_7", "ring_fraction", "ring_fraction_x")))


def test_names_follow_the_geometry():
    assert not [name for name in observable_names(ONE) if name.startswith(("layer_", "depth"))]
    three = observable_names(THREE)
    assert [name for name in three if name.startswith("layer_ratio")] == ["layer_ratio_0", "layer_ratio_1"]
    assert {"layer_energy_2", "layer_occupancy_0", "layer_shift_1", "depth"} <= set(three)
    cell = (-10.0, 10.0)
    assert observable_names(Geometry((Layer(cell, cell, 10.0),))) == []


def test_empty_shower_is_nan_where_undefined_and_zero_where_not():
    found = compute_observables(np.zeros((1, ONE.n_cells)), STRAIGHT, ONE)
    zero = {name for name, values in found.items() if values[0] == 0}
    counts = {name for name, observable in geometry_observables(ONE).items() if observable.discrete}
    assert zero == {"response", "total_energy"} | counts
    assert all(np.isnan(values[0]) for name, values in found.items() if name not in zero)


@pytest.mark.parametrize("geometry", [ONE, THREE])
def test_torch_and_numpy_agree(geometry, random_showers):
    torch = pytest.importorskip("torch")
    cells, incident = random_showers(geometry)
    for name, observable in geometry_observables(geometry).items():
        expected = observable.function(cells, incident, geometry)
        found = observable.function(torch.from_numpy(cells), torch.from_numpy(incident), geometry)
        assert isinstance(found, torch.Tensor), name
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(12)), st.floats(0.25, 4.0))
def test_order_of_showers_and_scale_of_energies(random_showers, order, factor):
    cells, incident = random_showers(THREE, showers=12)
    found = compute_observables(cells, incident, THREE)
    permuted = compute_observables(cells[order], incident[order], THREE)
    scaled = compute_observables(factor * cells, incident, THREE)
    for name, values in found.items():
        np.testing.assert_allclose(permuted[name], values[order], rtol=1e-9, atol=1e-9)
        if name in {"response", "total_energy"} or name.startswith("layer_energy"):
            np.testing.assert_allclose(scaled[name], factor * values, rtol=1e-9)
        elif not name.endswith("mev") and "faint" not in name:
            np.testing.assert_allclose(scaled[name], values, rtol=1e-5, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 5.0))
def test_cuts_on_energy_move_with_its_scale(random_showers, factor):
    """Counts above 1 MeV at twice the energy are counts above half of it."""
    cells, incident = random_showers(ONE, showers=12)
    found = compute_observables(factor * cells, incident, ONE, ["occupancy_3mev", "lit_pairs_3mev"])
    lit = (factor * cells >= 0.003).reshape(-1, 5, 5)
    assert found["occupancy_3mev"].tolist() == lit.sum((1, 2)).tolist()
    pairs = (lit[:, 1:] & lit[:, :-1]).sum((1, 2)) + (lit[:, :, 1:] & lit[:, :, :-1]).sum((1, 2))
    assert found["lit_pairs_3mev"].tolist() == pairs.tolist()


def test_sum_rules(random_showers):
    cells, incident = random_showers(THREE)
    found = compute_observables(cells[1:], incident[1:], THREE)
    rings = [name for name in found if name.startswith("ring_fraction")]
    np.testing.assert_allclose(sum(found[name] for name in rings), 1)
    lit = (cells[1:] > 0).sum(axis=1)
    np.testing.assert_array_equal(sum(found[name.replace("fraction", "occupancy")] for name in rings), lit)
    np.testing.assert_array_equal(sum(found[f"layer_occupancy_{layer}"] for layer in range(3)), lit)
    np.testing.assert_allclose(sum(found[f"layer_energy_{layer}"] for layer in range(3)), found["total_energy"])
    np.testing.assert_allclose(np.hypot(found["width_x"], found["width_y"]), found["radial_width"])


def test_a_cell_that_is_no_number_is_seen(random_showers):
    cells, incident = random_showers(ONE, showers=3)
    cells[1, 7] = np.nan
    found = compute_observables(cells, incident, ONE, ["total_energy", "centre_x", "hottest_fraction"])
    assert all(np.isnan(values[1]) and not np.isnan(values[2]) for values in found.values())


def test_chunks_change_nothing(random_showers):
    cells, incident = random_showers(ONE, showers=6000)
    found = compute_observables(cells, incident, ONE, ["width_x", "lit_pairs", "lit_clusters"])
    assert list(found) == ["width_x", "lit_pairs", "lit_clusters"]
    for name, values in found.items():
        np.testing.assert_allclose(values, OBSERVABLES[name].function(cells, incident, ONE), rtol=1e-9)


def test_functions_of_arrays_stand_beside_those_of_the_package(random_showers):
    cells, incident = random_showers(ONE)
    catalogue = {**geometry_observables(ONE), "corner": Observable(lambda energy, _, geometry: energy[:, 0], "corner")}
    found = compute_observables(cells, incident, ONE, ["corner", "occupancy"], catalogue)
    np.testing.assert_array_equal(found["corner"], cells[:, 0])
    np.testing.assert_array_equal(found["occupancy"], (cells > 0).sum(axis=1))


@pytest.mark.parametrize(
    ("function", "seen"),
    [
        (lambda energy, incident, geometry: energy, r"float64 of shape \(1, 25\) for 1 showers"),
        (lambda energy, incident, geometry: 1.0, r"float64 of shape \(\) for 1 showers"),
        (lambda energy, incident, geometry: ["a"], r"<U1 of shape \(1,\) for 1 showers"),
    ],
)
def test_a_function_that_is_not_one_number_per_shower_is_refused(function, seen):
    with pytest.raises(ConfigError, match=rf"observable 'mine' returned {seen}; its function must return one number"):
        compute_observables(np.zeros((1, 25)), STRAIGHT, ONE, catalogue={"mine": Observable(function, "mine")})


def test_unknown_names_and_wrong_shapes_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'width_x'"):
        compute_observables(np.zeros((1, 25)), STRAIGHT, ONE, ["widthx"])
    with pytest.raises(ConfigError, match="unknown observable 'layer_energy_0' for 1 layer"):
        compute_observables(np.zeros((1, 25)), STRAIGHT, ONE, ["layer_energy_0"])
    with pytest.raises(ShapeError, match=r"expected \(showers, 25\)"):
        compute_observables(np.zeros((1, 24)), STRAIGHT, ONE)
    with pytest.raises(ConfigError, match="unknown observable 'nothing'"):
        OBSERVABLES["nothing"]


def test_of_many_layers_a_few_have_observables_of_their_own():
    layers = [PolarLayer((0.0, 1.0, 2.0), 4, float(depth)) for depth in range(45)]
    names = observable_names(Geometry(tuple(layers)))
    assert [name for name in names if name.startswith("layer_energy_")] == [
        f"layer_energy_{layer}" for layer in (0, 6, 11, 16, 22, 28, 33, 38, 44)
    ]
    assert [name for name in names if name.startswith("layer_ratio_")][-1] == "layer_ratio_43"
    few = observable_names(Geometry(tuple(layers[:12])))
    assert sum(name.startswith("layer_energy_") for name in few) == 12


def test_widths_along_lines_need_rows_and_columns():
    rings = Geometry((PolarLayer((0.0, 1.0, 2.0), 4, 1.0),))
    assert "longitudinal_width" not in observable_names(rings)
    assert {"longitudinal_asymmetry", "radial_width", "ring_fraction_0", "lit_pairs"} <= set(observable_names(rings))


def test_every_observable_of_rings_is_finite_where_something_is_lit(random_showers):
    edges = (0.0, 5.0, 12.0, 30.0)
    geometry = Geometry((PolarLayer(edges, 8, 0.0), PolarLayer(edges, 1, 9.0), PolarLayer(edges, 2, 20.0)))
    cells, incident = random_showers(geometry)
    incident[:, :2] = incident[:, 3:] = 0
    for name, values in compute_observables(cells, incident, geometry).items():
        if not name.startswith("layer_"):
            assert np.isfinite(values[1:]).mean() > 0.8, name
