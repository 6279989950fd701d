"""The parts of the report: a module a section, from numbers to texts, tables and drawings."""

from __future__ import annotations

from collections.abc import Sequence

from calogan.validation.comparison import Comparison
from calogan.validation.criteria import Verdict
from calogan.validation.page import Section
from calogan.validation.sections.amplification import amplification_section
from calogan.validation.sections.bundle_weights import bundle_weights_section
from calogan.validation.sections.classifiers import classifiers_section
from calogan.validation.sections.condition import condition_section
from calogan.validation.sections.conditional import conditional_section
from calogan.validation.sections.distributions import distributions_section
from calogan.validation.sections.diversity import diversity_section
from calogan.validation.sections.images import images_section
from calogan.validation.sections.interpolation import interpolation_section
from calogan.validation.sections.longitudinal import longitudinal_section
from calogan.validation.sections.memorisation import memorisation_section
from calogan.validation.sections.multivariate import multivariate_section
from calogan.validation.sections.particle_types import type_sections, types_section
from calogan.validation.sections.profiles import profiles_section
from calogan.validation.sections.response import response_section
from calogan.validation.sections.speed import speed_section
from calogan.validation.sections.weights import weights_section

__all__ = ["report_sections"]

# Distributions that are shown right below the verdicts, besides the worst one.
_KEY = ("response", "occupancy", "radial_width")


def report_sections(comparison: Comparison, verdicts: Sequence[Verdict] = ()) -> list[Section]:
    """The sections of a report in reading order: physics first, then machines that judge, then what is for some.

    Args:
        comparison: All numbers.
        verdicts: What they mean; shown for each particle type, where there are several.
    """
    worst = max(comparison.distributions.distributions, key=lambda one: one.separation.excess).name
    sections = [
        condition_section(comparison.condition),
        *((types_section(comparison.types, verdicts),) if comparison.types else ()),
        response_section(comparison.response),
        distributions_section(comparison.distributions, key={*_KEY, worst}),
        *(() if comparison.longitudinal is None else (longitudinal_section(comparison.longitudinal),)),
        profiles_section(comparison.radial_profile, comparison.cell_spectrum, comparison.occupancy_curve),
        images_section(comparison.images, comparison.pairs, paired=comparison.condition.paired),
        conditional_section(comparison.conditional),
        interpolation_section(comparison.interpolation),
        *(() if comparison.classifiers is None else (classifiers_section(comparison.classifiers),)),
        *type_sections(comparison.types),
        multivariate_section(comparison.multivariate),
        diversity_section(comparison.diversity),
        memorisation_section(comparison.memorisation),
        amplification_section(comparison.amplification),
    ]
    if comparison.weights is not None:
        sections.append(weights_section(comparison.weights))
    if comparison.bundle_weights is not None:
        sections.append(bundle_weights_section(comparison.bundle_weights))
    if comparison.speed is not None:
        sections.append(speed_section(comparison.speed))
    return sections
