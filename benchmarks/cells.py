"""What a training costs against the number of cells, for calorimeters of one layer and of many, of grids and of rings.

    python benchmarks/cells.py [--shapes ecal calogan ...] [--quick] [--batch-size 32] [--steps 3] [--json cells.json]

Showers are analytic ones (calogan/data/toy.py): a cost, never a result. Each shape is measured in a process of its own
so that its memory is its own, on one thread and in CPU time, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from calogan.config import load_config
from calogan.data.toy import toy_showers
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.progress import SilentReporter
from calogan.stages.train import fresh_state
from calogan.training.checkpoint import Checkpoint
from calogan.training.loop import Outlet, Trainer

ROOT = Path(__file__).parent.parent
SHOWERS = 256
"""Training showers: the time of a step does not depend on how many there are, memory does and is told for each."""
SAMPLED = 100
"""Showers in a batch that is sampled."""
QUICK = ("ecal", "calogan", "rings 368")


@dataclass(frozen=True)
class Cost:
    """Of a shape.

    Attributes:
        cells: Cells of the calorimeter.
        layers: Layers.
        warm: Median time of a step of the warm start [s].
        adversarial: The same of an adversarial step, with its critic steps [s].
        sampling: Time that a shower takes to be sampled, by torch [s].
        memory: Largest memory of the process, beyond what it has before it makes the networks [bytes].
        shower: Memory that a training shower takes for the whole training [bytes].
        generator: Numbers that the generator learns.
        trained: Numbers that a training learns, encoder and critic too.
        bundle: Weights file of the bundle [bytes]; its ONNX graph is about as large again.
    """

    cells: int
    layers: int
    warm: float
    adversarial: float
    sampling: float
    memory: int
    shower: int
    generator: int
    trained: int
    bundle: int


def grid(rows: int, columns: int, depth: float, half: float = 240.0) -> Layer:
    """A layer of equal cells."""
    x, y = (tuple(np.linspace(-half, half, cells + 1).tolist()) for cells in (rows, columns))
    return Layer(x, y, depth)


def rings(sectors: int, number: int, depth: float, radius: float = 60.0) -> PolarLayer:
    """A layer of rings of one width."""
    return PolarLayer(tuple(np.linspace(0.0, radius, number + 1).tolist()), sectors, depth)


SHAPES: dict[str, Callable[[], Geometry]] = {
    "rings 368": lambda: Geometry(
        tuple(
            rings(sectors, number, 20.0 * layer)
            for layer, (sectors, number) in enumerate(((1, 8), (10, 16), (10, 19), (1, 5), (1, 5)))
        )
    ),
    "calogan": lambda: Geometry((grid(3, 96, 40.0), grid(12, 12, 200.0), grid(12, 6, 400.0))),
    "ecal": lambda: Geometry((grid(30, 30, 122.0, 303.0),)),
    "rings 6480": lambda: Geometry(tuple(rings(16, 9, float(layer)) for layer in range(45))),
    "rings 40500": lambda: Geometry(tuple(rings(50, 18, float(layer)) for layer in range(45))),
}
"""By name: CaloChallenge's photons, CaloGAN's layers, the shipped calorimeter, CaloChallenge's second and third."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3, help="steps measured in each phase")
    parser.add_argument("--json", type=Path, help="file for all rows")
    parser.add_argument("--measure", choices=SHAPES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asdict(measure_here(SHAPES[options.measure](), options.batch_size, options.steps))))
        return
    print(f"1 thread, torch {torch.__version__}, batch {options.batch_size}, CPU time")
    print_header()
    costs = {}
    for name in QUICK if options.quick else options.shapes:
        costs[name] = start(name, options)
        print_row(name, costs[name], options.batch_size)
    if options.json:
        options.json.write_text(json.dumps({name: asdict(cost) for name, cost in costs.items()}, indent=1) + "\n")


def start(name: str, options: argparse.Namespace) -> Cost:
    """Measure in a new process."""
    command = [sys.executable, __file__, "--measure", name]
    command += ["--batch-size", str(options.batch_size), "--steps", str(options.steps)]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        msg = f"the process that measured {name!r} failed"
        raise SystemExit(msg)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def measure_here(geometry: Geometry, batch: int, steps: int) -> Cost:
    """Cost of the steps of one shape, of its memory, and of its showers."""
    torch.set_num_threads(1)
    overrides = [f"training.batch_size={batch}", "model.symmetries=[]", "condition=[momentum]"]
    config = load_config(ROOT / "configs" / "demo.yaml", overrides)
    showers = toy_showers(np.random.default_rng(0), geometry, SHOWERS)
    before = peak_memory()
    state, local = fresh_state(config, geometry, showers, torch.device("cpu"))
    checkpoint = Checkpoint(Path("unused"), "", SilentReporter())
    outlet = Outlet(checkpoint, lambda *_: None, lambda _generator: 0.0, SilentReporter())
    trainer = Trainer(state, config.training, local, config.seed, outlet)
    last = config.training.steps - 1
    warm = measure(trainer._warmup_step, steps)
    adversarial = measure(lambda: trainer._adversarial_step(last), steps)
    kept = [*vars(local).values(), *(vars(trainer._contexts).values() if trainer._contexts else ())]
    memory = peak_memory() - before
    incident = torch.from_numpy(showers.incident[:SAMPLED])
    noise = torch.randn(SAMPLED, state.generator.noise_size)
    with torch.inference_mode():
        sampling = measure(lambda: state.generator(incident, noise), steps) / SAMPLED
    trained = [state.generator, state.encoder, state.critic.cell_branch, state.critic.physics_branch]
    return Cost(
        cells=geometry.n_cells,
        layers=geometry.n_layers,
        warm=warm,
        adversarial=adversarial,
        sampling=sampling,
        memory=memory,
        shower=sum(tensor.numel() * tensor.element_size() for tensor in kept) // SHOWERS,
        generator=weights(state.generator),
        trained=sum(weights(network) for network in trained),
        bundle=file_size(state.generator.state_dict()),
    )


def weights(network: torch.nn.Module) -> int:
    """Numbers that a network learns."""
    return sum(weight.numel() for weight in network.parameters())


def file_size(state: dict[str, torch.Tensor]) -> int:
    """Size of weights in a file [bytes]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file(state, path)
        return path.stat().st_size


def measure(work: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of one call after the first."""
    times = []
    for _ in range(repeats + 1):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return sorted(times[1:])[repeats // 2]


def peak_memory() -> int:
    """Largest memory of the process so far [bytes]."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def print_header() -> None:
    header = ["shape", "cells", "layers", "warm start [ms]", "adversarial [ms]", "adversarial [us/shower/cell]"]
    header += [
        "sampling [ms/shower]",
        "memory [MB]",
        "a shower kept [kB]",
        "generator [M]",
        "trained [M]",
        "bundle [MB]",
    ]
    print("| " + " | ".join(header) + " |")
    print("| --- |" + " ---: |" * (len(header) - 1), flush=True)


def print_row(name: str, cost: Cost, batch: int) -> None:
    print(
        f"| {name} | {cost.cells} | {cost.layers} | {1e3 * cost.warm:.0f} | {1e3 * cost.adversarial:.0f} |"
        f" {1e6 * cost.adversarial / batch / cost.cells:.2f} | {1e3 * cost.sampling:.2f} | {cost.memory / 1e6:.0f} |"
        f" {cost.shower / 1e3:.1f} | {cost.generator / 1e6:.2f} | {cost.trained / 1e6:.2f} | {cost.bundle / 1e6:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
