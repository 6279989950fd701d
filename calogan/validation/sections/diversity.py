"""Diversity at a fixed condition."""

from __future__ import annotations

from functools import partial

from calogan.validation.numbers import estimated, number, percent, sigmas, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.diversity import diversity_bars
from calogan.validation.studies.diversity import DiversityStudy, Spread

__all__ = ["diversity_section"]

_SURE = 3  # standard errors
_HEADER = ("number", "reference", "generated", "difference [%]", "pairs")
_INTRODUCTION = (
    "Showers of one particle differ, and a generator that makes the same shower again and again would still agree in "
    "every mean. Here showers are joined to pairs of nearly the same particle; the spread is the root of half the mean "
    "squared difference within the pairs. A generator that makes the mean shower of each particle comes near -100%."
)
_GAP = (
    "Momenta in a pair differ by {}% in the median. What else the particles of a pair differ by adds as much to both "
    "samples, and brings the difference a little nearer to 0."
)
_CUT = (
    "The samples have {} and {} showers; of the larger one, {} drawn at random are used, since partners are farther "
    "apart in a smaller sample."
)


def diversity_section(study: DiversityStudy) -> Section:
    """Spreads of both samples at fixed conditions."""
    main = tuple(spread for spread in study.spreads if spread.main)
    return Section(
        id="diversity",
        title="Diversity at a fixed condition",
        text=(_INTRODUCTION, _pairs_text(study), _GAP.format(number(100 * study.momentum_gap, 2))),
        tables=(Table(_HEADER, tuple(_row(spread) for spread in study.spreads), "Spreads", folded=True),),
        drawings=(
            Drawing(
                "diversity",
                "Bars: spread of observables at a fixed condition, generated over reference",
                partial(diversity_bars, main),
            ),
        ),
        finding=_finding(study.spreads),
    )


def _pairs_text(study: DiversityStudy) -> str:
    cells = study.cells
    text = (
        f"Pairs of reference and of generated showers: {study.pairs[0]} and {study.pairs[1]} for the observables, "
        f"{cells.pairs_reference} and {cells.pairs_generated} for the cells."
    )
    cut = _CUT.format(*study.showers, min(study.showers))
    return text if study.showers[0] == study.showers[1] else f"{text} {cut}"


def _finding(spreads: tuple[Spread, ...]) -> str:
    found = [(one.name, one.spread.difference) for one in spreads if one.spread.difference.error > 0]
    if not found:
        return ""
    name, worst = max(found, key=lambda entry: abs(entry[1].value / entry[1].error))
    sure = sum(abs(one.value) > _SURE * one.error for _, one in found)
    return (
        f"Furthest from the reference's spread: {name}, {with_error(100 * worst.value, 100 * worst.error)}% "
        f"({sigmas(worst.value, worst.error)}). Of {len(found)} spreads {sure} differ by more than three standard "
        "errors."
    )


def _row(spread: Spread) -> tuple[str, ...]:
    found = spread.spread
    name = f"{spread.name} [{spread.unit}]" if spread.unit else spread.name
    sides = [estimated(side) for side in (found.reference, found.generated)]
    difference = percent(found.difference)
    return name, *sides, difference, f"{spread.pairs_reference}, {spread.pairs_generated}"
