"""Tests of what an exported program says of itself, and of the archive of torch.export."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import calogan
from calogan.errors import BundleError
from calogan.export import check_parity, compare_cells, describe, export_pt2, load_pt2
from calogan.geometry import Geometry
from calogan.noise import standard_normal
from calogan.physics.kinematics import Domain


@pytest.fixture(scope="module")
def generator(tiny_bundle):
    return tiny_bundle.load_generator()


@pytest.fixture(scope="module")
def archive(tiny_bundle, generator):
    return export_pt2(generator, describe(tiny_bundle.info))


@pytest.fixture(scope="module")
def program(archive):
    return load_pt2(archive)


def particles(count):
    rng = np.random.default_rng(count)
    columns = [*rng.uniform(-1, 1, (2, count)), rng.uniform(5, 60, count), *rng.uniform(-20, 20, (2, count))]
    return np.stack(columns, axis=1).astype(np.float32)


def test_a_description_is_enough_to_use_the_graph_alone(tiny_bundle):
    info = tiny_bundle.info
    said = {key.removeprefix("calogan."): value for key, value in describe(info).items()}
    assert Domain.from_dict(json.loads(said["domain"])) == info.domain
    assert Geometry.from_dict(json.loads(said["geometry"])) == info.geometry
    assert float(said["threshold"]) == info.threshold
    assert (int(said["noise_size"]), int(said["cells"])) == (info.noise_size, 900)
    assert tuple(json.loads(said["condition"])) == info.condition
    assert said["bundle"] == info.id
    assert "pdg" not in said


def test_the_types_of_particles_are_named_where_they_are_known(tiny_bundle):
    known = replace(tiny_bundle.info, id="", provenance={"pdg": [-11, 11]})
    assert describe(known)["calogan.pdg"] == "[-11, 11]"
    assert "calogan.bundle" not in describe(known)


def test_names_of_the_description_are_those_of_the_graph(tiny_bundle):
    session = onnxruntime.InferenceSession(tiny_bundle.onnx_path)
    said = describe(tiny_bundle.info)
    assert list(json.loads(said["calogan.inputs"])) == [value.name for value in session.get_inputs()]
    assert json.loads(said["calogan.outputs"]) == [value.name for value in session.get_outputs()]
    assert session.get_inputs()[1].shape[1] == int(said["calogan.noise_size"])
    assert session.get_outputs()[0].shape[1] == int(said["calogan.cells"])


@pytest.mark.parametrize("count", [1, 17, 300])
def test_an_archive_takes_any_number_of_showers(generator, program, count):
    parity = check_parity(generator, program, particles(count))
    assert parity.difference < 1e-6
    assert parity.flipped == 0
    incident, noise = particles(count), standard_normal(5, np.arange(count), generator.noise_size)
    with torch.no_grad():
        cells = generator(torch.from_numpy(incident), torch.from_numpy(noise)).numpy()
    np.testing.assert_allclose(program(incident, noise), cells, rtol=1e-5)


def test_an_archive_of_another_generator_is_seen(tiny_bundle, program):
    other = tiny_bundle.load_generator()
    with torch.no_grad():
        other.cell_mean.bias += 0.5
    with pytest.raises(BundleError, match="differs"):
        check_parity(other, program, particles(3))


def test_an_archive_says_what_the_graph_says(tiny_bundle, archive):
    extra = {"calogan.json": ""}
    torch.export.load(io.BytesIO(archive), extra_files=extra)
    assert json.loads(extra["calogan.json"]) == describe(tiny_bundle.info)


def test_an_archive_names_no_path_of_the_machine_that_made_it(archive):
    assert str(Path(calogan.__file__).parent).encode() not in archive


def test_cells_at_the_threshold_may_flip_and_others_are_compared():
    expected = np.array([[0.0, 3.0001e-4, 1e-3, 0.1, 3.00001e-4]], dtype=np.float32)
    found = np.array([[0.0, 3.0002e-4, 1.00002e-3, 0.1, 0.0]], dtype=np.float32)
    parity = compare_cells(expected, found, 3e-4)
    assert (parity.cells, parity.apart, parity.flipped) == (5, 1, 1)
    assert parity.difference == pytest.approx(2e-5, rel=0.01)
