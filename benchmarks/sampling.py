"""What a shower costs: noise, network and the whole call, against matrix multiplication and against Geant4.

Run it as ``python benchmarks/sampling.py BUNDLE``, on a machine that does nothing else.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import uproot
from safetensors.numpy import load_file

import calogan
from calogan.noise import standard_normal
from calogan.sampler import ShowerSampler, load_sampler
from calogan.sampler.network import load_network


def best_time(call: Callable[[], object], repeats: int = 7) -> float:
    """Shortest of several times [s], which a busy machine disturbs least."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def sgemm_rate(size: int = 1024) -> float:
    """Single-precision operations a second of one thread multiplying square matrices."""
    left = np.ones((size, size), dtype=np.float32)
    right, result = left.copy(), np.empty_like(left)
    return 2 * size**3 / best_time(lambda: np.matmul(left, right, out=result))


def matrix_operations(sampler: ShowerSampler) -> int:
    """Operations in the generator's matrices for one shower: a multiplication and an addition a weight."""
    weights = load_file(sampler.bundle.weights_path)
    return 2 * sum(array.size for name, array in weights.items() if array.ndim == 2 and name.endswith("weight"))


def incident_particles(sampler: ShowerSampler, count: int) -> np.ndarray:
    """Particles inside the domain: log-uniform momenta, straight ahead."""
    domain, rng = sampler.domain, np.random.default_rng(1)
    incident = np.zeros((count, 5), dtype=np.float32)
    incident[:, 2] = np.exp(rng.uniform(*np.log(domain.momentum), count))
    incident[:, 3] = rng.uniform(*domain.entry_x, count)
    incident[:, 4] = rng.uniform(*domain.entry_y, count)
    return domain.clip(incident)


def unkeyed_time(size: int, count: int = 1000) -> float:
    """Microseconds a shower of NumPy's own normal numbers from one stream, which depend on the batch."""
    rng = np.random.Generator(np.random.Philox(7))
    return best_time(lambda: rng.standard_normal((count, size), dtype=np.float32)) / count * 1e6


def measure(sampler: ShowerSampler, batch: int) -> tuple[float, float, float]:
    """Microseconds a shower of the noise, the network and the whole call."""
    calls = max(1, 200 // batch)
    incident = incident_particles(sampler, batch)
    ids = np.arange(batch)
    size = sampler.bundle.info.noise_size
    noise = standard_normal(7, ids, size)
    network = load_network(sampler.bundle, "auto", threads=1)
    columns = incident.T if "entry_point" in sampler.condition else incident.T[:3]

    def timed(call: Callable[[], object]) -> float:
        call()
        return best_time(lambda: [call() for _ in range(calls)]) / (calls * batch) * 1e6

    return (
        timed(lambda: standard_normal(7, ids, size)),
        timed(lambda: network(incident, noise)),
        timed(lambda: sampler.sample(*columns, seed=7)),
    )


def weights_time(sampler: ShowerSampler, count: int = 1000) -> float:
    """Microseconds a shower of its weight."""
    incident = incident_particles(sampler, count)
    cells = sampler.cell_energy(incident, 7, np.arange(count))
    return best_time(lambda: sampler.weigher(incident, cells)) / count * 1e6


def geant4_time() -> float:
    """Mean time of the full simulation [us] a shower in the shipped files."""
    folder = Path(calogan.__file__).parent / "resources" / "showers" / "ecal30_electron"
    files = [f"{path}:hits" for path in sorted(folder.glob("hits_*.root"))]
    return float(np.mean(uproot.concatenate(files, ["sim_time_ms"], library="np")["sim_time_ms"])) * 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="a bundle's folder, or the name of a shipped bundle")
    sampler = load_sampler(parser.parse_args().bundle, threads=1)
    rate, operations, full = sgemm_rate(), matrix_operations(sampler), geant4_time()
    floor = operations / rate * 1e6
    print(f"{sampler.version}, {sampler.bundle.info.noise_size} numbers of noise a shower, one thread")
    print(f"matrix multiplication: {rate / 1e9:.1f} GFLOP/s; {operations / 1e6:.2f} MFLOP a shower take {floor:.1f} us")
    print(f"{'batch':>6} {'noise':>9} {'network':>9} {'sample()':>9} {'/ matrix':>9} {'Geant4 /':>9}   [us a shower]")
    for batch in (1, 100, 1000):
        noise, network, whole = measure(sampler, batch)
        print(f"{batch:6d} {noise:9.1f} {network:9.1f} {whole:9.1f} {whole / floor:9.1f} {full / whole:9.0f}")
    print(
        f"noise without keys, NumPy's standard_normal: {unkeyed_time(sampler.bundle.info.noise_size):.1f} us a shower"
    )
    if sampler.bundle.weigher_path is not None:
        print(f"weights, where they are wanted: {weights_time(sampler):.1f} us a shower")
    print(f"Geant4: {full / 1e3:.1f} ms a shower, mean of sim_time_ms in the shipped files, taken on a busy machine")


if __name__ == "__main__":
    main()
