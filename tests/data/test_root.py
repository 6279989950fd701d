from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from calogan.data.decode import Chunk, Jagged
from calogan.data.files import InputFile
from calogan.data.reading import (
    count_showers,
    fingerprint,
    iterate_chunks,
    iterate_showers,
    read_provenance,
    read_showers,
)
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.toy import toy_showers
from calogan.data.writing import ShowerWriter
from calogan.errors import DataError, SchemaError, ShapeError
from calogan.geometry import Geometry, Layer

LAYOUTS = ["dense", "hits", "positions"]
# Two layers: one row of 3 cells, and 2 x 2 cells.
GEOMETRY = Geometry(
    (
        Layer((-1.0, 1.0), (0.0, 1.0, 2.0, 3.0), depth=5.0, z_range=(0.0, 10.0)),
        Layer((-1.0, 0.0, 1.0), (0.0, 1.0, 2.0), depth=15.0, z_range=(10.0, 20.0)),
    )
)
DENSE = Schema(
    layout="dense",
    tree="t",
    event="event",
    pdg=None,
    momentum=("px", "py", "pz"),
    entry_point=None,
    energy=("front", "back"),
    place=(),
    energy_unit="MeV",
    momentum_unit="MeV",
    length_unit="cm",
)
HITS = replace(DENSE, layout="hits", energy=("e",), place=("layer", "row", "column"))
POSITIONS = replace(DENSE, layout="positions", energy=("e",), place=("hx", "hy", "hz"))
MOMENTUM = {"px": [0.0, 0.0, 3.0], "py": [0.0, 1.0, 0.0], "pz": [2000.0, 1.0, 4.0]}
DENSE_VALUES = {
    **{name: np.array(values, dtype=np.float32) for name, values in MOMENTUM.items()},
    "event": np.array([11, 12, 13]),
    "front": np.array([[1, 2, 3], [0, 0, 0], [0, 0, 9]], dtype=np.float32),
    "back": np.array([[[4, 5], [6, 7]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]], dtype=np.float32),
}
HIT_VALUES = {
    **{name: np.array(values, dtype=np.float64) for name, values in MOMENTUM.items()},
    "event": np.array([11, 12, 13], dtype=np.int32),
    "layer": ak.values_astype(ak.Array([[0, 1, 1], [], [0]]), np.int8),
    "row": ak.values_astype(ak.Array([[0, 1, 1], [], [0]]), np.int16),
    "column": ak.values_astype(ak.Array([[2, 0, 0], [], [0]]), np.uint8),
    "e": ak.values_astype(ak.Array([[1.0, 2.0, 4.0], [], [8.0]]), np.float64),
}
POSITION_VALUES = {
    **{name: HIT_VALUES[name] for name in ("px", "py", "pz", "event", "e")},
    # In cm: the third hit is outside, in y.
    "hx": ak.Array([[0.0, 0.05, 0.05], [], [-0.1]]),
    "hy": ak.Array([[0.25, 0.0, 0.21], [], [0.0]]),
    "hz": ak.Array([[0.5, 1.0, 1.0], [], [0.0]]),
}


def write(path, values, tree="t", *, rntuple=False):
    with uproot.recreate(path) as file:
        if rntuple:
            file.mkrntuple(tree, values)
        else:
            file.mktree(tree, values)
    return InputFile(str(path))


def read(file, schema, geometry=GEOMETRY, chunk=2):
    return list(iterate_showers(file, schema, geometry, chunk))


@pytest.mark.parametrize("rntuple", [False, True])
def test_dense_is_converted(tmp_path, rntuple):
    file = write(tmp_path / "a.root", DENSE_VALUES, rntuple=rntuple)
    first, second = read(file, DENSE)
    assert first.event.tolist() == [11, 12]
    assert second.event.tolist() == [13]
    assert first.cell_energy.dtype == np.float32
    assert first.cell_energy[0] == pytest.approx(np.arange(1, 8) / 1000)
    assert second.cell_energy.tolist() == [[0, 0, np.float32(9e-3), 0, 0, 0, 0]]
    assert first.incident.tolist() == [[0, 0, 2, 0, 0], [0, np.float32(1e-3), np.float32(1e-3), 0, 0]]
    assert first.pdg.tolist() == [0, 0]


@pytest.mark.parametrize("rntuple", [False, True])
def test_hits_of_one_cell_are_added(tmp_path, rntuple):
    file = write(tmp_path / "a.root", HIT_VALUES, rntuple=rntuple)
    first, second = read(file, HITS)
    assert np.array_equal(first.cell_energy[0], np.array([0, 0, 1, 0, 0, 6, 0], dtype=np.float32) / np.float32(1000))
    assert not first.cell_energy[1].any()
    assert second.cell_energy[0, 0] == np.float32(8e-3)


def test_positions_are_put_into_cells_and_counted(tmp_path):
    file = write(tmp_path / "a.root", POSITION_VALUES)
    first, second = iterate_chunks(file, POSITIONS, GEOMETRY, 2)
    assert first.showers.cell_energy[0] == pytest.approx(np.array([0, 0, 1, 0, 0, 2, 0]) / 1000)
    assert second.showers.cell_energy[0, 0] == np.float32(8e-3)
    assert (first.hits, first.hits_outside, second.hits, second.hits_outside) == (3, 1, 1, 0)


def test_one_layer_needs_no_layer_branch(tmp_path):
    geometry = Geometry(GEOMETRY.layers[1:])
    values = {**HIT_VALUES, "row": ak.Array([[1, 0, 0], [], [0]]), "column": ak.Array([[1, 0, 1], [], [0]])}
    first, _ = read(write(tmp_path / "a.root", values), replace(HITS, place=(None, "row", "column")), geometry)
    assert first.cell_energy[0] == pytest.approx(np.array([2, 4, 0, 1]) / 1000)


def test_one_row_may_be_flat_or_not(tmp_path):
    values = {**DENSE_VALUES, "front": DENSE_VALUES["front"].reshape(3, 1, 3)}
    first, _ = read(write(tmp_path / "a.root", values), DENSE)
    assert first.cell_energy[0] == pytest.approx(np.arange(1, 8) / 1000)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rntuple", [False, True])
def test_written_showers_come_back(toy, tmp_path, layout, rntuple):
    path = toy.write(tmp_path / "a.root", layout, rntuple=rntuple, provenance={"seed": "7"})
    back = read_showers([str(path)], toy.schema(layout), toy.geometry, chunk_showers=64)
    assert np.array_equal(back.event, toy.showers.event)
    assert np.array_equal(back.pdg, toy.showers.pdg)
    assert np.array_equal(back.incident, toy.showers.incident)
    # GeV -> MeV -> GeV rounds twice.
    np.testing.assert_allclose(back.cell_energy, toy.showers.cell_energy, rtol=2e-7)
    assert read_provenance(path) == {"seed": "7"}
    assert list(tmp_path.iterdir()) == [path]


def test_shipped_hits_are_where_the_file_says(ecal30_showers, shipped):
    with uproot.open(shipped / "hits_1001.root") as file:
        raw = file["hits"].arrays(["event", "cell_ix", "cell_iy", "cell_energy"], entry_stop=400)
    assert ecal30_showers.event.tolist() == raw["event"].tolist()
    for shower in (0, 290, 291, 399):
        image = np.zeros((30, 30), dtype=np.float32)
        image[raw["cell_ix"][shower], raw["cell_iy"][shower]] = raw["cell_energy"][shower]
        assert np.array_equal(ecal30_showers.cell_energy[shower], (image / np.float32(1000)).ravel())
    np.testing.assert_allclose(ecal30_showers.total_energy * 1000, ak.sum(raw["cell_energy"], axis=1), rtol=1e-5)


def test_the_two_shipped_layouts_have_the_same_response(shipped, ecal30_config):
    geometry = Geometry.from_dict(ecal30_config.geometry.to_dict())
    schema = Schema.from_source(ecal30_config.data.sources[0])
    dense = replace(schema.as_layout("dense", geometry), tree="showers")
    showers = read_showers([str(shipped / "dense_1004.root")], dense, geometry, max_showers=1000)
    # 0.171 by the sample's description; the resolution of 7.6%/sqrt(E) leaves an error of 0.0003.
    assert np.mean(showers.total_energy / showers.momentum) == pytest.approx(0.171, abs=0.001)


def test_blocks_of_a_chunk_join_seamlessly():
    counts = np.array([2, 0, 1, 3, 0])
    columns = {"a": np.arange(5), "b": Jagged(counts, np.arange(6))}
    pieces = list(Chunk("f:t", 10, 5, columns).split(2))
    assert [(piece.start, piece.size) for piece in pieces] == [(10, 2), (12, 2), (14, 1)]
    assert [piece.columns["a"].tolist() for piece in pieces] == [[0, 1], [2, 3], [4]]
    assert [piece.columns["b"].content.tolist() for piece in pieces] == [[0, 1], [2, 3, 4, 5], []]
    assert [piece.columns["b"].counts.tolist() for piece in pieces] == [[2, 0], [1, 3], [0]]


def test_written_hits_read_by_uproot_alone(tmp_path):
    geometry = Geometry(GEOMETRY.layers[1:])
    cells = np.array([[0, 0.5, 0, 0.25], [0, 0, 0, 0]], dtype=np.float32)
    showers = Showers(geometry, np.array([3, 4]), np.ones((2, 5), "f4"), cells, np.array([11, 22], dtype=np.int32))
    schema = replace(HITS, place=(None, "row", "column"), pdg="pdg", entry_point=("x", "y"))
    with ShowerWriter(tmp_path / "a.root", schema, geometry) as writer:
        writer.extend(showers)
    with uproot.open(tmp_path / "a.root") as file:
        assert file["t"].arrays(library="ak").tolist() == [
            {"event": 3, "pdg": 11, "px": 1000, "py": 1000, "pz": 1000, "x": approx(0.1), "y": approx(0.1), "ne": 2}
            | {"row": [0, 1], "column": [1, 1], "e": [500, 250]},
            {"event": 4, "pdg": 22, "px": 1000, "py": 1000, "pz": 1000, "x": approx(0.1), "y": approx(0.1), "ne": 0}
            | {"row": [], "column": [], "e": []},
        ]


def approx(value):
    return pytest.approx(value, rel=1e-6)


def test_many_small_pieces_make_few_baskets(toy, tmp_path):
    showers = toy_showers(np.random.default_rng(1), toy.geometry, 2600)
    with ShowerWriter(tmp_path / "a.root", toy.schema("hits"), toy.geometry) as writer:
        for start in range(0, 2600, 7):
            writer.extend(showers[start : start + 7])
        writer.extend(showers[:0])
    with uproot.open(tmp_path / "a.root") as file:
        assert file["hits"]["cell_energy"].num_baskets == 3
    back = read_showers([str(tmp_path / "a.root")], toy.schema("hits"), toy.geometry)
    assert np.array_equal(back.event, showers.event)
    np.testing.assert_allclose(back.cell_energy, showers.cell_energy, rtol=2e-7)


def test_writer_in_another_layout_and_tree(toy, tmp_path):
    with ShowerWriter(tmp_path / "a.root", toy.schema("hits"), toy.geometry, layout="dense", tree="other") as writer:
        writer.extend(toy.showers)
    schema = replace(toy.schema("dense"), tree="other")
    assert count_showers(InputFile(str(tmp_path / "a.root")), schema) == 200


def test_writer_leaves_nothing_after_an_error(toy, tmp_path):
    (tmp_path / "a.root").write_text("old")
    other = Showers(GEOMETRY, np.zeros(1, int), np.ones((1, 5), "f4"), np.ones((1, 7), "f4"), np.ones(1, "i4"))

    def write_two():
        with ShowerWriter(tmp_path / "a.root", toy.schema("hits"), toy.geometry) as writer:
            writer.extend(toy.showers)
            writer.extend(other)

    with pytest.raises(ShapeError, match="showers of 7 cells for a file of 80 cells"):
        write_two()
    assert (tmp_path / "a.root").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.root"]


def test_max_showers_and_several_files(toy, tmp_path):
    files = [f"{toy.file('hits')}:hits"]
    some = read_showers(files, toy.schema("hits"), toy.geometry, max_showers=70, chunk_showers=64)
    assert np.array_equal(some.event, toy.showers.event[:70])
    empty = toy.write(tmp_path / "empty.root", "hits", toy.showers[:0])
    more = read_showers(
        [str(empty), *files, str(tmp_path / "empty.root")], toy.schema("hits"), toy.geometry, max_showers=10
    )
    assert np.array_equal(more.event, toy.showers.event[:10])
    with pytest.raises(DataError, match=r"empty\.root: no showers"):
        read_showers([str(empty)], toy.schema("hits"), toy.geometry)


def test_ids_without_an_event_branch_come_from_the_content(toy, tmp_path):
    schema = replace(toy.schema("hits"), event=None)
    copy = tmp_path / "copy.root"
    copy.write_bytes(toy.file("hits").read_bytes())
    ids = read_showers([str(toy.file("hits"))], schema, toy.geometry, chunk_showers=64).event
    assert np.array_equal(ids, read_showers([str(copy)], schema, toy.geometry, chunk_showers=200).event)
    assert len(np.unique(ids)) == 200


def test_url_is_read(toy):
    url = toy.file("hits").as_uri()
    showers = read_showers([f"{url}:hits"], toy.schema("hits"), toy.geometry)
    assert np.array_equal(showers.event, toy.showers.event)
    with uproot.open(toy.file("hits")) as file:
        assert fingerprint(InputFile(url), DENSE) == file.file.uuid.hex


def test_files_of_other_programs_have_no_provenance(shipped):
    assert read_provenance(shipped / "dense_1004.root") == {}


BAD_DENSE = [
    (
        {"front": np.array([[1, 2, 3], [0, np.nan, 0], [0, 0, 0]])},
        r"'front', entry 1: the energy is nan in cell \[0\]\[1\]",
    ),
    ({"back": -DENSE_VALUES["back"]}, r"'back', entry 0: the energy is -4\.0 in cell \[0\]\[0\]"),
    (
        {"front": np.array([[1, 2, 3], [0, 0, 0], [0, 0, np.inf]])},
        r"'front', entry 2: the energy is inf in cell \[0\]\[2\]",
    ),
    ({"front": np.array([[1e300, 2, 3], [0, 0, 0], [0, 0, 0]])}, r"'front', entry 0: the energy is 1e\+300"),
    ({"px": np.array([0, np.nan, 0])}, r"'px', entry 1: is nan, expected a finite number"),
    ({name: np.array([1.0, 0.0, 2.0]) for name in MOMENTUM}, r"'px, py, pz', entry 1: the incident momentum is 0"),
    ({"event": np.array([1, 2, 2**63], dtype=np.uint64)}, r"'event', entry 2: .* does not fit 63 bits"),
]
BAD_SCHEMA = [
    (
        {"front": np.ones((3, 4))},
        r"'front': expected numbers of shape \[1\]\[3\] or \[3\] a shower, found float64\[4\]",
    ),
    ({"back": np.ones((3, 2, 3))}, r"'back': expected numbers of shape \[2\]\[2\] a shower, found float64\[2\]\[3\]"),
    ({"event": np.array([1.5, 2.5, 3.5])}, r"'event': expected one whole number a shower, found float64"),
    ({"front": ak.Array([[1.0], [], [2.0]])}, r"'front': expected .* found lists or objects"),
    ({"px": None}, r"no branch 'px'; did you mean 'p\w'"),
]


@pytest.mark.parametrize(
    ("error", "values", "message"),
    [*((DataError, *case) for case in BAD_DENSE), *((SchemaError, *case) for case in BAD_SCHEMA)],
)
def test_bad_dense_files_are_named(tmp_path, error, values, message):
    values = {name: value for name, value in {**DENSE_VALUES, **values}.items() if value is not None}
    file = write(tmp_path / "a.root", values)
    with pytest.raises(error, match=rf"a\.root:t.*{message}") as caught:
        read(file, DENSE)
    assert "\n" not in str(caught.value)


BAD_HITS = [
    (DataError, {"e": [[1, 2, 4], [], [1e300]]}, r"'e', entry 2: the energy is 1e\+300, expected"),
    (DataError, {"e": [[1, np.nan, 4], [], [8]]}, r"'e', entry 0: the energy is nan, expected"),
    (DataError, {"e": [[1, 2, 4], [], [-8]]}, r"'e', entry 2: the energy is -8, expected"),
    (DataError, {"row": [[0, 1, 1], [], [0, 0]]}, r"'row', entry 2: has 2 values, but 'e' has 1"),
    (
        DataError,
        {"row": [[0, 1, 2], [], [0]]},
        r"entry 0: layer 1, row 2, column 0 is outside of the geometry \(1x3, 2x2",
    ),
    (DataError, {"layer": [[0, 1, 1], [], [-1]]}, r"'layer, row, column', entry 2: layer -1, row 0, column 0 is out"),
    (
        SchemaError,
        {"row": [[0.5, 1, 1], [], [0]]},
        r"'row': expected a list of whole numbers a shower, found lists of f",
    ),
    (SchemaError, {"e": [1.0, 2.0, 3.0]}, r"'e': expected a list of numbers a shower, found float64"),
    (SchemaError, {"event": [[1], [2], [3]]}, r"'event': expected one whole number a shower, found lists of int64"),
]


@pytest.mark.parametrize(("error", "values", "message"), BAD_HITS)
@pytest.mark.parametrize("rntuple", [False, True])
def test_bad_hits_are_named(tmp_path, error, values, message, rntuple):
    values = {**HIT_VALUES, **{name: ak.Array(value) for name, value in values.items()}}
    file = write(tmp_path / "a.root", values, rntuple=rntuple)
    with pytest.raises(error, match=rf"a\.root:t.*{message}") as caught:
        read(file, HITS)
    assert "\n" not in str(caught.value)


def test_layers_that_the_one_layer_geometry_lacks_are_refused(tmp_path):
    file = write(tmp_path / "a.root", {**HIT_VALUES, "row": ak.Array([[0, 0, 0], [], [0]])})
    with pytest.raises(DataError, match=r"entry 0: layer 1, row 0, column 0 is outside of the geometry \(1x3 cells"):
        read(file, HITS, Geometry(GEOMETRY.layers[:1]))


def test_entries_are_counted_from_the_start_of_the_file(tmp_path):
    energy = DENSE_VALUES["front"].copy()
    energy[2, 1] = -1
    file = write(tmp_path / "a.root", {**DENSE_VALUES, "front": energy})
    with pytest.raises(DataError, match="entry 2:"):
        read(file, DENSE, chunk=1)


def test_positions_that_are_no_numbers(tmp_path):
    file = write(tmp_path / "a.root", {**POSITION_VALUES, "hy": ak.Array([[0.1, np.inf, 0.1], [], [0.0]])})
    with pytest.raises(DataError, match="'hy', entry 0: is inf, expected a finite position"):
        read(file, POSITIONS)


def test_missing_trees_are_named(tmp_path):
    file = write(tmp_path / "a.root", DENSE_VALUES, tree="showers")
    with pytest.raises(SchemaError, match=r"no tree 'shower'; did you mean 'showers'\?"):
        read(file, replace(DENSE, tree="shower"))
    with uproot.recreate(tmp_path / "b.root") as other:
        other["t"] = "text"
    with pytest.raises(SchemaError, match="'t' is a TObjString, not a TTree or RNTuple"):
        read(InputFile(str(tmp_path / "b.root")), DENSE)


@pytest.mark.parametrize("rntuple", [False, True])
def test_damaged_files_are_one_line(toy, tmp_path, rntuple):
    path = toy.write(tmp_path / "a.root", "hits", rntuple=rntuple)
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = []
    for case in range(40):
        damaged = bytearray(whole)
        at = int(rng.integers(0, len(whole) - 16))
        if case % 4 == 0:
            del damaged[at:]
        else:
            damaged[at : at + 16] = rng.bytes(16)
        path.write_bytes(damaged)
        try:
            read(InputFile(str(path)), toy.schema("hits"), toy.geometry, 200)
        except (DataError, SchemaError) as error:
            refused.append(str(error))
    assert len(refused) > 20  # the rest hit what is not read
    assert all("a.root" in text and "\n" not in text for text in refused)


def test_truncated_files_are_always_refused(toy, tmp_path):
    whole = toy.file("dense").read_bytes()
    for length in (0, 3, 50, 1000, len(whole) // 2, len(whole) - 1):
        path = tmp_path / f"cut{length}.root"
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=rf"cut{length}\.root: (not a ROOT file|truncated)"):
            read(InputFile(str(path)), toy.schema("dense"), toy.geometry)
