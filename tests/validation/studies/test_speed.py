from __future__ import annotations

import numpy as np
import pytest
import torch

from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.sampler import load_sampler
from calogan.validation.studies import speed
from calogan.validation.studies.speed import SimulationTime, study_speed

INCIDENT = np.array([[0.0, 0.0, 10.0, 0.0, 0.0], [1.0, 0.0, 20.0, 1.0, -1.0]], dtype=np.float32)


class Clock:
    """A clock that goes on by a millisecond for each shower asked for, in all but the first request of a size."""

    def __init__(self):
        self.time, self.sizes = 0.0, []

    def __call__(self):
        return self.time

    def watch(self, sampler, monkeypatch):
        sample = sampler.sample

        def watched(px, *others, **options):
            size = len(px)
            self.time += 1e-3 * size if size in self.sizes else 50.0
            self.sizes.append(size)
            return sample(px[:2], *(None if column is None else column[:2] for column in others), **options)

        monkeypatch.setattr(type(sampler), "sample", lambda self, *arguments, **options: watched(*arguments, **options))


@pytest.fixture
def sampler(toy, tmp_path, untrained_bundle):
    """A sampler without exported graph: it runs in torch."""
    config, schema = toy.config(tmp_path, "dense"), toy.schema("dense")
    bundle = untrained_bundle(tmp_path / "bundle", toy.geometry, Domain.from_config(config.domain), schema)
    return load_sampler(bundle.path)


def test_times_are_those_of_a_shower(sampler, monkeypatch):
    clock = Clock()
    clock.watch(sampler, monkeypatch)

    found = study_speed(sampler, INCIDENT, SimulationTime("time", 10, 40.0), SilentReporter(), clock)

    assert [timing.batch for timing in found.timings] == [1, 100, 10_000]
    for timing in found.timings:
        assert (timing.median, timing.low, timing.high) == pytest.approx((1, 1, 1))
        assert timing.speedup == pytest.approx(40)
    assert [timing.repeats for timing in found.timings] == [100, 31, 5]  # until 3 s, at least 5, at most 100


def test_without_the_simulations_time_there_is_no_speedup(sampler, monkeypatch):
    clock = Clock()
    clock.watch(sampler, monkeypatch)

    found = study_speed(sampler, INCIDENT, None, SilentReporter(), clock)

    assert found.simulation is None
    assert {timing.speedup for timing in found.timings} == {None}
    assert found.metrics == ()


def test_network_and_machine_are_named(sampler, tiny_bundle, monkeypatch):
    monkeypatch.setattr(speed, "BATCHES", (1,))
    monkeypatch.setattr(speed, "_REPEATS", (2, 2))
    samplers = sampler, load_sampler(tiny_bundle.path, threads=3), load_sampler(tiny_bundle.path)

    in_torch, in_onnx, unlimited = (study_speed(one, INCIDENT, None, SilentReporter()) for one in samplers)

    assert (in_torch.backend, in_torch.device) == (f"torch {torch.__version__}", "cpu")
    assert in_torch.threads == str(torch.get_num_threads())
    assert in_onnx.backend.startswith("ONNX Runtime ")
    assert (in_onnx.device, in_onnx.threads, in_onnx.precision) == ("cpu", "3", "float32")
    assert unlimited.threads.startswith("one for each of ")
    assert "cores for this process" in in_onnx.machine
