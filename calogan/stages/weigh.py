"""Trained bundle and prepared showers -> weights of the bundle's showers, as a graph that it then carries."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import calogan
from calogan.bundle import Bundle, BundleInfo
from calogan.config import Config
from calogan.data.showers import Showers
from calogan.data.store import Store
from calogan.errors import BundleError, ConfigError, DataError, MissingDependencyError
from calogan.export import can_export, export_weigher
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.metric import Estimate, Metric
from calogan.physics.particles import network_input
from calogan.progress import Reporter
from calogan.remote import cache_folder, is_remote
from calogan.sampler import ShowerSampler, builtin_bundles
from calogan.sampler.weigher import OnnxWeigher
from calogan.stages.partners import generate_partners, partners
from calogan.stages.run import run_folder
from calogan.stages.validate import require_bundle, trained_sampler
from calogan.training.weigher import FittedWeigher, WeigherFeatures, fit_weigher
from calogan.validation.comparison import LEAST_SHOWERS, make_samples
from calogan.validation.numbers import number, with_error
from calogan.validation.samples import Samples
from calogan.validation.studies.bundle_weights import BundleWeightStudy, study_bundle_weights

__all__ = ["summary", "weigh"]

COPIES = 2
"""Generated showers for each training shower: they cost little, and the network learns more."""
FITTED = 10_000
"""Reference showers, at most, that the features are standardised by, spread evenly."""
TOLERANCE = 1e-3
"""Largest relative difference of a weight between torch and ONNX Runtime."""
_SHIPPED = (Path(calogan.__file__).parent / "resources" / "bundles").resolve()
_AREAS = ("high_level_auc", "own_auc")


def weigh(config: Config, reporter: Reporter, *, bundle: str | None = None, force: bool = False) -> Bundle:
    """Learn the density ratio of training showers to generated ones of the same particles, and keep it in the bundle.

    The network is stopped and calibrated with validation showers; its weights are then judged on these. The bundle
    keeps its id. What is there for the same data and seed is not learnt again.

    Args:
        config: Study whose run folder holds the prepared showers, and the bundle unless another one is named.
        reporter: Told about the progress.
        bundle: Another bundle than that of the run folder, a folder.
        force: Learn again even if the bundle has weights of these data.

    Returns:
        The bundle with its weights; `summary` says what they are worth.

    Raises:
        MissingDependencyError: onnx or onnxscript is not installed.
        ConfigError: The bundle is for other cells or particles, is in MLflow or its cache, or is shipped.
        DataError: There are too few showers.
        BundleError: The bundle cannot be written, or its graph cannot be exported.
        CaloganError: Nothing is prepared or trained, or another process works in the run folder.
    """
    if not can_export():
        msg = "weights are exported with onnx and onnxscript: pip install 'calogan[train]'"
        raise MissingDependencyError(msg)
    _require_own(bundle or str(config.run_dir / "bundle"))
    with run_folder(config, reporter):
        store = Store.open(config.run_dir / "prepared")
        sampler = trained_sampler(config) if bundle is None else require_bundle(config, bundle)
        made = {"study": config.name, "data_digest": store.digest, "seed": config.seed, "calogan": calogan.__version__}
        known = sampler.bundle.info.weigher or {}
        if not force and all(known.get(key) == value for key, value in made.items()):
            reporter.message(f"{sampler.bundle.weigher_path} is there already for these data; --force learns it again")
            return sampler.bundle
        return _learn(config, store, sampler, made, reporter)


def summary(weigher: Mapping[str, Any]) -> tuple[str, ...]:
    """What the weights of a bundle are worth, in lines, from its description of them."""
    before, after = ([with_error(*weigher[key][when]) for key in _AREAS] for when in ("before", "after"))
    separation = " without, ".join(number(value, 2) for value in weigher["mean_separation_excess"])
    return (
        f"of {weigher['validation_showers']} weighted showers {100 * weigher['effective_fraction']:.1f}% are left",
        f"AUC of boosted trees on the observables: {before[0]} without, {after[0]} with weights",
        f"AUC of the score that the weights come from: {before[1]} without, {after[1]} with weights",
        f"mean separation power above its floor: {separation} with weights",
    )


def _require_own(bundle: str) -> None:
    """Refuse bundles that others rely on as they are, by name or by path."""
    folder = Path(bundle).resolve()
    if is_remote(bundle):
        place = "in MLflow"
    elif cache_folder().resolve() in folder.parents:
        place = f"in the cache of bundles from MLflow, {cache_folder()}"
    elif (bundle in builtin_bundles() and not folder.is_dir()) or _SHIPPED in folder.parents:
        place = "shipped with calogan"
    else:
        return
    msg = f"bundle {bundle} is {place} and stays as it is; copy the bundle and give the copy"
    raise ConfigError(msg)


def _learn(config: Config, store: Store, sampler: ShowerSampler, made: dict[str, Any], reporter: Reporter) -> Bundle:
    if config.training.threads is not None:
        torch.set_num_threads(config.training.threads)
    info = sampler.bundle.info
    band = info.provenance.get("hold_out_momentum")
    hold_out = None if band is None else (float(band[0]), float(band[1]))
    training, validation = (
        store.load(split, threshold=sampler.threshold).without_momenta(hold_out) for split in ("train", "validation")
    )
    _require_showers(training, validation)
    seeds = [int(seed) for seed in np.random.default_rng([config.seed, *b"weigher"]).integers(2**63, size=COPIES + 1)]
    generated, _ = generate_partners(sampler, validation, seeds[-1], reporter)
    samples = make_samples(validation, generated, config.validation, config.threshold, reporter)
    features = WeigherFeatures(info.geometry, sampler.bundle.load_generator()).eval()
    some = training[:: max(1, -(-len(training) // FITTED))]
    features.fit_scale(_told(info, some), some.cell_energy)
    fitted = fit_weigher(
        features,
        _training_features(features, training, sampler, seeds[:-1], reporter),
        _labelled(*(features.of(_told(info, one), one.cell_energy) for one in (validation, generated))),
        np.concatenate([samples.reference_group, samples.generated_group]),
        config.seed,
    )
    graph = export_weigher(fitted.weigher, info.geometry.n_cells)
    weight = _checked_weights(fitted, graph, info, generated, reporter)
    study = study_bundle_weights(samples, weight, reporter)
    description = made | {"training_showers": len(training), "generated_showers": COPIES * len(training)}
    return sampler.bundle.with_weigher(graph, description | _figures(fitted, study, samples))


def _told(info: BundleInfo, showers: Showers) -> NDArray[np.float32]:
    """Incident particles as the networks take them."""
    return network_input(showers.incident, showers.pdg, info.particles)


def _require_showers(training: Showers, validation: Showers) -> None:
    for name, showers in (("training", training), ("validation", validation)):
        if len(showers) < LEAST_SHOWERS:
            msg = f"weights need at least {LEAST_SHOWERS} {name} showers, there are {len(showers)}; prepare more"
            raise DataError(msg)


def _training_features(
    features: WeigherFeatures, training: Showers, sampler: ShowerSampler, seeds: list[int], reporter: Reporter
) -> LabelledFeatures:
    generated, info = [], sampler.bundle.info
    with reporter.task("training showers", total=len(seeds) * len(training), unit="showers") as task:
        for seed in seeds:
            for showers in partners(sampler, training, seed):
                generated.append(features.of(_told(info, showers), showers.cell_energy))
                task.advance(len(showers))
    return _labelled(features.of(_told(info, training), training.cell_energy), np.concatenate(generated))


def _labelled(reference: NDArray[np.float32], generated: NDArray[np.float32]) -> LabelledFeatures:
    return LabelledFeatures(np.concatenate([reference, generated]), np.repeat([0, 1], [len(reference), len(generated)]))


def _checked_weights(
    fitted: FittedWeigher, graph: bytes, info: BundleInfo, generated: Showers, reporter: Reporter
) -> NDArray[np.float32]:
    """Weights of the generated validation showers by the graph; refused if they are not those of torch."""
    told_apart = bool(info.particles)
    run = OnnxWeigher(graph, generated.geometry.n_cells, "the exported graph", threads=1, told_apart=told_apart)
    start = time.perf_counter()
    weight = run(_told(info, generated), generated.cell_energy)
    reporter.message(f"weights take {1e6 * (time.perf_counter() - start) / len(generated):.0f} µs a shower, one thread")
    # rounding may choose the frame of a shower, and so its weight
    difference = float(np.quantile(np.abs(weight / fitted.ratio.weight - 1), 0.999))
    if not difference <= TOLERANCE:
        msg = f"the exported graph differs from the network by {difference:.2g} of a weight; the bundle stays as it was"
        raise BundleError(msg)
    return weight


def _figures(fitted: FittedWeigher, study: BundleWeightStudy, samples: Samples) -> dict[str, Any]:
    return {
        "validation_showers": len(samples.generated),
        "limit": fitted.ratio.limit,
        "clipped": fitted.ratio.clipped,
        "mean_ratio": fitted.ratio.mean_ratio,
        "mean": fitted.ratio.mean,
        "effective_fraction": study.effective / study.n_generated,
        _AREAS[0]: {"before": _pair(study.high.before), "after": _pair(study.high.after)},
        _AREAS[1]: {"before": _pair(fitted.before), "after": _pair(fitted.after)},
        "mean_separation_excess": list(study.mean_excess),
        "torch": torch.__version__,
    }


def _pair(found: Estimate | Metric) -> list[float]:
    return [found.value, found.error]
