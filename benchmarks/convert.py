"""Conversion of a large file: seconds, peak memory of the converting process, sizes and rates.

    python benchmarks/convert.py [--showers 100000] [--occupancy 0.04] [--folder FOLDER]

Toy showers in 45 layers of 16x9 cells, of which a share saw energy, are written as ROOT hits and converted by `calogan
convert` to CaloChallenge HDF5, from there to dense ROOT, and back to hits, each in a process of its own. In the end all
values are compared. FOLDER needs about 10 kB a shower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

from calogan.data.files import InputFile
from calogan.data.reading import iterate_showers
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.usual import usual_schema
from calogan.data.writing import ShowerWriter
from calogan.geometry import Geometry, Layer

LAYERS, ROWS, COLUMNS = 45, 16, 9
BLOCK = 1_000
STEPS = (
    ("hits.root", "calochallenge", "cells.hdf5"),
    ("cells.hdf5", "dense", "dense.root"),
    ("dense.root", "hits", "back.root"),
)
ROW = "{:<38} {:>9} {:>9} {:>11} {:>12} {:>10}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--showers", type=int, default=100_000)
    parser.add_argument("--occupancy", type=float, default=0.04, help="mean share of the cells that saw energy")
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        convert_all(Path(folder), options.showers, options.occupancy)


def convert_all(folder: Path, count: int, occupancy: float) -> None:
    geometry = write_geometry(folder / "layers.yaml")
    schema, size = usual_schema("hits", geometry), 4e-9 * count * geometry.n_cells
    print(f"{count} showers of {geometry.n_cells} cells, {occupancy:.0%} of them not 0; all cells take {size:.2f} GB")
    print(ROW.format("step", "time [s]", "CPU [s]", "showers/s", "memory [MB]", "size [MB]"))
    write_showers(folder / "hits.root", schema, geometry, count, occupancy)
    for source, layout, target in STEPS:
        options = ["--to", layout, "-o", target, "--geometry", "layers.yaml", "--quiet"]
        wall, cpu, peak = run([sys.executable, "-m", "calogan", "convert", source, *options], folder)
        sizes = " -> ".join(f"{(folder / name).stat().st_size / 1e6:.0f}" for name in (source, target))
        rate = f"{count / wall:.0f}"
        print(ROW.format(f"{source} -> {target}", f"{wall:.1f}", f"{cpu:.1f}", rate, f"{peak:.0f}", sizes), flush=True)
        if source != "hits.root":
            (folder / source).unlink()
    compare(folder / "hits.root", folder / "back.root", schema, geometry)


def run(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory [MB] of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: failed")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def write_geometry(path: Path) -> Geometry:
    x, y = ({"cells": cells, "low": -100.0, "high": 100.0} for cells in (ROWS, COLUMNS))
    layers = [{"x": x, "y": y, "depth": 3.0 * layer} for layer in range(LAYERS)]
    path.write_text(yaml.safe_dump({"layers": layers}))
    edges = [tuple(np.linspace(-100.0, 100.0, cells + 1).tolist()) for cells in (ROWS, COLUMNS)]
    return Geometry(tuple(Layer(edges[0], edges[1], depth=3.0 * layer) for layer in range(LAYERS)))


def write_showers(path: Path, schema: Schema, geometry: Geometry, count: int, occupancy: float) -> None:
    """Hits in random cells, more of them and larger ones for larger momenta."""
    rng = np.random.default_rng(0)
    with ShowerWriter(path, schema, geometry) as writer:
        for first in range(0, count, BLOCK):
            event = np.arange(first, min(first + BLOCK, count))
            momentum = np.exp(rng.uniform(0, np.log(1000.0), len(event)))
            share = 2 * occupancy * np.log(momentum) / np.log(1000.0)
            lit = rng.random((len(event), geometry.n_cells), dtype=np.float32) < share[:, None]
            energy = np.zeros(lit.shape, dtype=np.float32)
            energy[lit] = rng.lognormal(-8.0, 2.0, np.count_nonzero(lit))
            incident = np.zeros((len(event), 5), dtype=np.float32)
            incident[:, 2] = momentum
            writer.extend(Showers(geometry, event, incident, energy, np.full(len(event), 11, dtype=np.int32)))


def compare(first: Path, second: Path, schema: Schema, geometry: Geometry) -> None:
    """Compare all values of two files."""
    count = different = 0
    pairs = zip(*(iterate_showers(InputFile(str(path)), schema, geometry) for path in (first, second)), strict=True)
    for one, other in pairs:
        count += len(one)
        for name in ("event", "pdg", "incident", "cell_energy"):
            different += int(np.count_nonzero(getattr(one, name) != getattr(other, name)))
    print(f"{count} showers compared with those of the beginning: {different} values differ")


if __name__ == "__main__":
    main()
