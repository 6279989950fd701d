"""Momenta that the generator has not seen: a band held out of the training, and the edges of its domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.resampling import SQUARED, Resampling, measured
from calogan.metrics.resolution import mean, relative_width
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = ["MAIN_OBSERVABLES", "InterpolationStudy", "Zone", "study_interpolation"]

MAIN_OBSERVABLES = ("response", "occupancy", "radial_width", "hottest_fraction", "lit_pairs", "depth")
"""Observables whose separation power is measured, where the geometry has them."""
_LEAST = 50  # showers of each sample in a zone
_EDGE = 0.1  # of the range of ln |p|
_BINS = 20

Statistic = Callable[[NDArray[np.float64]], float]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Zone:
    """Agreement of both samples in a range of the momentum.

    Attributes:
        name: below, held out, above; lower edge, upper edge.
        low: Least |p| [GeV].
        high: Highest |p| [GeV].
        n_reference: Reference showers.
        n_generated: Generated showers.
        response: Relative difference of the mean response; NaN, like all others, for fewer than 50 showers.
        resolution: Relative difference of the response's relative width.
        occupancy: Relative difference of the mean number of lit cells.
        separation: Separation power above its floor of each main observable.
    """

    name: str
    low: float
    high: float
    n_reference: int
    n_generated: int
    response: Estimate
    resolution: Estimate
    occupancy: Estimate
    separation: Mapping[str, Estimate]


@dataclass(frozen=True)
class InterpolationStudy:
    """Agreement at momenta that were not trained on.

    Attributes:
        study: Path of the configuration, for the command that holds a band out.
        suggested: Band [GeV] for that command: the middle quarter of the range of ln |p|.
        lowest: Lowest momentum of the reference [GeV].
        highest: Highest momentum of the reference [GeV].
        hold_out: Band [GeV] that was held out; None if there was none.
        zones: The band between two neighbours of the same width in ln |p|; none without a band.
        contrasts: Held-out band against the mean of its neighbours; none without a band.
        edges: The lowest and the highest tenth of the range of ln |p|.
    """

    study: str
    suggested: tuple[float, float]
    lowest: float
    highest: float
    hold_out: tuple[float, float] | None
    zones: tuple[Zone, ...]
    contrasts: tuple[Metric, ...]
    edges: tuple[Zone, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Differences of the held-out band from its neighbours."""
        return self.contrasts


def study_interpolation(
    samples: Samples, hold_out: tuple[float, float] | None, study: str, reporter: Reporter
) -> InterpolationStudy:
    """Compare the samples in a momentum band that was held out with its neighbours, and at the domain's edges.

    Args:
        samples: Both samples.
        hold_out: Band [GeV] without training showers; None if there was none.
        study: Path of the configuration, or name of the study.
        reporter: Told about the zones.
    """
    momentum = samples.reference.momentum
    lowest, highest = float(momentum.min()), float(momentum.max())
    width = math.log(highest / lowest)
    ends = {
        "lower edge": (lowest, lowest * math.exp(_EDGE * width)),
        "upper edge": (highest * math.exp(-_EDGE * width), highest),
    }
    bands = {} if hold_out is None else _neighbours(hold_out)
    with reporter.task("interpolation", total=len(ends) + len(bands), unit="zones") as task:
        found = {}
        for name, limits in {**bands, **ends}.items():
            found[name] = _zone(samples, name, *limits)
            task.advance(note=name)
    zones = tuple(found[name] for name in bands)
    middle = tuple(float(f"{lowest * math.exp(part * width):.2g}") for part in (0.375, 0.625))
    return InterpolationStudy(
        study=study,
        suggested=(middle[0], middle[1]),
        lowest=lowest,
        highest=highest,
        hold_out=hold_out,
        zones=zones,
        contrasts=_contrasts(zones) if zones else (),
        edges=tuple(found[name] for name in ends),
    )


def _neighbours(hold_out: tuple[float, float]) -> dict[str, tuple[float, float]]:
    low, high = hold_out
    factor = high / low
    return {"below": (low / factor, low), "held out": (low, high), "above": (high, high * factor)}


def _zone(samples: Samples, name: str, low: float, high: float) -> Zone:
    """Agreement for low <= |p| < high; the upper edge of the samples belongs to its zone."""
    first, second = (
        (momentum >= low) & ((momentum < high) | ((momentum == high) & (name == "upper edge")))
        for momentum in (samples.reference.momentum, samples.generated.momentum)
    )
    n, m = int(first.sum()), int(second.sum())
    names = [one for one in MAIN_OBSERVABLES if one in samples.reference_values]
    if min(n, m) < _LEAST:
        unknown = Estimate(math.nan, math.nan)
        return Zone(name, low, high, n, m, unknown, unknown, unknown, dict.fromkeys(names, unknown))
    seed = int(samples.rng(f"interpolation {name}").integers(2**63))
    resampling = Resampling(n, m, samples.paired, samples.settings.bootstrap, seed)

    def pair_of(observable: str) -> tuple[Values, Values]:
        return samples.reference_values[observable][first], samples.generated_values[observable][second]

    return Zone(
        name,
        low,
        high,
        n,
        m,
        response=_difference(*pair_of("response"), mean, resampling),
        resolution=_difference(*pair_of("response"), relative_width, resampling),
        occupancy=_difference(*pair_of("occupancy"), mean, resampling),
        separation={one: _separation(*pair_of(one), resampling) for one in names},
    )


def _difference(reference: Values, generated: Values, statistic: Statistic, resampling: Resampling) -> Estimate:
    """Relative difference of a statistic and its error."""

    def difference(first: Values, second: Values) -> float:
        truth = statistic(first)
        return statistic(second) / truth - 1 if truth > 0 else math.nan

    drawn = [difference(reference[first], generated[second]) for first, second in resampling.bootstrap()]
    return Estimate(difference(reference, generated), float(np.std(drawn, ddof=1)))


def _separation(reference: Values, generated: Values, resampling: Resampling) -> Estimate:
    """Separation power above its floor, in bins of equal counts of the reference and one for NaN."""
    known = reference[np.isfinite(reference)]
    inner = np.quantile(known, np.arange(1, _BINS) / _BINS) if known.size else np.empty(0)
    cuts = np.append(np.unique(inner), np.inf)
    first_bins, second_bins = (np.searchsorted(cuts, values, side="right") for values in (reference, generated))

    def power(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
        one, other = (np.bincount(part, minlength=len(cuts) + 1) / len(part) for part in (first, second))
        both = one + other
        return float(0.5 * np.sum((one - other)[both > 0] ** 2 / both[both > 0]))

    source = "arXiv:2009.03796 eq. 15, in bins of equal counts"
    found = measured(power, first_bins, second_bins, resampling, share=SQUARED, name="separation", source=source)
    return Estimate(found.excess, found.excess_error)


def _contrasts(zones: tuple[Zone, ...]) -> tuple[Metric, ...]:
    below, band, above = zones
    found = [
        _contrast(
            f"interpolation of the {name}", zones, (getattr(below, name), getattr(band, name), getattr(above, name))
        )
        for name in ("response", "resolution", "occupancy")
    ]
    for name in band.separation:
        powers = below.separation[name], band.separation[name], above.separation[name]
        found.append(_contrast(f"interpolation, separation of {name}", zones, powers))
    return tuple(found)


def _contrast(name: str, zones: tuple[Zone, ...], values: tuple[Estimate, Estimate, Estimate]) -> Metric:
    """Band minus the mean of its neighbours that have enough showers; the zones share no showers."""
    band = values[1]
    beside = [one for one in (values[0], values[2]) if math.isfinite(one.value)]
    average = sum(one.value for one in beside) / len(beside) if beside else math.nan
    spread = math.sqrt(sum(one.error**2 for one in beside)) / len(beside) if beside else math.nan
    return Metric(
        name=name,
        value=band.value - average,
        error=math.hypot(band.error, spread),
        floor=0.0,
        floor_error=0.0,
        n_reference=sum(zone.n_reference for zone in zones),
        n_generated=sum(zone.n_generated for zone in zones),
        source="difference of the held-out band from the mean of its neighbours",
        floor_note="expected where the band agrees as well as its neighbours",
    )
