"""Tests of the export of a bundle, through files."""

import shutil
import subprocess
import sys

import onnxruntime
import pytest
import torch

from calogan import export as library
from calogan.bundle import Bundle
from calogan.errors import BundleError, ConfigError, DataError
from calogan.progress import SilentReporter
from calogan.stages import export as stage
from calogan.stages.export import BATCHES, export


def export_it(*arguments, **named):
    return export(*arguments, **named, reporter=SilentReporter())


@pytest.fixture(scope="module")
def exported(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return export_it(tiny_bundle.path, folder / "e.onnx", folder / "e.pt2")


def test_both_files_agree_with_the_generator(exported):
    assert [file.path.name for file in exported] == ["e.onnx", "e.pt2"]
    assert sorted(path.name for path in exported[0].path.parent.iterdir()) == ["e.onnx", "e.pt2"]
    for file in exported:
        assert len(file.parity) == len(BATCHES)
        assert max(parity.apart / parity.cells for parity in file.parity) < 1e-3  # of an untrained generator
        assert sum(parity.flipped for parity in file.parity) <= 2
        assert file.parity[-1].cells == 1000 * 900


def test_the_graph_names_its_bundle(exported, tiny_bundle):
    said = onnxruntime.InferenceSession(exported[0].path).get_modelmeta().custom_metadata_map
    assert said["calogan.bundle"] == tiny_bundle.info.id
    assert said["calogan.noise_size"] == str(tiny_bundle.info.noise_size)


def test_tried_particles_are_in_the_domain_and_fill_it(tiny_bundle):
    domain = tiny_bundle.info.domain
    incident = stage._draw(tiny_bundle.info, 1000)
    assert not domain.outside(incident).any()
    assert incident[:, 2].max() > 0.9 * domain.momentum[1]
    assert abs(incident[:, 3:]).max() > 0.95 * domain.entry_x[1]


@pytest.fixture
def made_before(exported, monkeypatch):
    """The archive that was made already, which saves the seconds of another."""
    content = exported[1].path.read_bytes()
    monkeypatch.setattr(library, "export_pt2", lambda generator, metadata: content)
    return content


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(made_before, tiny_bundle, tmp_path):
    path = tmp_path / "e.pt2"
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=r"e\.pt2: exists already; give another name, or --overwrite"):
        export_it(tiny_bundle.path, pt2=path)
    assert path.read_bytes() == b"mine"
    export_it(tiny_bundle.path, pt2=path, overwrite=True)
    assert path.read_bytes() == made_before


def test_paths_that_cannot_be_are_refused_before_the_work(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(Bundle, "load_generator", lambda bundle: pytest.fail("worked in vain"))
    for path, text in (
        (tmp_path, "is a folder"),
        (tmp_path / "absent" / "e.onnx", "there is no folder"),
        (tiny_bundle.onnx_path, "is in the bundle"),
    ):
        with pytest.raises(DataError, match=text) as error:
            export_it(tiny_bundle.path, path, overwrite=True)
        assert str(path) in str(error.value)
    with pytest.raises(ConfigError, match="the same file"):
        export_it(tiny_bundle.path, tmp_path / "e", tmp_path / "e")


def test_a_disk_that_is_full_leaves_nothing(made_before, tiny_bundle, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stage, "write_atomically", full)
    with pytest.raises(DataError, match=r"e\.pt2: cannot be written: No space left on device"):
        export_it(tiny_bundle.path, pt2=tmp_path / "e.pt2")


def test_an_export_that_differs_is_not_written(made_before, tiny_bundle, tmp_path, monkeypatch):
    other = tiny_bundle.load_generator()
    with torch.no_grad():
        other.cell_mean.bias += 0.5
    monkeypatch.setattr(Bundle, "load_generator", lambda bundle: other)
    with pytest.raises(BundleError, match="differs"):
        export_it(tiny_bundle.path, pt2=tmp_path / "e.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.multiprocess
@pytest.mark.parametrize("missing", ["torch", "onnxscript"])
def test_what_is_not_installed_is_named(tiny_bundle, tmp_path, missing):
    bundle = shutil.copytree(tiny_bundle.path, tmp_path / "bundle")
    script = f"import sys; sys.modules['{missing}'] = None; from calogan.cli import main; main()"
    arguments = ["export", "--bundle", str(bundle), "--onnx", str(tmp_path / "e.onnx"), "--quiet"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert done.stderr == f"error: calogan export needs {missing}: pip install 'calogan[train]'\n"
    assert not (tmp_path / "e.onnx").exists()
