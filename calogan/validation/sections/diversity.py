"""Diversity at a fixed condition."""

from __future__ import annotations

from functools import partial

from calogan.metrics.metric import Estimate
from calogan.validation.numbers import number, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.diversity import diversity_bars
from calogan.validation.studies.diversity import DiversityStudy, Spread

__all__ = ["diversity_section"]

_HEADER = ("number", "reference", "generated", "difference [%]")
_INTRODUCTION = (
    "Showers of one particle differ, and a generator that makes the same shower again and again would still agree in "
    "every mean. Here showers are joined to pairs of nearly the same particle; the spread is the root of half the mean "
    "squared difference within the pairs. A generator that makes the mean shower of each particle comes near -100%."
)
_GAP = (
    "Momenta in a pair differ by {}% in the median. What else the particles of a pair differ by adds as much to both "
    "samples, and brings the difference a little nearer to 0."
)


def diversity_section(study: DiversityStudy) -> Section:
    """Spreads of both samples at fixed conditions."""
    main = tuple(spread for spread in study.spreads if spread.main)
    return Section(
        id="diversity",
        title="Diversity at a fixed condition",
        text=(_INTRODUCTION, _GAP.format(number(100 * study.momentum_gap, 2))),
        tables=(Table(_HEADER, tuple(_row(spread) for spread in study.spreads)),),
        drawings=(Drawing("diversity", "Spread of observables at a fixed condition", partial(diversity_bars, main)),),
    )


def _row(spread: Spread) -> tuple[str, ...]:
    found = spread.spread
    name = f"{spread.name} [{spread.unit}]" if spread.unit else spread.name
    sides = [_text(side) for side in (found.reference, found.generated)]
    return name, *sides, _text(Estimate(100 * found.difference.value, 100 * found.difference.error))


def _text(estimate: Estimate) -> str:
    return with_error(estimate.value, estimate.error)
