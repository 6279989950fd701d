"""Speed of reading: uproot alone, calogan's checked showers, and the whole prepare stage; peak memory of prepare.

    python benchmarks/reading.py
    CALOGAN_DATA=/data python benchmarks/reading.py
    python benchmarks/reading.py --replicate 200000

Every line reads the same branches of the same files in steps of the same size. CALOGAN_DATA names the folder
that holds ecal30_electron/, whose files have both trees, `showers` (dense) and `hits`; without it, the shipped files
are read.
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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import uproot

from calogan.config import Config, load_config
from calogan.data.files import InputFile, expand_files
from calogan.data.reading import iterate_showers
from calogan.data.reading import read_showers as load_showers
from calogan.data.schema import Schema
from calogan.data.writing import ShowerWriter
from calogan.geometry import Geometry
from calogan.progress import SilentReporter
from calogan.stages.prepare import prepare

DEMO = Path(__file__).parents[1] / "configs" / "demo.yaml"
STEP = 2500


def layout_config(layout: str, run_dir: Path, files: list[str] | None = None, workers: int = 1) -> Config:
    """The demo's configuration with the files of one layout only."""
    values = load_config(DEMO).model_dump(mode="json")
    (source,) = (source for source in values["data"]["sources"] if source["layout"] == layout)
    if files is not None:
        source["files"] = files
    elif "CALOGAN_DATA" in os.environ:
        source["files"] = ["${CALOGAN_DATA}/ecal30_electron/*.root"]
    values["data"] |= {"sources": [source], "workers": workers, "chunk_showers": STEP}
    values["run_dir"] = str(run_dir)
    return Config.model_validate(values)


def read_raw(file: InputFile, schema: Schema) -> int:
    """Decode the branches with uproot and do nothing with them."""
    library = "np" if schema.layout == "dense" else "ak"
    with uproot.open(file.path) as root:
        steps = root[schema.tree].iterate(schema.branches, step_size=STEP, library=library)
        return sum(len(step[schema.momentum[0]]) for step in steps)


def read_showers(file: InputFile, schema: Schema, geometry: Geometry) -> int:
    return sum(len(showers) for showers in iterate_showers(file, schema, geometry, STEP))


def read_all(read: Callable[[InputFile], int], files: list[InputFile], workers: int) -> int:
    if workers == 1:
        return sum(map(read, files))
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(read, files))


def measure(layout: str, workers: int, repeats: int) -> dict[str, float]:
    """Best showers per second of each way to read, taken in turns."""
    config = layout_config(layout, Path("unused"))
    schema = Schema.from_source(config.data.sources[0])
    geometry = Geometry.from_dict(config.geometry.to_dict())
    files = expand_files(config.data.sources[0].files)

    def prepare_all(run_dir: Path) -> int:
        store = prepare(layout_config(layout, run_dir, workers=workers), SilentReporter())
        return sum(store.counts().values())

    ways = {
        "uproot.iterate": lambda _: read_all(lambda file: read_raw(file, schema), files, workers),
        "iterate_showers": lambda _: read_all(lambda file: read_showers(file, schema, geometry), files, workers),
        "prepare": prepare_all,
    }
    best = dict.fromkeys(ways, 0.0)
    for _ in range(repeats + 1):  # the first turn fills the page cache
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                count = way(Path(folder))
                seconds = time.perf_counter() - start
            best[name] = max(best[name], count / seconds)
    return best


def print_speeds(repeats: int) -> None:
    print(f"{'layout':8} {'workers':>7} {'what':16} {'showers/s':>10} {'ratio to uproot.iterate':>24}")
    for layout in ("dense", "hits"):
        for workers in (1, 2):
            best = measure(layout, workers, repeats)
            for name, rate in best.items():
                print(f"{layout:8} {workers:7} {name:16} {rate:10.0f} {rate / best['uproot.iterate']:24.2f}")


def replicate(folder: Path, layout: str, count: int) -> list[str]:
    """Files of the shipped showers again and again, with new event ids."""
    config = layout_config(layout, folder)
    schema = Schema.from_source(config.data.sources[0])
    geometry = Geometry.from_dict(config.geometry.to_dict())
    showers = load_showers([expand_files(config.data.sources[0].files)[0].path], schema, geometry)
    paths = []
    for first in range(0, count, len(showers)):
        event = np.arange(first, first + len(showers), dtype=np.int64)
        paths.append(str(folder / f"{layout}_{first}.root"))
        with ShowerWriter(paths[-1], schema, geometry) as writer:
            writer.extend(replace(showers, event=event)[: count - first])
    return paths


def print_memory(count: int, workers: int) -> None:
    print(f"{'layout':8} {'workers':>7} {'showers':>8} {'showers/s':>10} {'peak memory [MB]':>17}")
    for layout in ("dense", "hits"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            config = layout_config(layout, folder / "run", replicate(folder, layout, count), workers)
            (folder / "config.yaml").write_text(config.to_yaml())
            command = [sys.executable, __file__, "--prepare", str(folder / "config.yaml")]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rate = found["showers"] / found["seconds"]
            print(f"{layout:8} {workers:7} {found['showers']:8} {rate:10.0f} {found['peak_mb']:17.0f}")


def prepare_and_report(path: Path) -> None:
    """Run prepare in this process and print how long it took and how much memory it needed, as JSON."""
    start = time.perf_counter()
    store = prepare(load_config(path), SilentReporter())
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"showers": sum(store.counts().values()), "seconds": seconds, "peak_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="turns, of which the best counts")
    parser.add_argument("--replicate", type=int, metavar="N", help="prepare N replicated showers, report peak memory")
    parser.add_argument("--workers", type=int, default=2, help="workers with --replicate")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        prepare_and_report(arguments.prepare)
    elif arguments.replicate:
        print_memory(arguments.replicate, arguments.workers)
    else:
        print_speeds(arguments.repeats)


if __name__ == "__main__":
    main()
