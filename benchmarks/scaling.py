"""What training costs: the time of a step, memory and gradients sent, against cells, batch and processes.

    python benchmarks/scaling.py [--device cuda] [--cells 100 900 3072 10000] [--processes 1 2] [--json scaling.json]

Showers are analytic ones (calogan/data/toy.py): a cost, never a result. Each row is measured in processes of its own
so that its memory is its own. On the CPU, steps are in CPU time, which other work on the machine changes little. Then a
model is fitted to the rows, and says what was not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls

from calogan.config import load_config
from calogan.data.toy import toy_showers
from calogan.geometry import Geometry, Layer
from calogan.progress import SilentReporter
from calogan.stages.train import fresh_state
from calogan.training.checkpoint import Checkpoint
from calogan.training.distributed import Group, process_group
from calogan.training.loop import Outlet, Trainer

ROOT = Path(__file__).parent.parent
SHOWERS = 512
"""Training showers: the time of a step does not depend on how many there are, memory does and is told for each."""
PHASES = ("warm start", "adversarial")
MODELLED = [(900, 64, 2), (900, 1024, 8), (10_000, 1024, 8), (10_000, 1024, 16)]
"""Cells, batch of all processes, and processes that the model is asked for."""
NETWORKS = {"loopback, as measured": None, "10 Gbit/s": 1.25e9, "100 Gbit/s": 12.5e9}


@dataclass(frozen=True)
class Cost:
    """Of a step on one process.

    Attributes:
        cells: Cells of the calorimeter.
        batch: Showers in a batch, of all processes.
        processes: Processes that train together.
        seconds: Median time of a step [s], by phase: CPU time of a process on the CPU.
        sent: Gradients that a process adds up with the others in a step [bytes], by phase.
        memory: Largest memory of a process, beyond what it has before it makes the networks [bytes].
        shower: Memory that a training shower takes for the whole training [bytes].
        adding: Median time in which the gradients of an adversarial step are added up [s]; 0 for one process.
    """

    cells: int
    batch: int
    processes: int
    seconds: dict[str, float]
    sent: dict[str, int]
    memory: int
    shower: int
    adding: float


@dataclass(frozen=True)
class Model:
    """Time of a step of one phase: fixed + work x cells x batch / processes + update x weights + bytes / bandwidth."""

    fixed: float
    work: float
    update: float

    @classmethod
    def fit(cls, costs: list[Cost], phase: str) -> Model:
        """Terms from rows of one process, none negative, all rows of the same relative weight."""
        terms = np.array([[1.0, cost.cells * cost.batch, cost.sent[phase] / 4] for cost in costs])
        seconds = np.array([cost.seconds[phase] for cost in costs])
        return cls(*nnls(terms / seconds[:, None], np.ones(len(costs)))[0])

    def seconds(self, cells: int, batch: int, processes: int, sent: float, bandwidth: float) -> float:
        """Time of a step [s]; each process with a core, or a GPU, of its own."""
        adding = sent / bandwidth if processes > 1 else 0.0
        return self.fixed + self.work * cells * batch / processes + self.update * sent / 4 + adding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 900, 3072, 10_000])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=3, help="steps measured in each phase")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="file for all rows")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure_here(options)
        return
    print(f"{machine(options.device)}, torch {torch.__version__}, 1 thread a process")
    costs = [
        start(options, cells, batch, processes)
        for processes in options.processes
        for cells in options.cells
        for batch in (options.batch_sizes if processes == 1 else options.batch_sizes[-1:])
    ]
    print_costs(costs)
    alone = [cost for cost in costs if cost.processes == 1]
    if len(options.cells) > 1 and len(alone) > 3:  # more rows than terms
        print_model(alone, [cost for cost in costs if cost.processes > 1])
    if options.json:
        options.json.write_text(json.dumps([asdict(cost) for cost in costs], indent=1) + "\n")


def start(options: argparse.Namespace, cells: int, batch: int, processes: int) -> Cost:
    """Measure in as many new processes as are to train together."""
    command = [sys.executable, __file__, "--measure", "--device", options.device, "--steps", str(options.steps)]
    command += ["--cells", str(cells), "--batch-sizes", str(batch)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = []
    for rank in range(processes):
        group = {"RANK": rank, "WORLD_SIZE": processes, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": processes}
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
        environment = os.environ | {name: str(value) for name, value in (group | place).items()}
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        msg = f"a process that measured {cells} cells failed"
        raise SystemExit(msg)
    return Cost(**json.loads(said[0]))


def measure_here(options: argparse.Namespace) -> None:
    """Print a line of JSON, on the first of the processes."""
    torch.set_num_threads(1)
    with process_group() as group:
        device = group.device(options.device)
        cost = measure_one(options.cells[0], options.batch_sizes[0], options.steps, device, group)
        if group.leads:
            print(json.dumps(asdict(cost)))


def measure_one(cells: int, batch: int, steps: int, device: torch.device, group: Group) -> Cost:
    """Cost of the steps of one configuration."""
    config = load_config(ROOT / "configs" / "demo.yaml", [f"training.batch_size={batch}", "model.symmetries=[]"])
    showers = toy_showers(np.random.default_rng(0), make_geometry(cells), SHOWERS)
    before = peak_memory(device)
    state, local = fresh_state(config, showers.geometry, showers, device)
    checkpoint = Checkpoint(Path("unused"), "", SilentReporter())
    outlet = Outlet(checkpoint, lambda *_: None, lambda _generator: 0.0, SilentReporter())
    trainer = Trainer(state, config.training, local, config.seed, outlet, group)
    last = config.training.steps - 1
    phases = {"warm start": trainer._warmup_step, "adversarial": lambda: trainer._adversarial_step(last)}
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    seconds = {name: measure(step, steps, device, clock) for name, step in phases.items()}
    weights = {
        name: sum(weight.numel() for part in optimiser.param_groups for weight in part["params"])
        for name, optimiser in (
            ("warm start", state.warmup_optimiser),
            ("generator", state.generator_optimiser),
            ("critic", state.critic_optimiser),
        )
    }
    adversarial = weights["generator"] + config.training.critic_steps * weights["critic"]
    gradients = torch.zeros(adversarial, device=device)
    kept = [*vars(local).values(), *(vars(trainer._contexts).values() if trainer._contexts else ())]
    return Cost(
        cells=cells,
        batch=batch,
        processes=group.size,
        seconds=seconds,
        sent={"warm start": 4 * weights["warm start"], "adversarial": 4 * adversarial},
        memory=peak_memory(device) - before,
        shower=sum(tensor.numel() * tensor.element_size() for tensor in kept) // SHOWERS,
        adding=measure(lambda: group.add_up(gradients), 3 * steps, device, time.perf_counter)
        if group.size > 1
        else 0.0,
    )


def measure(work: Callable[[], object], repeats: int, device: torch.device, clock: Callable[[], float]) -> float:
    """Median seconds of one call after the first, with a GPU waited for."""
    times = []
    for _ in range(repeats + 1):
        start = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(clock() - start)
    return sorted(times[1:])[repeats // 2]


def make_geometry(cells: int) -> Geometry:
    """As few equal square layers as make that many cells, over the area of the shipped calorimeter."""
    for layers in range(1, 65):
        side = round((cells / layers) ** 0.5)
        if side * side * layers == cells:
            edges = tuple(np.linspace(-303.0, 303.0, side + 1).tolist())
            depth = 396.0 / layers
            return Geometry(
                tuple(
                    Layer(edges, edges, depth=(layer + 0.5) * depth, z_range=(layer * depth, (layer + 1) * depth))
                    for layer in range(layers)
                )
            )
    msg = f"{cells} cells are no number of square layers; take 100, 900, 3072 or 10000"
    raise SystemExit(msg)


def peak_memory(device: torch.device) -> int:
    """Largest memory so far [bytes]: the GPU's, or that of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def machine(device: str) -> str:
    """The processor, and the GPU where one is measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{names[0] if names else platform.processor()}, {os.cpu_count()} logical CPUs"
    return processor if device == "cpu" else f"{torch.cuda.get_device_name(device)}, {processor}"


def print_costs(costs: list[Cost]) -> None:
    """A row a measurement."""
    print("\nmeasured")
    header = ["cells", "batch", "processes", "warm start [ms]", "adversarial [ms]", "showers/s", "sent a step [MB]"]
    header += ["adding up [ms]", "memory [MB]", "a shower kept [kB]"]
    print("| " + " | ".join(header) + " |")
    print("|" + " ---: |" * len(header))
    for cost in costs:
        warm, adversarial = (1e3 * cost.seconds[phase] for phase in PHASES)
        sent = cost.sent["adversarial"] / 1e6 if cost.processes > 1 else 0.0
        rate = cost.batch / cost.seconds["adversarial"]
        print(
            f"| {cost.cells} | {cost.batch} | {cost.processes} | {warm:.1f} | {adversarial:.1f} | {rate:.0f} |"
            f" {sent:.1f} | {1e3 * cost.adding:.1f} | {cost.memory / 1e6:.0f} | {cost.shower / 1e3:.1f} |"
        )


def print_model(alone: list[Cost], together: list[Cost]) -> None:
    """The fitted terms, how far the rows are from them, and what the model says beyond."""
    models = {phase: Model.fit(alone, phase) for phase in PHASES}
    print("\nfitted to the rows of one process")
    for phase, model in models.items():
        off = [
            abs(model.seconds(cost.cells, cost.batch, 1, cost.sent[phase], 1.0) / cost.seconds[phase] - 1)
            for cost in alone
        ]
        print(
            f"{phase}: {1e3 * model.fixed:.2f} ms + {1e9 * model.work:.3g} ns x cells x batch / processes"
            f" + {1e9 * model.update:.3g} ns x weights updated + bytes / bandwidth; rows differ by up to {max(off):.0%}"
        )
    slope, offset = np.polyfit([cost.cells for cost in alone], [cost.sent["adversarial"] for cost in alone], 1)
    bandwidth = sum(cost.sent["adversarial"] for cost in together) / max(sum(cost.adding for cost in together), 1e-9)
    if together:
        print(f"gradients are added up at {bandwidth / 1e6:.0f} MB/s here")
    print("\nmodelled, not measured: an adversarial step with a core or a GPU like this one for each process")
    print("| cells | batch | processes | network | step [ms] | showers/s |")
    print("| ---: | ---: | ---: | --- | ---: | ---: |")
    for cells, batch, processes in MODELLED:
        for name, speed in NETWORKS.items():
            if speed is None and not together:
                continue
            sent = offset + slope * cells
            seconds = models["adversarial"].seconds(cells, batch, processes, sent, speed or bandwidth)
            print(f"| {cells} | {batch} | {processes} | {name} | {1e3 * seconds:.1f} | {batch / seconds:.0f} |")


if __name__ == "__main__":
    main()
