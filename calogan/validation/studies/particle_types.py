"""Each particle type by itself, where the samples hold several."""

from __future__ import annotations

from dataclasses import dataclass

from calogan.data.showers import Showers
from calogan.metrics.classifier import ClassifierTest, area_of_some
from calogan.metrics.metric import Metric
from calogan.physics.particles import particle_name
from calogan.progress import Reporter
from calogan.validation.samples import Samples
from calogan.validation.studies.classifiers import ClassifierStudy
from calogan.validation.studies.condition import ConditionCheck, check_condition
from calogan.validation.studies.distributions import DistributionsStudy, study_distributions
from calogan.validation.studies.longitudinal import LongitudinalStudy, study_longitudinal
from calogan.validation.studies.profiles import Profile, cell_spectrum, occupancy_curve, radial_profile
from calogan.validation.studies.response import ResponseStudy, study_response

__all__ = ["LEAST_OF_A_TYPE", "TypeAreas", "TypeStudy", "study_types"]

LEAST_OF_A_TYPE = 100  # showers of each sample


@dataclass(frozen=True)
class TypeAreas:
    """How well the classifiers of all showers tell those of one type apart: areas under the curve."""

    low: Metric
    high: Metric


@dataclass(frozen=True)
class TypeStudy:
    """The showers of one particle type.

    Attributes:
        pdg: PDG id.
        name: Name of the type, or its PDG id where it has none.
        reference_count: Reference showers of this type.
        generated_count: Generated showers of this type.
        condition: Whether the incident particles agree.
        response: Response, resolution and lit cells.
        distributions: Every observable.
        longitudinal: Development through the layers, if there are several.
        classifiers: What the classifiers of all showers say about these, if wanted.
        radial_profile: Energy fraction against the distance from the projected track.
        cell_spectrum: Cells per shower against their energy.
        occupancy_curve: Cells per shower above a threshold, against the threshold.
    """

    pdg: int
    name: str
    reference_count: int
    generated_count: int
    condition: ConditionCheck
    response: ResponseStudy
    distributions: DistributionsStudy
    longitudinal: LongitudinalStudy | None
    classifiers: TypeAreas | None
    radial_profile: Profile
    cell_spectrum: Profile
    occupancy_curve: Profile

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric of the type, under its plain name."""
        areas = () if self.classifiers is None else (self.classifiers.low, self.classifiers.high)
        layers = () if self.longitudinal is None else self.longitudinal.metrics
        return (*self.response.metrics, *self.distributions.metrics, *layers, *areas)


def study_types(samples: Samples, classifiers: ClassifierStudy | None, reporter: Reporter) -> tuple[TypeStudy, ...]:
    """Compare the showers of each particle type; nothing where all are of one.

    Studies that are cheap are done again with the showers of the type. Classifiers are not trained again: they know
    the type, and are asked about the showers of one.

    Args:
        samples: Both samples.
        classifiers: Those of all showers.
        reporter: Told about each type, and which have too few showers.
    """
    found = []
    for pdg in samples.types:
        name = particle_name(pdg) or f"pdg {pdg}"
        counts = tuple(int((showers.pdg == pdg).sum()) for showers in (samples.reference, samples.generated))
        if min(counts) < LEAST_OF_A_TYPE:
            reporter.warning(
                f"{name}: {counts[0]} reference and {counts[1]} generated showers; a section of its own needs "
                f"{LEAST_OF_A_TYPE} of each, so these enter the figures of all showers only"
            )
            continue
        reporter.message(f"{name}: {counts[0]} reference and {counts[1]} generated showers")
        found.append(_study(samples, pdg, name, classifiers, reporter))
    _warn_of_unknown(samples.reference, samples.generated, reporter)
    return tuple(found)


def _study(samples: Samples, pdg: int, name: str, classifiers: ClassifierStudy | None, reporter: Reporter) -> TypeStudy:
    some = samples.of_type(pdg)
    showers = some.reference, some.generated
    layers = some.reference.geometry.n_layers
    return TypeStudy(
        pdg=pdg,
        name=name,
        reference_count=len(some.reference),
        generated_count=len(some.generated),
        condition=check_condition(some),
        response=study_response(some, reporter),
        distributions=study_distributions(some, reporter),
        longitudinal=study_longitudinal(some, reporter) if layers > 1 else None,
        classifiers=None if classifiers is None else _areas(samples, pdg, classifiers),
        radial_profile=radial_profile(*showers),
        cell_spectrum=cell_spectrum(*showers),
        occupancy_curve=occupancy_curve(*showers),
    )


def _areas(samples: Samples, pdg: int, classifiers: ClassifierStudy) -> TypeAreas:
    def area(test: ClassifierTest) -> Metric:
        return area_of_some(test, samples.reference.pdg == pdg, samples.generated.pdg == pdg, test.auc.name)

    return TypeAreas(area(classifiers.low), area(classifiers.high))


def _warn_of_unknown(reference: Showers, generated: Showers, reporter: Reporter) -> None:
    """Tell where one sample has several types and the other does not know its own."""
    for name, showers, other in (("reference", reference, generated), ("generated", generated, reference)):
        if len(set(other.pdg.tolist())) > 1 and not showers.pdg.all():
            reporter.warning(
                f"the {name} sample has showers of unknown particle type (pdg 0), the other several types: they cannot "
                "be compared type by type; name the branch of the types in data.sources (pdg)"
            )
