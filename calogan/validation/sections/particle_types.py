"""The particle types: all of them at a glance, and each by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from calogan.metrics.metric import Metric
from calogan.validation.criteria import Verdict, overall
from calogan.validation.numbers import percent, probability, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.sections.condition import condition_section
from calogan.validation.sections.distributions import distributions_section
from calogan.validation.sections.longitudinal import longitudinal_section
from calogan.validation.sections.profiles import profiles_section
from calogan.validation.sections.response import response_section
from calogan.validation.studies.particle_types import TypeAreas, TypeStudy
from calogan.validation.summary import by_type, tally

__all__ = ["type_sections", "types_section"]

_TEXT = (
    "Every criterion is judged for each particle type, too, and the report passes only if all types do. The sections "
    "of the types are below; everything else in this report is of all showers together. The classifiers have learnt "
    "from all showers, and know the type; here are their areas for the showers of one."
)
_OF_A_TYPE = "Figures are of what differs most; all numbers are in the tables and in report.json."
_HEADER = (
    *("type", "verdict", "showers", "response [%]", "resolution [%]", "lit cells [%]"),
    *("low-level AUC", "high-level AUC", "worst observable"),
)
_AREAS = ("classifier", "AUC", "floor", "p-value")


def types_section(types: Sequence[TypeStudy], verdicts: Sequence[Verdict]) -> Section:
    """A row for each particle type.

    Args:
        types: Studies of the types.
        verdicts: All verdicts of the report, those of the types among them.
    """
    rows = by_type(verdicts)
    table = Table(
        _HEADER,
        tuple(_row(one, rows.get(one.name, ())) for one in types),
        "Particle types: differences, generated over reference less 1, and classifiers",
        left=(0, 1, 8),
    )
    told = (f"{one.name}: {tally(rows.get(one.name, ()))}" for one in types)
    return Section("types", "Particle types", (_TEXT,), (table,), finding=f"Criteria of each type: {'; '.join(told)}.")


def type_sections(types: Sequence[TypeStudy]) -> Iterator[Section]:
    """A section for each particle type, of the same parts as those of all showers."""
    for one in types:
        parts = [
            condition_section(one.condition),
            response_section(one.response),
            distributions_section(one.distributions),
            *(() if one.longitudinal is None else (longitudinal_section(one.longitudinal),)),
            profiles_section(one.radial_profile, one.cell_spectrum, one.occupancy_curve),
        ]
        areas = () if one.classifiers is None else (_areas(one.classifiers),)
        yield Section(
            id=f"type_{_digits(one)}",
            title=f"Type {one.name}" if one.name.startswith("pdg") else f"Type {one.name} (pdg {one.pdg})",
            text=(*(f"{part.title}: {part.finding}" for part in parts if part.finding), _OF_A_TYPE),
            tables=(*areas, *(_titled(table, part) for part in parts for table in part.tables)),
            drawings=tuple(_drawing(drawing, one) for part in parts for drawing in part.drawings if not drawing.folded),
            warning=" ".join(f"{one.name}: {part.warning}" for part in parts if part.warning),
            finding=f"{one.reference_count} reference and {one.generated_count} generated showers.",
        )


def _row(one: TypeStudy, rows: Sequence[Verdict]) -> tuple[str, ...]:
    study = one.response
    differences = (percent(which.difference) for which in (study.response, study.resolution, study.occupancy))
    areas = (one.classifiers.low, one.classifiers.high) if one.classifiers else (None, None)
    worst = max(one.distributions.distributions, key=lambda entry: entry.separation.excess)
    return (
        one.name,
        overall(rows).value if rows else "–",
        f"{one.reference_count} / {one.generated_count}",
        *differences,
        *("–" if area is None else with_error(area.value, area.error) for area in areas),
        worst.name,
    )


def _areas(areas: TypeAreas) -> Table:
    rows = tuple(_area(area) for area in (areas.low, areas.high))
    return Table(_AREAS, rows, f"Classifiers of all showers, on these; floor: {areas.low.floor_note}")


def _area(area: Metric) -> tuple[str, ...]:
    values = with_error(area.value, area.error), with_error(area.floor, area.floor_error)
    return area.name, *values, probability(area.p_value)


def _titled(table: Table, part: Section) -> Table:
    return replace(table, caption=table.caption or part.title)


def _drawing(drawing: Drawing, one: TypeStudy) -> Drawing:
    """The figure with the type's name; no key figure, of which there are enough of all showers."""
    caption = f"{one.name}; {drawing.caption}" if drawing.caption else one.name
    return replace(
        drawing,
        name=f"{drawing.name}_{_digits(one)}",
        title=f"{one.name}: {drawing.title}",
        caption=caption,
        key=False,
    )


def _digits(one: TypeStudy) -> str:
    """PDG id of letters and digits: those of e- and e+ differ by their sign alone."""
    return f"{'minus_' if one.pdg < 0 else ''}{abs(one.pdg)}"
