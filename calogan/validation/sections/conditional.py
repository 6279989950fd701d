"""Observables in bins of the incident particle, and the edges of the domain."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from calogan.validation.numbers import number, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.conditional import condition_map, shown_observables
from calogan.validation.sections.response import comparison_cells
from calogan.validation.studies.conditional import Condition, ConditionalStudy, EdgeRegion

__all__ = ["conditional_section"]

_TEXT = (
    (
        "A generator may agree on average and fail for some particles. Here every observable is compared in bins "
        "of the incident particle that hold equal numbers of reference showers: by separation power above its "
        "floor, and by the shift of its mean in standard deviations of the reference in the bin."
    ),
    "Properties that do not vary in these samples have no bins.",
    "Of many numbers some are large by chance, but few that agree are above 3 errors.",
)
_ENTRY_POINT = (
    "The entry point counts by its distance from the centre of the cell of the first layer that it is in, which "
    "decides how the energy is shared among cells."
)
_WORST = 10
_SURE = 3  # standard errors
_WORST_HEADER = ("observable", "bin", "separation above floor", "in errors", "shift of the mean [σ]")
_EDGES_HEADER = ("showers", "range", "ref.", "gen.", "response [%]", "resolution [%]", "lit cells [%]", "width [%]")
_NAMES = {"momentum": "|p| {} to {} GeV", "angle": "angle {} to {} degrees", "entry_point": "entry {} to {} mm"}
_TITLES = {"momentum": "momentum", "angle": "angle", "entry_point": "entry point"}


def conditional_section(study: ConditionalStudy) -> Section:
    """Worst bins, edges of the domain and a map for each property."""
    text = list(_TEXT)
    if any(one.name == "entry_point" for one in study.conditions):
        text.append(_ENTRY_POINT)
    if study.outside:
        text.append(f"{study.outside} reference showers enter outside of all cells and have no bin of the entry point.")
    tables = [
        Table(_EDGES_HEADER, tuple(_region(one) for one in study.regions), "At the edges: generated over reference"),
    ]
    if study.conditions:
        tables.insert(0, Table(_WORST_HEADER, _worst(study.conditions), "The ten that disagree most", left=(0, 1)))
    return Section(
        id="conditional",
        title="In bins of the incident particle",
        text=tuple(text),
        tables=tuple(tables),
        drawings=tuple(
            Drawing(
                f"conditional_{one.name}",
                f"Separation power above its floor of every observable in bins of the {_TITLES[one.name]}",
                partial(condition_map, one),
                _caption(one),
            )
            for one in study.conditions
        ),
        finding=_finding(study.conditions),
    )


def _finding(conditions: tuple[Condition, ...]) -> str:
    ranked = _ranked(conditions)
    if not ranked:
        return ""
    significance, one, row, column = ranked[0]
    sure = sum(entry[0] > _SURE for entry in ranked)
    return (
        f"Worst: {one.observables[row]} at {_bin_name(one, column)}, {significance:+.1f} σ from the floor. "
        f"Of {len(ranked)} numbers {sure} are more than three standard errors above their floors."
    )


def _caption(one: Condition) -> str:
    shown = len(shown_observables(one))
    if shown == len(one.observables):
        return "Separation power above its floor in standard errors."
    return f"Separation power above its floor in standard errors: the {shown} observables with the largest ones."


def _worst(conditions: tuple[Condition, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(_row(*entry) for entry in _ranked(conditions)[:_WORST])


def _ranked(conditions: tuple[Condition, ...]) -> list[tuple[float, Condition, int, int]]:
    """Every known significance with its property, observable and bin; the largest first."""
    found = [
        (float(one.significance[row, column]), one, int(row), int(column))
        for one in conditions
        for row, column in np.argwhere(np.isfinite(one.significance))
    ]
    return sorted(found, key=lambda entry: -entry[0])


def _bin_name(one: Condition, column: int) -> str:
    low, high = (f"{edge:.3g}" for edge in one.edges[column : column + 2])
    return _NAMES[one.name].format(low, high)


def _row(significance: float, one: Condition, row: int, column: int) -> tuple[str, ...]:
    return (
        one.observables[row],
        _bin_name(one, column),
        with_error(float(one.separation[row, column]), float(one.separation_error[row, column])),
        f"{significance:+.1f}",
        with_error(float(one.shift[row, column]), float(one.shift_error[row, column])),
    )


def _region(one: EdgeRegion) -> tuple[str, ...]:
    compared = (one.response, one.resolution, one.occupancy, one.width)
    differences = (comparison_cells(which)[2] if which else "–" for which in compared)
    bounds = f"{number(one.low, 3)} to {number(one.high, 3)}" if math.isfinite(one.low) else "–"
    unit = "degrees" if "angle" in one.name else "GeV"
    return one.name, f"{bounds} {unit}", str(one.n_reference), str(one.n_generated), *differences
