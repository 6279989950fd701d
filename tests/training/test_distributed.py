import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from calogan.errors import ConfigError, ProcessLostError, TrainingError
from calogan.training import distributed
from calogan.training.distributed import Group

WORKER = Path(__file__).with_name("worker.py")
ALONE = Group()
DOUBLE = {"double": True}
SHORT = {"warmup_steps": 4, "steps": 4, "log_every": 1}
JOBS = {
    "double": DOUBLE,
    "single": {},
    "parts": DOUBLE | SHORT | {"batch_size": 35, "accumulate": 2},
    "resumed": DOUBLE | SHORT | {"signal_at": 1},
    "per process": SHORT | {"batch_per": "process", "batch_size": 16, "signal_at": 1},
}
GIVEN = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


def train_in_two(out, jobs):
    """Run the jobs in two processes; both their results of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(WORKER), str(out), json.dumps(jobs)]
    processes = []
    for rank in ("0", "1"):
        told = GIVEN | {"RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": str(port)}
        processes.append(subprocess.Popen(command, env=os.environ | told, stderr=subprocess.PIPE, text=True))
    for process in processes:
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
    return {name: [torch.load(out / name / f"rank{rank}.pt") for rank in (0, 1)] for name in jobs}


@pytest.fixture(scope="module")
def train():
    return runpy.run_path(str(WORKER))["train"]


@pytest.fixture(scope="module")
def in_two(tmp_path_factory):
    """Results of all jobs in two processes, and the folder of their checkpoints."""
    out = tmp_path_factory.mktemp("two")
    return train_in_two(out, JOBS), out


def furthest(one, other):
    return max((a - b).abs().max().item() for a, b in zip(one["weights"], other["weights"], strict=True))


def losses(result):
    return [
        (step, name, value)
        for step, figures in result["records"]
        for name, value in figures.items()
        if not name.startswith(("time/", "memory/"))
    ]


@pytest.mark.multiprocess
@pytest.mark.parametrize("job", ["double", "parts"])
def test_two_processes_train_as_one_does(train, in_two, tmp_path, job):
    """Warm start, critic and generator; 25 steps of each, uneven parts, parts one after another."""
    first, second = in_two[0][job]
    assert all(torch.equal(a, b) for a, b in zip(first["weights"], second["weights"], strict=True))
    assert second["records"] == []
    assert furthest(first, train(tmp_path, ALONE, **JOBS[job] | {"accumulate": 1})) < 1e-10


@pytest.mark.multiprocess
def test_loss_curves_lie_on_each_other_in_single_precision(train, in_two, tmp_path):
    one, two = losses(train(tmp_path, ALONE, **JOBS["single"])), losses(in_two[0]["single"][0])
    assert len(one) > 30
    for (step, name, value), (other_step, other_name, other) in zip(one, two, strict=True):
        assert (step, name) == (other_step, other_name)
        assert value == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.mark.multiprocess
def test_a_signal_to_one_process_stops_all_and_any_number_goes_on(train, in_two, tmp_path):
    results, out = in_two
    first, second = results["resumed"]
    assert first["step"] == second["step"] < 4
    assert f"stopped by SIGUSR1 at step {first['step']}" in first["warned"][0]
    options = DOUBLE | SHORT
    middle = train(out / "resumed", ALONE, **options, signal_at=first["step"] + 2)
    assert middle["step"] == first["step"] + 2
    last = train_in_two(out, {"resumed": options})["resumed"][0]
    assert last["step"] == 8
    assert furthest(last, train(tmp_path, ALONE, **options)) < 1e-10


@pytest.mark.multiprocess
def test_batches_that_grow_with_the_processes_go_on_with_a_warning(train, in_two):
    options = SHORT | {"batch_per": "process", "batch_size": 16}
    last = train(in_two[1] / "per process", ALONE, **options)
    assert last["step"] == 8
    assert last["warned"] == ["batches had 32 showers, and have 16 from now on"]


def test_parts_one_after_another_are_the_batch(train, tmp_path):
    options = DOUBLE | SHORT | {"batch_size": 35}
    whole = train(tmp_path / "whole", ALONE, **options)
    parts = train(tmp_path / "parts", ALONE, **options, accumulate=3)
    assert furthest(whole, parts) < 1e-10
    for (step, name, value), other in zip(losses(whole), losses(parts), strict=True):
        assert (step, name, pytest.approx(value)) == other


def test_a_batch_too_small_for_its_parts_is_refused(train, tmp_path):
    with pytest.raises(
        TrainingError, match=r"batches of 4 showers are too few for training\.accumulate 3 .* at least 6"
    ):
        train(tmp_path, ALONE, batch_size=4, accumulate=3)


def test_without_a_description_a_process_is_alone():
    assert Group.from_environment({}) == Group.from_environment({"RANK": "0", "WORLD_SIZE": "1"}) == ALONE
    assert ALONE.leads


def test_torchruns_description_is_read():
    assert Group.from_environment(GIVEN) == Group(1, 2, 1, 2)
    assert Group.from_environment(GIVEN | {"GROUP_WORLD_SIZE": "1"}).watched


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MASTER_PORT": ""}, "but not MASTER_PORT: start several processes with calogan launch"),
        ({"WORLD_SIZE": ""}, "but not WORLD_SIZE"),
        ({"RANK": "one"}, "must be whole numbers"),
    ],
)
def test_half_a_description_is_refused(change, message):
    with pytest.raises(TrainingError, match=message):
        Group.from_environment(GIVEN | change)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _device: None)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_every_process_has_a_gpu_of_its_own(two_gpus, name):
    assert Group(5, 8, local_rank=1, local_size=2).device(name) == torch.device("cuda", 1)


@pytest.mark.parametrize("group", [ALONE, Group(1, 2, 1, 2)])
def test_the_cpu_can_be_chosen(two_gpus, group):
    assert group.device("cpu") == torch.device("cpu")


def test_more_processes_than_gpus_are_refused(two_gpus):
    with pytest.raises(TrainingError, match=r"3 processes on this node, but 2 GPUs: .*--nproc-per-node gpu"):
        Group(0, 3, 0, 3).device("auto")


def test_one_gpu_for_all_is_refused(two_gpus):
    with pytest.raises(TrainingError, match=r"'cuda:1' for 2 processes; take cuda"):
        Group(0, 2, 0, 2).device("cuda:1")


@pytest.fixture
def answers(monkeypatch):
    """What the other processes of a group of three answer; this one is the second."""
    told = [None, None, None]

    def gather(items, item):
        items[:] = [told[0], item, told[2]]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    return told


def test_all_go_on_where_all_can(answers):
    assert Group(1, 3).together(lambda: 7) == 7


def test_none_goes_on_where_one_cannot(answers):
    answers[0] = ConfigError("no")
    with pytest.raises(ConfigError, match="no") as refused:
        Group(1, 3).together(lambda: 7)
    assert refused.value.agreed
    assert refused.value.said


def test_another_process_fault_is_not_taken_for_a_refusal(answers):
    answers[2] = "ZeroDivisionError: 1 / 0"
    with pytest.raises(ProcessLostError, match="process 2 of 3 failed: ZeroDivisionError: 1 / 0"):
        Group(1, 3).together(lambda: 7)


def test_an_own_fault_keeps_its_traceback(answers):
    answers[0] = ConfigError("no")
    with pytest.raises(ZeroDivisionError):
        Group(1, 3).together(lambda: 1 // 0)


def test_broken_connection_is_one_line(monkeypatch):
    def broken(_numbers, group):
        msg = "[pair.cc:537] Connection reset\nby peer"
        raise RuntimeError(msg)

    monkeypatch.setattr(torch.distributed, "all_reduce", broken)
    with pytest.raises(ProcessLostError, match=r"process 1 of 2 lost touch .*run the same command") as lost:
        Group(1, 2, 0, 1).add_up(torch.zeros(3))
    assert "\n" not in str(lost.value)
    assert not lost.value.said


@pytest.mark.parametrize("gpus", [False, True])
def test_values_go_over_gloo_and_gradients_on_gpus_over_nccl(monkeypatch, gpus):
    """Left to itself, a GPU build of PyTorch has NCCL alone, which moves no values between CPUs."""
    made = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda backend, timeout: made.append(backend))
    monkeypatch.setattr(torch.distributed, "new_group", lambda backend, timeout: made.append(backend) or "nccl group")
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: made.append("destroyed"))
    monkeypatch.setattr(distributed, "_end_with_launcher", lambda number: None)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    with distributed.process_group() as group:
        assert group.gpus == ("nccl group" if gpus else None)
    assert made == (["gloo", "nccl", "destroyed"] if gpus else ["gloo", "destroyed"])
