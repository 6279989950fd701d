"""What a large production takes: time, memory, and whether a killed job ends as one that was left alone.

Run it as ``python benchmarks/production.py BUNDLE``: ten million showers from `sample_iter`, then a million into a ROOT
file by ``calogan generate``, once in one go and once killed with SIGKILL in the middle and started again. Every step is
a process of its own, of one thread, whose peak memory is measured from outside. Takes half an hour and 1.5 GB of disk.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import uproot

from calogan.sampler import load_sampler

CHUNK = 100_000
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def particles(bundle: str, count: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Electrons all over the domain: log-uniform momenta, directions uniform in solid angle."""
    domain, rng = load_sampler(bundle).domain, np.random.default_rng(seed)
    low, high = np.log(domain.momentum)
    size = np.exp(np.float32(low) + np.float32(high - low) * rng.random(count, dtype=np.float32))
    cosine = 1 - np.float32(1 - np.cos(domain.max_angle)) * rng.random(count, dtype=np.float32)
    azimuth, sine = np.float32(2 * np.pi) * rng.random(count, dtype=np.float32), np.sqrt(1 - cosine**2)
    columns = {"px": size * sine * np.cos(azimuth), "py": size * sine * np.sin(azimuth), "pz": size * cosine}
    for name, (lowest, highest) in (("x", domain.entry_x), ("y", domain.entry_y)):
        columns[name] = np.float32(lowest) + np.float32(highest - lowest) * rng.random(count, dtype=np.float32)
    return columns


def iterate(bundle: str, count: int) -> None:
    """Make showers with `sample_iter` and keep none of them."""
    sampler, energy, showers = load_sampler(bundle, threads=1), 0.0, 0
    for piece in sampler.sample_iter(**particles(bundle, count), seed=7, outside="clip"):
        energy += piece.total_energy.sum()
        showers += len(piece)
    assert showers == count, "every particle has a shower"
    print(f"mean energy of {showers} showers: {energy / showers:.4f} GeV")


def write_particles(bundle: str, count: int, path: Path) -> None:
    """Write a ROOT file of particles."""
    columns = load_sampler(bundle).domain.clip(np.stack(list(particles(bundle, count, seed=2).values()), axis=1)).T
    with uproot.recreate(path) as file:
        types = {"event": "int64", "pdg": "int32"} | dict.fromkeys(("px", "py", "pz", "x", "y"), "float32")
        tree = file.mktree("showers", types)
        for start in range(0, count, CHUNK):
            rows = np.arange(start, min(start + CHUNK, count))
            values = dict(zip(("px", "py", "pz", "x", "y"), columns[:, rows], strict=True))
            tree.extend({"event": rows, "pdg": np.full(len(rows), 11, dtype=np.int32)} | values)


def digest(path: Path) -> str:
    """SHA-256 over all values of a file's tree, whatever its baskets."""
    found = hashlib.sha256()
    with uproot.open(path) as file:
        for chunk in file["showers"].iterate(step_size=5000, library="np"):
            for name in sorted(chunk):
                found.update(name.encode() + np.ascontiguousarray(chunk[name]).tobytes())
    return found.hexdigest()[:16]


def measured(label: str, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for a process and print what it took."""
    start = time.perf_counter()
    _, status, usage = os.wait4(process.pid, 0)
    seconds, peak = time.perf_counter() - start, usage.ru_maxrss / 1024
    assert status == 0, f"{label}: status {status}"
    print(f"{label:34} {count:>10} {seconds:>9.0f} {count / seconds:>11.0f} {peak:>9.0f}", flush=True)


def generate(bundle: str, source: Path, output: Path) -> subprocess.Popen[bytes]:
    """Start ``calogan generate``."""
    arguments = ["--bundle", bundle, "--input", str(source), "--output", str(output), "--seed", "7", "--threads", "1"]
    command = [sys.executable, "-c", "from calogan.cli import main; main()", "generate", *arguments, "--quiet"]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL)


def kill_in_the_middle(process: subprocess.Popen[bytes], parts: Path, wanted: int) -> int:
    """Kill a job with SIGKILL once so many of its parts are there, in the middle of the next one."""
    while len(found := list(parts.glob("part-*.json"))) < wanted:
        assert process.poll() is None, "the job is over too soon"
        time.sleep(0.05)
    time.sleep(2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return len(found)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="a bundle's folder, or the name of a shipped bundle")
    parser.add_argument("--iterate", type=int, default=10_000_000, help="showers from sample_iter")
    parser.add_argument("--file", type=int, default=1_000_000, help="showers into a ROOT file")
    options = parser.parse_args()
    print(f"{'':34} {'showers':>10} {'seconds':>9} {'showers/s':>11} {'peak [MB]':>9}")
    code = f"from benchmarks.production import iterate; iterate({options.bundle!r}, {options.iterate})"
    root = Path(__file__).parents[1]
    process = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT, cwd=root, stdout=subprocess.DEVNULL)
    measured("sample_iter", options.iterate, process)
    with tempfile.TemporaryDirectory() as folder:
        source, whole, resumed = (Path(folder) / name for name in ("particles.root", "whole.root", "resumed.root"))
        writer = multiprocessing.get_context("spawn").Process(
            target=write_particles, args=(options.bundle, options.file, source)
        )
        writer.start()
        writer.join()
        measured("calogan generate, in one go", options.file, generate(options.bundle, source, whole))
        parts = resumed.with_name("resumed.root.parts")
        done = kill_in_the_middle(generate(options.bundle, source, resumed), parts, options.file // CHUNK // 2)
        print(f"killed by SIGKILL with {done} parts of {CHUNK} whole")
        measured("the same command again", options.file, generate(options.bundle, source, resumed))
        sums = digest(whole), digest(resumed)
        print(f"SHA-256 of the content: {sums[0]} in one go, {sums[1]} killed and resumed")
        print(f"{whole.stat().st_size / 1e6:.0f} MB, {whole.stat().st_size / options.file:.0f} bytes a shower")


if __name__ == "__main__":
    main()
