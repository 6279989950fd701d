import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import calogan
from calogan import bundle as bundle_module
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


def make_bundle(path, graph=None, **provenance):
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
        provenance={"seed": 1} | provenance,
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
    later = make_bundle(tmp_path / "elsewhere", minutes=7.5)
    assert later.info.id == bundle.info.id
    assert later.info.provenance == {"seed": 1, "minutes": 7.5}


def test_a_bundle_that_finds_no_room_leaves_the_former_one(bundle, files_of_at_most):
    with (
        files_of_at_most(1000),
        pytest.raises(BundleError, match=r"bundle: the bundle cannot be written: File too large"),
    ):
        make_bundle(bundle.path)
    assert Bundle.load(bundle.path) == bundle
    assert [folder.name for folder in bundle.path.parent.iterdir()] == ["bundle"]


KILLED = """
import json, os, pathlib, signal, sys
from safetensors.numpy import load
from calogan.bundle import Bundle, write_bundle
from calogan.errors import BundleError

path, found = pathlib.Path(sys.argv[1]), []
former = Bundle.load(path)
weights = {name: value + 1 for name, value in load(former.weights_path.read_bytes()).items()}
for moment in range(100):
    child = os.fork()
    if not child:
        left = [moment]

        def kill(event, arguments):
            if event in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

        sys.addaudithook(kill)
        write_bundle(path, former.info, weights, b"another graph")
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        found.append(Bundle.load(path).info.id)
    except BundleError as error:
        found.append(str(error))
    if code == 0:
        break
print(json.dumps([code, found]))
"""


@pytest.mark.multiprocess
def test_a_kill_at_any_instant_leaves_a_whole_bundle_or_none(bundle):
    done = subprocess.run([sys.executable, "-c", KILLED, str(bundle.path)], capture_output=True, text=True, check=True)
    code, found = json.loads(done.stdout)
    new = Bundle.load(bundle.path)
    assert code == 0
    assert set(found) == {bundle.info.id, f"{bundle.path}: not a bundle: there is no bundle.json", new.info.id}
    assert found[0] == bundle.info.id != new.info.id
    assert [folder.name for folder in bundle.path.parent.iterdir()] == ["bundle"]


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


def test_weigher_is_kept_and_leaves_the_identity(bundle):
    weighed = bundle.with_validation({"passed": True}).with_weigher(b"weights", {"limit": 2.5})
    again = Bundle.load(bundle.path)
    assert again == weighed
    assert again.info.id == bundle.info.id
    assert again.info.weigher == {"limit": 2.5}
    assert again.info.validation == {"passed": True}
    assert again.weigher_path.read_bytes() == b"weights"
    assert again.with_validation({}).info.weigher == {"limit": 2.5}
    assert bundle.weigher_path is None
    assert "weigher" not in bundle.info.to_dict()
    replaced = again.with_weigher(b"others", {"limit": 3.0})
    assert Bundle.load(bundle.path) == replaced
    assert replaced.weigher_path.read_bytes() == b"others"


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_weigher_that_is_killed_while_it_is_replaced_leaves_a_bundle(bundle, monkeypatch, writes):
    former = bundle.with_weigher(b"former", {"limit": 1.0})
    write, done = bundle_module.write_atomically, []

    def killed(path, content):
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(path.name)
        write(path, content)

    monkeypatch.setattr(bundle_module, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        former.with_weigher(b"new", {"limit": 2.0})
    found = Bundle.load(bundle.path)
    assert found.info.id == bundle.info.id
    assert found.info == (former if writes == 0 else bundle).info


def test_a_bundle_that_cannot_be_written_gets_no_weigher(bundle, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle_module, "write_atomically", full)
    with pytest.raises(BundleError, match=r"bundle: cannot be written: No space left on device; copy the bundle"):
        bundle.with_weigher(b"weights", {})
    assert Bundle.load(bundle.path) == bundle


def test_training_again_leaves_no_weigher_of_other_weights(bundle):
    bundle.with_weigher(b"weights", {"limit": 2.5})
    again = make_bundle(bundle.path)
    assert again.weigher_path is None
    assert not (bundle.path / "weigher.onnx").exists()


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
        (lambda bundle: bundle.with_weigher(b"w", {}).weigher_path.write_bytes(b"v"), "weigher.onnx: damaged"),
        (lambda bundle: bundle.with_weigher(b"w", {}).weigher_path.unlink(), "weigher.onnx is missing"),
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
