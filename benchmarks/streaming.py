"""Training showers in memory and streamed from disk: showers a second and peak memory of one process each.

    python benchmarks/streaming.py [--gigabytes 2] [--limit 0.25] [--steps 400] [--batch-size 128] [--folder FOLDER]

A store of toy showers in the shipped calorimeter is written; a tiny model, for which reading matters most, takes steps
of the warm start on it: with all showers in memory, streamed in the order of the whole shuffle, and streamed in
windows, each with `training.memory_gb` at the limit where it streams. Before each, the files leave the page cache as
far as the system allows it, so that what is read is read from the disk. FOLDER is on the disk in question.
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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from calogan.config import Config, load_config
from calogan.data.columns import column_types
from calogan.data.npy import NpyWriter
from calogan.data.schema import Schema
from calogan.data.split import SPLITS
from calogan.data.store import Manifest, ShardRecord, Store
from calogan.data.stored import StoredShowers
from calogan.data.toy import toy_showers
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain
from calogan.progress import SilentReporter
from calogan.stages.train import fresh_state
from calogan.training.checkpoint import Checkpoint
from calogan.training.loop import Outlet, Trainer
from calogan.training.memory import keep_showers

DEMO = Path(__file__).parents[1] / "configs" / "demo.yaml"
TINY = {"latent_size": 4, "generator_hidden": [16], "critic_hidden": [16]}
DISTINCT, SHARD = 5_000, 50_000
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """One way to keep the showers."""

    name: str
    data: str
    window: int | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="training showers [GB]")
    parser.add_argument("--limit", type=float, default=0.25, help="memory for streamed showers [GB]")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options, Row(**json.loads(options.one)))))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        options.folder = Path(folder)
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Print a row for each way, measured in a process of its own."""
    store = write_store(options.folder / "prepared", options.gigabytes)
    count, size = store.counts()["train"], 4 * store.geometry.n_cells
    print(f"{count} showers of {store.geometry.n_cells} cells, {count * size / 1e9:.2f} GB; limit {options.limit} GB")
    print(f"batches of {options.batch_size}, {options.steps} steps, torch {torch.__version__}")
    print(f"{'showers':<28} {'begins after':>12} {'showers/s':>10} {'read alone':>11} {'peak memory':>12}")
    rows = [
        Row("none: an empty process", "none", None),
        Row("in memory", "memory", None),
        Row("streamed, whole shuffle", "stream", None),
        Row("streamed, windows of a tenth", "stream", count // 10),
    ]
    for row in rows:
        forget(options.folder)
        arguments = [f"--{name}={getattr(options, name)}" for name in ("limit", "steps", "folder")]
        command = [sys.executable, __file__, *arguments, f"--batch-size={options.batch_size}"]
        command.append(f"--one={json.dumps(vars(row))}")
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        start, rate, read = (found.get(name, float("nan")) for name in ("start", "rate", "read"))
        print(f"{row.name:<28} {start:10.1f} s {rate:10.0f} {read:11.0f} {found['peak'] / 1e9:9.2f} GB", flush=True)


def measure(options: argparse.Namespace, row: Row) -> dict[str, float]:
    """Train in this process, and say how fast, and how much memory it took at most."""
    figures = {}
    if row.data != "none":
        config = load_config(DEMO, [f"run_dir={options.folder}"])
        training = {
            "data": row.data,
            "memory_gb": options.limit,
            "shuffle_window": row.window,
            "batch_size": options.batch_size,
            "warmup_steps": options.steps,
            "steps": 0,
            "log_every": options.steps // 2,
        }
        values = {**config.model_dump(), "training": training, "model": TINY}
        figures = train(Config.model_validate(values), options.folder / row.name)
    return {**figures, "peak": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def train(config: Config, folder: Path) -> dict[str, float]:
    """Steps of the warm start: showers a second in their second half, and of their reading alone."""
    begin = time.perf_counter()
    store = Store.open(config.run_dir / "prepared")
    showers = StoredShowers(store, "train", threshold=config.threshold)
    keeping = keep_showers(config.training, len(showers), store.geometry.n_cells, CPU)
    state, source = fresh_state(config, store.geometry, showers, CPU, section=keeping.section)
    start, last = time.perf_counter() - begin, {}
    folder.mkdir()
    checkpoint = Checkpoint(folder / "checkpoint.pt", "", SilentReporter())
    outlet = Outlet(checkpoint, lambda _step, figures: last.update(figures), lambda _generator: 0.0, SilentReporter())
    trainer = Trainer(state, config.training, source, config.seed, outlet)
    begin = time.perf_counter()
    with source.prefetch(trainer._coming(0)):
        for batch in trainer._coming(0):
            source[batch]
    read = config.training.batch_size * config.training.warmup_steps / (time.perf_counter() - begin)
    forget(config.run_dir / "prepared")
    trainer.run()
    return {"start": start, "rate": last["time/showers_per_s"], "read": read}


def write_store(folder: Path, gigabytes: float) -> Store:
    """A prepared folder of toy showers, a few thousand again and again."""
    config = load_config(DEMO)
    geometry = Geometry.from_dict(config.geometry.to_dict())
    some = toy_showers(np.random.default_rng(0), geometry, DISTINCT)
    schema = Schema.from_source(config.data.sources[0])
    records = []
    for number in range(max(1, round(gigabytes * 1e9 / (4 * geometry.n_cells * SHARD)))):
        record = ShardRecord(
            folder=f"toy-{number}",
            key=f"{number}",
            source=f"toy-{number}.root",
            tree="toy",
            checksum="",
            size=None,
            changed=None,
            schema=schema.digest,
            entries=SHARD,
            counts={split: SHARD * (split == "train") for split in SPLITS},
            outside_domain=0,
            hits=0,
            hits_outside=0,
            response=None,
            momentum=None,
            pdg={11: SHARD},
        )
        columns = {
            "event": some.event,
            "entry": some.event,
            "incident": some.incident,
            "cell_energy": some.cell_energy,
            "pdg": some.pdg,
            "split": np.zeros(DISTINCT, dtype=np.uint8),
        }
        (folder / "shards" / record.folder).mkdir(parents=True)
        for name, (dtype, row) in column_types(geometry).items():
            with NpyWriter(folder / "shards" / record.folder / f"{name}.npy", dtype, row) as writer:
                for _ in range(SHARD // DISTINCT):
                    writer.append(columns[name])
        records.append(record)
    domain = Domain.from_config(config.domain)
    store = Store(folder, Manifest("", geometry, domain, {schema.digest: schema}, tuple(records)))
    store.write()
    return store


def forget(folder: Path) -> None:
    """Let files leave the page cache."""
    for path in folder.rglob("*.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
