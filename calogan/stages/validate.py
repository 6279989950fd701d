"""Trained bundle or two samples -> report on how well generated showers agree with the full simulation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import calogan
from calogan.bundle import WEIGHER, Bundle
from calogan.config import Config
from calogan.data.files import InputFile, expand_files
from calogan.data.fingerprints import shower_fingerprints
from calogan.data.reading import count_showers, read_provenance, read_showers, suffixes
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.data.split import Split
from calogan.data.store import Store, is_store
from calogan.errors import ConfigError, DataError, SchemaError, ShapeError, StoreError
from calogan.geometry import Geometry
from calogan.metrics.binning import logarithmic_edges
from calogan.physics.kinematics import Domain
from calogan.progress import Reporter
from calogan.remote import folder_name, is_remote
from calogan.sampler import ShowerSampler, load_sampler
from calogan.stages.partners import generate_partners
from calogan.stages.report_folder import require_writable, reusable_report, write_weights
from calogan.tracking import Tracker
from calogan.validation.comparison import Context, compare
from calogan.validation.criteria import judge
from calogan.validation.pairing import pair
from calogan.validation.report import write_report
from calogan.validation.sections import report_sections
from calogan.validation.summary import Verdicts

__all__ = [
    "Verdicts",
    "report_folder",
    "report_inputs",
    "require_bundle",
    "trained_sampler",
    "validate_files",
    "validate_run",
]

_MOST_TRAINING = 20_000


def validate_run(
    config: Config,
    split: Literal["validation", "test"],
    reporter: Reporter,
    tracker: Tracker | None = None,
    *,
    bundle: str | None = None,
    force: bool = False,
) -> Verdicts:
    """Compare a bundle with the prepared showers of a split.

    For each reference shower one is generated for the same incident particle, its noise keyed by the event's id and
    the seed of the configuration. Reference showers that are training showers, too, are left out with a warning. The
    report goes to ``validation/<split>`` in the run folder; one that is there for the same bundle, data and settings is
    not made again.

    Args:
        config: Study whose run folder holds ``prepared`` and ``bundle``.
        split: Showers to compare with.
        reporter: Told about the progress.
        tracker: Gets the figures and the verdict.
        bundle: Another bundle than that of the run folder, as for `load_sampler`; its report goes to
            ``validation/<split>-<name>``, where the ``bundle`` of a run folder has that folder's name. It must not
            have seen the showers: those of other files that are in the same data have the same split everywhere.
        force: Make the report again even if it is there.

    Raises:
        CaloganError: Nothing is prepared or trained, the split has too few showers, or the report's folder cannot be
            written; says what to do.
    """
    store = Store.open(config.run_dir / "prepared")
    sampler = trained_sampler(config) if bundle is None else require_bundle(config, bundle)
    if bundle is not None:
        reporter.message(f"comparing bundle {bundle} with the {split} showers of {config.name}")
    folder = report_folder(config, split, bundle)
    inputs = report_inputs(config, split, store, sampler.bundle)
    verdicts = reusable_report(folder, inputs, reporter, force=force)
    if verdicts is None:
        require_writable(folder)
        verdicts = _compare_run(config, split, store, sampler, folder, inputs, reporter)
    if tracker is not None:
        tracker.log_metrics({f"{split}/{name}": value for name, value in verdicts.figures.items()}, step=0)
        tracker.set_tags(verdicts.tags(split))
    return verdicts


def require_bundle(config: Config, bundle: str) -> ShowerSampler:
    """Another bundle that can be compared with the showers of a study.

    Raises:
        BundleError: There is no such bundle.
        ConfigError: It is for other cells or fewer particles, or cuts at a higher threshold.
    """
    sampler = load_sampler(bundle)
    if sampler.geometry != Geometry.from_dict(config.geometry.to_dict()):
        msg = f"bundle {bundle}: made for other cells than those of {config.name}; give one for the same geometry"
        raise ConfigError(msg)
    domain = Domain.from_config(config.domain)
    if not sampler.domain.holds(domain):
        msg = (
            f"bundle {bundle}: knows particles of {sampler.domain}, not all of {config.name}'s, {domain}; "
            "give one whose domain holds the study's, or narrow that"
        )
        raise ConfigError(msg)
    if sampler.threshold > config.threshold * (1 + 1e-6):
        msg = (
            f"bundle {bundle}: its read-out threshold of {sampler.threshold} GeV is above that of {config.name}, "
            f"{config.threshold} GeV; raise the study's threshold"
        )
        raise ConfigError(msg)
    return sampler


def trained_sampler(config: Config) -> ShowerSampler:
    """Sampler of the bundle in the run folder.

    Raises:
        StoreError: There is none.
    """
    folder = config.run_dir / "bundle"
    if not folder.exists():
        msg = f"{config.run_dir}: nothing has been trained there yet; run calogan train with the same CONFIG first"
        raise StoreError(msg)
    return load_sampler(folder)


def report_folder(config: Config, split: Split, bundle: str | None = None) -> Path:
    """Where the report on the bundle of a run folder, or on another one, goes; that is named by its run folder."""
    if bundle is None:
        return config.run_dir / "validation" / split
    if is_remote(bundle):
        return config.run_dir / "validation" / f"{split}-{folder_name(bundle)}"
    path = Path(bundle)
    own = path.absolute().parent.name if path.name in ("", ".", "bundle") else path.name
    return config.run_dir / "validation" / f"{split}-{own or 'bundle'}"


def report_inputs(config: Config, split: Split, store: Store, bundle: Bundle) -> dict[str, str]:
    """What the report on a bundle and a split of prepared showers is made of."""
    time = store.manifest.simulation_time()
    weigher = {"weigher": bundle.info.files[WEIGHER]} if _weighs(config, bundle) else {}
    return {
        "bundle": bundle.info.id,
        **weigher,
        "data": store.digest,
        "split": split,
        "settings": config.digest("validation", "threshold"),
        "simulation time": f"{time.mean:.6g} ms" if time else "",
        "calogan": calogan.__version__,
    }


def validate_files(
    reference: str | Path | Sequence[str],
    generated: str | Path | Sequence[str],
    config: Config,
    out: str | Path,
    reporter: Reporter,
    *,
    split: Split = "test",
    force: bool = False,
) -> Verdicts:
    """Compare two samples, each of ROOT files or of a prepared folder; no trained model is needed.

    Each file is read, whole, as the first of the configuration's sources that fits it. With ``validation.max_showers``
    only the first showers of each sample are read, in the order of the files. Empty files are named and left out. A
    prepared folder, one with a ``manifest.json``, stands for its showers of one split, of which ``max_showers`` are
    spread evenly. Where the reference is such a folder, its training showers serve to look for copies, and showers of
    the split that are training showers, too, are left out with a warning. A report that is there for the same showers,
    files and settings is not made again.

    Args:
        reference: Full simulation: a path, a pattern or several of them, as in ``data.sources``, or a prepared folder.
        generated: Surrogate, likewise.
        config: Sources, geometry, threshold and settings of the comparison.
        out: Folder of the report.
        reporter: Told about the progress.
        split: Showers of prepared folders that are compared.
        force: Make the report again even if it is there.

    Raises:
        CaloganError: A file cannot be read or fits no source, there are too few showers, or `out` cannot be written.
    """
    require_writable(Path(out))
    first, second = (
        _read(patterns, config, name, split, reporter)
        for patterns, name in ((reference, "reference"), (generated, "generated"))
    )
    inputs = _file_inputs(config, first, second)
    found = reusable_report(Path(out), inputs, reporter, force=force)
    if found is not None:
        return found
    context, samples = Context(provenance=inputs), (first.showers, second.showers)
    if first.store is not None and split != "train":
        kept, left_out = _unseen(first.showers, first.store, split, reporter)
        samples = _keep(first.showers, second.showers, kept)
        context = Context(
            provenance={**inputs, **left_out},
            training=_training(first.store, config, None),
            simulation=first.store.manifest.simulation_time(),
        )
    return _report(*samples, config, Path(out), f"{config.name}, two samples", inputs, context, reporter)


@dataclass(frozen=True)
class _Sample:
    """Showers with where they come from, in words, and as a prepared folder if they are of one."""

    showers: Showers
    provenance: dict[str, str]
    store: Store | None = None


def _file_inputs(config: Config, reference: _Sample, generated: _Sample) -> dict[str, str]:
    """What the report on two samples is made of."""
    time = reference.store.manifest.simulation_time() if reference.store else None
    return {
        "study": config.name,
        **reference.provenance,
        **generated.provenance,
        "digest of the reference": _digest(reference.showers),
        "digest of the generated": _digest(generated.showers),
        "settings": config.digest("validation", "threshold"),
        "cells and domain": config.digest("geometry", "domain"),
        "simulation time": f"{time.mean:.6g} ms" if time else "",
        "calogan": calogan.__version__,
    }


def _compare_run(
    config: Config,
    split: Literal["validation", "test"],
    store: Store,
    sampler: ShowerSampler,
    folder: Path,
    inputs: Mapping[str, str],
    reporter: Reporter,
) -> Verdicts:
    reference = store.load(split, max_showers=config.validation.max_showers)
    kept, left_out = _unseen(reference, store, split, reporter)
    reference = reference[kept]
    weights = _weighs(config, sampler.bundle)
    generated, weight = generate_partners(sampler, reference, config.validation.seed, reporter, weights=weights)
    band = sampler.bundle.info.provenance.get("hold_out_momentum")
    hold_out = None if band is None else (float(band[0]), float(band[1]))
    context = Context(
        provenance={**_run_provenance(config, split, store, sampler), **left_out},
        training=_training(store, config, hold_out),
        sampler=sampler,
        simulation=store.manifest.simulation_time(),
        hold_out=hold_out,
        study=str(config.run_dir / "config.yaml"),
        weight=weight,
    )
    title = f"{config.name}, {split} showers"
    if folder.name != split:
        title = f"{folder.name.removeprefix(f'{split}-')} on {split} showers of {config.name}"
    return _report(reference, generated, config, folder, title, inputs, context, reporter)


def _report(
    reference: Showers,
    generated: Showers,
    config: Config,
    folder: Path,
    title: str,
    inputs: Mapping[str, str],
    context: Context,
    reporter: Reporter,
) -> Verdicts:
    bins = config.validation.momentum_bins or logarithmic_edges(*config.domain.momentum)
    settings = config.validation.model_copy(update={"momentum_bins": bins})
    if settings.full:
        reporter.message(
            f"full protocol: learning curve with all sizes, each tested {settings.classifier_repeats} times instead of "
            "once; coverage and copies on all showers instead of some thousands; this takes several times as long"
        )
    comparison = compare(reference, generated, settings, config.threshold, reporter, context)
    rows = judge(comparison, config.validation.criteria)
    weight = None if comparison.weights is None else comparison.weights.weight
    write_weights(weight, pair(reference, generated)[0].event, folder)
    sections = report_sections(comparison, rows)
    return write_report(comparison, rows, sections, folder, title=title, inputs=inputs, reporter=reporter)


def _digest(showers: Showers) -> str:
    """A name for the very showers, whatever file they come from."""
    digest = hashlib.sha256()
    for column in (showers.event, showers.incident, showers.cell_energy):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def _weighs(config: Config, bundle: Bundle) -> bool:
    """Whether the bundle's own weights are wanted, and there."""
    return config.validation.weights and bundle.weigher_path is not None


def _unseen(
    reference: Showers, store: Store, split: Split, reporter: Reporter
) -> tuple[NDArray[np.bool_], dict[str, str]]:
    """Which reference showers are no training showers under another event id, and what was left out, in words."""
    seen = np.isin(shower_fingerprints(reference.cell_energy), store.fingerprints("train"))
    seen &= np.any(reference.cell_energy, axis=1)
    count = int(seen.sum())
    if not count:
        return ~seen, {}
    text = f"{count} {split} showers that are equal to training showers in all cells"
    reporter.warning(f"left out: {text}; are files of one simulation in the data twice?")
    return ~seen, {"left out": text}


def _keep(reference: Showers, generated: Showers, kept: NDArray[np.bool_]) -> tuple[Showers, Showers]:
    """The reference showers to keep, with their partners where the samples are paired, else with all generated ones."""
    generated, paired = pair(reference, generated)
    return reference[kept], generated[kept] if paired else generated


def _training(store: Store, config: Config, hold_out: tuple[float, float] | None) -> Showers:
    most = None if config.validation.full else _MOST_TRAINING
    return store.load("train", max_showers=most).without_momenta(hold_out)


def _run_provenance(config: Config, split: Split, store: Store, sampler: ShowerSampler) -> dict[str, str]:
    count, most = store.counts()[split], config.validation.max_showers
    compared = f", {most} of them, spread evenly (validation.max_showers)" if most is not None and most < count else ""
    band = sampler.bundle.info.provenance.get("hold_out_momentum")
    return {
        "study": config.name,
        "split": f"{split} ({count} showers){compared}",
        "reference files": ", ".join(Path(shard.source).name for shard in store.manifest.shards),
        "digest of the data": store.digest,
        "bundle": sampler.bundle.info.id,
        "trained on": ", ".join(f"{key} {value}" for key, value in sampler.bundle.info.provenance.items()),
        "held out of the training": "nothing" if band is None else f"{band[0]:g} to {band[1]:g} GeV",
        "seed of the generated showers": str(config.validation.seed),
        "digest of the settings": config.digest("validation", "threshold"),
        "calogan": calogan.__version__,
    }


def _read(patterns: str | Path | Sequence[str], config: Config, name: str, split: Split, reporter: Reporter) -> _Sample:
    wanted = [str(patterns)] if isinstance(patterns, str | Path) else list(patterns)
    prepared = [pattern for pattern in wanted if is_store(pattern)]
    if not prepared:
        return _read_files(wanted, config, name, reporter)
    if len(wanted) > 1:
        msg = f"{name}: {', '.join(wanted)}: a prepared folder goes alone; give {prepared[0]} or the other files"
        raise DataError(msg)
    return _read_store(prepared[0], config, name, split)


def _read_store(folder: str, config: Config, name: str, split: Split) -> _Sample:
    store = Store.open(folder)
    if store.geometry != Geometry.from_dict(config.geometry.to_dict()):
        msg = f"{folder}: prepared with other cells than those of the configuration; give the one it was prepared with"
        raise ShapeError(msg)
    most, total = config.validation.max_showers, store.counts()[split]
    provenance = {
        f"{name} folder": folder,
        f"{name} split": f"{split} ({total} showers)",
        f"digest of the {name} data": store.digest,
    }
    if most is not None and most < total:
        provenance[f"{name} showers"] = f"{most}, spread evenly (validation.max_showers)"
    return _Sample(store.load(split, max_showers=most), provenance, store)


def _read_files(wanted: Sequence[str], config: Config, name: str, reporter: Reporter) -> _Sample:
    schemas = map(Schema.from_source, config.data.sources)
    files = expand_files(wanted, list(dict.fromkeys(suffix for schema in schemas for suffix in suffixes(schema))))
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
    return _Sample(_join(samples), provenance)


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
