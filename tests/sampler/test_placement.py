"""Showers anywhere on a calorimeter: moved by whole cells, bit for bit, and as Geant4's are there."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from calogan.data import writing
from calogan.data.reading import read_provenance, read_showers
from calogan.data.split import SPLITS, assign_splits
from calogan.errors import ConfigError, DomainError, GeometryError, SchemaError
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.physics.kinematics import Domain
from calogan.physics.observables import compute_observables
from calogan.sampler import OutsideDomainWarning, PlacedShowers, ShowerSampler, load_sampler
from calogan.sampler.placement import CellPlacement

STEP = (60.0, 40.0)
"""Of the three-layer calorimeter of these tests: whole cells of 20 and 30 mm, and of 10, 20 and 40 mm."""
CELLS_A_STEP = np.array([[3, 4], [2, 2], [2, 1]])
WINDOW = Domain((1.0, 64.0), 0.35, (-30.0, 30.0), (-20.0, 20.0))


def grid(x_edges, y_edges):
    return tuple(map(float, x_edges)), tuple(map(float, y_edges))


CALORIMETER = Geometry(
    (
        Layer(*grid(range(-190, 231, 20), range(-140, 131, 10)), depth=40.0),
        Layer(*grid(range(-180, 211, 30), range(-140, 121, 20)), depth=120.0),
        Layer(*grid(range(-180, 211, 30), range(-140, 101, 40)), depth=300.0),
    )
)


@pytest.fixture
def sampler(make_bundle):
    return ShowerSampler(make_bundle.three_layers(domain=WINDOW))


@pytest.fixture
def electrons():
    """Electrons all over the calorimeter, at multiples of 1/64 mm: exact in single precision wherever they are."""
    rng = np.random.default_rng(5)
    columns = {"px": rng.normal(0, 0.5, 40), "py": rng.normal(0, 0.5, 40), "pz": rng.uniform(5, 50, 40)}
    return columns | {"x": rng.integers(-180 * 64, 200 * 64, 40) / 64, "y": rng.integers(-140 * 64, 130 * 64, 40) / 64}


def placed(sampler, electrons, **options):
    return sampler.sample(**electrons, **{"seed": 3, "placement": "cell", "calorimeter": CALORIMETER} | options)


def images(showers):
    """Energies of the calorimeter's cells, a list of layers."""
    return showers.hits().geometry.layer_images(showers.hits().to_cells())


def test_a_shower_is_the_same_whole_steps_away(sampler, electrons):
    steps = np.array([1, -2])
    middle = {"x": electrons["x"] / 8, "y": electrons["y"] / 8}
    here = placed(sampler, electrons | middle)
    x, y = (middle[name] + step * size for name, step, size in zip("xy", steps, STEP, strict=True))
    there = placed(sampler, electrons | {"x": x, "y": y})
    np.testing.assert_array_equal(there.incident[:, 3], x.astype(np.float32))
    assert np.count_nonzero(here.total_energy) > 20
    for layer, (one, other) in enumerate(zip(images(here), images(there), strict=True)):
        rows, columns = steps * CELLS_A_STEP[layer]
        moved = np.zeros_like(one)
        moved[:, rows:, :columns] = one[:, :-rows, -columns:]
        np.testing.assert_array_equal(other, moved)
    np.testing.assert_array_equal(here.total_energy + here.lost_energy, there.total_energy + there.lost_energy)


def test_near_the_window_s_middle_nothing_is_moved(sampler, electrons):
    near = electrons | {"x": electrons["x"] / 8, "y": electrons["y"] / 8}
    expected = sampler.sample(**near, seed=3)
    found = sampler.sample(**near, seed=3, placement="cell")
    assert isinstance(found, PlacedShowers)
    assert found.calorimeter == sampler.geometry
    np.testing.assert_array_equal(found.hits().to_cells(), expected.cell_energy)
    assert found.lost_energy.max() == 0


def test_cells_beyond_the_calorimeter_are_cut_and_counted(sampler, electrons):
    corner = electrons | {"x": np.full(40, -185.0), "y": np.full(40, 125.0)}
    whole = sampler.sample(**electrons | {"x": np.full(40, -5.0), "y": np.full(40, 5.0)}, seed=3)
    showers = placed(sampler, corner)
    # three steps down in x, three up in y: each layer's cells from there on, as far as the calorimeter has them
    for layer, image in enumerate(images(showers)):
        row, column = np.array([-3, 3]) * CELLS_A_STEP[layer] + [[8, 12], [5, 6], [5, 3]][layer]
        assert row < 0
        kept = whole.geometry.layer_images(whole.cell_energy)[layer][:, -row:, : image.shape[2] - column]
        expected = np.zeros_like(image)
        expected[:, : kept.shape[1], column:] = kept
        np.testing.assert_array_equal(image, expected)
    assert np.count_nonzero(showers.lost_energy) > 10
    np.testing.assert_allclose(showers.total_energy, showers.hits().to_cells().sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(showers.total_energy + showers.lost_energy, whole.total_energy, rtol=1e-6)
    np.testing.assert_allclose(showers.layer_energy.sum(axis=1), showers.total_energy, rtol=1e-6)


def test_company_changes_nothing(sampler, electrons):
    ids = np.arange(100, 140)
    expected = placed(sampler, electrons, shower_id=ids)
    order = np.random.default_rng(1).permutation(40)[:9]
    chosen = placed(sampler, {name: values[order] for name, values in electrons.items()}, shower_id=ids[order])
    np.testing.assert_allclose(chosen.hits().to_cells(), expected.hits().to_cells()[order], rtol=1e-5, atol=1e-7)
    part = expected[order]
    np.testing.assert_array_equal(part.hits().to_cells(), expected.hits().to_cells()[order])
    np.testing.assert_array_equal(part.lost_energy, expected.lost_energy[order])


def test_iteration_gives_the_same_showers(sampler, electrons):
    expected = placed(sampler, electrons)
    chunks = list(
        sampler.sample_iter(**electrons, seed=3, chunk=15, placement="cell", calorimeter=CALORIMETER, edge="cut")
    )
    assert [len(chunk) for chunk in chunks] == [15, 15, 10]
    found = np.concatenate([chunk.hits().to_cells() for chunk in chunks])
    np.testing.assert_allclose(found, expected.hits().to_cells(), rtol=1e-5, atol=1e-7)
    with pytest.raises(DomainError, match="near to the edge"):
        sampler.sample_iter(**electrons, placement="cell", calorimeter=CALORIMETER, edge="raise")


def test_records_have_the_calorimeter_s_rows_and_the_caller_s_points(sampler, electrons):
    counts = [3, 0, 30, 7]
    events = {name: ak.unflatten(values, counts) for name, values in electrons.items()}
    showers = placed(sampler, events)
    records = showers.to_awkward()
    assert ak.num(records).tolist() == counts
    flat = ak.flatten(records)
    np.testing.assert_array_equal(ak.to_numpy(flat.x), electrons["x"])
    np.testing.assert_array_equal(ak.to_numpy(flat.lost_energy), showers.lost_energy)
    hits = ak.flatten(flat.hits)
    cell = CALORIMETER.flat_index(*(ak.to_numpy(hits[name]) for name in ("layer", "row", "column")))
    filled = np.zeros((40, CALORIMETER.n_cells), dtype=np.float32)
    filled[np.repeat(np.arange(40), ak.to_numpy(ak.num(flat.hits))), cell] = ak.to_numpy(hits.energy)
    np.testing.assert_array_equal(filled, showers.hits().to_cells())
    assert showers[:2].to_awkward().lost_energy.tolist() == showers.lost_energy[:2].tolist()


@pytest.mark.parametrize(
    ("trained", "layout", "written"), [("hits", None, "hits"), ("dense", None, "hits"), ("hits", "dense", "dense")]
)
def test_root_files_have_the_calorimeter_s_cells(
    make_bundle, electrons, tmp_path, monkeypatch, trained, layout, written
):
    monkeypatch.setattr(writing, "BLOCK", 15)  # showers go to the file in three parts
    sampler = ShowerSampler(make_bundle.three_layers(layout=trained, domain=WINDOW))
    showers = placed(sampler, electrons, shower_id=np.arange(50, 90))
    showers.to_root(tmp_path / "out.root", layout=layout)
    schema = sampler.bundle.info.schema.as_layout(written, CALORIMETER)
    found = read_showers([str(tmp_path / "out.root")], schema, CALORIMETER)
    np.testing.assert_array_equal(found.event, np.arange(50, 90))
    np.testing.assert_array_equal(found.incident, showers.incident)
    np.testing.assert_allclose(found.cell_energy, showers.hits().to_cells(), rtol=1e-6)
    assert read_provenance(tmp_path / "out.root")["placement"] == "cell"


def test_a_dense_file_of_a_huge_calorimeter_is_refused(make_bundle, tmp_path):
    edges = tuple(np.linspace(-3030, 3030, 301))
    sampler = ShowerSampler(make_bundle(), threads=1)
    huge = Geometry((Layer(edges, edges, 122.0),))
    showers = sampler.sample(0, 0, [10.0, 20.0], 2000.0, -1000.0, placement="cell", calorimeter=huge)
    with pytest.raises(SchemaError, match=r"90000 cells a shower are too many for a dense file; pass layout='hits'"):
        showers.to_root(tmp_path / "out.root", layout="dense")
    showers.to_root(tmp_path / "out.root")
    assert (tmp_path / "out.root").stat().st_size < 100_000


def test_particles_near_the_edge_are_refused_on_request(sampler, electrons):
    middle = electrons | {"x": np.full(40, -20.0), "y": np.full(40, 10.0)}
    assert placed(sampler, middle, edge="raise").lost_energy.max() == 0
    middle["x"][7:9] = -175.5
    text = r"^2 of 40 .* that the trained grid reaches beyond it, the first is number 7 with x=-175.5, y=10 \[mm\]; .*"
    with pytest.raises(DomainError, match=text):
        placed(sampler, middle, edge="raise")


def test_the_calorimeter_s_face_is_the_domain(sampler):
    def sample(x, **options):
        return sampler.sample(0, 0, 10, x, 0.0, seed=3, placement="cell", calorimeter=CALORIMETER, **options)

    with pytest.raises(DomainError, match=r"x -190 to 230 mm, y -140 to 130 mm\), the first is .* x=240, y=0 "):
        sample(240.0)
    with pytest.raises(DomainError, match=r"pz=-10"):
        sampler.sample(0, 0, -10, 0, 0, placement="cell", calorimeter=CALORIMETER)
    with pytest.warns(OutsideDomainWarning) as record:
        far = sample([1e4, 1e30], outside="warn")
    assert record[0].filename == __file__
    assert far.total_energy.tolist() == [0, 0]
    assert far.lost_energy.min() > 0
    clipped = sample(1e30, outside="clip")
    assert clipped.incident[0, 3] == 230
    in_window = sampler.sample(0, 0, 10, 230.0 - 4 * STEP[0], 0, seed=3)
    np.testing.assert_allclose(clipped.total_energy + clipped.lost_energy, in_window.total_energy, rtol=1e-6)


def test_what_does_not_go_together_is_refused(make_bundle, sampler):
    with pytest.raises(ConfigError, match=r"^placement must be one of 'window', 'cell', got 'cells'$"):
        sampler.sample(0, 0, 10, 0, 0, placement="cells")
    with pytest.raises(ConfigError, match=r"^edge must be one of 'cut', 'raise', got 'drop'$"):
        sampler.sample(0, 0, 10, 0, 0, placement="cell", edge="drop")
    for option in ({"calorimeter": CALORIMETER}, {"edge": "raise"}):
        with pytest.raises(ConfigError, match="go with placement='cell'; pass that, too"):
            sampler.sample(0, 0, 10, 0, 0, **option)
    with pytest.raises(GeometryError, match="has 3 layers, the other 1"):
        sampler.sample(0, 0, 10, 0, 0, placement="cell", calorimeter=Geometry(CALORIMETER.layers[:1]))
    blind = ShowerSampler(make_bundle.three_layers("blind", condition=("momentum", "direction"), domain=WINDOW))
    with pytest.raises(ConfigError, match=r"trained without an entry point: .*; leave out placement='cell'$"):
        blind.sample(0, 0, 10, placement="cell")


@pytest.mark.parametrize(
    ("geometry", "text"),
    [
        (CALORIMETER, "along x of 20 and 30 mm: the shortest step is 60 mm, but the entry window is -5 to 5 mm"),
        (
            Geometry((CALORIMETER.layers[0], Layer((0.0, np.pi), (0.0, 1.0), 120.0))),
            "along x of 3.14159 and 20 mm: there is no such step, but",
        ),
    ],
)
def test_a_window_without_a_step_is_refused(geometry, text):
    domain = Domain((1.0, 64.0), 0.35, (-5.0, 5.0), (-20.0, 20.0))
    with pytest.raises(DomainError, match=text):
        CellPlacement(geometry, geometry, domain)


def test_rings_are_not_moved():
    rings = Geometry((PolarLayer((0.0, 10.0, 20.0), 8, 120.0),))
    with pytest.raises(GeometryError, match=r"layer 0 has rings of cells about the axis: .* and cannot be moved$"):
        CellPlacement(rings, rings, WINDOW)


POINT = st.floats(-1e4, 1e4, width=32)


@given(point=st.tuples(POINT, POINT), centre=st.tuples(st.integers(-50, 50), st.integers(-50, 50)))
def test_the_nearest_point_to_the_middle_is_taken(point, centre):
    windows = ((middle - 1.5 * size, middle + 1.5 * size) for middle, size in zip(centre, STEP, strict=True))
    placement = CellPlacement(CALORIMETER, CALORIMETER, Domain((1.0, 64.0), 0.35, *windows))
    np.testing.assert_array_equal(placement.step, STEP)
    incident = np.array([[0, 0, 10, *point]], dtype=np.float32)
    moved = placement.to_window(incident)
    steps = (incident[:, 3:].astype(float) - moved[:, 3:]) / STEP
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-5)
    assert (abs(moved[0, 3:] - centre) <= np.array(STEP) * (0.5 + 1.1e-4)).all()
    assert not placement.trained.outside(moved).any()


ECAL30_PITCH = 20.2
ONE_IN = 1000
"""How rarely one of many observables may differ by chance for showers that are alike; seeds and showers are fixed."""


@pytest.fixture(scope="module")
def geant4(shipped):
    """The shipped Geant4 electrons, cut at the threshold of the shipped surrogate."""
    info = load_sampler("ecal30-electron").bundle.info
    schema = replace(info.schema.as_layout("hits", info.geometry), tree="hits")
    return read_showers([str(shipped / "hits_*.root")], schema, info.geometry).above(info.threshold)


def moved_rows(showers, rows):
    """Showers whose cells, but not their particles, are some rows further up in x; what goes beyond the end is lost."""
    before = showers.geometry.layer_images(showers.cell_energy)[0]
    after = np.zeros_like(before)
    target, source = slice(max(rows, 0), min(rows, 0) or None), slice(max(-rows, 0), min(-rows, 0) or None)
    after[:, target] = before[:, source]
    return replace(showers, cell_energy=after.reshape(showers.cell_energy.shape))


def smallest_p(reference, generated):
    """p-value of two samples of showers, Bonferroni's of the tests of all observables and of the profile along x."""
    samples = []
    for showers in (reference, generated):
        found = compute_observables(showers.cell_energy, showers.incident, showers.geometry)
        rows = showers.geometry.layer_images(showers.cell_energy)[0].sum(axis=2)
        share = rows / rows.sum(axis=1, keepdims=True)
        found |= {f"row {row}": share[:, row] for row in range(11, 19)}
        samples.append(found)
    reference, generated = samples
    values = [ks_2samp(reference[name], generated[name], method="asymp", nan_policy="omit") for name in reference]
    return len(values) * min(value.pvalue for value in values)


def test_geant4_showers_are_the_same_in_the_next_cell(geant4):
    left = geant4.incident[:, 3] < 0
    here, there = geant4[~left], geant4[left]
    assert min(len(here), len(there)) > 3500
    entry = there.incident.copy()
    entry[:, 3] += np.float32(ECAL30_PITCH)
    there = replace(there, incident=entry)
    assert smallest_p(here, moved_rows(there, 1)) > 1 / ONE_IN
    assert smallest_p(here, moved_rows(there, 0)) < 1e-30
    assert smallest_p(here, moved_rows(there, 2)) < 1e-30


def test_the_surrogate_s_showers_are_geant4_s_in_a_cell_that_it_was_not_asked_for(geant4):
    trained = load_sampler("ecal30-electron").bundle
    half = replace(trained.info.domain, entry_x=(0.0, ECAL30_PITCH))
    sampler = ShowerSampler(replace(trained, info=replace(trained.info, domain=half)), threads=1)
    held_out = geant4[assign_splits(geant4.event) == SPLITS.index("test")]
    reference = held_out[held_out.incident[:, 3] < 0]
    assert len(reference) > 700
    with pytest.raises(DomainError, match=r"x 0 to 20\.2 mm"):
        sampler.sample(*reference.incident.T)
    showers = sampler.sample(*reference.incident.T, seed=7, shower_id=reference.event, placement="cell")
    generated = replace(reference, cell_energy=showers.hits().to_cells())
    assert smallest_p(reference, generated) > 1 / ONE_IN
    for rows in (1, 2, -1):  # off by one, and moved to the wrong side
        assert smallest_p(reference, moved_rows(generated, rows)) < 1e-30


def test_rounding_does_not_choose_between_two_steps(make_bundle):
    """In the middle of a cell, where one step ends and the next begins, all places are alike."""
    edges = tuple(20.2 * np.arange(-60, 61))
    sampler = ShowerSampler(make_bundle(), threads=1)
    x = 10.1 + 20.2 * np.arange(-40, 40)
    showers = sampler.sample(
        0.0,
        0.0,
        np.full(80, 20.0),
        x,
        3.0,
        seed=3,
        placement="cell",
        calorimeter=Geometry((Layer(edges, edges, 122.0),)),
    )
    assert len(set((showers.first[:, 0, 0] - np.arange(80)).tolist())) == 1


def test_a_window_of_one_step_is_not_left(make_bundle):
    edges = tuple(20.2 * np.arange(-60, 61))
    domain = Domain((1.0, 64.0), 0.35, (0.0, 20.2), (0.0, 20.2))
    bundle = make_bundle()
    sampler = ShowerSampler(replace(bundle, info=replace(bundle.info, domain=domain)), threads=1)
    x = 20.2 * np.arange(-40, 40) + np.tile([0.0, 1e-3, -1e-3, 20.1999], 20)
    wall = Geometry((Layer(edges, edges, 122.0),))
    showers = sampler.sample(0.0, 0.0, 20.0, x, 3.0, seed=3, placement="cell", calorimeter=wall)
    assert not domain.outside(showers.window_incident).any()


def test_in_the_window_particles_go_with_the_cells(make_bundle, electrons):
    sampler = ShowerSampler(make_bundle.three_layers(domain=WINDOW), threads=1)
    showers = placed(sampler, electrons)
    inside = showers.in_window()
    assert not sampler.domain.outside(inside.incident).any()
    assert np.array_equal(inside.cell_energy, showers.cell_energy)
    assert np.array_equal(showers[3:5].in_window().incident, inside.incident[3:5])


def test_a_calorimeter_is_a_geometry(make_bundle):
    with pytest.raises(ConfigError, match="calorimeter must be a Geometry, got str; of a YAML file"):
        ShowerSampler(make_bundle()).sample(0, 0, 20.0, 0, 0, placement="cell", calorimeter="wall.yaml")
