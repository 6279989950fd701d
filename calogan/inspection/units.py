"""Units that make a sample of showers plausible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from calogan.data.schema import length_in_mm, per_gev

__all__ = ["PLAUSIBLE", "GuessedUnits", "guess_length", "guess_units"]

PLAUSIBLE = (1e-4, 1.2)
"""Share of the energy of a particle that a calorimeter may see."""
_USUAL = 5e-3  # what nearly all see at least
_ENERGIES = ("MeV", "GeV", "keV")
_MOST_GEV = 1000.0  # mean |p|: larger numbers are MeV
_LEAST_DEPTH = 15.0  # [mm] of a shower's centre: four radiation lengths of tungsten
_LEAST_WIDTH = 50.0  # [mm] of a calorimeter


@dataclass(frozen=True)
class GuessedUnits:
    """Units, and what they rest upon.

    Attributes:
        energy: keV, MeV or GeV.
        momentum: MeV or GeV.
        response: Mean of the visible energy over |p| in these units.
        is_plausible: Whether a calorimeter can have this response.
        others: Other pairs of units that are plausible, energy first.
    """

    energy: str
    momentum: str
    response: float
    is_plausible: bool
    others: tuple[tuple[str, str], ...]


def guess_units(response: float, mean_momentum: float, given: Mapping[str, str]) -> GuessedUnits:
    """Units of energy and momentum.

    Args:
        response: Mean of the visible energy over |p| as the numbers of the file are.
        mean_momentum: Mean |p| likewise.
        given: Units that are known, by ``energy`` and ``momentum``.

    Example:
        >>> guess_units(171.0, 15.0, {})
        GuessedUnits(energy='MeV', momentum='GeV', response=0.171, is_plausible=True, others=(('keV', 'MeV'),))
    """
    momentum = given.get("momentum") or ("MeV" if mean_momentum > _MOST_GEV else "GeV")
    responses = {
        (energy, unit): response * per_gev(unit) / per_gev(energy) for energy in _ENERGIES for unit in ("GeV", "MeV")
    }
    plausible = [pair for pair, value in responses.items() if PLAUSIBLE[0] <= value <= PLAUSIBLE[1]]
    usual = [pair for pair in plausible if responses[pair] >= _USUAL]
    fit = [pair for pair in (*usual, *plausible) if pair == (given.get("energy", pair[0]), momentum)]
    best = (*fit, (given.get("energy", _ENERGIES[0]), momentum))[0]
    others = tuple(pair for pair in usual if pair != best)
    return GuessedUnits(*best, float(f"{responses[best]:.12g}"), is_plausible=bool(fit), others=others)


def guess_length(width: float | None, depth: float | None) -> str:
    """Unit of length: the first of mm, cm, m in which a calorimeter is not too small.

    Args:
        width: Of the calorimeter, as the numbers of the file are; None if unknown.
        depth: Of a shower's centre, likewise.

    Example:
        >>> guess_length(606.0, 122.0), guess_length(60.6, 12.2), guess_length(None, None)
        ('mm', 'cm', 'mm')
    """
    for unit in ("mm", "cm", "m"):
        size = length_in_mm(unit)
        if all(
            value is None or not math.isfinite(value) or value * size >= least
            for value, least in ((depth, _LEAST_DEPTH), (width, _LEAST_WIDTH))
        ):
            return unit
    return "mm"
