"""How long a shower takes, from the surrogate and from the full simulation."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calogan.data.simulation_time import SimulationTime
from calogan.metrics.metric import Metric
from calogan.progress import Reporter
from calogan.sampler import ShowerSampler

__all__ = ["BATCHES", "SimulationTime", "SpeedStudy", "Timing", "study_speed"]

BATCHES = (1, 100, 10_000)
"""Showers asked for at a time, as in the CaloChallenge (arXiv:2410.21611)."""
_REPEATS = (5, 100)  # at least, at most
_SECONDS = 3.0  # for each size, if that makes enough repeats
_CENTRAL = (0.158655, 0.841345)  # quantiles of a Gaussian at -1 and +1 standard deviation


@dataclass(frozen=True)
class Timing:
    """Time of a shower at one size of the request.

    Attributes:
        batch: Showers asked for at a time.
        repeats: Requests that were timed, after one that was not.
        median: Median time of a shower [ms].
        low: Time of a shower [ms] that 16% of the requests stay below.
        high: Time of a shower [ms] that 84% of the requests stay below.
        speedup: Mean time of the full simulation over the median; None where that is not known.
    """

    batch: int
    repeats: int
    median: float
    low: float
    high: float
    speedup: float | None


@dataclass(frozen=True)
class SpeedStudy:
    """Times of a shower on the machine at hand.

    Attributes:
        backend: Program that runs the network.
        device: Where it runs.
        threads: Threads of the network, in words.
        precision: Of the network's arithmetic.
        machine: Processor, cores and system.
        timings: One for each size of the request.
        simulation: What the full simulation recorded; None where the data have no such branch.
    """

    backend: str
    device: str
    threads: str
    precision: str
    machine: str
    timings: tuple[Timing, ...]
    simulation: SimulationTime | None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """None: a time compares no samples."""
        return ()


def study_speed(
    sampler: ShowerSampler,
    incident: NDArray[np.float32],
    simulation: SimulationTime | None,
    reporter: Reporter,
    clock: Callable[[], float] = time.perf_counter,
    *,
    pdg: NDArray[np.int32] | None = None,
) -> SpeedStudy:
    """Time whole requests to a sampler: checks, noise and network.

    Args:
        sampler: Surrogate.
        incident: Particles to ask for, in turn, px, py, pz [GeV], x, y [mm], shape ``(n, 5)``; inside the domain.
        simulation: What the full simulation recorded.
        reporter: Told about the requests.
        clock: Time [s].
        pdg: Types of the particles, shape ``(n,)``, which a sampler may have to be told.
    """
    timings = []
    with reporter.task("speed", total=len(BATCHES), unit="sizes") as task:
        for batch in BATCHES:
            seconds = _time(sampler, incident, pdg, batch, clock) / batch
            low, median, high = (1e3 * float(one) for one in np.quantile(seconds, [_CENTRAL[0], 0.5, _CENTRAL[1]]))
            speedup = simulation.mean / median if simulation is not None and median > 0 else None
            timings.append(Timing(batch, len(seconds), median, low, high, speedup))
            task.advance(note=f"{median:.3g} ms a shower, {batch} at a time")
    network = sampler.network
    threads = str(network.threads or f"one for each of {_cores()} cores")
    return SpeedStudy(network.program, network.device, threads, "float32", _machine(), tuple(timings), simulation)


def _time(
    sampler: ShowerSampler,
    incident: NDArray[np.float32],
    pdg: NDArray[np.int32] | None,
    batch: int,
    clock: Callable[[], float],
) -> NDArray[np.float64]:
    """Seconds of each request of `batch` showers."""
    located, typed = (name in sampler.condition for name in ("entry_point", "particle"))
    least, most = _REPEATS
    seconds: list[float] = []
    spent = 0.0
    for request in range(most + 1):
        rows = np.arange(request * batch, (request + 1) * batch) % len(incident)
        px, py, pz, *point = incident[rows].T
        x, y = point if located else (None, None)
        types = pdg[rows] if typed and pdg is not None else None
        start = clock()
        sampler.sample(px, py, pz, x, y, types, seed=request)
        passed = clock() - start
        if request > 0:  # the first one also starts the network
            seconds.append(passed)
            spent += passed
        if len(seconds) >= least and spent > _SECONDS:
            break
    return np.array(seconds)


def _machine() -> str:
    return f"{_processor()}, {_cores()} cores for this process, {platform.system()} {platform.machine()}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
