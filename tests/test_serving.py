"""Tests of the MLflow model of a bundle, in this process and behind `mlflow models serve`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from calogan import load_sampler
from calogan.errors import ConfigError
from calogan.sampler import OutsideDomainWarning

pytest.importorskip("mlflow")

import pandas as pd
from mlflow.exceptions import MlflowException

from calogan.serving import save_model

MODEL = "models:/calogan-tiny@champion"
PARTICLES = {
    "px": [0.0, 0.5, -0.5],
    "py": [0.25, 0.0, 0.0],
    "pz": [10.0, 20.0, 60.0],
    "x": [0.0, 3.0, -20.0],
    "y": [1.0, 2.0, 3.0],
}


@pytest.fixture(autouse=True)
def store(registered_bundle, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered_bundle.uri)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    return registered_bundle


@pytest.fixture
def model(store):
    from mlflow.pyfunc import load_model

    return load_model(MODEL)


@pytest.fixture
def sampler(registered_bundle):
    return load_sampler(registered_bundle.bundle.path)


def _cells(rows, geometry):
    """Energies of all cells from rows of hits."""
    cells = np.zeros((len(rows), geometry.n_cells), dtype=np.float32)
    for shower, row in enumerate(rows):
        layers = np.array(row["layer"], dtype=int)
        columns = np.array([layer.columns for layer in geometry.layers])[layers]
        index = np.asarray(geometry.offsets)[layers] + np.array(row["row"], dtype=int) * columns
        cells[shower, index + np.array(row["column"], dtype=int)] = row["energy"]
    return cells


def test_showers_are_those_of_the_sampler(model, sampler):
    ids = [5, 3, 2**40]
    table = model.predict(pd.DataFrame({**PARTICLES, "shower_id": ids}), params={"seed": 7})
    expected = sampler.sample(*PARTICLES.values(), seed=7, shower_id=ids)
    np.testing.assert_array_equal(_cells(table.to_dict("records"), sampler.geometry), expected.cell_energy)
    np.testing.assert_array_equal(table["total_energy"], expected.total_energy)
    assert table["shower_id"].tolist() == ids
    assert table["seed"].tolist() == [7, 7, 7]
    assert table["in_domain"].all()
    assert (expected.cell_energy > 0).any()


def test_several_layers_and_no_entry_point(untrained_bundle, toy, tmp_path):
    from mlflow.pyfunc import load_model

    from calogan.physics.kinematics import Domain

    domain = Domain((1.0, 64.0), 0.25, (-5.0, 5.0), (-5.0, 5.0))
    bundle = untrained_bundle(
        tmp_path / "b", toy.geometry, domain, toy.schema("dense"), condition=("momentum", "direction")
    )
    save_model(bundle, tmp_path / "model")
    particles = pd.DataFrame({name: PARTICLES[name] for name in ("px", "py", "pz")})
    model, sampler = load_model(str(tmp_path / "model")), load_sampler(bundle.path)
    table = model.predict(particles, params={"seed": 1})
    expected = sampler.sample(*(particles[name] for name in particles), seed=1)
    np.testing.assert_array_equal(_cells(table.to_dict("records"), toy.geometry), expected.cell_energy)
    assert {layer for layers in table["layer"] for layer in layers} == {0, 1, 2}
    assert "calogan[train]==" in (tmp_path / "model" / "requirements.txt").read_text()


def test_energies_alone(untrained_bundle, toy, tmp_path):
    from mlflow.pyfunc import load_model

    from calogan.physics.kinematics import Domain

    along = Domain((1.0, 64.0), 0.0, (0.0, 0.0), (0.0, 0.0))
    bundle = untrained_bundle(tmp_path / "b", toy.geometry, along, toy.schema("dense"), condition=("momentum",))
    save_model(bundle, tmp_path / "model")
    table = load_model(str(tmp_path / "model")).predict(pd.DataFrame({"momentum": [10.0, 20.0]}), params={"seed": 1})
    expected = load_sampler(bundle.path).sample(momentum=[10.0, 20.0], seed=1)
    np.testing.assert_array_equal(_cells(table.to_dict("records"), toy.geometry), expected.cell_energy)
    assert table["in_domain"].tolist() == [True, True]


def test_without_a_seed_the_one_that_was_drawn_makes_the_showers_again(model):
    first, second = model.predict(pd.DataFrame(PARTICLES)), model.predict(pd.DataFrame(PARTICLES))
    seed = int(first["seed"][0])
    assert seed != second["seed"][0]
    again = model.predict(pd.DataFrame(PARTICLES), params={"seed": seed})
    pd.testing.assert_frame_equal(first, again)


def test_an_empty_table_gives_an_empty_table(model):
    table = model.predict(pd.DataFrame(PARTICLES)[:0])
    assert len(table) == 0
    assert list(table) == ["shower_id", "seed", "in_domain", "total_energy", "layer", "row", "column", "energy"]


def test_showers_outside_the_domain_are_marked(model, sampler):
    particles = pd.DataFrame({**PARTICLES, "pz": [10.0, 100.0, 20.0]})
    clipped = model.predict(particles, params={"seed": 7, "outside": "clip"})
    with pytest.warns(OutsideDomainWarning, match="1 of 3"):
        warned = model.predict(particles, params={"seed": 7, "outside": "warn"})
    for table, outside in ((clipped, "clip"), (warned, "warn")):
        assert table["in_domain"].tolist() == [True, False, True]
        if outside == "clip":
            expected = sampler.sample(*particles.to_numpy().T, seed=7, outside="clip")
            np.testing.assert_array_equal(table["total_energy"], expected.total_energy)


BAD = [
    ({"pz": [10.0, 100.0, 20.0]}, {}, r"1 of 3 incident particles are outside the domain \(\|p\| 1 to 64 GeV"),
    ({"px": [0.0, float("nan"), 0.0]}, {}, "px of number 1 is nan; leave such particles out"),
    ({"shower_id": [1, 2, 1]}, {}, "shower_id 1 is there twice"),
    ({}, {"seed": -1}, "the seed must be a whole number from 0"),
    ({}, {"outside": "wrap"}, "outside must be one of 'raise', 'warn', 'clip', got 'wrap'"),
    ({}, {"seed": "seven"}, "Can not safely convert"),
    ({"x": None}, {}, r"Model is missing inputs \['x'\]"),
    ({"pz": ["a", "b", "c"]}, {}, "Incompatible input types for column pz"),
]


@pytest.mark.parametrize(("changed", "params", "message"), BAD)
def test_what_is_refused_is_an_invalid_value_of_mlflow(model, changed, params, message):
    columns = {name: column for name, column in {**PARTICLES, **changed}.items() if column is not None}
    with pytest.raises(MlflowException, match=message) as refused:
        model.predict(pd.DataFrame(columns), params=params)
    assert refused.value.get_http_status_code() == 400


def test_an_unknown_particle_type_is_refused_or_marked(tmp_path):
    from mlflow.pyfunc import load_model

    save_model(load_sampler("ecal30-electron").bundle, tmp_path / "model")
    model = load_model(str(tmp_path / "model"))
    assert len(model.predict(pd.DataFrame({**PARTICLES, "pdg": 11}))) == 3
    mixed = pd.DataFrame({**PARTICLES, "pdg": [11, 22, 11]})
    for outside in ("raise", "clip"):
        with pytest.raises(MlflowException, match="number 1 with pdg 22; give it to"):
            model.predict(mixed, params={"outside": outside})
    with pytest.warns(OutsideDomainWarning, match="number 1 with pdg 22"):
        table = model.predict(mixed, params={"outside": "warn"})
    assert table["in_domain"].tolist() == [True, False, True]


def test_a_model_is_made_of_plain_files(store, tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text("{}")
    save_model(store.bundle, tmp_path / "model", tmp_path / "report")
    files = {str(path.relative_to(tmp_path / "model")) for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert files == {
        "MLmodel",
        "model.py",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "input_example.json",
        "serving_input_example.json",
        "validation/report.json",
        *(f"artifacts/bundle/{name}" for name in ("bundle.json", "generator.onnx", "weights.safetensors")),
    }
    described = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    assert described["metadata"]["calogan.bundle"] == store.bundle.info.id
    inputs = json.loads(described["signature"]["inputs"])
    assert [column["name"] for column in inputs if column["required"]] == ["px", "py", "pz", "x", "y"]


def test_the_device_can_be_chosen():
    from mlflow.pyfunc import load_model

    with pytest.raises(ConfigError, match="device 'cuda:99' cannot be used"):
        load_model(MODEL, model_config={"device": "cuda:99"})


@pytest.fixture(scope="module")
def server(registered_bundle, tmp_path_factory):
    """Address of `mlflow models serve` on the registered bundle."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["-m", MODEL, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *command],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "PATH": search, "MLFLOW_TRACKING_URI": registered_bundle.uri},
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process, folder / "log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(address, process, log):
    deadline = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=10):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the server does not answer:\n{log.read_text()}")
            time.sleep(0.2)


def _ask(address, question):
    """Status and JSON of the answer."""
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(question).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _records(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_server_answers_with_the_showers_of_the_sampler(server, sampler):
    expected = sampler.sample(*PARTICLES.values(), seed=7)
    questions = [
        {"dataframe_records": _records(PARTICLES)},
        {"dataframe_split": {"columns": list(PARTICLES), "data": list(zip(*PARTICLES.values(), strict=True))}},
        {"inputs": PARTICLES},
    ]
    for question in questions:
        status, answer = _ask(server, {**question, "params": {"seed": 7}})
        assert status == 200
        rows = answer["predictions"]
        np.testing.assert_allclose(_cells(rows, sampler.geometry), expected.cell_energy, rtol=1e-6)
        assert [row["shower_id"] for row in rows] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("changed", "params", "message"),
    [
        ({"pz": [10, 100, 20]}, {}, "1 of 3 incident particles are outside the domain (|p| 1 to 64 GeV"),
        ({"px": [0.0, None, 0.0]}, {}, "px of number 1 is nan; leave such particles out"),
        ({"x": None}, {}, "Model is missing inputs ['x']"),
        ({}, {"outside": "wrap"}, "outside must be one of 'raise', 'warn', 'clip'"),
    ],
)
def test_a_server_refuses_with_status_400_and_says_why(server, changed, params, message):
    columns = {name: column for name, column in {**PARTICLES, **changed}.items() if column is not None}
    status, answer = _ask(server, {"dataframe_records": _records(columns), "params": params})
    assert status == 400
    assert message in answer["message"]
    assert "Traceback" not in json.dumps(answer)


def test_a_model_of_several_types_needs_the_type(tmp_path, untrained_bundle, store):
    from mlflow.pyfunc import load_model

    info = store.bundle.info
    photons = replace(info.domain, momentum=(15.0, 64.0))
    domain, condition = replace(info.domain, particles={22: photons}), (*info.condition, "particle")
    bundle = untrained_bundle(
        tmp_path / "typed", info.geometry, domain, info.schema, condition=condition, particles=(11, 22)
    )
    save_model(bundle, tmp_path / "model")
    model = load_model(str(tmp_path / "model"))
    table = pd.DataFrame({**PARTICLES, "pdg": [11, 22, 22]})
    expected = load_sampler(bundle.path).sample(*PARTICLES.values(), pdg=[11, 22, 22], seed=7)
    found = model.predict(table, params={"seed": 7})
    np.testing.assert_allclose(found["total_energy"], expected.total_energy, rtol=1e-5)
    table["pdg"] = 22
    with pytest.warns(OutsideDomainWarning, match="1 of 3"):
        assert model.predict(table, params={"outside": "warn"})["in_domain"].tolist() == [False, True, True]
    with pytest.raises(MlflowException, match="pdg"):
        model.predict(table.drop(columns="pdg"))
