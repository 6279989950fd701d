"""Sparse against dense shards: disk, time to prepare, to load, and to take random batches from the disk, as ratios.

    python benchmarks/storage.py [--megabytes 300] [--occupancy 0.05] [--folder FOLDER]

Toy showers, of which a share of the cells saw energy, are written as hits in calorimeters of 900 (30x30), 6,480 (45
layers of 16x9) and 40,500 cells (45 layers of 50x18), so many that all cells take about MEGABYTES, and prepared in both
ways. Times from the disk are those of the clock, taken when the files have left the page cache, as far as the system
allows that; the others are CPU times, which other work on the machine changes less. FOLDER is on the disk in question.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from streaming import forget

from calogan.config import Config
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.store import Store
from calogan.data.stored import StoredShowers
from calogan.data.writing import ShowerWriter
from calogan.geometry import Geometry
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare

CALORIMETERS = {900: (1, 30, 30), 6_480: (45, 16, 9), 40_500: (45, 50, 18)}
BATCH = 2_000
ROW = "{:>7} {:<24} {:>12} {:>12} {:>17}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=300.0, help="of a calorimeter's showers, all cells")
    parser.add_argument("--occupancy", type=float, default=0.05, help="share of the cells that saw energy")
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    print(ROW.format("cells", "what", "dense", "sparse", "sparse to dense"))
    for cells in CALORIMETERS:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            compare(cells, round(options.megabytes * 1e6 / (4 * cells)), options.occupancy, Path(folder))


def compare(cells: int, count: int, occupancy: float, folder: Path) -> None:
    """Print the lines of one calorimeter."""
    found = {}
    write(folder / "hits.root", cells, count, occupancy)
    for storage in ("dense", "sparse"):
        config = configure(cells, folder, storage)
        prepare_time = seconds(lambda config=config: prepare(config, SilentReporter()), time.process_time)
        store = Store.open(folder / storage / "prepared")
        found[storage] = {"disk [MB]": disk(store), "prepare [s], CPU": prepare_time, **read(store)}
    for what, dense in found["dense"].items():
        sparse = found["sparse"][what]
        print(ROW.format(cells, what, f"{dense:.3g}", f"{sparse:.3g}", f"{sparse / dense:.2f}"), flush=True)


def read(store: Store) -> dict[str, float]:
    """Times to load the training showers, and showers a second in random batches of them."""
    order = np.random.default_rng(0).permutation(store.counts()["train"])
    batches = [np.sort(order[start : start + BATCH]) for start in range(0, len(order), BATCH)]
    stored = StoredShowers(store, "train")

    def stream() -> None:
        for batch in batches:
            stored[batch]

    figures = {}
    for name, way in {"load [s]": lambda: store.load("train"), "stream [1/s]": stream}.items():
        forget(store.folder)
        times = {"disk": seconds(way), "CPU": min(seconds(way, time.process_time) for _ in range(3))}
        for clock, taken in times.items():
            figures[f"{name}, {clock}"] = len(order) / taken if way is stream else taken
    return figures


def configure(cells: int, folder: Path, storage: str) -> Config:
    layers, rows, columns = CALORIMETERS[cells]
    grid = {
        "x": {"cells": rows, "low": -200, "high": 200},
        "y": {"cells": columns, "low": -200, "high": 200},
    }
    source = {"layout": "hits", "files": [str(folder / "hits.root")], "cell_layer": "cell_layer"}
    return Config.model_validate(
        {
            "name": "storage",
            "run_dir": str(folder / storage),
            "geometry": {"layers": [{**grid, "depth": 4.0 * layer} for layer in range(layers)]},
            "domain": {"momentum": [1, 64], "max_angle": 1},
            "data": {"sources": [source], "storage": storage},
        }
    )


def write(path: Path, cells: int, count: int, occupancy: float) -> None:
    """A file of hits in random cells."""
    rng = np.random.default_rng(0)
    config = configure(cells, path.parent, "auto")
    geometry = Geometry.from_dict(config.geometry.to_dict())
    with ShowerWriter(path, Schema.from_source(config.data.sources[0]), geometry) as writer:
        for first in range(0, count, 500):
            event = np.arange(first, min(first + 500, count))
            energy = rng.exponential(1e-2, (len(event), cells)).astype(np.float32)
            energy[rng.random(energy.shape, dtype=np.float32) >= occupancy] = 0
            incident = np.tile(np.array([0, 0, 32, 0, 0], dtype=np.float32), (len(event), 1))
            writer.extend(Showers(geometry, event, incident, energy, np.zeros(len(event), dtype=np.int32)))


def disk(store: Store) -> float:
    return sum(path.stat().st_size for path in store.shards.rglob("*.npy")) / 1e6


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    main()
