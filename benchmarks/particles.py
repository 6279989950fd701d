"""One model of several particle types against a model for each, of the same length: areas of classifiers for each type.

    CALOGAN_DATA=DIR python benchmarks/particles.py --config configs/ecal30_eg.yaml --out runs/types --seeds 1 2
    python benchmarks/particles.py --out runs/types --table

Rows: `joint` draws batches from the showers as they are, `balanced` as many of each type, a PDG id is a model of that
type alone, which is not told the type. Files must hold one type each. Every row and seed writes a JSON file into --out;
run again, the program does what is not there yet, and goes on with a training that was stopped. One thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fidelity import area

from calogan.atomic import write_atomically
from calogan.config import Config, load_config
from calogan.data.files import expand_files
from calogan.data.showers import Showers
from calogan.data.store import Store
from calogan.metrics.classifier import fit_trees
from calogan.metrics.network import fit_network
from calogan.physics.particles import list_types
from calogan.progress import PlainReporter
from calogan.sampler import ShowerSampler, load_sampler
from calogan.stages.partners import generate_partners
from calogan.stages.prepare import prepare
from calogan.stages.train import train
from calogan.validation.comparison import make_samples
from calogan.validation.studies.classifiers import high_level_features, low_level_features, network_settings

REPORTER = PlainReporter()


def main() -> None:
    options = parse()
    if not options.table:
        config = load_config(options.config, [f"run_dir={options.out / '.prepared'}", *options.set])
        store = prepare(config, REPORTER)
        for seed in options.seeds:
            for row in options.rows or ["joint", "balanced", *map(str, store.manifest.pdg_counts())]:
                path = options.out / f"{row}-{seed}.json"
                if not path.exists():
                    found = run_one(row, seed, config, store, options)
                    write_atomically(path, (json.dumps(found, indent=1) + "\n").encode())
    print_table(options.out)


def run_one(row: str, seed: int, config: Config, store: Store, options: argparse.Namespace) -> dict[str, Any]:
    """Train a row, and judge it on the test showers of its types."""
    folder = options.out / f".{row}-{seed}"
    lengths = {"warmup_steps": options.warmup_steps, "steps": options.steps}
    training = config.training.model_dump() | lengths | {"balance_particles": row == "balanced"}
    changes: dict[str, Any] = {"run_dir": folder, "seed": seed, "training": training}
    if row not in {"joint", "balanced"}:
        changes |= alone(int(row), config, store)
    own = Config.model_validate(config.model_dump() | changes)
    prepare(own, REPORTER)
    train(own, REPORTER)
    sampler = load_sampler(folder / "bundle", threads=1)
    test = store.load("test", threshold=config.threshold)
    types = sampler.pdg if row in {"joint", "balanced"} else (int(row),)
    areas = {pdg: judge(sampler, test[test.pdg == pdg][: options.showers], own) for pdg in types}
    shutil.rmtree(folder / "prepared")
    made = sampler.bundle.info.provenance
    return {"row": row, "seed": seed, "lengths": lengths, "minutes": made["minutes"], "areas": areas}


def alone(pdg: int, config: Config, store: Store) -> dict[str, Any]:
    """Changes of the configuration for one type: its files, its own domain, and no type in the condition."""
    shards = store.manifest.shards
    if mixed := [shard.source for shard in shards if len(shard.pdg) > 1]:
        message = f"{mixed[0]} holds showers of several types, and cannot be read for one alone"
        raise SystemExit(message)
    files = {shard.source for shard in shards if pdg in shard.pdg}
    sources = []
    for source in config.data.sources:
        kept = sorted(file.path for file in expand_files(source.files) if file.path in files)
        sources += [source.model_dump() | {"files": kept}] if kept else []
    domain = config.domain.model_dump()
    bounds = domain.pop("particles", {}).get(pdg, {})
    return {
        "condition": [name for name in config.condition if name != "particle"],
        "domain": domain | {name: value for name, value in bounds.items() if value is not None},
        "data": config.data.model_dump() | {"sources": sources},
    }


def judge(sampler: ShowerSampler, reference: Showers, config: Config) -> dict[str, dict[str, float | None]]:
    """Areas under the curve of the classifiers of the report, for showers of one type."""
    generated, _ = generate_partners(sampler, reference, config.validation.seed, REPORTER)
    settings = config.validation
    samples = make_samples(reference, generated, settings, config.threshold, REPORTER)
    network = partial(fit_network, settings=network_settings(samples))
    return {
        "low": area(samples, low_level_features(samples), network, "low"),
        "high": area(samples, high_level_features(samples), fit_trees, "high"),
    }


def print_table(folder: Path) -> None:
    """A line for each row and type: means over the seeds, with their errors, and the spread of the seeds."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*-*.json"))]
    print(f"{'type':>16} {'row':>10} {'seeds':>5} {'minutes':>8}  {'low-level AUC':>24} {'high-level AUC':>24}")
    types = sorted({pdg for result in results for pdg in result["areas"]}, key=int)
    for pdg in types:
        for row in dict.fromkeys(result["row"] for result in results):
            of_row = [result for result in results if result["row"] == row and pdg in result["areas"]]
            if of_row:
                minutes = np.mean([result["minutes"] for result in of_row])
                figures = [summary([result["areas"][pdg][level] for result in of_row]) for level in ("low", "high")]
                print(f"{list_types([int(pdg)]):>16} {row:>10} {len(of_row):5} {minutes:8.1f}  " + " ".join(figures))


def summary(areas: list[dict[str, float]]) -> str:
    """Mean and error of a classifier given the models; behind it, how far the seeds are apart."""
    values, errors = ([one[name] for one in areas] for name in ("value", "error"))
    spread = f" [{np.std(values, ddof=1):.3f}]" if len(values) > 1 else ""
    return f"{np.mean(values):.3f} ± {np.mean(errors):.3f}{spread}".rjust(24)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", type=Path, default=Path("configs/ecal30_eg.yaml"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--set", action="append", default=[], help="another setting, as of calogan train")
    parser.add_argument("--rows", nargs="+", help="joint, balanced and PDG ids; by default all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--warmup-steps", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--showers", type=int, help="test showers of a type, at most; by default all")
    parser.add_argument("--table", action="store_true", help="print the results that are there, and do no more")
    return parser.parse_args()


if __name__ == "__main__":
    main()
