"""One training step: its time, its matrix multiplies at the rate of this machine, and where the rest of it goes.

    python benchmarks/training.py [--device cuda] [--threads 1] [--batch-size 128] [--steps 30]

Showers are random numbers of the shipped geometry's shape: the time of a step does not depend on them.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from calogan.config import Config, load_config
from calogan.data.showers import Showers
from calogan.errors import CaloganError
from calogan.geometry import Geometry
from calogan.progress import SilentReporter
from calogan.stages.train import fresh_state
from calogan.training.checkpoint import Checkpoint
from calogan.training.loop import Outlet, Trainer

PRODUCTS = {"aten::mm", "aten::addmm", "aten::bmm"}
GROUPS = {
    "optimiser": r"Optimizer\.|aten::(_fused_adam|_foreach_|(addcmul|addcdiv|lerp)_$)",
    "random numbers": r"aten::(normal|uniform|rand|random|randn|randperm|bernoulli)_?$",
    "matrix products": r"aten::(mm|addmm|bmm|baddbmm|dot|mv)$|aten::.*conv",
    "copies, slices": r"aten::(_?to_copy|copy|cat|stack|clone|contiguous|slice|split|select|narrow|_?index|gather|"
    r"scatter|take|unflatten|flatten|view|_?reshape|_unsafe_view|permute|t$|transpose|expand|squeeze|unsqueeze|as_strided|alias|"
    r"detach|diag|tril|constant_pad|pad|fill|zero|empty|new_|ones|nonzero|resize|set_|repeat|unbind|lift|to$)",
}
"""Operations by their names, the first pattern that fits; other operations of tensors are element-wise, or sums."""
ELEMENTS, PYTHON = "element-wise, sums", "Python, other"
PROFILED = 5
"""Steps that are profiled."""
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
        step()  # the first one prepares what all others use
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
    names = ["matrix products", ELEMENTS, *list(GROUPS)[:2], "copies, slices", PYTHON]
    print(f"\nwhere the time goes ({'GPU' if device.type == 'cuda' else 'CPU'} time of the operations themselves)")
    print(f"{'phase':<12} " + " ".join(f"{name:>18}" for name in names))
    for phase, step in phases.items():
        parts = shares(step, device)
        print(f"{phase:<12} " + " ".join(f"{parts[name]:18.1%}" for name in names))


def shares(step: Callable[[], object], device: torch.device) -> Counter[str]:
    """Shares of a step's own time by kind of work; on a GPU, of the time that it computes.

    The profiler itself takes time for each operation: Python and small operations look larger than they are.
    """
    gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if gpu else [ProfilerActivity.CPU]
    with profile(activities=activities) as profiler:
        for _ in range(PROFILED):
            with record_function("step"):
                step()
    times: Counter[str] = Counter()
    for event in profiler.key_averages():
        if event.device_type == DeviceType.CPU:  # kernels count as the operations that started them
            times[group(event.key)] += event.self_device_time_total if gpu else event.self_cpu_time_total
    total = sum(times.values())
    return Counter({name: own / total for name, own in times.items()})


def group(name: str) -> str:
    """Kind of work of an operation of the profiler."""
    for kind, pattern in GROUPS.items():
        if re.match(pattern, name):
            return kind
    return ELEMENTS if name.startswith("aten::") else PYTHON


def make_trainer(config: Config, device: torch.device) -> Trainer:
    """A trainer on showers of random numbers."""
    geometry, count = Geometry.from_dict(config.geometry.to_dict()), 4096
    rng = np.random.default_rng(0)
    incident = rng.random((count, 5), dtype=np.float32)
    incident[:, 2] += 5.0
    cell_energy = 0.01 * rng.random((count, geometry.n_cells), dtype=np.float32) ** 4
    cell_energy[cell_energy < config.threshold] = 0.0
    showers = Showers(geometry, np.arange(count), incident, cell_energy, np.full(count, 11, dtype=np.int32))
    state, local = fresh_state(config, geometry, showers, device)
    outlet = Outlet(
        Checkpoint(Path("unused"), "", SilentReporter()), lambda *_: None, lambda _generator: 0.0, SilentReporter()
    )
    return Trainer(state, config.training, local, config.seed, outlet)


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
