"""Comparing generated showers with the full simulation: all studies of a report; nothing is drawn or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calogan.config import ValidationConfig
from calogan.data.showers import Showers
from calogan.errors import DataError, ShapeError
from calogan.metrics.metric import Metric
from calogan.physics.observables import compute_observables
from calogan.physics.plugins import observable_catalogue
from calogan.progress import Reporter
from calogan.sampler import ShowerSampler
from calogan.validation.pairing import groups, pair
from calogan.validation.samples import Samples
from calogan.validation.studies.amplification import AmplificationStudy, study_amplification
from calogan.validation.studies.bundle_weights import BundleWeightStudy, study_bundle_weights
from calogan.validation.studies.classifiers import ClassifierStudy, study_classifiers
from calogan.validation.studies.condition import ConditionCheck, check_condition
from calogan.validation.studies.conditional import ConditionalStudy, study_conditional
from calogan.validation.studies.distributions import DistributionsStudy, study_distributions
from calogan.validation.studies.diversity import DiversityStudy, study_diversity
from calogan.validation.studies.images import LayerImages, ShowerPair, mean_images, shower_pairs
from calogan.validation.studies.interpolation import InterpolationStudy, study_interpolation
from calogan.validation.studies.longitudinal import LongitudinalStudy, study_longitudinal
from calogan.validation.studies.memorisation import MemorisationStudy, study_memorisation
from calogan.validation.studies.multivariate import MultivariateStudy, study_multivariate
from calogan.validation.studies.particle_types import TypeStudy, study_types
from calogan.validation.studies.profiles import Profile, cell_spectrum, occupancy_curve, radial_profile
from calogan.validation.studies.response import ResponseStudy, study_response
from calogan.validation.studies.speed import SimulationTime, SpeedStudy, study_speed
from calogan.validation.studies.weights import WeightStudy, study_weights
from calogan.validation.type_names import of_type

__all__ = ["LEAST_SHOWERS", "Comparison", "Context", "compare", "make_samples"]

LEAST_SHOWERS = 100  # fewer cannot be split for the classifier tests


@dataclass(frozen=True)
class Context:
    """What is known of a comparison besides the two samples; each part may be missing.

    Attributes:
        provenance: Where both samples come from, in words.
        training: Showers that the generator was trained on, to look for copies of them.
        sampler: Generator, to be timed.
        simulation: Time that the full simulation took.
        hold_out: Momentum band [GeV] that was kept from the training.
        study: Path of the configuration, for commands that the report prints.
        weight: Weights that the bundle gives the generated showers, in their order, shape ``(m,)``.
    """

    provenance: Mapping[str, str]
    training: Showers | None = None
    sampler: ShowerSampler | None = None
    simulation: SimulationTime | None = None
    hold_out: tuple[float, float] | None = None
    study: str = ""
    weight: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Comparison:
    """All numbers of a report.

    Attributes:
        provenance: Where both samples come from, in words.
        reference_count: Reference showers.
        generated_count: Generated showers.
        threshold: Cells below it [GeV] were set to 0 in both samples.
        condition: Whether the incident particles agree.
        response: Response, resolution and lit cells, with bins of the momentum and fits.
        distributions: Every observable.
        longitudinal: Development through the layers, if there are several.
        conditional: Every observable in bins of the incident particle.
        classifiers: Machines that try to tell the samples apart, if wanted.
        multivariate: Distances in many numbers at once.
        diversity: How much showers of one incident particle differ from one another.
        memorisation: Whether generated showers are copies.
        amplification: How many reference showers the generated sample is worth.
        interpolation: A momentum band that was held out of the training, beside its neighbours.
        weights: Density ratio as weights of the generated showers, if wanted.
        bundle_weights: Weights that the bundle itself gives its showers, if it does and they are wanted.
        speed: Time of a generated shower, if there is a generator.
        radial_profile: Energy fraction against the distance from the projected track.
        cell_spectrum: Cells per shower against their energy.
        occupancy_curve: Cells per shower above a threshold, against the threshold.
        images: Mean energy in each cell.
        pairs: A few single showers of both samples.
        types: Each particle type by itself, if there are several.
    """

    provenance: Mapping[str, str]
    reference_count: int
    generated_count: int
    threshold: float
    condition: ConditionCheck
    response: ResponseStudy
    distributions: DistributionsStudy
    longitudinal: LongitudinalStudy | None
    conditional: ConditionalStudy
    classifiers: ClassifierStudy | None
    multivariate: MultivariateStudy
    diversity: DiversityStudy
    memorisation: MemorisationStudy
    amplification: AmplificationStudy
    interpolation: InterpolationStudy
    weights: WeightStudy | None
    bundle_weights: BundleWeightStudy | None
    speed: SpeedStudy | None
    radial_profile: Profile
    cell_spectrum: Profile
    occupancy_curve: Profile
    images: tuple[LayerImages, ...]
    pairs: tuple[ShowerPair, ...]
    types: tuple[TypeStudy, ...] = ()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric of every study, by unique names; those of one particle type have its name before their own."""
        studies = [getattr(self, field.name) for field in fields(self)]
        found = [metric for study in studies if is_dataclass(study) for metric in getattr(study, "metrics", ())]
        return (*found, *(_of_type(metric, one) for one in self.types for metric in one.metrics))


def _of_type(metric: Metric, one: TypeStudy) -> Metric:
    return replace(metric, name=of_type(one.name, metric.name))


def compare(
    reference: Showers,
    generated: Showers,
    settings: ValidationConfig,
    threshold: float,
    reporter: Reporter,
    context: Context | None = None,
) -> Comparison:
    """Compare two samples of showers.

    Args:
        reference: Full simulation.
        generated: Surrogate, in the same cells. Where both have the same incident particles, in whatever order, they
            are compared as pairs.
        settings: How the comparison is made; its seed fixes every random choice. Without momentum bins there are
            four over the range of the reference.
        threshold: Cells below it [GeV] are set to 0 in both samples first.
        reporter: Told about each piece of the work.
        context: What else is known.

    Returns:
        All numbers of a report.

    Raises:
        ShapeError: The samples have different cells.
        DataError: A sample of fewer than 100 showers.
        ConfigError: An observable of the settings cannot be had.

    Example:
        Every metric with its error and floor::

            comparison = compare(reference, generated, config.validation, config.threshold, SilentReporter())
            for metric in comparison.metrics:
                print(metric.name, metric.value, metric.error, metric.floor)
    """
    known = context or Context(provenance={})
    samples = make_samples(reference, generated, settings, threshold, reporter)
    reference, generated = samples.reference, samples.generated
    condition = check_condition(samples)
    (reporter.message if condition.agree else reporter.warning)(condition.sentence)
    distributions = study_distributions(samples, reporter)
    classifiers = study_classifiers(samples, reporter) if settings.classifiers else None
    return Comparison(
        provenance=dict(known.provenance),
        reference_count=len(reference),
        generated_count=len(generated),
        threshold=threshold,
        condition=condition,
        response=study_response(samples, reporter),
        distributions=distributions,
        longitudinal=study_longitudinal(samples, reporter) if reference.geometry.n_layers > 1 else None,
        conditional=study_conditional(samples, reporter),
        classifiers=classifiers,
        multivariate=study_multivariate(samples, reporter),
        diversity=study_diversity(samples, reporter),
        memorisation=study_memorisation(samples, known.training, reporter, hold_out=known.hold_out),
        amplification=study_amplification(samples, reporter),
        interpolation=study_interpolation(samples, known.hold_out, known.study, reporter),
        weights=study_weights(samples, classifiers.low, reporter) if settings.weights and classifiers else None,
        bundle_weights=None if known.weight is None else study_bundle_weights(samples, known.weight, reporter),
        speed=study_speed(known.sampler, reference.incident, known.simulation, reporter, pdg=reference.pdg)
        if known.sampler
        else None,
        radial_profile=radial_profile(reference, generated),
        cell_spectrum=cell_spectrum(reference, generated),
        occupancy_curve=occupancy_curve(reference, generated),
        images=mean_images(reference, generated),
        pairs=shower_pairs(reference, generated),
        types=study_types(samples, classifiers, reporter),
    )


def make_samples(
    reference: Showers, generated: Showers, settings: ValidationConfig, threshold: float, reporter: Reporter
) -> Samples:
    """Cut both samples at the threshold [GeV], pair them where they can be, and compute their observables.

    Raises:
        ShapeError: The samples have different cells.
        DataError: A sample of fewer than 100 showers.
        ConfigError: An observable of the settings cannot be had.
    """
    _check(reference, generated)
    reference, (generated, paired) = reference.above(threshold), pair(reference, generated.above(threshold))
    catalogue = observable_catalogue(reference.geometry, settings.observables)
    values = []
    with reporter.task("observables", total=2, unit="samples") as task:
        for sample in (reference, generated):
            values.append(
                compute_observables(sample.cell_energy, sample.incident, sample.geometry, catalogue=catalogue)
            )
            task.advance()
    return Samples(
        reference=reference,
        generated=generated,
        threshold=threshold,
        observables=catalogue,
        reference_values=values[0],
        generated_values=values[1],
        paired=paired,
        **dict(zip(("reference_group", "generated_group"), groups(reference, generated), strict=True)),
        settings=settings,
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
