"""Comparing generated showers with the full simulation: numbers only, nothing is drawn or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calogan.config import ValidationConfig
from calogan.data.showers import Showers
from calogan.errors import DataError, ShapeError
from calogan.metrics import resolution
from calogan.metrics.binning import logarithmic_edges
from calogan.metrics.classifier import classifier_auc
from calogan.metrics.crossed import crossed, random_half
from calogan.metrics.features import cell_features, condition_features, observable_matrix
from calogan.metrics.frechet import frechet_physics_distance
from calogan.metrics.metric import Metric
from calogan.physics.observables import compute_observables
from calogan.progress import Reporter
from calogan.validation.condition import ConditionCheck, check_condition
from calogan.validation.distributions import Distribution, compare_distributions
from calogan.validation.images import LayerImages, ShowerPair, mean_images, shower_pairs
from calogan.validation.profiles import Profile, cell_spectrum, occupancy_curve, radial_profile

__all__ = ["LEAST_SHOWERS", "Comparison", "compare"]

LEAST_SHOWERS = 100  # fewer cannot be split for the classifier tests
_FAINT = 1e-4  # [GeV] what counts as a faint cell for the classifier where there is no threshold

Observables = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Comparison:
    """All numbers of a report.

    Attributes:
        provenance: Where both samples come from, in words.
        reference_count: Reference showers.
        generated_count: Generated showers.
        threshold: Cells below it [GeV] were set to 0 in both samples.
        condition: Whether the incident particles agree.
        distributions: Every observable.
        momentum_bins: Response and resolution in bins of the incident momentum.
        reference_outside: Reference showers whose momentum is in no bin.
        generated_outside: Generated showers whose momentum is in no bin.
        occupancy: Mean number of lit cells.
        radial_profile: Energy fraction against the distance from the projected track.
        cell_spectrum: Cells per shower against their energy.
        occupancy_curve: Cells per shower above a threshold, against the threshold.
        images: Mean energy in each cell.
        pairs: A few single showers of both samples.
        classifier_low: AUC of a classifier that sees all cells.
        classifier_high: AUC of a classifier that sees the observables.
        fpd: Frechet distance of the observables.
    """

    provenance: Mapping[str, str]
    reference_count: int
    generated_count: int
    threshold: float
    condition: ConditionCheck
    distributions: tuple[Distribution, ...]
    momentum_bins: tuple[resolution.ResponseBin, ...]
    reference_outside: int
    generated_outside: int
    occupancy: resolution.Comparison
    radial_profile: Profile
    cell_spectrum: Profile
    occupancy_curve: Profile
    images: tuple[LayerImages, ...]
    pairs: tuple[ShowerPair, ...]
    classifier_low: Metric
    classifier_high: Metric
    fpd: Metric


def compare(
    reference: Showers,
    generated: Showers,
    settings: ValidationConfig,
    threshold: float,
    reporter: Reporter,
    provenance: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare two samples of showers.

    Args:
        reference: Full simulation. Where each generated shower has the particle of the reference shower in the same
            place, the samples count as paired: see `crossed` and `resolution.compare`. One and the same event in both
            samples stays in one part of the classifiers' splits.
        generated: Surrogate, in the same cells.
        settings: How the comparison is made; its seed fixes every random choice. Without momentum bins there are
            four over the range of the reference.
        threshold: Cells below it [GeV] are set to 0 in both samples first.
        reporter: Told about each piece of the work.
        provenance: Where both samples come from, in words.

    Returns:
        All numbers of a report.

    Raises:
        ShapeError: The samples have different cells.
        DataError: A sample of fewer than 100 showers.
    """
    _check(reference, generated)
    reference, generated = reference.above(threshold), generated.above(threshold)
    with reporter.task("observables", total=2, unit="samples") as task:
        observables = []
        for sample in (reference, generated):
            observables.append(compute_observables(sample.cell_energy, sample.incident, sample.geometry))
            task.advance()
    first, second = observables
    condition = check_condition(reference, generated)
    bins = _momentum_bins(reference, generated, (first, second), settings, paired=condition.paired)
    half = random_half(len(reference), _rng(settings, "halves")) if condition.paired else None
    return Comparison(
        provenance=dict(provenance or {}),
        reference_count=len(reference),
        generated_count=len(generated),
        threshold=threshold,
        condition=condition,
        distributions=_distributions(first, second, half, settings, reporter),
        momentum_bins=bins,
        reference_outside=len(reference) - sum(one.n_reference for one in bins),
        generated_outside=len(generated) - sum(one.n_generated for one in bins),
        occupancy=resolution.compare(
            first["occupancy"],
            second["occupancy"],
            resolution.mean,
            rng=_rng(settings, "occupancy"),
            resamplings=settings.bootstrap,
            paired=condition.paired,
        ),
        radial_profile=radial_profile(reference, generated),
        cell_spectrum=cell_spectrum(reference, generated),
        occupancy_curve=occupancy_curve(reference, generated),
        images=mean_images(reference, generated),
        pairs=shower_pairs(reference, generated),
        **_multivariate(reference, generated, (first, second), half, settings, threshold or _FAINT, reporter),
    )


def _check(reference: Showers, generated: Showers) -> None:
    if reference.geometry != generated.geometry:
        msg = (
            f"the samples have different cells: {reference.geometry.n_cells} in {reference.geometry.n_layers} layer(s) "
            f"against {generated.geometry.n_cells} in {generated.geometry.n_layers}; compare showers of one geometry"
        )
        raise ShapeError(msg)
    for name, showers in (("reference", reference), ("generated", generated)):
        if len(showers) < LEAST_SHOWERS:
            msg = f"the {name} sample has {len(showers)} showers; a comparison needs at least {LEAST_SHOWERS}"
            raise DataError(msg)


def _momentum_bins(
    reference: Showers,
    generated: Showers,
    observables: tuple[Observables, Observables],
    settings: ValidationConfig,
    *,
    paired: bool,
) -> tuple[resolution.ResponseBin, ...]:
    momentum = reference.momentum
    return resolution.response_by_momentum(
        observables[0]["response"],
        observables[1]["response"],
        momentum,
        generated.momentum,
        settings.momentum_bins or logarithmic_edges(float(momentum.min()), float(momentum.max())),
        rng=_rng(settings, "momentum bins"),
        resamplings=settings.bootstrap,
        paired=paired,
    )


def _distributions(
    reference: Observables,
    generated: Observables,
    half: NDArray[np.bool_] | None,
    settings: ValidationConfig,
    reporter: Reporter,
) -> tuple[Distribution, ...]:
    rng = _rng(settings, "distributions")
    found = []
    with reporter.task("distributions", total=len(reference), unit="observables") as task:
        for name, values in reference.items():
            found.append(compare_distributions(name, values, generated[name], settings.bootstrap, rng, half))
            task.advance(note=name)
    return tuple(found)


def _multivariate(
    reference: Showers,
    generated: Showers,
    observables: tuple[Observables, Observables],
    half: NDArray[np.bool_] | None,
    settings: ValidationConfig,
    faint: float,
    reporter: Reporter,
) -> dict[str, Metric]:
    """Classifier tests and Frechet distance."""
    samples = reference, generated
    tables = [observable_matrix(values) for values in observables]
    high = [
        np.concatenate([table, condition_features(sample.incident)], axis=1)
        for table, sample in zip(tables, samples, strict=True)
    ]
    low = [cell_features(sample.cell_energy, sample.incident, sample.geometry, scale=faint) for sample in samples]
    events, repeats = (reference.event, generated.event), settings.classifier_repeats
    found = {}
    with reporter.task("classifiers", total=3, unit="tests") as task:
        rng = _rng(settings, "classifiers")
        found["fpd"] = crossed(
            partial(frechet_physics_distance, rng=rng, resamplings=settings.bootstrap), tables[0], tables[1], half
        )
        task.advance(note=f"FPD {found['fpd'].value:.3g}")
        found["classifier_high"] = classifier_auc(
            high[0], high[1], *events, rng=rng, kind="trees", repeats=repeats, name="high-level AUC"
        )
        task.advance(note=f"high-level AUC {found['classifier_high'].value:.3f}")
        found["classifier_low"] = classifier_auc(
            low[0], low[1], *events, rng=rng, kind="network", repeats=repeats, name="low-level AUC"
        )
        task.advance(note=f"low-level AUC {found['classifier_low'].value:.3f}")
    return found


def _rng(settings: ValidationConfig, piece: str) -> np.random.Generator:
    """A stream of its own for each piece of the work, so that no piece changes another's figures."""
    return np.random.default_rng([settings.seed, *piece.encode()])
