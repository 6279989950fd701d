"""Weights of the sampler, by a graph whose weights are known: what they do with batches, structure and damage."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from calogan.data.reading import read_showers
from calogan.errors import BundleError, SchemaError
from calogan.sampler import ShowerSampler, load_sampler
from calogan.sampler.weigher import OnnxWeigher, load_weigher

onnx = pytest.importorskip("onnx")


def graph(cells, output="weight", **others):
    """Energy of all cells over pz."""
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    shapes = {"incident": ["n", 5], "cell_energy": ["n", cells]} | others
    inputs = [helper.make_tensor_value_info(name, real, shape) for name, shape in shapes.items()]
    constants = {"axis": [1], "two": [2]}
    nodes = [
        helper.make_node("ReduceSum", ["cell_energy", "axis"], ["total"], keepdims=0),
        helper.make_node("Gather", ["incident", "two"], ["column"], axis=1),
        helper.make_node("Squeeze", ["column", "axis"], ["pz"]),
        helper.make_node("Div", ["total", "pz"], [output]),
    ]
    made = helper.make_graph(
        nodes,
        "weights",
        inputs,
        [helper.make_tensor_value_info(output, real, ["n"])],
        [helper.make_tensor(name, onnx.TensorProto.INT64, [1], value) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


@pytest.fixture
def weighed(make_bundle):
    return make_bundle().with_weigher(graph(900), {})


@pytest.fixture
def sampler(weighed):
    return ShowerSampler(weighed, threads=1)


@pytest.fixture
def electrons():
    rng = np.random.default_rng(5)
    columns = [rng.normal(0, 0.5, (2, 150)), rng.uniform(5, 50, (1, 150)), rng.uniform(-5, 5, (2, 150))]
    return dict(zip(("px", "py", "pz", "x", "y"), np.concatenate(columns), strict=True))


def test_weights_are_the_graph_s_and_leave_the_showers(sampler, electrons):
    showers = sampler.sample(**electrons, seed=3, weights=True)
    assert showers.weight.shape == (150,)
    assert showers.weight.dtype == np.float32
    np.testing.assert_allclose(showers.weight, showers.total_energy / electrons["pz"], rtol=1e-5)
    plain = sampler.sample(**electrons, seed=3)
    assert plain.weight is None
    np.testing.assert_array_equal(plain.cell_energy, showers.cell_energy)


def test_weights_are_the_same_in_any_batch(weighed, sampler, electrons):
    expected = sampler.sample(**electrons, seed=3, weights=True).weight
    pieces = sampler.sample_iter(**electrons, seed=3, weights=True, chunk=70)
    np.testing.assert_allclose(np.concatenate([piece.weight for piece in pieces]), expected, rtol=1e-5)
    assert [piece.weight for piece in sampler.sample_iter(**electrons, seed=3, chunk=70)] == [None] * 3
    other = load_sampler(weighed.path, threads=1, batch_size=7)
    np.testing.assert_allclose(other.sample(**electrons, seed=3, weights=True).weight, expected, rtol=1e-5)
    alone = {name: values[100:101] for name, values in electrons.items()}
    found = sampler.sample(**alone, seed=3, shower_id=[100], weights=True).weight
    np.testing.assert_allclose(found, expected[100:101], rtol=1e-5)
    again = pickle.loads(pickle.dumps(sampler))  # noqa: S301
    np.testing.assert_array_equal(again.sample(**electrons, seed=3, weights=True).weight, expected)


def test_weights_go_with_their_showers(sampler, electrons):
    events = {name: ak.unflatten(values, [2, 0, 148]) for name, values in electrons.items()}
    showers = sampler.sample(**events, seed=3, weights=True)
    records = showers.to_awkward()
    assert ak.num(records).tolist() == [2, 0, 148]
    np.testing.assert_array_equal(ak.to_numpy(ak.flatten(records.weight)), showers.weight)
    chosen = np.array([4, 7])
    np.testing.assert_array_equal(showers[chosen].weight, showers.weight[chosen])
    assert "weight" not in sampler.sample(**events, seed=3).to_awkward().fields
    assert sampler.sample([], [], [], [], [], weights=True).weight.shape == (0,)


def test_weights_are_not_left_out_of_a_file_in_silence(sampler, electrons, tmp_path):
    showers, path = sampler.sample(**electrons, seed=3, weights=True), tmp_path / "out.root"
    with pytest.raises(SchemaError, match=r"^[^\n]*out\.root: files as of the full simulation have no branch for wei"):
        showers.to_root(path)
    assert not path.exists()
    replace(showers, weight=None).to_root(path)
    assert len(read_showers([str(path)], sampler.bundle.info.schema, sampler.geometry)) == 150


def test_a_bundle_without_weights_says_what_to_run(make_bundle, electrons):
    bundle = make_bundle()
    sampler = ShowerSampler(bundle)
    message = rf"^{bundle.path}: this bundle has no weights [^\n]*`calogan weigh CONFIG --bundle[^\n]*$"
    with pytest.raises(BundleError, match=message):
        sampler.sample(**electrons, weights=True)
    with pytest.raises(BundleError, match="has no weights"):
        sampler.sample_iter(**electrons, weights=True)  # before the first piece


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (b"no graph", "ONNX Runtime cannot read the graph"),
        (graph(21), r"takes .*'cell_energy': \(21,\).* expected .*\(900,\).*run calogan weigh again"),
        (graph(900, noise=["n", 3]), r"takes .*'noise': \(3,\)"),
        (graph(900, output="score"), r"gives \{'score': \(\)\}"),
    ],
)
def test_a_graph_of_something_else_is_refused(make_bundle, electrons, other, message):
    bundle = make_bundle().with_weigher(other, {})
    with pytest.raises(BundleError, match=message) as error:
        ShowerSampler(bundle).sample(**electrons, weights=True)
    assert str(error.value).startswith(str(bundle.weigher_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("count", [0, 16, 17, 40])
def test_blocks_that_fit_the_cache_change_nothing(monkeypatch, count):
    rng = np.random.default_rng(1)
    incident, cells = (rng.uniform(1, 2, (count, size)).astype(np.float32) for size in (5, 900))
    whole = OnnxWeigher(graph(900), 900, "graph", threads=1)(incident, cells)
    monkeypatch.setattr("calogan.sampler.weigher._CACHED", 1)
    pieces = OnnxWeigher(graph(900), 900, "graph", threads=1)(incident, cells)
    assert pieces.shape == (count,)
    np.testing.assert_allclose(pieces, whole, rtol=1e-6)


def test_another_process_starts_its_own(sampler, monkeypatch):
    first = sampler.weigher
    assert sampler.weigher is first
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert sampler.weigher is not first


def test_needs_no_torch(weighed):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'onnx', 'sklearn', 'scipy')))\n"
        "import calogan, json\n"
        f"sampler = calogan.load_sampler({str(weighed.path)!r}, threads=1)\n"
        "print(json.dumps(sampler.sample(0, 0, [10.0, 20.0], 0, 0, seed=3, weights=True).weight.tolist()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = load_weigher(weighed, 1)
    showers = ShowerSampler(weighed, threads=1).sample(0, 0, [10.0, 20.0], 0, 0, seed=3)
    np.testing.assert_allclose(json.loads(done.stdout), expected(showers.incident, showers.cell_energy), rtol=1e-5)


def test_a_graph_that_is_told_the_type(tmp_path, untrained_bundle, tiny_bundle):
    info = tiny_bundle.info
    condition = (*info.condition, "particle")
    bundle = untrained_bundle(
        tmp_path / "typed", info.geometry, info.domain, info.schema, condition=condition, particles=(11, 22)
    )
    particle = {"px": 0.0, "py": 0.0, "pz": [10.0, 20.0], "x": 0.0, "y": 0.0, "pdg": [22, 11]}
    weighed = bundle.with_weigher(graph(900, incident=["n", 6]), {})
    showers = ShowerSampler(weighed, threads=1).sample(**particle, seed=3, weights=True)
    np.testing.assert_allclose(showers.weight, showers.total_energy / [10, 20], rtol=1e-5)
    with pytest.raises(BundleError, match=r"takes \{'incident': \(5,\).*expected \{'incident': \(6,\)"):
        ShowerSampler(bundle.with_weigher(graph(900), {})).sample(**particle, weights=True)
