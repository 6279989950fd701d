from __future__ import annotations

import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from calogan.config import Source
from calogan.data import hdf5
from calogan.data.files import InputFile, expand_files
from calogan.data.hdf5 import iterate_rows, read_sets
from calogan.data.reading import count_showers, fingerprint, iterate_chunks, read_showers
from calogan.data.schema import Schema
from calogan.errors import CaloganError, DataError, MissingDependencyError, SchemaError
from calogan.geometry import Geometry, Layer

# Two layers: one row of 3 cells, and 2 x 2 cells.
GEOMETRY = Geometry(
    (
        Layer((-1.0, 1.0), (0.0, 1.0, 2.0, 3.0), depth=5.0),
        Layer((-1.0, 0.0, 1.0), (0.0, 1.0, 2.0), depth=15.0),
    )
)
SHOWERS = np.arange(21, dtype=np.float64).reshape(3, 7)
CHALLENGE = {"incident_energies": np.array([[256.0], [512.0], [4194304.0]]), "showers": SHOWERS}
GAN = {
    "energy": np.array([[1.5], [20.0], [99.0]]),
    "layer_0": SHOWERS[:, :3].reshape(3, 1, 3),
    "layer_1": SHOWERS[:, 3:].reshape(3, 2, 2),
    "overflow": np.full((3, 2), 1e9),
}


def schema(layout, **options):
    options = {"energy": ["layer_0", "layer_1"], **options} if layout == "calogan" else options
    return Schema.from_source(TypeAdapter(Source).validate_python({"layout": layout, "files": ["-"], **options}))


def write(path, values, **options):
    with h5py.File(path, "w") as file:
        for name, data in values.items():
            file.create_dataset(name, data=data, **options)
    return InputFile(str(path))


def read(file, wanted, chunk=2):
    return [chunk.showers for chunk in iterate_chunks(file, wanted, GEOMETRY, chunk)]


def read_all(file, wanted):
    return read_showers([file.path], wanted, GEOMETRY, chunk_showers=2)


def refused(kind, tmp_path, values, match, wanted=None):
    with pytest.raises(kind, match=match):
        read(write(tmp_path / "a.hdf5", values), wanted or schema("calochallenge"))


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"chunks": True, "shuffle": True}])
def test_calochallenge_is_converted(tmp_path, options):
    showers = read_all(write(tmp_path / "a.hdf5", CHALLENGE, **options), schema("calochallenge"))
    assert np.array_equal(showers.cell_energy, (SHOWERS / 1000).astype(np.float32))
    assert showers.incident[:2].tolist() == [[0, 0, np.float32(0.256), 0, 0], [0, 0, np.float32(0.512), 0, 0]]
    assert showers.momentum[2] == pytest.approx(4194.304)
    assert showers.pdg.tolist() == [0, 0, 0]


def test_calogan_is_converted(tmp_path):
    showers = read_all(write(tmp_path / "a.h5", GAN), schema("calogan", particle_id=-11))
    assert np.array_equal(showers.cell_energy, (SHOWERS / 1000).astype(np.float32))
    assert showers.momentum == pytest.approx([1.5, 20, 99])
    assert showers.pdg.tolist() == [-11] * 3


def test_names_and_units_of_others(tmp_path):
    values = {
        "truth/e": np.array([1, 2, 3], dtype=np.int32),
        "truth/id": np.array([[7], [8], [9]]),
        "truth/type": np.array([22, 11, 22]),
        "cells": SHOWERS.astype(np.float32),
    }
    named = {"momentum": ["truth/e"], "event": "truth/id", "pdg": "truth/type", "showers": "cells"}
    wanted = schema("calochallenge", **named, units={"energy": "GeV", "momentum": "GeV"})
    showers = read_all(write(tmp_path / "a.h5", values), wanted)
    assert showers.event.tolist() == [7, 8, 9]
    assert showers.pdg.tolist() == [22, 11, 22]
    assert showers.momentum.tolist() == [1, 2, 3]
    assert np.array_equal(showers.cell_energy, SHOWERS.astype(np.float32))


def test_ids_come_from_the_content(tmp_path):
    one, other = (write(tmp_path / name, CHALLENGE) for name in ("a.hdf5", "b.hdf5"))
    changed = write(tmp_path / "c.hdf5", {**CHALLENGE, "showers": SHOWERS + 1})
    wanted = schema("calochallenge")
    ids = [read_all(file, wanted).event for file in (one, other, changed)]
    assert np.array_equal(ids[0], ids[1])
    assert len(np.unique(np.concatenate([ids[0], ids[2]]))) == 6
    assert fingerprint(one, wanted) == fingerprint(InputFile((tmp_path / "b.hdf5").as_uri()), wanted)


def test_count_folder_and_url(tmp_path):
    wanted = schema("calochallenge")
    for name in ("a.hdf5", "b.h5", "c.hdf"):
        assert count_showers(write(tmp_path / name, CHALLENGE), wanted) == 3
    (tmp_path / "d.root").touch()
    assert len(read_showers([str(tmp_path)], wanted, GEOMETRY)) == 9
    assert len(read_showers([(tmp_path / "a.hdf5").as_uri()], wanted, GEOMETRY)) == 3
    assert [file.stem for file in expand_files([str(tmp_path)])] == ["d"]


def test_rows_are_read_in_whole_chunks_within_bounds(tmp_path, monkeypatch):
    values = {"incident_energies": np.ones((100, 1)), "showers": np.ones((100, 7))}
    file = write(tmp_path / "a.hdf5", values, chunks=(30, 1), compression="gzip")
    names = list(values)

    def sizes(chunk, **options):
        return [piece.size for piece in iterate_rows(file, names, chunk, **options)]

    assert sizes(10) == [30, 30, 30, 10]
    assert sizes(80) == [60, 40]
    assert sizes(10, start=20, stop=70) == [10, 30, 10]
    monkeypatch.setattr(hdf5, "_BLOCK", 64 * 20)
    assert sizes(1000) == [20] * 5


def test_missing_data_set_has_near_misses(tmp_path):
    values = {"incident_energy": CHALLENGE["incident_energies"], "showers": SHOWERS}
    refused(SchemaError, tmp_path, values, "a.hdf5: no data set 'incident_energies'; .*'incident_energy'")


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        ({"showers": SHOWERS[:, :6]}, SchemaError, r"data set 'showers': expected numbers of shape \[7\].*\[6\]"),
        ({"showers": SHOWERS[:2]}, DataError, "different numbers of showers: 'incident_energies' has 3, 'showers' has"),
        ({"showers": np.full((3, 7), np.nan)}, DataError, r"'showers', entry 0: the energy is nan in cell 0 \(layer 0"),
        ({"showers": SHOWERS - 20}, DataError, r"'showers', entry 0: the energy is -20"),
        (
            {"showers": np.where(np.arange(7) == 4, -9.0, SHOWERS)},
            DataError,
            r"entry 0: .*cell 4 \(layer 1, number 1 in",
        ),
        ({"showers": np.full((3, 7), b"x")}, SchemaError, "'showers': expected numbers, found"),
        ({"showers": 3.0}, SchemaError, "'showers': is one value"),
        ({"incident_energies": np.array([1.0, -2.0, 3.0])}, DataError, "entry 1: is -2.0, expected more than 0"),
        ({"incident_energies": np.array([1.0, 2.0, 0.0])}, DataError, "entry 2: the incident momentum is 0"),
        ({"incident_energies": np.array([1.0, 2.0, np.inf])}, DataError, "entry 2: is inf, expected a finite number"),
        ({"incident_energies": np.ones((3, 2))}, SchemaError, "expected one number a shower, found float64.2."),
    ],
)
def test_impossible_values_are_named(tmp_path, change, kind, match):
    refused(kind, tmp_path, {**CHALLENGE, **change}, match)


def test_calogan_layer_of_another_shape(tmp_path):
    values = {**GAN, "layer_1": SHOWERS[:, 3:]}
    refused(SchemaError, tmp_path, values, r"'layer_1': expected numbers of shape \[2\]\[2\]", schema("calogan"))
    negative = {**GAN, "layer_1": -GAN["layer_1"]}
    refused(DataError, tmp_path, negative, r"'layer_1', entry 0: .* in cell \[0\]\[0\]", schema("calogan"))


def test_number_of_layers(tmp_path):
    with pytest.raises(SchemaError, match="layout calogan: energy has 3 names for 2 layers"):
        read(write(tmp_path / "a.h5", GAN), schema("calogan", energy=["a", "b", "c"]))


def test_a_group_is_no_data_set(tmp_path):
    refused(SchemaError, tmp_path, {"incident_energies/a": [1.0], "showers": SHOWERS}, "is a group; name a data set in")


def test_no_showers(tmp_path):
    file = write(tmp_path / "a.hdf5", {name: values[:0] for name, values in CHALLENGE.items()})
    assert count_showers(file, schema("calochallenge")) == 0
    assert read(file, schema("calochallenge")) == []


@pytest.mark.parametrize(("keep", "match"), [(0, "is empty; copy it again"), (900, "truncated file"), (100, "damaged")])
def test_cut_file(tmp_path, keep, match):
    path = tmp_path / "a.hdf5"
    write(path, CHALLENGE, compression="gzip")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=match):
        read(InputFile(str(path)), schema("calochallenge"))


def test_damaged_values_are_named(tmp_path):
    path = tmp_path / "a.hdf5"
    values = {"incident_energies": np.ones((500, 1)), "showers": np.random.default_rng(1).random((500, 7))}
    write(path, values, compression="gzip", fletcher32=True)
    content = bytearray(path.read_bytes())
    content[-2000:-1000] = bytes(1000)
    path.write_bytes(content)
    with pytest.raises(DataError, match="data set 'showers', entries 0 to 500: cannot be read"):
        read(InputFile(str(path)), schema("calochallenge"), chunk=500)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_damage_is_one_error_or_none(tmp_path, data):
    path = tmp_path / "a.hdf5"
    write(path, CHALLENGE, compression="gzip")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    said = str(path)
    try:
        read(InputFile(str(path)), schema("calochallenge"))
    except CaloganError as error:
        said = str(error)
    assert str(path) in said


@pytest.mark.parametrize("way", ["link", "virtual", "external"])
def test_values_in_other_files_are_refused(tmp_path, way):
    write(tmp_path / "other.hdf5", CHALLENGE)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["incident_energies"] = CHALLENGE["incident_energies"]
        if way == "link":
            file["showers"] = h5py.ExternalLink("other.hdf5", "showers")
        elif way == "virtual":
            layout = h5py.VirtualLayout((3, 7), float)
            layout[:] = h5py.VirtualSource("other.hdf5", "showers", (3, 7))
            file.create_virtual_dataset("showers", layout)
        else:
            file.create_dataset("showers", (3, 7), float, external=str(tmp_path / "other.hdf5"))
    with pytest.raises(SchemaError, match="'showers': lies in another file"):
        read(InputFile(str(tmp_path / "a.hdf5")), schema("calochallenge"))


@pytest.mark.parametrize(
    ("shape", "chunks", "match"),
    [
        ((10**12, 10**9), (1, 1000), "is no shower"),
        ((10**12, 7), (10**8, 7), "stored in chunks of .* too large"),
        ((10**12, 7), (1000, 7), "different numbers"),
    ],
)
def test_a_header_that_lies_takes_no_memory(tmp_path, shape, chunks, match):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["incident_energies"] = CHALLENGE["incident_energies"]
        file.create_dataset("showers", shape, "f8", chunks=chunks)
    with pytest.raises(CaloganError, match=match):
        read(InputFile(str(tmp_path / "a.hdf5")), schema("calochallenge"))


def test_the_other_format_is_named(tmp_path, toy):
    file = write(tmp_path / "a.hdf5", CHALLENGE)
    with pytest.raises(SchemaError, match=r"is an HDF5 file, but layout hits is of ROOT .* calochallenge or calogan"):
        count_showers(file, toy.schema("hits"))
    with pytest.raises(SchemaError, match="is a ROOT file, but layout calochallenge is of HDF5 files"):
        count_showers(InputFile(str(toy.file("hits"))), schema("calochallenge"))


def test_user_block_before_the_signature(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w", userblock_size=2048) as file:
        for name, values in CHALLENGE.items():
            file[name] = values
    with pytest.raises(SchemaError, match="is an HDF5 file"):
        count_showers(InputFile(str(tmp_path / "a.hdf5")), replace(schema("calochallenge"), layout="dense"))


def test_sets_are_listed(tmp_path):
    write(tmp_path / "a.hdf5", CHALLENGE)
    assert read_sets(str(tmp_path / "a.hdf5")) == (3, {"incident_energies": "float64[1]", "showers": "float64[7]"})


def test_without_h5py(tmp_path, monkeypatch):
    file = write(tmp_path / "a.hdf5", CHALLENGE)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'calogan\[hdf5\]'"):
        count_showers(file, schema("calochallenge"))


def test_what_is_no_data_set_of_showers_is_listed_as_what_it_is(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["incident_energies"], file["showers"] = np.ones((3, 1)), np.ones((3, 7), dtype=np.float32)
        file["edges"], file["label"], file["version"] = np.arange(31.0), np.array([b"x"] * 3), 2
        file.create_group("more")
        file["elsewhere"] = h5py.SoftLink("/nowhere")
    rows, kinds = read_sets(str(tmp_path / "a.hdf5"))
    assert rows == 3
    assert kinds == {
        "edges": "float64 in 31 rows",
        "elsewhere": "missing link",
        "incident_energies": "float64[1]",
        "label": "text in 3 rows",
        "more": "group",
        "showers": "float32[7]",
        "version": "one int64",
    }
