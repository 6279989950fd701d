"""How much showers of nearly the same incident particle differ, in both samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.coverage import scaled_cells
from calogan.metrics.diversity import (
    NeighbourPairs,
    compare_spreads,
    condition_coordinates,
    half_squared_differences,
    neighbour_pairs,
    without_trend,
)
from calogan.metrics.features import type_features
from calogan.metrics.metric import Metric
from calogan.metrics.resampling import Resampling
from calogan.metrics.resolution import Comparison
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = ["DiversityStudy", "Spread", "study_diversity"]

_SOURCE = "half the mean squared difference of neighbours in condition"
_MAIN = (
    "response", "radial_width", "width_x", "width_y", "centre_x", "centre_y", "occupancy", "occupancy_1mev",
    "occupancy_10mev", "lit_pairs", "hottest_fraction", "longitudinal_asymmetry", "transverse_asymmetry", "depth",
    "depth_width", "layer_fraction_0", "layer_fraction_1", "layer_fraction_2",
)  # fmt: skip
_FAR = 1000.0  # in widths of the conditions
_LEAST_THRESHOLD = 1e-6  # [GeV] in the logarithm of cells where there is no threshold


@dataclass(frozen=True)
class Spread:
    """Spread of one number at a fixed condition.

    Attributes:
        name: Name of the observable, or ``"cells"``.
        label: Label without the unit, as mathtext.
        unit: Unit of the spread.
        main: Whether it is among the few to look at first.
        spread: Standard deviation at a fixed condition, and the relative difference.
        pairs_reference: Pairs of reference showers where it is known.
        pairs_generated: Pairs of generated showers where it is known.
    """

    name: str
    label: str
    unit: str
    main: bool
    spread: Comparison
    pairs_reference: int
    pairs_generated: int

    @property
    def metric(self) -> Metric:
        """Relative difference of the spreads; below 0 where the generated showers are too much alike."""
        return Metric(
            name=f"diversity {self.name}",
            value=self.spread.difference.value,
            error=self.spread.difference.error,
            floor=0.0,
            floor_error=0.0,
            n_reference=2 * self.pairs_reference,
            n_generated=2 * self.pairs_generated,
            source=_SOURCE,
            floor_note="equal spreads",
        )


@dataclass(frozen=True)
class DiversityStudy:
    """Fixed-condition diversity.

    Attributes:
        observables: Spreads of the observables, their trends with the particle taken off.
        cells: Spread of ln(1 + E / threshold) of all cells together, as the length of the vector of deviations.
        momentum_gap: Median of the larger over the smaller momentum within a pair of reference showers, less 1.
        pairs: Pairs for the observables, in the reference and in the generated sample.
        showers: Showers of the two samples; of the larger one, as many as the other has are joined to pairs.
    """

    observables: tuple[Spread, ...]
    cells: Spread
    momentum_gap: float
    pairs: tuple[int, int]
    showers: tuple[int, int]

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """All of them, cells first."""
        return (self.cells, *self.observables)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Relative differences of the main spreads."""
        return tuple(spread.metric for spread in self.spreads if spread.main)


def study_diversity(samples: Samples, reporter: Reporter) -> DiversityStudy:
    """Compare the spreads of observables and cells at fixed conditions; needs no model.

    Observables: partners have nearly the same momentum and slopes, and their tracks meet the finest layer in the same
    place of a cell; a polynomial in the condition is taken off first. Cells: partners have the same entry point too.
    Partners are of one particle type.
    Of the larger of two unpaired samples as many showers are drawn at random as the other has, since partners are
    farther apart in a smaller sample.
    """
    names = list(samples.observables)
    with reporter.task("diversity", total=len(names) + 1, unit="numbers") as task:
        pairs = _pairs(samples, up_to_whole_cells=True)
        spreads = []
        for name in names:
            spreads.append(_observable_spread(samples, name, pairs))
            task.advance()
        cells = _cell_spread(samples, _pairs(samples, up_to_whole_cells=False))
        task.advance()
    size = np.log(samples.reference.momentum)
    gap = float(np.expm1(np.median(np.abs(size[pairs[0].first] - size[pairs[0].second]))))
    counts = len(pairs[0].first), len(pairs[1].first)
    return DiversityStudy(tuple(spreads), cells, gap, counts, (len(samples.reference), len(samples.generated)))


def _pairs(samples: Samples, *, up_to_whole_cells: bool) -> tuple[NeighbourPairs, NeighbourPairs]:
    """Pairs of neighbours in each sample, the same ones where the samples have the same particles."""
    geometry = samples.reference.geometry
    sides = [samples.reference] if samples.paired else [samples.reference, samples.generated]
    least = min(len(side) for side in sides)
    rng = samples.rng(f"diversity pairs {up_to_whole_cells}")
    found = []
    for side in sides:
        used = rng.permutation(len(side))[:least]
        coordinates = condition_coordinates(side.incident[used], geometry, up_to_whole_cells=up_to_whole_cells)
        types = _FAR * type_features(side.pdg[used], samples.types)  # partners are of one type
        pairs = neighbour_pairs(np.concatenate([coordinates, types], axis=1), rng)
        found.append(NeighbourPairs(used[pairs.first], used[pairs.second], pairs.distance))
    return found[0], found[-1]


def _observable_spread(samples: Samples, name: str, pairs: tuple[NeighbourPairs, NeighbourPairs]) -> Spread:
    values = [samples.reference_values[name], samples.generated_values[name]]
    incident = [samples.reference.incident, samples.generated.incident]
    halves = [
        half_squared_differences(without_trend(side, particles), found)
        for side, particles, found in zip(values, incident, pairs, strict=True)
    ]
    observable = samples.observables[name]
    return _spread(samples, halves, name, observable.label, observable.unit, main=name in _MAIN)


def _cell_spread(samples: Samples, pairs: tuple[NeighbourPairs, NeighbourPairs]) -> Spread:
    threshold = max(samples.threshold, _LEAST_THRESHOLD)
    halves = [
        half_squared_differences(scaled_cells(side.cell_energy, threshold), found)
        for side, found in zip((samples.reference, samples.generated), pairs, strict=True)
    ]
    return _spread(samples, halves, "cells", "all cells, logarithmic", "", main=True)


def _spread(
    samples: Samples, halves: list[NDArray[np.float64]], name: str, label: str, unit: str, *, main: bool
) -> Spread:
    """Compare squares of pairs; where the samples have the same pairs, of those known in both."""
    known = [np.isfinite(side) for side in halves]
    if samples.paired:
        known = [known[0] & known[1]] * 2
    first, second = (side[keep] for side, keep in zip(halves, known, strict=True))
    missing = min(len(first), len(second)) < 2
    if missing:
        first = second = np.full(2, np.nan)
    draws = samples.resampling(f"diversity {name}")
    resampling = Resampling(len(first), len(second), samples.paired, draws.repeats, draws.seed)
    spread = compare_spreads(first, second, resampling)
    return Spread(name, label, unit, main, spread, int(known[0].sum()), int(known[1].sum()))
