"""One training step: its time, its matrix multiplies at the rate of this machine, and what is lost where.

    python benchmarks/training.py [--device cuda] [--threads 1] [--batch-size 128] [--steps 30]

Showers are random numbers of the shipped geometry's shape: the time of a step does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from calogan.config import Config, load_config
from calogan.errors import CaloganError
from calogan.geometry import Geometry
from calogan.progress import SilentReporter
from calogan.stages.train import fresh_state
from calogan.training.loop import Outlet, Trainer
from calogan.training.symmetry import Symmetries

PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm"}
ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=ROOT / "configs" / "demo.yaml", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--steps", type=int, default=30, help="steps measured in each phase")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    overrides = [f"training.batch_size={options.batch_size}"] if options.batch_size else []
    config = load_config(options.config, overrides)
    trainer = make_trainer(config, device)
    last = config.training.steps - 1
    phases = {"warm start": trainer._warmup_step, "adversarial": lambda: trainer._adversarial_step(last)}
    rate = matrix_rate(device)
    print(f"{device}, {torch.get_num_threads()} threads, batch {config.training.batch_size}, torch {torch.__version__}")
    print(f"matrix multiply of 1024: {rate / 1e9:.1f} GFLOP/s")
    print(f"{'phase':<12} {'ms/step':>8} {'GFLOP':>7} {'ms matmul':>10} {'share':>6} {'showers/s':>10}")
    for name, step in phases.items():
        with profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiler:
            step()
        work = sum(event.flops for event in profiler.key_averages() if event.key in PRODUCTS)
        seconds = measure(step, options.steps, device)
        showers = config.training.batch_size / seconds
        bound = work / rate
        print(
            f"{name:<12} {1e3 * seconds:8.2f} {work / 1e9:7.2f} {1e3 * bound:10.2f} {bound / seconds:6.0%}"
            f" {showers:10.0f}"
        )


def make_trainer(config: Config, device: torch.device) -> Trainer:
    """A trainer on showers of random numbers."""
    geometry = Geometry.from_dict(config.geometry.to_dict())
    rng = torch.Generator().manual_seed(0)
    incident = torch.rand(4096, 5, generator=rng)
    incident[:, 2] += 5.0
    cell_energy = 0.01 * torch.rand(4096, geometry.n_cells, generator=rng) ** 4
    cell_energy[cell_energy < config.threshold] = 0.0
    incident, cell_energy = incident.to(device), cell_energy.to(device)
    state = fresh_state(config, geometry, incident, cell_energy)
    symmetries = Symmetries(config.training.symmetries, geometry, device)
    outlet = Outlet(Path("unused"), "", lambda *_: None, lambda _generator: 0.0, SilentReporter())
    return Trainer(state, config.training, incident, cell_energy, symmetries, config.seed, outlet)


def matrix_rate(device: torch.device) -> float:
    """FLOP/s of a single-precision product of two 1024 x 1024 matrices."""
    matrix = torch.rand(1024, 1024, device=device)
    return 2 * 1024**3 / measure(lambda: matrix @ matrix, 20, device)


def measure(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median seconds of one call, after warm-up, with the device waited for."""
    times = []
    for number in range(repeats + 3):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= 3:
            times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    try:
        main()
    except CaloganError as error:
        raise SystemExit(str(error)) from None
