import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calogan.data.toy import toy_geometry
from calogan.errors import ConfigError
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.models.conditioning import Conditioning
from calogan.models.frame import LocalFrame
from calogan.physics.kinematics import Domain


def even(cells, half):
    return tuple(np.linspace(-half, half, cells + 1))


DOMAIN = Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (-20.0, 20.0))
ALL = ("momentum", "direction", "entry_point")
FLIPS, EIGHT = ("flip_x", "flip_y"), ("flip_x", "flip_y", "swap_xy")
SQUARE = Geometry((Layer(even(30, 303.0), even(30, 303.0), depth=122.0),))
ODD = Geometry((Layer(even(9, 180.0), even(9, 180.0), depth=20.0),))
STRIPS = Geometry((Layer(even(3, 240.0), even(96, 240.0), depth=80.0),))
INWARD = (-40.0, -10.0, -4.0, 4.0, 10.0, 40.0)
UNEQUAL = Geometry((Layer(INWARD, INWARD, depth=30.0),))
ONE_SIDED = Geometry((Layer((-30.0, -10.0, 0.0, 25.0, 40.0), even(4, 30.0), depth=30.0),))
CALORIMETERS = {
    "square": (SQUARE, EIGHT),
    "odd": (ODD, EIGHT),
    "strips": (STRIPS, FLIPS),
    "three layers": (toy_geometry(), FLIPS),
    "unequal": (UNEQUAL, EIGHT),
    "one side": (ONE_SIDED, ("flip_y",)),
}
EACH = pytest.mark.parametrize(("geometry", "symmetries"), CALORIMETERS.values(), ids=CALORIMETERS)


def make_frame(geometry, symmetries=(), condition=ALL):
    return LocalFrame(geometry, Conditioning(condition, DOMAIN), symmetries).double()


def particles(count, seed=0):
    """Particles whose directions are no closer than 2 degrees to where one image passes into another."""
    rng = np.random.default_rng(seed)
    azimuth = math.radians(45) * (rng.integers(0, 8, count) + rng.uniform(0.05, 0.95, count))
    slope, along = rng.uniform(0.01, 0.36, count), rng.uniform(1.0, 60.0, count)
    momentum = [along * slope * np.cos(azimuth), along * slope * np.sin(azimuth), along]
    return torch.from_numpy(np.stack([*momentum, *rng.uniform(-20, 20, (2, count))], axis=1))


def mirror(name, incident, cells, geometry):
    """Showers seen in a mirror, made of the images of the layers."""
    if name == "swap_xy":
        incident = incident[:, [1, 0, 2, 4, 3]]
    else:
        sign = [-1, 1, 1, -1, 1] if name == "flip_x" else [1, -1, 1, 1, -1]
        incident = incident * torch.tensor(sign)
    images = []
    for layer, part in zip(geometry.layers, cells.split([layer.n_cells for layer in geometry.layers], 1), strict=True):
        image = part.reshape(-1, layer.rows, layer.columns)
        image = image.transpose(1, 2) if name == "swap_xy" else image.flip(1 if name == "flip_x" else 2)
        images.append(image.flatten(1))
    return incident, torch.cat(images, dim=1)


def mirror_images(symmetries, incident, cells, geometry):
    """All that the mirrors make of showers, themselves first."""
    found = [(incident, cells)]
    for name in symmetries:
        found += [mirror(name, *image, geometry) for image in found]
    return found


@given(
    st.sampled_from(sorted(CALORIMETERS)),
    st.lists(
        st.tuples(st.floats(-30, 30), st.floats(-30, 30), st.floats(1, 60), st.floats(-500, 500), st.floats(-500, 500)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_no_cell_is_lost_or_made(name, rows, mirrored):
    """Also for tracks that leave the calorimeter, or meet the border of two cells."""
    geometry, symmetries = CALORIMETERS[name]
    view = make_frame(geometry, symmetries if mirrored else ()).float()(torch.tensor(rows, dtype=torch.float32))
    cells = torch.arange(1.0, geometry.n_cells + 1).repeat(len(rows), 1)
    local = view.to_local(cells)
    assert torch.equal(local.sort(dim=1).values, cells)
    assert torch.equal(view.to_calorimeter(local), cells)
    assert torch.equal(view.to_local(view.to_calorimeter(cells)), cells)


@EACH
@pytest.mark.parametrize("condition", [ALL, ("momentum", "direction"), ("momentum", "entry_point")])
def test_all_images_look_the_same(geometry, symmetries, condition):
    """A frame with symmetries cannot tell a shower from its image in a mirror."""
    frame = make_frame(geometry, symmetries, condition)
    incident = particles(50)
    if "direction" not in condition:
        incident = incident * torch.tensor([0, 0, 1, 1, 1])
    if "entry_point" not in condition:
        incident = incident * torch.tensor([1, 1, 1, 0, 0])
    cells = torch.rand(50, geometry.n_cells, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    images = mirror_images(symmetries, incident, cells, geometry)
    assert len(images) == len(frame.matrices)
    seen = [(frame(particle), shower) for particle, shower in images]
    for view, shower in seen:
        torch.testing.assert_close(view.features, seen[0][0].features, rtol=0, atol=1e-9)
        assert torch.equal(view.to_local(shower), seen[0][0].to_local(cells))


def test_with_all_symmetries_directions_are_in_a_wedge():
    slopes = make_frame(SQUARE, EIGHT)(particles(200)).features[:, 1:3]
    assert (slopes[:, 0] > slopes[:, 1]).all()
    assert (slopes[:, 1] > 0).all()
    assert make_frame(SQUARE)(particles(200)).features[:, 1].min() < 0


def test_one_cell_further_looks_the_same():
    frame, incident = make_frame(SQUARE, EIGHT), particles(50)
    cells = torch.rand(50, 30, 30, dtype=torch.float64)
    before, shower = frame(incident), cells.flatten(1)
    for axis in range(2):
        moved = incident.clone()
        moved[:, 3 + axis] += 20.2
        after = frame(moved)
        torch.testing.assert_close(after.features, before.features, rtol=0, atol=1e-9)
        assert torch.equal(after.to_local(cells.roll(1, dims=1 + axis).flatten(1)), before.to_local(shower))


def test_half_a_cell_further_looks_different():
    frame, incident = make_frame(SQUARE, ()), particles(50)
    moved = incident.clone()
    moved[:, 3] += 10.1
    change = (frame(moved).features - frame(incident).features)[:, 3]
    torch.testing.assert_close(change.abs(), torch.ones_like(change), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["square", "odd", "strips"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_cell_of_the_track_is_in_the_middle(name, mirrored):
    geometry, symmetries = CALORIMETERS[name]
    frame, incident = make_frame(geometry, symmetries if mirrored else ()), particles(50)
    view = frame(incident)
    slope = incident[:, :2] / incident[:, 2:3]
    for number, layer in enumerate(geometry.layers):
        at = (incident[:, 3:] + layer.depth * slope).numpy()
        met = torch.from_numpy(Geometry((layer,)).locate(at[:, 0], at[:, 1]))
        inside = met >= 0
        assert inside.sum() > 10
        lit = torch.nn.functional.one_hot(met.clamp_min(0) + int(geometry.offsets[number]), geometry.n_cells)
        middle = geometry.offsets[number] + layer.rows // 2 * layer.columns + layer.columns // 2
        assert (view.to_local(lit).argmax(dim=1)[inside] == middle).all()
        assert frame.cell_x[middle] == frame.cell_y[middle] == 0


@pytest.mark.parametrize("name", ["square", "odd", "strips"])
def test_places_are_distances_from_the_cell_of_the_track(name):
    """But for what comes in at the other side."""
    geometry = CALORIMETERS[name][0]
    frame, incident = make_frame(geometry), particles(50)
    view, layer = frame(incident), geometry.layers[0]
    at = (incident[:, 3:] + layer.depth * incident[:, :2] / incident[:, 2:3]).numpy()
    met = geometry.locate(at[:, 0], at[:, 1])
    sides = (frame.cell_x, geometry.cell_x, layer.x_edges), (frame.cell_y, geometry.cell_y, layer.y_edges)
    for local, places, edges in sides:
        found = view.to_calorimeter(local.expand(50, -1).contiguous()).numpy()
        turns = (places - places[met][:, None] - found) / (edges[-1] - edges[0])
        assert np.allclose(turns, turns.round(), atol=1e-5)
        assert (turns.round() == 0).mean() > 0.3


def test_an_axis_is_not_moved_if_particles_get_near_its_end():
    near = Geometry((Layer(even(30, 90.0), even(30, 303.0), depth=122.0),))
    frame, incident = make_frame(near), particles(50)
    view = frame(incident)
    row, column = view.place.reshape(50, 30, 30) // 30, view.place.reshape(50, 30, 30) % 30
    assert (row == torch.arange(30).unsqueeze(1)).all()
    assert (column[:, 0, 0] != 0).any()
    at = incident[:, 3] + 122.0 * incident[:, 0] / incident[:, 2]
    torch.testing.assert_close(view.features[:, 3], at / 90.0)


def test_symmetries_without_direction_and_entry_point_are_refused():
    with pytest.raises(ConfigError, match=r"model\.symmetries needs direction or entry_point"):
        make_frame(SQUARE, EIGHT, ("momentum",))


def test_an_entry_point_that_is_not_told_is_the_middle_of_the_window():
    domain = Domain((1.0, 64.0), 0.1, (80.0, 120.0), (-20.0, 20.0))
    told = Conditioning(("momentum", "direction"), domain).told(torch.tensor([[0.1, 0.0, 5.0, 0.0, 0.0]]))
    assert told[0, 3:].tolist() == [100.0, 0.0]


def test_an_axis_of_unequal_cells_is_not_moved():
    frame, incident = make_frame(ONE_SIDED), particles(50)
    view = frame(incident)
    rows = view.place.reshape(50, 4, 4) // 4
    assert (rows == torch.arange(4).unsqueeze(1)).all()
    at = incident[:, 3] + 30.0 * incident[:, 0] / incident[:, 2]
    torch.testing.assert_close(view.features[:, 3], (at - 5.0) / 35.0)


@EACH
def test_a_particle_along_the_axis_is_its_own_image(geometry, symmetries):
    incident = torch.tensor([[0.0, 0.0, 10.0, 0.0, 0.0]])
    mirrored, plain = (make_frame(geometry, names).float()(incident) for names in (symmetries, ()))
    assert torch.equal(mirrored.place, plain.place)
    assert torch.equal(mirrored.features, plain.features)
    assert torch.isfinite(plain.features).all()
    assert (plain.features[0, 1:3] == 0).all()
    assert (plain.features.abs() <= 1 + 1e-4).all()


def test_features_are_as_many_as_the_condition_tells():
    incident = particles(3)
    sizes = {("momentum",): 1, ("momentum", "direction"): 9, ("momentum", "entry_point"): 7, ALL: 9}
    for condition, size in sizes.items():
        frame = make_frame(toy_geometry(), FLIPS if len(condition) > 1 else (), condition)
        assert frame.size == size
        assert frame(incident).features.shape == (3, size)


def test_what_is_not_told_changes_nothing():
    frame, incident = make_frame(SQUARE, (), ("momentum",)), particles(20)
    view = frame(incident)
    assert (view.place == view.place[0]).all()
    along = torch.zeros_like(incident)
    along[:, 2] = incident[:, :3].norm(dim=1)
    torch.testing.assert_close(frame(along).features, view.features)
    entry = torch.tensor([0.0, 0.0, 0.0, 9.0, -5.0])
    frame = make_frame(SQUARE, EIGHT, ("momentum", "direction"))
    assert torch.equal(frame(incident + entry).place, frame(incident).place)
    assert torch.equal(frame(incident + entry).features, frame(incident).features)


@pytest.mark.parametrize(
    ("geometry", "name", "layer"),
    [
        (STRIPS, "swap_xy", 0),
        (ONE_SIDED, "flip_x", 0),
        (Geometry((Layer(even(4, 30.0), even(4, 30.0), 1.0), Layer(even(4, 30.0), (0.0, 9.0), 9.0))), "flip_y", 1),
        (Geometry((Layer(even(4, 30.0), even(4, 30.0), 1.0), Layer(even(4, 30.0), even(2, 30.0), 9.0))), "swap_xy", 1),
    ],
)
def test_a_symmetry_that_is_not_there_is_refused(geometry, name, layer):
    with pytest.raises(ConfigError, match=f"model.symmetries lists {name}, but the edges of layer {layer} do not"):
        make_frame(geometry, (name,))


def test_exchange_of_x_and_y_is_refused_if_only_one_axis_is_moved():
    wide = Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (-200.0, 200.0))
    with pytest.raises(ConfigError, match="swap_xy, but particles come nearer to the end of layer 0"):
        LocalFrame(SQUARE, Conditioning(ALL, wide), EIGHT)
    assert LocalFrame(SQUARE, Conditioning(ALL, wide), FLIPS).grids[0].along_y.pitch is None


def test_a_small_calorimeter_is_not_moved():
    small = Geometry((Layer(even(5, 30.0), even(5, 30.0), depth=0.0),))
    domain = Domain((1.0, 64.0), 0.0, (-15.0, 15.0), (-15.0, 15.0))
    assert LocalFrame(small, Conditioning(ALL, domain), ()).grids[0].along_x.pitch is None


@pytest.mark.parametrize("degrees", [20.0, 1.0])
def test_most_directions_are_in_the_wedge_in_small_domains_too(degrees):
    domain = Domain((1.0, 64.0), math.radians(degrees), (-20.0, 20.0), (-20.0, 20.0))
    frame = LocalFrame(SQUARE, Conditioning(ALL, domain), EIGHT)
    incident = particles(4000).float()
    incident[:, :2] *= math.tan(math.radians(degrees)) / math.tan(math.radians(20))
    choice = torch.randn(4000, frame.choices, generator=torch.Generator().manual_seed(0))
    slopes = frame(incident, choice).features[:, 1:3]
    assert ((slopes[:, 0] > slopes[:, 1]) & (slopes[:, 1] > 0)).float().mean() > 0.6


def test_cells_that_are_not_moved_lie_about_the_middle_of_all_tracks():
    edges = tuple(np.cumsum(np.linspace(10, 20, 41)) + 1000)
    domain = Domain((1.0, 64.0), 0.01, (1250.0, 1350.0), (1250.0, 1350.0))
    frame = LocalFrame(Geometry((Layer(edges, edges, depth=10.0),)), Conditioning(ALL, domain), ())
    assert frame.grids[0].along_x.pitch is None
    assert frame.cell_x.abs().min() < 20
    assert frame.cell_x.min() < -200 < 200 < frame.cell_x.max()


def test_rings_stay_where_they_are():
    layers = PolarLayer((0.0, 10.0, 40.0), 4, 20.0), PolarLayer((0.0, 50.0), 1, 100.0)
    cells = torch.rand(50, 9, generator=torch.Generator().manual_seed(0))
    alone = make_frame(Geometry(layers), (), ("momentum",))(particles(50))
    assert alone.features.shape == (50, 1)
    assert torch.equal(alone.to_local(cells), cells)
    assert torch.equal(alone.to_calorimeter(cells), cells)
    incident = particles(50)
    told = make_frame(Geometry(layers))(incident)
    at = incident[:, 3:] + 100.0 * incident[:, :2] / incident[:, 2:3]
    torch.testing.assert_close(told.features[:, 5:], at / 50.0)
    beside = make_frame(Geometry((*layers, SQUARE.layers[0])))
    view = beside(incident)
    assert (view.place[:, :9] == torch.arange(9)).all()
    assert (view.place[:, 9:].sort().values == torch.arange(9, 909)).all()
    assert not (view.place[:, 9:] == torch.arange(9, 909)).all()


def test_cells_of_a_ring_are_equally_far():
    frame = make_frame(Geometry((PolarLayer((0.0, 10.0, 40.0), 3, 20.0), Layer((-1.0, 1.0), (0.0, 5.0, 15.0), 30.0))))
    torch.testing.assert_close(frame.cell_distance, torch.tensor([0.0, 1.0] * 3 + [1.25, 5.0]).double())


def test_rings_have_no_mirror_images():
    with pytest.raises(ConfigError, match="lists flip_x, but layer 0 has rings, which are not mirrored; leave it out"):
        make_frame(Geometry((PolarLayer((0.0, 10.0), 4, 20.0),)), ("flip_x",))


def test_the_frame_is_the_same_for_all_types_but_for_telling_them():
    """The type is in the last features, whatever the image."""
    geometry = Geometry((Layer(tuple(np.linspace(-80, 80, 9)), tuple(np.linspace(-80, 80, 9)), depth=50.0),))
    domain = Domain((1.0, 64.0), math.radians(15), (-5.0, 5.0), (-5.0, 5.0))
    names, symmetries = ("momentum", "direction", "entry_point"), ("flip_x", "flip_y", "swap_xy")
    frame = LocalFrame(geometry, Conditioning(names, domain), symmetries)
    typed = LocalFrame(geometry, Conditioning((*names, "particle"), domain, 2), symmetries)
    incident = torch.tensor([[1.0, -2.0, 20.0, 3.0, -1.0], [-1.0, 0.5, 30.0, 1.0, 2.0]])
    choice = torch.randn(2, frame.choices, generator=torch.Generator().manual_seed(1))
    seen, expected = typed(torch.cat([incident, torch.tensor([[1.0], [0.0]])], dim=1), choice), frame(incident, choice)
    assert (typed.size, typed.n_types, typed.choices) == (frame.size + 2, 2, frame.choices)
    assert torch.equal(seen.place, expected.place)
    assert torch.equal(seen.features, torch.cat([expected.features, torch.tensor([[0.0, 1.0], [1.0, 0.0]])], dim=1))
