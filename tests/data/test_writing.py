"""Files of showers that are written in any layout, and what other programs find in them."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from pydantic import TypeAdapter

from calogan.config import Source
from calogan.data.files import InputFile
from calogan.data.hdf5 import iterate_rows
from calogan.data.hdf5_writer import Hdf5Writer
from calogan.data.reading import read_provenance, read_showers
from calogan.data.schema import Schema
from calogan.data.writer import TreeSpec
from calogan.data.writing import ShowerWriter
from calogan.errors import DataError, SchemaError, ShapeError


def schema(layout, **options):
    return Schema.from_source(TypeAdapter(Source).validate_python({"layout": layout, "files": ["-"], **options}))


@pytest.fixture
def along_axis(toy):
    """Toy showers of particles along the axis, entering in the middle, as files of energies alone have them."""
    incident = np.zeros_like(toy.showers.incident)
    incident[:, 2] = toy.showers.momentum
    return replace(toy.showers, incident=incident)


def write(path, wanted, showers, **options):
    with ShowerWriter(path, wanted, showers.geometry, **options) as writer:
        for start in range(0, len(showers), 70):
            writer.extend(showers[start : start + 70])
    return path


def write_samples(writer, *samples):
    with writer:
        for showers in samples:
            writer.extend(showers)


def test_calochallenge_file_is_as_the_challenge_has_it(along_axis, tmp_path):
    path = write(tmp_path / "a.hdf5", schema("calochallenge"), along_axis)
    with h5py.File(path) as file:
        assert list(file) == ["incident_energies", "showers"]
        assert file["incident_energies"].shape == (200, 1)
        assert file["showers"].shape == (200, along_axis.geometry.n_cells)
        for data in file.values():
            assert (data.dtype, data.compression) == (np.dtype("<f8"), "gzip")
            assert not dict(data.attrs)
        assert file["incident_energies"][:, 0] == pytest.approx(along_axis.momentum * 1000)
        assert file["showers"][:] == pytest.approx(along_axis.cell_energy * 1000)


def test_calogan_file_is_as_calogan_has_it(along_axis, tmp_path):
    path = write(tmp_path / "a.hdf5", schema("calogan"), along_axis)
    with h5py.File(path) as file:
        assert list(file) == ["energy", "layer_0", "layer_1", "layer_2"]
        assert [data.shape for data in file.values()] == [(200, 1), (200, 3, 12), (200, 6, 6), (200, 4, 2)]
        assert {str(data.dtype) for data in file.values()} == {"float64"}
        assert file["energy"][:, 0] == pytest.approx(along_axis.momentum)
        first = along_axis.geometry.layer_images(along_axis.cell_energy)[0]
        assert file["layer_0"][:] == pytest.approx(first * 1000)


@pytest.mark.parametrize("layout", ["calochallenge", "calogan"])
def test_what_is_written_is_read(along_axis, tmp_path, layout):
    path = write(tmp_path / "a.hdf5", schema(layout), along_axis, provenance={"made": "here"})
    read = read_showers([str(path)], schema(layout), along_axis.geometry)
    assert read.cell_energy == pytest.approx(along_axis.cell_energy, rel=1e-6)
    assert read.incident == pytest.approx(along_axis.incident, rel=1e-6)
    assert read_provenance(path) == {"made": "here"}


def test_ids_and_types_where_they_have_names(along_axis, tmp_path):
    wanted = schema("calochallenge", event="event", pdg="pdg")
    read = read_showers([str(write(tmp_path / "a.h5", wanted, along_axis))], wanted, along_axis.geometry)
    assert np.array_equal(read.event, along_axis.event)
    assert np.array_equal(read.pdg, along_axis.pdg)


@pytest.mark.parametrize("layout", ["calochallenge", "calogan"])
def test_from_root_to_hdf5_and_back(toy, along_axis, tmp_path, layout):
    path = write(tmp_path / "a.hdf5", toy.schema("hits"), along_axis, layout=layout)
    there = toy.schema("hits").as_layout(layout, toy.geometry)
    showers = read_showers([str(path)], there, toy.geometry)
    assert showers.momentum == pytest.approx(toy.showers.momentum, rel=1e-6)
    back = write(tmp_path / "a.root", there, showers, layout="hits")
    again = read_showers([str(back)], there.as_layout("hits", toy.geometry), toy.geometry)
    assert np.array_equal(again.event, showers.event)
    assert np.array_equal(again.cell_energy, showers.cell_energy)
    assert again.incident == pytest.approx(along_axis.incident, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tree": "t"}, "holds one layout and no tree"),
        ({"rntuple": True}, "has no RNTuple"),
    ],
)
def test_what_hdf5_has_not(toy, tmp_path, options, match):
    with pytest.raises(SchemaError, match=match):
        ShowerWriter(tmp_path / "a.hdf5", schema("calochallenge"), toy.geometry, **options)


def test_number_of_layers(ecal30_showers, tmp_path):
    with pytest.raises(SchemaError, match="layout calogan: energy has 3 names for 1 layers"):
        ShowerWriter(tmp_path / "a.hdf5", schema("calogan"), ecal30_showers.geometry)


def test_rows_larger_than_a_chunk_and_pieces_of_any_size(tmp_path):
    spec = TreeSpec("", {"id": "int64", "cells": "50000 * float64"})
    rng = np.random.default_rng(3)
    cells = rng.random((7, 50_000))
    with Hdf5Writer(tmp_path / "a.hdf5", [spec]) as writer:
        for start, stop in ((0, 1), (1, 6), (6, 7)):
            writer.extend("", {"id": np.arange(start, stop), "cells": cells[start:stop]})
    (chunk,) = iterate_rows(InputFile(str(tmp_path / "a.hdf5")), ["id", "cells"], 100)
    assert chunk.columns["id"].tolist() == list(range(7))
    assert np.array_equal(chunk.columns["cells"], cells)


def test_file_appears_whole_or_not_at_all(toy, along_axis, ecal30_showers, tmp_path, files_of_at_most):
    path = tmp_path / "a.hdf5"
    path.write_bytes(b"before")
    with pytest.raises(ShapeError):
        write_samples(ShowerWriter(path, schema("calochallenge"), toy.geometry), along_axis, ecal30_showers)
    assert path.read_bytes() == b"before"
    assert [found.name for found in tmp_path.iterdir()] == ["a.hdf5"]
    with files_of_at_most(20_000), pytest.raises(DataError, match=r"a\.hdf5: cannot be written: File too large"):
        write(path, schema("calochallenge"), along_axis)
    assert path.read_bytes() == b"before"
    assert [found.name for found in tmp_path.iterdir()] == ["a.hdf5"]
