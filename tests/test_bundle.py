import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import calogan
from calogan.bundle import Bundle, BundleInfo, write_bundle
from calogan.config import DenseSource
from calogan.data.schema import Schema
from calogan.errors import BundleError
from calogan.export import check_parity, export_onnx
from calogan.geometry import Geometry, Layer
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain

GEOMETRY = Geometry(
    (
        Layer(tuple(np.linspace(-40.0, 40.0, 9)), tuple(np.linspace(-40.0, 40.0, 9)), depth=50.0),
        Layer(tuple(np.linspace(-40.0, 40.0, 5)), tuple(np.linspace(-40.0, 40.0, 3)), depth=90.0, z_range=(80.0, 99.0)),
    )
)
DOMAIN = Domain((1.0, 64.0), math.radians(20), (-20.0, 20.0), (-20.0, 20.0))
CONDITION = ("momentum", "direction")


def make_generator():
    torch.manual_seed(3)
    return build_generator(Architecture(4, (16, 16)), GEOMETRY, DOMAIN, CONDITION, 3e-4).eval()


def make_bundle(path, graph=None):
    generator = make_generator()
    info = BundleInfo(
        id="",
        calogan_version="0",
        condition=CONDITION,
        geometry=GEOMETRY,
        domain=DOMAIN,
        threshold=3e-4,
        schema=Schema.from_source(DenseSource(layout="dense", files=["x.root"], energy=["a", "b"])),
        noise_size=generator.noise_size,
        architecture=generator.architecture.to_dict(),
        provenance={"seed": 1},
        files={},
    )
    return write_bundle(path, info, {name: value.numpy() for name, value in generator.state_dict().items()}, graph)


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle", b"a graph")


def test_bundle_comes_back_as_it_was(bundle):
    again = Bundle.load(bundle.path)
    assert again == bundle
    assert again.info.geometry == GEOMETRY
    assert again.info.domain == DOMAIN
    restored, original = again.load_generator(), make_generator()
    incident, noise = torch.tensor([[1.0, 0.0, 20.0, 0.0, 0.0]]), torch.randn(1, original.noise_size)
    assert torch.equal(restored(incident, noise), original(incident, noise))


def test_identity_depends_on_the_weights_alone_and_not_on_where_or_when(tmp_path, bundle):
    assert make_bundle(tmp_path / "elsewhere").info.id == bundle.info.id


def test_writing_again_replaces_the_folder(bundle):
    (bundle.path / "stale").write_text("")
    make_bundle(bundle.path)
    assert sorted(file.name for file in bundle.path.iterdir()) == ["bundle.json", "weights.safetensors"]
    assert [folder.name for folder in bundle.path.parent.iterdir()] == ["bundle"]
    assert Bundle.load(bundle.path).onnx_path is None


def test_validation_summary_is_kept_and_leaves_the_identity(bundle):
    updated = bundle.with_validation({"passed": True, "auc": 0.6})
    again = Bundle.load(bundle.path)
    assert again.info.validation == {"passed": True, "auc": 0.6} == updated.info.validation
    assert again.info.id == bundle.info.id


def rewrite(bundle, **changes):
    description = bundle.path / "bundle.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | changes))


def damage_weights(bundle):
    content = bytearray((bundle.path / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (bundle.path / "weights.safetensors").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda bundle: shutil.rmtree(bundle.path), "not a bundle"),
        (lambda bundle: (bundle.path / "generator.onnx").unlink(), "generator.onnx is missing"),
        (damage_weights, "SHA-256"),
        (lambda bundle: (bundle.path / "bundle.json").write_text("{"), "damaged"),
        (lambda bundle: rewrite(bundle, format=99), "format 99"),
        (lambda bundle: rewrite(bundle, geometry={}), "damaged"),
        (lambda bundle: rewrite(bundle, files={"../../etc/passwd": "0"}), "unknown file"),
    ],
)
def test_damage_is_named_in_one_line(bundle, damage, message):
    damage(bundle)
    with pytest.raises(BundleError, match=message) as error:
        Bundle.load(bundle.path)
    assert "\n" not in str(error.value)
    assert str(bundle.path) in str(error.value)


def test_weights_of_another_network_are_refused(bundle):
    rewrite(bundle, architecture={"latent_size": 5, "hidden": [16, 16], "symmetries": []})
    with pytest.raises(BundleError, match="do not fit"):
        Bundle.load(bundle.path).load_generator()


def test_architecture_of_another_version_is_refused(bundle):
    rewrite(bundle, architecture={"latent_size": 5, "hidden": [16, 16]})
    with pytest.raises(BundleError, match="another version of calogan: KeyError 'symmetries'"):
        Bundle.load(bundle.path).load_generator()


@pytest.fixture(scope="module")
def graph():
    return export_onnx(make_generator())


def test_layers_of_unequal_cells_are_exported():
    edges = (-40.0, -10.0, -4.0, 4.0, 10.0, 40.0)
    geometry = Geometry((Layer(edges, edges, depth=30.0), *GEOMETRY.layers))
    generator = build_generator(Architecture(4, (16,), ("flip_x", "flip_y")), geometry, DOMAIN, CONDITION, 3e-4).eval()
    rng = np.random.default_rng(0)
    incident = np.stack([*rng.uniform(-1, 1, (2, 300)), rng.uniform(5, 60, 300), *rng.uniform(-15, 15, (2, 300))], 1)
    assert check_parity(generator, export_onnx(generator), incident.astype(np.float32)).cells == 300 * geometry.n_cells


def test_graph_agrees_with_the_generator_at_any_batch_size(graph):
    rng = np.random.default_rng(0)
    for count in (1, 17, 1000):
        incident = np.stack(
            [*rng.uniform(-1, 1, (2, count)), rng.uniform(5, 60, count), *rng.uniform(-20, 20, (2, count))], axis=1
        ).astype(np.float32)
        assert check_parity(make_generator(), graph, incident).flipped <= 1


def test_parity_check_sees_another_generator(graph):
    other = make_generator()
    with torch.no_grad():
        other.cell_mean.bias += 0.5
    with pytest.raises(BundleError, match="the exported graph differs from the generator"):
        check_parity(other, graph, np.array([[0.0, 0.0, 10.0, 0.0, 0.0]], dtype=np.float32))


def test_a_graph_names_no_path_of_the_machine_that_made_it():
    graph = export_onnx(make_generator())
    assert str(Path(calogan.__file__).parent).encode() not in graph
    assert b"stack_trace" not in graph


def test_a_graph_that_cannot_run_is_refused():
    with pytest.raises(BundleError, match="ONNX Runtime cannot run the exported graph"):
        check_parity(make_generator(), b"no graph", np.zeros((1, 5), dtype=np.float32))
