"""What the validation sees, how often it cries wolf, and whether its errors are right.

    python benchmarks/validation_power.py defects --showers 10000       # which metric and criterion sees which defect
    python benchmarks/validation_power.py truth --showers 10000         # truth against truth, 20 resamplings
    python benchmarks/validation_power.py pulls --showers 2500          # 20 generator seeds: are the errors right?

Showers of the full simulation come from the folder that CALOGAN_DATA names (``ecal30_electron/*.root`` in it, 50,000
electrons), else from the 10,000 shipped ones. Two processes with one thread each run at a time; every comparison runs
the whole default protocol with the default effect sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from calogan import load_sampler
from calogan.config import ValidationConfig, load_config
from calogan.data.reading import read_showers
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.geometry import Geometry
from calogan.progress import SilentReporter
from calogan.validation.comparison import compare
from calogan.validation.criteria import Outcome, Verdict, judge
from calogan.validation.defects import DEFECTS

CONFIG = Path(__file__).parents[1] / "configs" / "demo.yaml"
BUNDLE = "ecal30-electron"
BINS = [1.0, 4.0, 10.0, 25.0, 64.0]  # [GeV]


@dataclass(frozen=True)
class Found:
    """What a comparison found: value, error, floor and its error by metric, and verdicts by criterion."""

    label: str
    metrics: Mapping[str, tuple[float, float, float, float]]
    verdicts: Mapping[str, Verdict]
    seconds: float

    def count(self, outcome: str) -> int:
        """Criteria with an outcome."""
        return sum(one.outcome.value == outcome for one in self.verdicts.values())


@cache
def full_simulation() -> Showers:
    """All showers of the full simulation, cut at the threshold."""
    config = load_config(CONFIG)
    geometry = Geometry.from_dict(config.geometry.to_dict())
    folder = os.environ.get("CALOGAN_DATA")
    hits, dense = (Schema.from_source(source) for source in config.data.sources)
    pattern, schema = ("calogan://ecal30_electron/hits_*.root", hits)
    if folder:
        pattern, schema = (str(Path(folder) / "ecal30_electron" / "*.root"), dense)
    return read_showers([pattern], schema, geometry).above(config.threshold)


def found(label: str, reference: Showers, generated: Showers, seed: int, *, quick: bool) -> Found:
    """Run the default protocol, or a quick one without classifiers."""
    settings = ValidationConfig(seed=seed, momentum_bins=BINS, classifiers=not quick)
    start = time.perf_counter()
    threshold = load_config(CONFIG).threshold
    comparison = compare(reference, generated, settings, threshold, SilentReporter())
    metrics = {one.name: (one.value, one.error, one.floor, one.floor_error) for one in comparison.metrics}
    verdicts = {one.criterion: one for one in judge(comparison, settings.criteria)}
    return Found(label, metrics, verdicts, time.perf_counter() - start)


def with_defect(name: str, *, showers: int, quick: bool) -> Found:
    """Truth against truth with a defect, or without one for the name ``none``."""
    everything = full_simulation()
    order = np.random.default_rng(7).permutation(len(everything))
    reference, other = everything[order[:showers]], everything[order[showers : 2 * showers]]
    generated = other if name == "none" else DEFECTS[name](other, np.random.default_rng(8))
    return found(name, reference, generated, seed=1, quick=quick)


def truth(number: int, *, showers: int, quick: bool) -> Found:
    """Truth against truth, resampled."""
    everything = full_simulation()
    order = np.random.default_rng([11, number]).permutation(len(everything))
    reference, other = everything[order[:showers]], everything[order[showers : 2 * showers]]
    return found(f"resampling {number}", reference, other, seed=number, quick=quick)


def seeded(number: int, *, showers: int, quick: bool) -> Found:
    """The shipped surrogate with a seed of its own against showers that no other seed is compared with."""
    everything = full_simulation()
    order = np.random.default_rng(13).permutation(len(everything))
    reference = everything[order[number * showers : (number + 1) * showers]]
    sampler = load_sampler(BUNDLE, threads=1)
    sample = sampler.sample(*reference.incident.T, seed=number, shower_id=reference.event)
    return found(
        f"seed {number}", reference, replace(reference, cell_energy=sample.cell_energy), seed=number, quick=quick
    )


def run(kind: str, showers: int, cases: Sequence[str | int], workers: int, *, quick: bool) -> Iterator[Found]:
    """All comparisons of a kind, in order."""
    function = {"defects": with_defect, "truth": truth, "pulls": seeded}[kind]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(partial(function, showers=showers, quick=quick), cases)


def defects_table(results: list[Found]) -> Table:
    """Significance of each metric, (value - floor) / error, for each defect; criteria that fail."""
    table = Table(title="(value - floor) / error; the last rows: criteria that fail, and that are undecided")
    table.add_column("metric")
    for one in results:
        table.add_column(one.label, justify="right")
    for name in results[0].metrics:
        row = []
        for one in results:
            value, error, floor, floor_error = one.metrics.get(name, (np.nan,) * 4)
            size = np.hypot(error, floor_error)
            row.append(f"{(value - floor) / size:.1f}" if size > 0 else "-")
        table.add_row(name, *row)
    for outcome in ("fail", "undecided"):
        table.add_row(outcome, *(str(one.count(outcome)) for one in results), style="bold")
    return table


def truth_table(results: list[Found]) -> Table:
    """Verdicts of each resampling."""
    table = Table("resampling", "pass", "fail", "undecided", "those that do not pass", title="truth against truth")
    for one in results:
        others = ", ".join(name for name, verdict in one.verdicts.items() if verdict.outcome is not Outcome.PASS)
        table.add_row(one.label, *(str(one.count(outcome)) for outcome in ("pass", "fail", "undecided")), others)
    return table


def pulls_table(results: list[Found]) -> Table:
    """Width of (value - mean) / error over the results, and the mean error against the spread."""
    table = Table("metric", "mean value", "spread", "mean error", "pull width", "", title="are the errors right?")
    inside = 0
    for name in results[0].metrics:
        value, error, *_ = np.array([one.metrics[name] for one in results]).T
        if not (np.isfinite(value).all() and (error > 0).all()):
            table.add_row(name, f"{value.mean():.4g}", "-", "-", "-", "")
            continue
        width = float(np.sqrt(np.sum(((value - value.mean()) / error) ** 2) / (len(value) - 1)))
        inside += 0.8 <= width <= 1.25
        shown = (f"{value.mean():.4g}", f"{value.std(ddof=1):.3g}", f"{error.mean():.3g}", f"{width:.2f}")
        table.add_row(name, *shown, "" if 0.8 <= width <= 1.25 else "outside 0.8 to 1.25")
    table.caption = f"{inside} of {len(results[0].metrics)} widths lie between 0.8 and 1.25"
    return table


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("defects", "truth", "pulls"))
    parser.add_argument("--showers", type=int, default=4000, help="showers in each sample")
    parser.add_argument("--repeats", type=int, default=20, help="resamplings, or seeds")
    known = ["none", *DEFECTS]
    parser.add_argument("--only", nargs="+", default=known, choices=known, help="defects", metavar="DEFECT")
    parser.add_argument("--quick", action="store_true", help="without classifiers, which take most of the time")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    start = time.perf_counter()
    results = []
    cases = arguments.only if arguments.kind == "defects" else range(arguments.repeats)
    for one in run(arguments.kind, arguments.showers, cases, arguments.workers, quick=arguments.quick):
        results.append(one)
        print(
            f"{one.label}: {one.count('fail')} fail, {one.count('undecided')} undecided, {one.seconds:.0f} s",
            flush=True,
        )
        if arguments.json:
            arguments.json.write_text(json.dumps([asdict(found) for found in results], indent=1))
    table = {"defects": defects_table, "truth": truth_table, "pulls": pulls_table}[arguments.kind](results)
    console = Console(width=240)
    console.print(table)
    seconds = np.mean([one.seconds for one in results])
    minutes = (time.perf_counter() - start) / 60
    console.print(f"{arguments.showers} showers in each sample; {minutes:.1f} min, {seconds:.0f} s a comparison")


if __name__ == "__main__":
    main()
