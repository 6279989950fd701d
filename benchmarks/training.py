"""One training step: its time, its matrix multiplies at the rate of this machine, and where the rest of it goes.

    python benchmarks/training.py [--device cuda] [--threads 1] [--batch-size 128] [--steps 30]

Or a table over processes, batch sizes and precisions, each measured in processes of its own and kept as JSON: on all
GPUs where there are any, and smaller on a CPU:

    python benchmarks/training.py --table [--processes 1 2] [--batch-sizes 256 1024] [--precisions float32 bf16]
        [--json training.json]

Showers are random numbers of the shipped geometry's shape: the time of a step does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

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
from calogan.training.distributed import Group, process_group
from calogan.training.loop import Outlet, Trainer, _large_networks

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
PHASES = "warm start", "adversarial"
PROFILED = 5
"""Steps that are profiled."""
ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=ROOT / "configs" / "demo.yaml", type=Path)
    parser.add_argument("--device", default=None, help="cpu; in a table, GPUs where there are any")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--steps", type=int, default=30, help="steps measured in each phase")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--processes", type=int, nargs="+", help="1 and all GPUs; 1 and 2 on a CPU")
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="256 to 8192; 64 and 256 on a CPU")
    parser.add_argument("--precisions", nargs="+", help="float32, tf32 and bf16; float32 alone on a CPU")
    parser.add_argument("--json", type=Path, help="where the table is kept")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.row:
        print_row(options)
    elif options.table:
        print_table(options)
    else:
        print_step(options)


def print_step(options: argparse.Namespace) -> None:
    """Where the time of a step in one process goes."""
    device = torch.device(options.device or "cpu")
    config = load_options(options)
    trainer = make_trainer(config, device, Group())
    phases = make_phases(trainer, config)
    with trainer._precision.of(_large_networks(trainer._state)):
        print_phases(config, phases, device, options.steps)


def print_phases(config: Config, phases: dict[str, Callable[[], object]], device: torch.device, steps: int) -> None:
    rate = matrix_rate(device)
    print(f"{device}, {torch.get_num_threads()} threads, batch {config.training.batch_size}, torch {torch.__version__}")
    print(f"matrix multiply of 1024: {rate / 1e9:.1f} GFLOP/s")
    print(f"{'phase':<12} {'ms/step':>8} {'GFLOP':>7} {'ms matmul':>10} {'share':>6} {'showers/s':>10}")
    for name, step in phases.items():
        step()  # the first one prepares what all others use
        with profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiler:
            step()
        work = sum(event.flops for event in profiler.key_averages() if event.key in PRODUCTS)
        seconds = measure(step, steps, device)
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


def print_table(options: argparse.Namespace) -> None:
    """Speed by processes, batch size and precision."""
    gpus = 0 if options.device == "cpu" else torch.cuda.device_count()
    processes = options.processes or sorted({1, gpus} if gpus else {1, 2})
    sizes = options.batch_sizes or ([256, 512, 1024, 2048, 4096, 8192] if gpus else [64, 256])
    precisions = options.precisions or (["float32", "tf32", "bf16"] if gpus else ["float32"])
    name = torch.cuda.get_device_name() if gpus else f"{torch.get_num_threads()} CPU threads a process"
    print(f"{name}, torch {torch.__version__}, {options.config.name}")
    columns = f"{'warm start':>23} {'adversarial':>23}"
    print(f"{'processes':>9} {'batch':>6} {'precision':<9} {columns} {'memory':>9}")
    unit = f"{'showers/s':>13} {'products':>9}"
    print(f"{'':>9} {'':>6} {'':<9} {unit} {unit} {'GB':>9}")
    rows = []
    for choice in product(processes, sizes, precisions):
        rows.append(measure_row(options, *choice))
        row = rows[-1]
        cells = " ".join(f"{row[phase]['showers_per_s']:13.0f} {row[phase]['products']:9.0%}" for phase in PHASES)
        print(f"{choice[0]:9} {choice[1]:6} {choice[2]:<9} {cells} {row['memory_gb']:9.2f}", flush=True)
    if options.json:
        kept = {"device": name, "torch": torch.__version__, "config": options.config.name, "rows": rows}
        options.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def measure_row(options: argparse.Namespace, processes: int, batch_size: int, precision: str) -> dict[str, Any]:
    """What `print_row` finds in so many processes."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    row = ["--row", "--config", str(options.config), "--steps", str(options.steps), "--precision", precision]
    chosen = [f"--{name}={value}" for name in ("device", "threads") if (value := getattr(options, name))]
    command = [*start, __file__, *row, "--batch-size", str(batch_size), *chosen]
    threads = {"OMP_NUM_THREADS": str(options.threads or torch.get_num_threads())}
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"processes": processes, "batch_size": batch_size, "precision": precision, **found}


def print_row(options: argparse.Namespace) -> None:
    """Measure as one of several processes; the first one prints."""
    with process_group() as group:
        device = group.device(options.device or "auto")
        config = load_options(options)
        trainer = make_trainer(config, device, group)
        row: dict[str, Any] = {}
        with trainer._precision.of(_large_networks(trainer._state)):
            for name, step in make_phases(trainer, config).items():
                seconds = measure(step, options.steps, device)
                parts = shares(step, device)
                speed = trainer._batch_size / seconds
                row[name] = {"showers_per_s": speed, "ms": 1e3 * seconds, "products": parts["matrix products"]}
        gpu = device.type == "cuda"
        used = torch.cuda.max_memory_allocated() if gpu else 1024 * getrusage(RUSAGE_SELF).ru_maxrss
        if group.leads:
            print(json.dumps(row | {"memory_gb": used / 1e9}))


def load_options(options: argparse.Namespace) -> Config:
    overrides = [f"training.batch_size={options.batch_size}"] if options.batch_size else []
    return load_config(options.config, [*overrides, f"training.precision={options.precision}"])


def make_phases(trainer: Trainer, config: Config) -> dict[str, Callable[[], object]]:
    """A step of each phase."""
    last = config.training.steps - 1
    return dict(zip(PHASES, (trainer._warmup_step, lambda: trainer._adversarial_step(last)), strict=True))


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


def make_trainer(config: Config, device: torch.device, group: Group | None = None) -> Trainer:
    """A trainer on showers of random numbers."""
    geometry, count = Geometry.from_dict(config.geometry.to_dict()), max(4096, config.training.batch_size)
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
    return Trainer(state, config.training, local, config.seed, outlet, group)


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
