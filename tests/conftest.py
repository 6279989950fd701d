"""Fixtures for all tests: seeds, shipped showers, a small prepared store, a tiny bundle and a three-layer toy."""

from __future__ import annotations

import resource
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from calogan.bundle import BundleInfo, write_bundle
from calogan.config import Config
from calogan.data.files import shipped_folder
from calogan.data.reading import read_showers
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.toy import toy_geometry, toy_showers
from calogan.data.writing import ShowerWriter
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare

ECAL30 = {
    "name": "ecal30",
    "threshold": 3e-4,
    "geometry": {
        "layers": [
            {
                "x": {"cells": 30, "low": -303.0, "high": 303.0},
                "y": {"cells": 30, "low": -303.0, "high": 303.0},
                "depth": 122.0,
                "z_range": [0.0, 396.0],
            }
        ]
    },
    "domain": {"momentum": [1.0, 64.0], "max_angle": 20.0, "entry_x": [-20.2, 20.2], "entry_y": [-20.2, 20.2]},
}
CONDITION = ("momentum", "direction", "entry_point")
TOY_SOURCES = {
    "dense": {
        "layout": "dense",
        "tree": "showers",
        "pdg": "pdg",
        "energy": [f"energy_layer{layer}" for layer in range(3)],
    },
    "hits": {"layout": "hits", "tree": "hits", "pdg": "pdg", "cell_layer": "cell_layer"},
    "positions": {"layout": "positions", "tree": "positions", "pdg": "pdg", "hit_z": "hit_z"},
}


class Listener(SilentReporter):
    """Keeps what is said."""

    def __init__(self):
        self.messages, self.warnings = [], []

    def message(self, text):
        self.messages.append(text)

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def listener():
    """A reporter that keeps what is said."""
    return Listener()


@pytest.fixture(autouse=True)
def legacy_rng():
    """Seed NumPy's legacy generator for libraries that use it, and leave it as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@pytest.fixture
def files_of_at_most():
    """``with files_of_at_most(size):`` the kernel refuses longer files [bytes], as it does when a disk is full."""

    @contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture(scope="session")
def shipped():
    """Folder of the shipped ROOT files."""
    return shipped_folder() / "ecal30_electron"


@pytest.fixture(scope="session")
def ecal30_showers(shipped):
    """The first 400 shipped showers, in memory."""
    config = Config.model_validate(_ecal30(Path("unused"), [str(shipped / "hits_1001.root")]))
    schema = Schema.from_source(config.data.sources[0])
    geometry = Geometry.from_dict(config.geometry.to_dict())
    return read_showers(config.data.sources[0].files, schema, geometry, max_showers=400)


@pytest.fixture(scope="session")
def ecal30_config(tmp_path_factory, ecal30_showers):
    """A configuration of two small files with those showers."""
    folder = tmp_path_factory.mktemp("ecal30")
    files = [str(folder / f"part{number}.root") for number in range(2)]
    config = Config.model_validate(_ecal30(folder / "run", files))
    for number, file in enumerate(files):
        with ShowerWriter(file, Schema.from_source(config.data.sources[0]), ecal30_showers.geometry) as writer:
            writer.extend(ecal30_showers[200 * number : 200 * (number + 1)])
    return config


@pytest.fixture(scope="session")
def ecal30_store(ecal30_config):
    """Those showers prepared, in ``ecal30_config.run_dir``."""
    return prepare(ecal30_config, SilentReporter())


@pytest.fixture(scope="session")
def untrained_bundle():
    """Writes a bundle with a tiny, untrained generator: ``untrained_bundle(path, geometry, domain, schema)``."""

    def write(path, geometry, domain, schema, *, condition=CONDITION, particles=(), export=False, validation=None):
        import torch

        from calogan.export import describe, export_onnx
        from calogan.models.generator import Architecture, build_generator

        architecture = Architecture(latent_size=3, hidden=(8,), particles=particles)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            generator = build_generator(architecture, geometry, domain, condition, threshold=3e-4).eval()
        torch.nn.init.constant_(generator.cell_mean.bias, -1.0)  # as in a calorimeter, most cells stay dark
        info = BundleInfo(
            id="",
            calogan_version="0",
            condition=tuple(condition),
            geometry=geometry,
            domain=domain,
            threshold=3e-4,
            schema=schema,
            noise_size=generator.noise_size,
            architecture=architecture.to_dict(),
            provenance={},
            files={},
            validation=validation,
        )
        weights = {name: value.numpy() for name, value in generator.state_dict().items()}
        return write_bundle(path, info, weights, export_onnx(generator, describe(info)) if export else None)

    return write


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory, untrained_bundle):
    """A bundle for the shipped calorimeter, untrained, with its exported graph; copy it to change it."""
    config = Config.model_validate(_ecal30(Path("unused"), ["-"]))
    return untrained_bundle(
        tmp_path_factory.mktemp("tiny") / "bundle",
        Geometry.from_dict(config.geometry.to_dict()),
        Domain.from_config(config.domain),
        Schema.from_source(config.data.sources[0]),
        export=True,
        validation={"passed": True},
    )


@dataclass(frozen=True)
class Toy:
    """Three-layer showers in memory, and a file of them in each layout."""

    showers: Showers
    folder: Path

    @property
    def geometry(self):
        return self.showers.geometry

    def file(self, layout):
        return self.folder / f"{layout}.root"

    def config(self, run_dir, *layouts, files=None, **data):
        """Configuration that reads the file of each layout, or `files`."""
        sources = [{"files": files or [str(self.file(layout))], **TOY_SOURCES[layout]} for layout in layouts]
        return Config.model_validate(
            {
                "name": "toy",
                "run_dir": str(run_dir),
                "geometry": {
                    "layers": [
                        {"x": layer.x_edges, "y": layer.y_edges, "depth": layer.depth, "z_range": layer.z_range}
                        for layer in self.geometry.layers
                    ]
                },
                "domain": {"momentum": [1, 64], "max_angle": 15, "entry_x": [-5, 5], "entry_y": [-5, 5]},
                "data": {"sources": sources, **data},
            }
        )

    def schema(self, layout):
        return Schema.from_source(self.config("unused", layout).data.sources[0])

    def write(self, path, layout, showers=None, **options):
        """Write showers (all of them by default) to a file."""
        with ShowerWriter(path, self.schema(layout), self.geometry, **options) as writer:
            writer.extend(self.showers if showers is None else showers)
        return path


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """Two hundred toy showers, events 1000 to 1199, in memory and in files of each layout."""
    rng = np.random.default_rng(7)
    made = Toy(toy_showers(rng, toy_geometry(), 200, first_event=1000), tmp_path_factory.mktemp("toy"))
    for layout in TOY_SOURCES:
        made.write(made.file(layout), layout)
    return made


@pytest.fixture(scope="session")
def write_podio():
    """Writes collections as podio does: ``write_podio(path, {"MCParticles": {"PDG": [[22]]}}, form="tree")``.

    ``form`` is ``tree``, ``old`` (relations of former versions) or ``rntuple``.
    """

    def write(path, collections, form="tree"):
        columns, fields = {}, {}
        for name, attributes in collections.items():
            arrays = {key: ak.from_regular(ak.Array(values)) for key, values in attributes.items()}
            relation = arrays.pop("contributions", None)
            if relation is not None:
                fields[f"_{name}_contributions"] = ak.zip({"index": relation})
                other = f"{name}#0" if form == "old" else f"_{name}_contributions"
                columns[f"{other}/{other}.index"] = relation
            columns |= {f"{name}/{name}.{key}": values for key, values in arrays.items()}
            fields[name] = ak.zip(_nested(arrays))
        with uproot.recreate(path) as file:
            if form == "rntuple":
                file.mkrntuple("events", fields)
            else:
                types = {key: f"var * {ak.flatten(values).type.content}" for key, values in columns.items()}
                file.mktree("events", types, counter_name=lambda name: f"n{abs(hash(name))}").extend(columns)
        return path

    return write


def _nested(arrays):
    """Attributes like position.x as records."""
    heads = {key.partition(".")[0] for key in arrays}
    inner = {
        head: {k.partition(".")[2]: v for k, v in arrays.items() if k.startswith(f"{head}.")} for head in sorted(heads)
    }
    return {head: ak.zip(parts) if parts else arrays[head] for head, parts in inner.items()}


def _ecal30(run_dir, files):
    source = {"layout": "hits", "tree": "hits", "pdg": "pdg", "files": files}
    return {**ECAL30, "run_dir": str(run_dir), "data": {"sources": [source]}}


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory):
    """MLflow's tables, made once: it takes seconds."""
    mlflow = pytest.importorskip("mlflow")
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@dataclass(frozen=True)
class RegisteredBundle:
    """A bundle in a real MLflow store: version 1 and champion of ``calogan-tiny``, and an artifact of its run.

    Attributes:
        uri: The store.
        run_id: The run.
        bundle: The bundle that was registered.
    """

    uri: str
    run_id: str
    bundle: Any


@pytest.fixture(scope="session")
def registered_bundle(tmp_path_factory, empty_mlflow, tiny_bundle):
    """The tiny bundle as `calogan register` leaves it; tests read it alone."""
    from calogan.registry import open_record, register_bundle
    from calogan.serving import save_model
    from calogan.tracking import tracked

    folder = tmp_path_factory.mktemp("registered")
    uri = f"sqlite:///{shutil.copy(empty_mlflow, folder / 'mlflow.db')}"
    config = Config.model_validate({**_ecal30(folder / "run", ["-"]), "tracking": {"uri": uri}})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # MLflow puts artifacts there
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_REGISTRY_URI", raising=False)
        with tracked(config, SilentReporter()) as tracker:
            tracker.log_artifact(tiny_bundle.path)
        record = open_record(config)
        tags = {"calogan.verdict": "pass", "calogan.verdict.tally": "3 pass, 0 fail, 0 undecided"}
        bundle = tiny_bundle.info.id
        register_bundle(record, lambda place: save_model(tiny_bundle, place), bundle, "0123abcd", "calogan-tiny", tags)
    return RegisteredBundle(uri, record.run_id, tiny_bundle)
