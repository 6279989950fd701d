"""Checkpoints: what is damaged is noticed, the one before is used, and what cannot be written is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from calogan.errors import TrainingError
from calogan.progress import SilentReporter
from calogan.training.checkpoint import Checkpoint
from calogan.training.state import Best, TrainingState


class Warnings(SilentReporter):
    def __init__(self):
        self.lines = []

    def warning(self, text):
        self.lines.append(text)


def make_state(step=0):
    torch.manual_seed(step)
    parts = (nn.Linear(20, 20) for _ in range(7))  # as good as optimisers here: each has a state_dict
    state = TrainingState(*parts, step=step, elapsed=2.5 * step)
    state.best = Best(0.5, step, {"weight": torch.full((3,), float(step))})
    state.sums["loss"] = torch.tensor(0.1)
    state.counts["loss"] += step
    return state


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train" / "checkpoint.pt"


@pytest.fixture
def warnings():
    return Warnings()


def opened(path, warnings, fingerprint="print"):
    return Checkpoint(path, fingerprint, warnings)


@pytest.fixture
def saved(path, warnings):
    """States of steps 10 and 20 on disk."""
    path.parent.mkdir()
    checkpoint = opened(path, warnings)
    for step in (10, 20):
        checkpoint.save(make_state(step))
    return checkpoint


def loaded(checkpoint):
    state = make_state()
    checkpoint.load(checkpoint.find(), state)
    return state


def test_a_state_comes_back_as_it_was(saved, path, warnings):
    state, expected = loaded(opened(path, warnings)), make_state(20)
    assert (state.step, state.elapsed, state.best.step) == (20, 50.0, 20)
    assert torch.equal(state.best.weights["weight"], expected.best.weights["weight"])
    assert torch.equal(state.generator.weight, expected.generator.weight)
    assert (state.sums, state.counts["loss"], state.counts["other"]) == ({"loss": torch.tensor(0.1)}, 20, 0)
    assert warnings.lines == []


def test_there_is_nothing_to_go_on_from_at_first(path, warnings):
    checkpoint = opened(path, warnings)
    assert checkpoint.find() is None
    assert not checkpoint.exists()


def test_the_hash_is_that_of_what_torch_reads(saved, path):
    done = subprocess.run(f"head -c -72 {path} | sha256sum", shell=True, capture_output=True, text=True, check=True)
    assert path.read_bytes()[-72:].decode() == f"\nsha256 {done.stdout.split()[0]}"
    assert torch.load(path, weights_only=True)["step"] == 20


def flip(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGES = {
    "first bit": lambda content: flip(content, 0),
    "middle bit": lambda content: flip(content, len(content) // 2),
    "bit of the hash": lambda content: flip(content, len(content) - 1),
    "bit before the hash": lambda content: flip(content, len(content) - 70),
    "last byte gone": lambda content: content[:-1],
    "half gone": lambda content: content[: len(content) // 2],
    "nothing but the hash": lambda content: content[-72:],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "one byte more": lambda content: content + b"\n",
    "another file": lambda content: b"step,loss\n1,0.5\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_told_once_and_the_one_before_is_used(saved, path, warnings, damage):
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    checkpoint = opened(path, warnings)
    assert loaded(checkpoint).step == 10
    (line,) = warnings.lines
    assert line.startswith(f"{path} ")
    assert "going on from the one before it, of step 10" in line
    # The damaged file does not push the good one out.
    checkpoint.save(make_state(30))
    path.write_bytes(b"")
    assert loaded(opened(path, warnings)).step == 10


def test_a_flipped_byte_is_noticed_wherever_it_is(saved, path):
    content = path.read_bytes()
    warnings = Warnings()
    places = range(0, len(content), 101)
    for place in places:
        path.write_bytes(flip(content, place))
        assert opened(path, warnings).find() == saved.previous
    assert len(warnings.lines) == len(places) > 100


def test_two_damaged_files_are_refused_with_what_to_do(saved, path, warnings):
    path.write_bytes(b"")
    saved.previous.write_bytes(flip(saved.previous.read_bytes(), 99))
    with pytest.raises(TrainingError) as refusal:
        opened(path, warnings).find()
    text = str(refusal.value)
    assert f"no whole checkpoint: {path} is empty; {saved.previous} is damaged: its SHA-256" in text
    assert text.endswith(f"remove {path.parent} to start again")
    assert warnings.lines == []


def test_another_training_is_refused_and_not_skipped(saved, path, warnings):
    opened(path, warnings, "other").save(make_state(30))
    checkpoint = opened(path, warnings)
    with pytest.raises(TrainingError, match="another configuration or other data; choose another run_dir"):
        loaded(checkpoint)


def test_other_networks_are_refused(saved, path, warnings):
    state = make_state()
    state.generator = nn.Linear(2, 2)
    with pytest.raises(TrainingError, match=r"does not fit the networks.*remove"):
        saved.load(path, state)


def test_code_in_a_file_is_not_executed(saved, path, tmp_path, warnings):
    trace = tmp_path / "executed"

    class Malicious:
        def __reduce__(self):
            return (os.mkdir, (str(trace),))

    state = make_state(30)
    state.best = Best(0.5, 1, Malicious())
    saved.save(state)
    assert loaded(opened(path, warnings)).step == 20
    assert "is not a checkpoint: Weights only load failed" in warnings.lines[0]
    assert not trace.exists()


def test_a_full_disk_keeps_what_is_there_until_it_has_room_again(saved, path, warnings, files_of_at_most):
    names = sorted(file.name for file in path.parent.iterdir())
    with files_of_at_most(1000):
        saved.save_or_warn(make_state(30))
        saved.save_or_warn(make_state(40))
    assert sorted(file.name for file in path.parent.iterdir()) == names
    assert [line.count("File too large), that of step 20 is kept") for line in warnings.lines] == [1, 1]
    assert "gives up if that happens 3 times in a row (2 so far)" in warnings.lines[1]
    assert loaded(opened(path, warnings)).step == 20
    saved.save_or_warn(make_state(50))
    assert loaded(opened(path, warnings)).step == 50
    with files_of_at_most(1000):
        saved.save_or_warn(make_state(60))
    assert "(1 so far)" in warnings.lines[2]


@pytest.fixture
def disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_without_space_keeps_both_states_and_its_space(disk, warnings):
    path = disk / "checkpoint.pt"
    checkpoint = opened(path, warnings)
    for step in (10, 20):
        checkpoint.save(make_state(step))
    filler = disk / "filler"
    filler.write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 8192))
    checkpoint.save_or_warn(make_state(30))
    assert sorted(file.name for file in disk.iterdir()) == ["checkpoint.previous.pt", "checkpoint.pt", "filler"]
    assert [line.count("(No space left on device), that of step 20 is kept") for line in warnings.lines] == [1]
    assert loaded(opened(path, warnings)).step == 20
    path.write_bytes(b"")
    assert loaded(opened(path, warnings)).step == 10
    filler.unlink()
    checkpoint.save_or_warn(make_state(40))
    assert loaded(opened(path, warnings)).step == 40


def test_a_disk_that_stays_full_ends_the_training(saved, warnings, files_of_at_most):
    with files_of_at_most(1000):
        saved.save_or_warn(make_state(30))
        saved.save_or_warn(make_state(40))
        with pytest.raises(TrainingError, match=r"step 50 cannot be saved \(File too large\), that of step 20 is kept"):
            saved.save_or_warn(make_state(50))
    assert len(warnings.lines) == 2


def test_the_last_state_has_to_be_saved(path, warnings, files_of_at_most):
    path.parent.mkdir()
    with files_of_at_most(1000), pytest.raises(TrainingError, match="there is none before it; make room"):
        opened(path, warnings).save_last(make_state(30))


def test_a_folder_that_is_gone_for_a_while(saved, path, warnings):
    elsewhere = path.parent.rename(path.parent.with_name("elsewhere"))
    saved.save_or_warn(make_state(30))
    elsewhere.rename(path.parent)
    saved.save_or_warn(make_state(40))
    assert [line.count("step 30 cannot be saved (No such file or directory)") for line in warnings.lines] == [1]
    assert loaded(opened(path, warnings)).step == 40


KILLED = """
import json, os, pathlib, shutil, signal, sys
sys.path.insert(0, sys.argv[2])
from test_checkpoint import Checkpoint, SilentReporter, loaded, make_state
from torch import save

folder, found = pathlib.Path(sys.argv[1]), []
for moment in range(100):
    work = shutil.copytree(folder, folder.with_name(f"killed{moment}"))
    child = os.fork()
    if not child:
        checkpoint, left = Checkpoint(work / "checkpoint.pt", "print", SilentReporter()), [moment]
        checkpoint.find()

        def kill(event, arguments):
            if event in {"open", "os.rename", "os.remove"}:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

        sys.addaudithook(kill)
        checkpoint.save(make_state(30))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found.append((code, loaded(Checkpoint(work / "checkpoint.pt", "print", SilentReporter())).step))
    if code == 0:
        break
print(json.dumps(found))
"""


@pytest.mark.multiprocess
def test_a_kill_at_any_instant_of_a_save_leaves_a_whole_state(saved, path):
    """At each call of the system that opens or renames a file; the process dies there."""
    folders = [str(path.parent), str(Path(__file__).parent)]
    done = subprocess.run([sys.executable, "-c", KILLED, *folders], capture_output=True, text=True, check=True)
    *killed, whole = json.loads(done.stdout)
    assert whole == [0, 30]
    assert [code for code, _ in killed] == [-9] * len(killed)
    steps = [step for _, step in killed]
    assert steps == sorted(steps)
    assert steps[0] == 20
    assert len(steps) >= 3
