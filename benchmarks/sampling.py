"""What a shower costs: noise, network and the whole call, against matrix multiplication and against Geant4.

Run it as ``python benchmarks/sampling.py BUNDLE``, on a machine that does nothing else; ``--device cuda`` for a GPU.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import uproot
from safetensors.numpy import load_file

import calogan
from calogan.noise import standard_normal
from calogan.sampler import ShowerSampler, load_sampler


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


def device_rate(device: str, size: int = 4096) -> float:
    """Single-precision operations a second of another device multiplying square matrices."""
    import torch

    left = torch.ones(size, size, device=device)

    def multiply() -> None:
        (left @ left)[0, 0].item()  # which waits for the device

    multiply()
    return 2 * size**3 / best_time(multiply)


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
    network = sampler.network
    step = network.block or batch
    blocks = [slice(start, start + step) for start in range(0, batch, step)]
    noise = [network.noise(7, ids[block], size) for block in blocks]
    columns = incident.T if "entry_point" in sampler.condition else incident.T[:3]

    def timed(call: Callable[[], object]) -> float:
        call()
        return best_time(lambda: [call() for _ in range(calls)]) / (calls * batch) * 1e6

    return (
        timed(lambda: [network.noise(7, ids[block], size) for block in blocks]),
        timed(lambda: [network(incident[block], part) for block, part in zip(blocks, noise, strict=True)]),
        timed(lambda: sampler.sample(*columns, seed=7)),
    )


def start_up(bundle: str) -> tuple[float, float, float]:
    """Seconds of import, loading and the first shower in a fresh process, the best of three."""
    code = (
        "import sys, time; t = [time.perf_counter()]; import calogan; t.append(time.perf_counter()); "
        "sampler = calogan.load_sampler(sys.argv[1], threads=1); t.append(time.perf_counter()); "
        "place = (0.0, 0.0) if 'entry_point' in sampler.condition else (); "
        "sampler.sample(0.0, 0.0, 1.5 * sampler.domain.momentum[0], *place); t.append(time.perf_counter()); "
        "print(*(after - before for before, after in zip(t, t[1:])))"
    )
    runs = [subprocess.run([sys.executable, "-c", code, bundle], capture_output=True, check=True) for _ in range(3)]
    found = [tuple(map(float, run.stdout.split())) for run in runs]
    first, load, shower = min(found, key=sum)
    return first, load, shower


def operators(sampler: ShowerSampler, batch: int = 128, runs: int = 50) -> list[tuple[str, float]]:
    """Microseconds a shower of each kind of operation in the graph, the costliest first."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level, options.enable_profiling = 1, 3, True
    incident = incident_particles(sampler, batch)
    feeds = {"incident": incident, "noise": standard_normal(7, np.arange(batch), sampler.bundle.info.noise_size)}
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            str(sampler.bundle.onnx_path), sess_options=options, providers=["CPUExecutionProvider"]
        )
        for _ in range(runs):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    times: dict[str, dict[str, list[float]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            nodes = times.setdefault(event["args"]["op_name"], {})
            nodes.setdefault(event["name"], []).append(event["dur"])
    costs = {kind: sum(map(np.median, nodes.values())) / batch for kind, nodes in times.items()}
    return sorted(costs.items(), key=lambda item: -item[1])


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
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="a bundle's folder, or the name of a shipped bundle")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ...: another one than the CPU uses torch")
    parser.add_argument("--backend", default="auto", choices=("auto", "onnx", "torch"))
    options = parser.parse_args()
    batches = (1, 100, 1000) if options.device == "cpu" else (1, 1000, 100_000)
    sampler = load_sampler(
        options.bundle, device=options.device, backend=options.backend, threads=1, batch_size=max(batches)
    )
    on_cpu, full = options.device == "cpu", geant4_time()
    rate, operations = sgemm_rate() if on_cpu else device_rate(options.device), matrix_operations(sampler)
    floor = operations / rate * 1e6
    print(f"{sampler.version} in {sampler.network.program} on {sampler.network.device}, one thread")
    print(f"matrix multiplication: {rate / 1e9:.0f} GFLOP/s; {operations / 1e6:.2f} MFLOP a shower take {floor:.3g} us")
    print(
        f"{'batch':>6} {'noise':>9} {'network':>9} {'sample()':>9} {'showers/s':>10} {'matrix share':>13} "
        f"{'Geant4 /':>9}   [us a shower]"
    )
    for batch in batches:
        noise, network, whole = measure(sampler, batch)
        print(
            f"{batch:6d} {noise:9.2f} {network:9.2f} {whole:9.2f} {1e6 / whole:10.0f} {floor / whole:13.1%} "
            f"{full / whole:9.0f}"
        )
    size = sampler.bundle.info.noise_size
    print(f"NumPy's standard_normal, {size} numbers a shower without keys: {unkeyed_time(size):.1f} us a shower")
    if sampler.bundle.weigher_path is not None:
        print(f"weights, where they are wanted: {weights_time(sampler):.1f} us a shower")
    if sampler.bundle.onnx_path is not None and on_cpu:
        listed = ", ".join(f"{kind} {cost:.1f}" for kind, cost in operators(sampler)[:12])
        print(f"operations of the graph [us a shower], their timing included: {listed}")
    first, load, shower = start_up(options.bundle)
    print(f"start-up [s]: import {first:.2f}, load {load:.2f}, first shower {shower:.2f}")
    print(f"Geant4: {full / 1e3:.1f} ms a shower, mean of sim_time_ms in the shipped files, taken on a busy machine")


if __name__ == "__main__":
    main()
