"""Trained bundle or two files -> report on how well generated showers agree with the full simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

import calogan
from calogan.config import Config
from calogan.data.files import InputFile, expand_files
from calogan.data.root import count_showers, read_provenance, read_showers
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.split import Split
from calogan.data.store import Store
from calogan.errors import DataError, SchemaError
from calogan.geometry import Geometry
from calogan.metrics.binning import logarithmic_edges
from calogan.progress import Reporter
from calogan.sampler import ShowerSampler, load_sampler
from calogan.tracking import Tracker
from calogan.validation.comparison import compare
from calogan.validation.criteria import judge
from calogan.validation.report import read_report, write_report
from calogan.validation.summary import Verdicts

__all__ = ["Verdicts", "validate_files", "validate_run"]

_BATCH = 500


def validate_run(
    config: Config,
    split: Literal["validation", "test"],
    reporter: Reporter,
    tracker: Tracker | None = None,
    *,
    force: bool = False,
) -> Verdicts:
    """Compare the bundle of a run folder with the prepared showers of a split.

    For each reference shower one is generated for the same incident particle, its noise keyed by the event's id and
    the seed of the configuration. The report goes to ``validation/<split>`` in the run folder; one that is there for
    the same bundle, data and settings is not made again.

    Args:
        config: Study whose run folder holds ``prepared`` and ``bundle``.
        split: Showers to compare with.
        reporter: Told about the progress.
        tracker: Gets the figures.
        force: Make the report again even if it is there.

    Raises:
        CaloganError: Nothing is prepared or trained, or the split has too few showers; says what to do.
    """
    store = Store.open(config.run_dir / "prepared")
    sampler = load_sampler(config.run_dir / "bundle")
    folder = config.run_dir / "validation" / split
    inputs = {
        "bundle": sampler.bundle.info.id,
        "data": store.digest,
        "split": split,
        "settings": config.digest("validation", "threshold"),
        "calogan": calogan.__version__,
    }
    verdicts = None if force else read_report(folder, inputs)
    if verdicts is not None:
        reporter.message(f"{verdicts.report} is there already for this bundle, these showers and settings")
    else:
        reference = store.load(split, max_showers=config.validation.max_showers)
        generated = _generate(sampler, reference, config, reporter)
        provenance = _run_provenance(config, split, store, sampler)
        title = f"{config.name}, {split} showers"
        verdicts = _report(reference, generated, config, folder, title, inputs, provenance, reporter)
    if tracker is not None:
        tracker.log_metrics({f"{split}/{name}": value for name, value in verdicts.figures.items()}, step=0)
    return verdicts


def validate_files(
    reference: str | Path | Sequence[str],
    generated: str | Path | Sequence[str],
    config: Config,
    out: str | Path,
    reporter: Reporter,
) -> Verdicts:
    """Compare two files, or groups of files, whole; no trained model is needed.

    Each file is read as the first of the configuration's sources that fits it. With ``validation.max_showers`` only
    the first showers of each sample are read, in the order of the files. Empty files are named and left out.

    Args:
        reference: Full simulation: a path, a pattern or several of them, as in ``data.sources``.
        generated: Surrogate, likewise.
        config: Sources, geometry, threshold and settings of the comparison.
        out: Folder of the report.
        reporter: Told about the progress.

    Raises:
        CaloganError: A file cannot be read or fits no source, or there are too few showers.
    """
    first, first_provenance = _read(reference, config, "reference", reporter)
    second, second_provenance = _read(generated, config, "generated", reporter)
    settings = {"settings": config.digest("validation", "threshold"), "calogan": calogan.__version__}
    provenance = {"study": config.name, **first_provenance, **second_provenance, **settings}
    return _report(first, second, config, Path(out), f"{config.name}, two files", provenance, provenance, reporter)


def _report(
    reference: Showers,
    generated: Showers,
    config: Config,
    folder: Path,
    title: str,
    inputs: Mapping[str, str],
    provenance: Mapping[str, str],
    reporter: Reporter,
) -> Verdicts:
    bins = config.validation.momentum_bins or logarithmic_edges(*config.domain.momentum)
    settings = config.validation.model_copy(update={"momentum_bins": bins})
    comparison = compare(reference, generated, settings, config.threshold, reporter, provenance)
    rows = judge(comparison, config.validation.criteria)
    return write_report(comparison, rows, folder, title=title, inputs=inputs, reporter=reporter)


def _generate(sampler: ShowerSampler, reference: Showers, config: Config, reporter: Reporter) -> Showers:
    """One generated shower for each reference shower, in the same order."""
    pieces = []
    columns = slice(None) if "entry_point" in sampler.condition else slice(3)
    with reporter.task("generate", total=len(reference), unit="showers") as task:
        for start in range(0, len(reference), _BATCH):
            batch = reference[start : start + _BATCH]
            particles = batch.incident[:, columns].T
            showers = sampler.sample(*particles, seed=config.validation.seed, shower_id=batch.event)
            pieces.append(showers.cell_energy)
            task.advance(len(batch))
    return replace(reference, geometry=sampler.geometry, cell_energy=np.concatenate(pieces))


def _run_provenance(config: Config, split: Split, store: Store, sampler: ShowerSampler) -> dict[str, str]:
    count, most = store.counts()[split], config.validation.max_showers
    compared = f", {_first_only(config)}" if most is not None and most < count else ""
    return {
        "study": config.name,
        "split": f"{split} ({count} showers){compared}",
        "reference files": ", ".join(Path(shard.source).name for shard in store.manifest.shards),
        "digest of the data": store.digest,
        "bundle": sampler.bundle.info.id,
        "trained on": str(sampler.bundle.info.provenance),
        "seed of the generated showers": str(config.validation.seed),
        "digest of the settings": config.digest("validation", "threshold"),
        "calogan": calogan.__version__,
    }


def _read(
    patterns: str | Path | Sequence[str], config: Config, name: str, reporter: Reporter
) -> tuple[Showers, dict[str, str]]:
    wanted = [str(patterns)] if isinstance(patterns, str | Path) else list(patterns)
    files = expand_files(wanted)
    geometry = Geometry.from_dict(config.geometry.to_dict())
    samples: list[Showers] = []
    for file in files:
        left = _left(config.validation.max_showers, samples)
        if left == 0:
            break
        sample = _read_file(file, config, geometry, left)
        if sample is None:
            reporter.warning(f"{file.path} has no showers; the other {name} files are compared")
        else:
            samples.append(sample)
    if not samples:
        msg = f"{', '.join(wanted)}: no showers in the {name} files; give one that has some"
        raise DataError(msg)
    provenance = {f"{name} files": ", ".join(file.path for file in files)}
    if _left(config.validation.max_showers, samples) == 0:
        provenance[f"{name} showers"] = _first_only(config)
    made = read_provenance(files[0].path)
    if made:
        provenance[f"{name} made with"] = ", ".join(f"{key} {value}" for key, value in sorted(made.items()))
    return _join(samples), provenance


def _read_file(file: InputFile, config: Config, geometry: Geometry, most: int | None) -> Showers | None:
    """Showers of a file, read as the first source of the configuration that fits; None if it has none."""
    refused = []
    pattern = f"{file.path}:{file.tree}" if file.tree else file.path
    for number, source in enumerate(config.data.sources):
        schema = Schema.from_source(source)
        try:
            if not count_showers(file, schema):
                return None
            return read_showers([pattern], schema, geometry, max_showers=most)
        except SchemaError as error:
            refused.append(f"data.sources[{number}]: {error}")
    msg = f"{file.path} fits none of the configuration's sources: {'; '.join(refused)}"
    raise SchemaError(msg)


def _left(most: int | None, samples: Sequence[Showers]) -> int | None:
    return None if most is None else max(0, most - sum(len(sample) for sample in samples))


def _first_only(config: Config) -> str:
    return f"the first {config.validation.max_showers} (validation.max_showers)"


def _join(samples: Sequence[Showers]) -> Showers:
    return Showers(
        geometry=samples[0].geometry,
        event=np.concatenate([sample.event for sample in samples]),
        incident=np.concatenate([sample.incident for sample in samples]),
        cell_energy=np.concatenate([sample.cell_energy for sample in samples]),
        pdg=np.concatenate([sample.pdg for sample in samples]),
    )
