"""Speed of validation on one core: observables in groups, all of them with their histograms, and the other numbers.

    python benchmarks/validation.py
    python benchmarks/validation.py --showers 20000 --repeats 5
    python benchmarks/validation.py --parts observables statistics
    OMP_NUM_THREADS=2 python benchmarks/validation.py --parts comparison --showers 20000

The showers are the shipped ones, again and again where more are asked for. Times are processor times, the shortest of
several turns, so that other work on the machine disturbs little. The part `comparison` runs the whole default protocol
once, one sample of the shipped surrogate against another of the same particles, and prints wall-clock times.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import re
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from calogan import load_sampler
from calogan.config import Config, ValidationConfig, load_config
from calogan.data.files import expand_files
from calogan.data.reading import read_showers
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.geometry import Geometry
from calogan.metrics.binning import count, observable_edges
from calogan.physics.lhcb import lhcb_statistics
from calogan.physics.observables import compute_observables, geometry_observables
from calogan.physics.profile import radial_profile
from calogan.progress import SilentReporter, Task
from calogan.validation.comparison import Context, compare
from calogan.validation.criteria import judge
from calogan.validation.report import write_report
from calogan.validation.sections import report_sections
from calogan.validation.summary import tally

DEMO = Path(__file__).parents[1] / "configs" / "demo.yaml"
GROUPS = {
    "energy": "response|total_energy",
    "centres and widths": "centre_.|width_.|radial_width",
    "asymmetries": ".*_asymmetry",
    "widths along lines": "(longitudinal|transverse)_width",
    "rings": "ring_.*",
    "lit cells": "occupancy.*",
    "hottest cells": ".*hottest_.*",
    "pairs of neighbours": "lit_pairs.*",
    "neighbour correlations": "neighbour_correlation.*",
    "clusters": ".*cluster.*|isolated_cells",
    "layers": "layer_.*|depth.*",
}


def shipped_showers(config: Config, wanted: int) -> Showers:
    """The shipped showers of the demo's hits, cut at the threshold and repeated as often as needed."""
    source = config.data.sources[0]
    geometry = Geometry.from_dict(config.geometry.to_dict())
    files = [file.path for file in expand_files(source.files)]
    showers = read_showers(files, Schema.from_source(source), geometry).above(config.threshold)
    return showers[np.arange(wanted) % len(showers)]


def microseconds(call: Callable[[], object], showers: int, repeats: int) -> float:
    """Processor time a shower, the shortest of several turns."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times) / showers * 1e6


def print_line(name: str, number: int, cost: float) -> None:
    print(f"{name:36} {number:7} {cost:12.1f} {60e6 / cost:16,.0f}")


def time_observables(showers: Showers, repeats: int) -> None:
    """Each group by itself, then all together, then with the filling of their histograms."""
    energy, incident, geometry = showers.cell_energy, showers.incident, showers.geometry
    known = geometry_observables(geometry)
    for group, pattern in GROUPS.items():
        names = [name for name in known if re.fullmatch(pattern, name)]
        if names:
            cost = microseconds(
                lambda names=names: compute_observables(energy, incident, geometry, names), len(showers), repeats
            )
            print_line(group, len(names), cost)
    values = compute_observables(energy, incident, geometry)
    edges = {name: observable_edges(known[name], values[name]) for name in known}

    def fill() -> None:
        for name, found in compute_observables(energy, incident, geometry).items():
            count(found, edges[name])

    print_line(
        "all observables",
        len(known),
        microseconds(lambda: compute_observables(energy, incident, geometry), len(showers), repeats),
    )
    print_line("all observables and their histograms", len(known), microseconds(fill, len(showers), repeats))


def time_statistics(showers: Showers, repeats: int) -> None:
    """What else is computed of each shower."""
    energy, incident, geometry = showers.cell_energy, showers.incident, showers.geometry
    edges = np.linspace(0.0, 400.0, 41)
    calls = {
        "statistics of the LHCb task": (24, lambda: lhcb_statistics(energy, incident, geometry)),
        "radial profile": (40, lambda: radial_profile(energy, incident, geometry, edges)),
    }
    for name, (number, call) in calls.items():
        print_line(name, number, microseconds(call, len(showers), repeats))


class TimedReporter(SilentReporter):
    """Prints how long each piece of the work took."""

    @contextmanager
    def task(self, description: str, total: int, unit: str, completed: int = 0) -> Iterator[Task]:
        """Time the piece."""
        start = time.perf_counter()
        with super().task(description, total, unit, completed) as task:
            yield task
        print(f"{description:36} {total:7} {unit:20} {time.perf_counter() - start:8.1f} s", flush=True)


def time_comparison(showers: Showers, repeats: int) -> None:  # noqa: ARG001
    """The default protocol and the report's page."""
    sampler = load_sampler("ecal30-electron")
    incident = showers.incident.copy()
    incident[:, :3] *= np.random.default_rng(1).uniform(0.9, 1.1, (len(incident), 1))  # no particle twice
    incident = sampler.domain.clip(incident)
    event = np.arange(len(incident))
    samples = [
        Showers(
            showers.geometry,
            event,
            incident,
            sampler.sample(*incident.T, seed=seed, shower_id=event).cell_energy,
            np.full(len(event), 11, dtype=np.int32),
        )
        for seed in (1, 2)
    ]
    settings, reporter = ValidationConfig(), TimedReporter()
    print(f"\n{'piece':36} {'number':>7} {'':20} {'wall clock':>10}")
    start = time.perf_counter()
    comparison = compare(*samples, settings, sampler.threshold, reporter, Context(provenance={}, sampler=sampler))
    compared = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        verdicts = judge(comparison, settings.criteria)
        sections = report_sections(comparison)
        write_report(comparison, verdicts, sections, Path(folder), title="benchmark", inputs={}, reporter=reporter)
    total = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'comparison':65} {compared:8.1f} s\n{'with the page and its figures':65} {total:8.1f} s")
    print(f"verdicts of two samples of one generator, of the same particles: {tally(verdicts)}")
    print(f"peak memory {memory:.0f} MiB, {os.environ['OMP_NUM_THREADS']} threads")


PARTS = {"observables": time_observables, "statistics": time_statistics, "comparison": time_comparison}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=DEMO, help="its first source, geometry and threshold are used")
    parser.add_argument("--showers", type=int, default=7500, help="showers in the sample")
    parser.add_argument("--repeats", type=int, default=5, help="turns, of which the shortest counts")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=["observables", "statistics"], help="what is measured"
    )
    arguments = parser.parse_args()
    showers = shipped_showers(load_config(arguments.config), arguments.showers)
    lit = (showers.cell_energy > 0).sum() / max(len(showers), 1)
    print(f"{len(showers)} showers of {showers.geometry.n_cells} cells, {lit:.0f} of them lit on average\n")
    print(f"{'what':36} {'numbers':>7} {'us/shower':>12} {'showers/min/core':>16}")
    for part in arguments.parts:
        PARTS[part](showers, arguments.repeats)


if __name__ == "__main__":
    main()
