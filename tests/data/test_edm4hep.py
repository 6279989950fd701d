from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from calogan.config import Edm4hepSource
from calogan.data.reading import InputFile, count_showers, iterate_chunks
from calogan.data.schema import Schema
from calogan.data.split import entry_ids
from calogan.errors import CaloganError, DataError, SchemaError
from calogan.geometry import Geometry, Layer

# Two layers of 4 x 4 cells of 10 mm.
EDGES = (-20.0, -10.0, 0.0, 10.0, 20.0)
GEOMETRY = Geometry(
    (Layer(EDGES, EDGES, depth=5.0, z_range=(0.0, 10.0)), Layer(EDGES, EDGES, depth=15.0, z_range=(10.0, 20.0)))
)
BARREL = {"face": "barrel", "radius": 1000.0, "half_length": 500.0, "sides": 4}
GUN = {
    "PDG": [[22], [11, 22, -11]],
    "charge": [[0.0], [-1.0, 0.0, 1.0]],
    "generatorStatus": [[1], [0, 1, 0]],
    "parents_begin": [[0], [0, 0, 1]],
    "parents_end": [[0], [1, 0, 2]],
    # to +x, and to -y
    "vertex.x": [[0.0], [7.0, 0.0, 7.0]],
    "vertex.y": [[0.0], [7.0, 0.0, 7.0]],
    "vertex.z": [[1.0], [7.0, 0.0, 7.0]],
    "momentum.x": [[5.0], [1.0, 0.0, 1.0]],
    "momentum.y": [[0.0], [1.0, -2.0, 1.0]],
    "momentum.z": [[0.0], [1.0, 0.2, 1.0]],
}
# The second particle enters at (0, -1000, 100), where x is along +x and y along +z.
HITS = {
    "energy": [[0.5, 0.25, 0.125], [1.0]],
    "position.x": [[1005.0, 1005.0, 1012.0], [-3.0]],
    "position.y": [[1.0, 2.0, -15.0], [-1019.0]],
    "position.z": [[1.5, 2.5, 1.0], [115.0]],
}
CONTRIBUTIONS = {
    "contributions_begin": [[0, 2, 3], [0]],
    "contributions_end": [[2, 3, 4], [2]],
    "contributions": [[0, 3, 2, 1], [0, 1]],
}
STEPS = {
    # the first hit's steps are 0 and 3
    "energy": [[0.3, 0.125, 0.25, 0.2], [0.4, 0.6]],
    "stepPosition.x": [[1004.0, 1012.0, 1005.0, 1006.0], [-3.0, -2.0]],
    "stepPosition.y": [[-1.0, -15.0, 2.0, 11.0], [-1018.0, -1009.0]],
    "stepPosition.z": [[1.5, 1.0, 2.5, 1.5], [115.0, 115.0]],
}
HEADER = {"eventNumber": [[7], [8]], "runNumber": [[0], [3]]}
FILE = {"EventHeader": HEADER, "MCParticles": GUN, "ECal": HITS | CONTRIBUTIONS, "ECalContributions": STEPS}


def schema_of(**changes):
    source = {"layout": "edm4hep", "files": ["-"], "collections": ["ECal"], "local_frame": BARREL} | changes
    return Schema.from_source(Edm4hepSource.model_validate(source))


def read(path, schema=None, geometry=GEOMETRY, chunk=10):
    return list(iterate_chunks(InputFile(str(path)), schema or schema_of(), geometry, chunk))


def changed(collection, **attributes):
    return FILE | {collection: FILE[collection] | attributes}


@pytest.mark.parametrize("form", ["tree", "old", "rntuple"])
def test_hits_are_seen_from_the_entry_point(tmp_path, write_podio, form):
    path = write_podio(tmp_path / "a.root", FILE, form)
    (chunk,) = read(path)
    showers = chunk.showers
    assert showers.pdg.tolist() == [22, 22]
    assert showers.event.tolist() == [7, (3 << 32) + 8]
    assert showers.incident == pytest.approx(np.array([[0, 0, 5, 0, 0], [0, 0.2, 2, 0, 0]]))
    cells = [GEOMETRY.flat_index(*at) for at in ((0, 2, 2), (1, 0, 2), (1, 1, 3))]
    expected = np.zeros((2, 32))
    expected[[0, 0, 1], cells] = [0.75, 0.125, 1.0]
    assert showers.cell_energy == pytest.approx(expected)
    assert (chunk.hits, chunk.hits_outside, chunk.energy_outside) == (4, 0, 0)
    assert count_showers(InputFile(str(path)), schema_of()) == 2


@pytest.mark.parametrize("form", ["tree", "old", "rntuple"])
def test_contributions_give_finer_positions_of_the_same_energy(tmp_path, write_podio, form):
    path = write_podio(tmp_path / "a.root", FILE, form)
    (chunk,) = read(path, schema_of(position="contribution"))
    expected = np.zeros((2, 32))
    for shower, at, energy in (
        (0, (0, 1, 2), 0.3),
        (0, (0, 3, 2), 0.2),
        (0, (0, 2, 2), 0.25),
        (0, (1, 0, 2), 0.125),
        (1, (1, 1, 3), 0.4),
        (1, (0, 1, 3), 0.6),
    ):
        expected[shower, GEOMETRY.flat_index(*at)] = energy
    assert chunk.showers.cell_energy == pytest.approx(expected)
    assert chunk.hits == 6


def test_hits_outside_are_counted_with_their_energy(tmp_path, write_podio):
    path = write_podio(tmp_path / "a.root", changed("ECal", **{"position.z": [[1.5, 2.5, 999.0], [115.0]]}))
    (chunk,) = read(path)
    assert (chunk.hits, chunk.hits_outside, chunk.energy_outside) == (4, 1, 0.125)


def test_chunks_make_no_difference(tmp_path, write_podio):
    path = write_podio(tmp_path / "a.root", FILE)
    for schema in (schema_of(), schema_of(position="contribution")):
        (whole,), parts = read(path, schema), read(path, schema, chunk=1)
        assert [part.start for part in parts] == [0, 1]
        for name in ("event", "incident", "cell_energy", "pdg"):
            joined = np.concatenate([getattr(part.showers, name) for part in parts])
            assert np.array_equal(joined, getattr(whole.showers, name))


def test_several_collections_make_one_shower(tmp_path, write_podio):
    front = {key: [values[0][:1], []] for key, values in HITS.items()}
    back = {key: [values[0][1:], values[1]] for key, values in HITS.items()}
    path = write_podio(tmp_path / "a.root", FILE | {"Front": front, "Back": back})
    (split,), (whole,) = read(path, schema_of(collections=["Back", "Front"])), read(path)
    assert np.array_equal(split.showers.cell_energy, whole.showers.cell_energy)


def test_units_and_other_names(tmp_path, write_podio):
    file = {"Header": HEADER, "Particles": GUN, "Hits": HITS}
    path = write_podio(tmp_path / "a.root", file)
    frame = {"face": "barrel", "radius": 10_000.0, "half_length": 5000.0, "sides": 4}
    wide = tuple(10 * edge for edge in EDGES)
    geometry = Geometry((Layer(wide, wide, depth=50.0, z_range=(0.0, 200.0)),))
    names = {"collections": ["Hits"], "particles": "Particles", "header": "Header", "local_frame": frame}
    (chunk,) = read(path, schema_of(**names, units={"energy": "MeV", "momentum": "MeV", "length": "cm"}), geometry)
    assert chunk.showers.total_energy == pytest.approx([0.000875, 0.001])
    assert chunk.showers.momentum == pytest.approx([0.005, np.hypot(0.2, 2) / 1000])
    assert chunk.hits_outside == 0


def test_entry_point_is_what_the_cells_leave(tmp_path, write_podio):
    path = write_podio(tmp_path / "a.root", FILE)
    frame = BARREL | {"cell": (10.0, 10.0), "cell_centre": (5.0, 2.0)}
    (chunk,) = read(path, schema_of(local_frame=frame))
    # of centres at z = 2 + 10 n, particles at 1 and at 100; of those at x = 5 + 10 n, at 0
    assert np.abs(chunk.showers.incident[:, 3]) == pytest.approx(5.0)
    assert chunk.showers.incident[:, 4] == pytest.approx([-1.0, -2.0])


def test_without_header_ids_come_from_the_file(tmp_path, write_podio):
    path = write_podio(tmp_path / "a.root", {key: FILE[key] for key in ("MCParticles", "ECal")})
    schema = schema_of(header=None)
    (chunk,) = iterate_chunks(InputFile(str(path)), schema, GEOMETRY, 10, "abc")
    assert np.array_equal(chunk.showers.event, entry_ids("abc", np.arange(2)))


def test_without_stable_particles_the_one_without_parents_is_it(tmp_path, write_podio):
    path = write_podio(tmp_path / "a.root", changed("MCParticles", generatorStatus=[[0], [0, 0, 0]]))
    (chunk,) = read(path)
    assert chunk.showers.pdg.tolist() == [22, 22]


def test_charged_particles_are_followed_only_where_that_is_said(tmp_path, write_podio):
    path = write_podio(
        tmp_path / "a.root", changed("MCParticles", PDG=[[11], [11, 22, -11]], charge=[[-1.0], [0, 0, 0]])
    )
    with pytest.raises(DataError, match=r"entry 0: the incident particle is charged and flies 1000 mm .* straight"):
        read(path)
    (chunk,) = read(path, schema_of(charged="straight"))
    assert chunk.showers.pdg.tolist() == [11, 22]
    at_face = changed("MCParticles", charge=[[-1.0], [0, 0, 0]], **{"vertex.x": [[999.5], [7.0, 0.0, 7.0]]})
    (chunk,) = read(write_podio(tmp_path / "b.root", at_face))
    assert chunk.showers.pdg.tolist() == [22, 22]


@pytest.mark.parametrize(
    ("collection", "attributes", "said"),
    [
        ("MCParticles", {"generatorStatus": [[1], [1, 1, 0]]}, r"entry 1: expected one .*found 2 \(pdg 11, 22\)"),
        (
            "MCParticles",
            {"generatorStatus": [[0], [0, 0, 0]], "parents_end": [[1], [1, 0, 2]]},
            "entry 0: .*found none",
        ),
        ("MCParticles", {"vertex.x": [[0.0], [0.0, np.nan, 0.0]]}, "vertex', entry 1: is .*finite"),
        ("MCParticles", {"vertex.x": [[1010.0], [0.0, 0.0, 0.0]]}, "entry 0: .* starts 10 mm behind the front face"),
        ("MCParticles", {"momentum.x": [[0.0], [0.0, 0.0, 0.0]]}, "entry 0: the incident momentum is 0"),
        ("EventHeader", {"eventNumber": [[7], [8, 9]], "runNumber": [[0], [0, 0]]}, "entry 1: expected one header"),
        ("EventHeader", {"eventNumber": [[7], [-8]]}, "entry 1: event -8 of run 3 does not fit"),
        ("ECal", {"energy": [[0.5, -0.25, 0.125], [1.0]]}, r"'ECal.energy', entry 0: the energy is -0.25"),
        ("ECal", {"position.z": [[0.5, 0.25, 0.125], [np.inf]]}, r"'ECal.position.x', entry 1: is nan"),
    ],
)
def test_impossible_events_are_named(tmp_path, write_podio, collection, attributes, said):
    path = write_podio(tmp_path / "a.root", changed(collection, **attributes))
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match=said):
        read(path)


@pytest.mark.parametrize(
    ("collection", "attributes", "said"),
    [
        ("ECal", {"contributions_end": [[2, 3, 5], [2]]}, "entry 0: refers to contributions that are not there"),
        ("ECal", {"contributions": [[0, 3, 2, 1], [0, 2]]}, "entry 1: refers to contributions that are not there"),
        ("ECal", {"contributions_end": [[2, 3, 4], [1]]}, "entry 1: adds up to 0.4, the hits to 1: contributions are"),
        (
            "ECalContributions",
            {f"stepPosition.{x}": [[0.0] * 4, [0.0] * 2] for x in "xyz"},
            "entry 0: a step at 0, 0, 0",
        ),
    ],
)
def test_contributions_that_do_not_belong_are_named(tmp_path, write_podio, collection, attributes, said):
    path = write_podio(tmp_path / "a.root", changed(collection, **attributes))
    with pytest.raises(DataError, match=said):
        read(path, schema_of(position="contribution"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"collections": ["ECall"]}, "no collection 'ECall' with 'energy'; did you mean 'ECal'"),
        ({"particles": "ECal"}, "collection 'ECal' has no 'PDG'; .*'MCParticles'"),
        ({"collections": ["Subset"]}, "only refers to objects of another one"),
        ({"position": "contribution", "contributions": ["Steps"]}, "no collection 'Steps' with 'energy'"),
        ({"position": "contribution", "collections": ["Bare"]}, "'Bare' has no 'contributions_begin'"),
        ({"tree": "event"}, "no tree 'event'; did you mean 'events'"),
    ],
)
def test_collections_that_are_not_there_are_named(tmp_path, write_podio, changes, said):
    path = write_podio(tmp_path / "a.root", FILE | {"Bare": HITS, "Subset_objIdx": {"index": [[0], [0]]}})
    with pytest.raises(SchemaError, match=said):
        read(path, schema_of(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"collections": ["A", "A"]}, "each may be named once"),
        ({"collections": ["A"], "contributions": ["B", "C"]}, "name one of each of the 1"),
        ({"local_frame": BARREL | {"sides": 2}}, "at least 3"),
        ({"local_frame": BARREL | {"axes": "particle", "cell": [1, 1]}}, "cell needs axes: face"),
        ({"local_frame": BARREL | {"cell": [0, 1]}}, "sizes must be above 0"),
        ({"local_frame": {"face": "endcap", "z": 10, "radii": [5, 3]}}, "inner radius"),
        ({"local_frame": {"face": "endcap", "z": 10, "radii": [3, 5], "cell": [1, 1]}}, "cell needs phi"),
    ],
)
def test_impossible_sources_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        schema_of(**changes)


def test_schema_comes_back_and_is_written_as_hits():
    schema = schema_of(position="contribution", local_frame=BARREL | {"cell": (5.0, 5.0)})
    assert Schema.from_dict(schema.to_dict()) == schema
    written = schema.written(GEOMETRY)
    assert (written.layout, written.tree, written.collections) == ("hits", "showers", None)
    assert written.branches == [
        "event",
        "pdg",
        "px",
        "py",
        "pz",
        "x",
        "y",
        "cell_layer",
        "cell_ix",
        "cell_iy",
        "cell_energy",
    ]
    with pytest.raises(SchemaError, match="read, not written"):
        written.as_layout("edm4hep", GEOMETRY)
    with pytest.raises(SchemaError, match="z_range"):
        schema.check(Geometry((Layer(EDGES, EDGES, depth=5.0),)))
    with pytest.raises(CaloganError, match="not collections"):
        Schema.from_dict(schema.to_dict() | {"collections": {"hits": []}})


@pytest.fixture
def clic():
    """Folder of two EDM4hep files of photons in the calorimeter of CLIC: 40 layers of 5.05 mm, cells of 5.1 mm."""
    folder = Path(os.environ.get("CALOGAN_DATA", "none")) / "third_party" / "clic_gamma"
    if not folder.is_dir():
        pytest.skip("the photons of CLIC are not there; set CALOGAN_DATA to the folder of the simulated showers")
    return folder


CLIC_BARREL = {"face": "barrel", "radius": 1500.0, "half_length": 2210.0, "sides": 12, "cell": (5.1, 5.1)}
CLIC_ENDCAP = {"face": "endcap", "z": 2307.0, "radii": (410.0, 1700.0), "phi": -15.0, "cell": (5.1, 5.1)}


def clic_geometry(cells=41):
    edges = tuple(5.1 * (np.arange(cells + 1) - cells / 2))
    depths = 5.05 * np.arange(41) + 0.1
    return Geometry(tuple(Layer(edges, edges, z + 2.5, (z, z + 5.05)) for z in depths))


def test_photons_of_clic_in_the_barrel(clic):
    names = {"collections": ["EB_SimCaloHits_EDM4hep"], "particles": "MCParticlesSkimmed_EDM4hep"}
    schema = schema_of(**names, local_frame=CLIC_BARREL)
    geometry = clic_geometry()
    (chunk,) = read(clic / "k4clue_clic_gamma_barrel.root", schema, geometry)
    showers = chunk.showers
    assert showers.pdg.tolist() == [22] * 10
    assert showers.event.tolist() == list(range(10))
    assert (np.abs(showers.incident[:, 3:]) <= 2.55).all()
    # the ninth photon converts in the tracker: its pair is bent away
    direct = np.arange(10) != 8
    # 1.9 mm of tungsten against 0.5 mm of silicon
    assert (showers.total_energy / showers.momentum)[direct] == pytest.approx(0.027, abs=0.004)
    energy = showers.cell_energy[direct]
    track = (
        showers.incident[direct, 3:, None]
        + showers.incident[direct, :2, None] * (geometry.cell_depth / showers.incident[direct, 2:3])[:, None]
    )
    total = energy.sum(axis=1)
    for axis, centres in enumerate((geometry.cell_x, geometry.cell_y)):
        off = np.sum(energy * (centres - track[:, axis]), axis=1) / total
        assert off == pytest.approx(np.zeros(9), abs=6.0)
        assert np.mean(off) == pytest.approx(0, abs=2.0)
    profile = geometry.layer_energy(energy).sum(axis=0)
    # the shower's maximum at 5 to 8 X0, of 0.6 X0 a layer
    assert 8 <= np.argmax(profile) <= 14
    assert profile[0] < 0.1 * profile.max()
    assert profile[-6:].max() < 0.1 * profile.max()


@pytest.mark.parametrize("position", ["hit", "contribution"])
def test_photons_of_clic_in_the_endcap(clic, position):
    names = {"collections": ["ECalEndcapCollection"], "local_frame": CLIC_ENDCAP, "position": position}
    (chunk,) = read(clic / "k4clue_clic_gamma_10GeV.root", schema_of(**names), clic_geometry(81))
    showers = chunk.showers
    assert (showers.total_energy / showers.momentum)[[0, 2]] == pytest.approx([0.0265, 0.026], abs=0.002)
    # the second photon passes beside the endcap, into the barrel
    assert showers.total_energy[1] == 0
    assert np.abs(showers.incident[1, 3:]).max() > 1000
    for shower in (0, 2):
        energy = showers.cell_energy[shower]
        incident = showers.incident[shower]
        geometry = showers.geometry
        for axis, centres in enumerate((geometry.cell_x, geometry.cell_y)):
            track = incident[3 + axis] + incident[axis] / incident[2] * geometry.cell_depth
            assert np.sum(energy * (centres - track)) / energy.sum() == pytest.approx(0, abs=5.0)
