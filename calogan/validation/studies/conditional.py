"""Every observable in bins of the incident particle's momentum, angle and entry point, and the domain's edges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.geometry import Layer, PolarLayer
from calogan.metrics import resolution
from calogan.metrics.binning import observable_edges, quantile_edges
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.resolution import Comparison
from calogan.metrics.separation import separation_power
from calogan.physics.kinematics import angle
from calogan.progress import Reporter
from calogan.validation.samples import Samples
from calogan.validation.studies.response import lit_cells, responses_of

__all__ = ["Condition", "ConditionalStudy", "EdgeRegion", "mean_shift", "study_conditional"]

_MAX_BINS = 30  # of a histogram
_LEAST_SHOWERS = 50  # of each sample in a bin
_EDGE = 0.05
_WIDTH = "radial_width"
_ALL = "all showers"
_CONSTANT = 1e-5  # relative range of a condition below which it does not vary
_LABELS = {
    "momentum": "$|p|$ [GeV]",
    "angle": "angle [degree]",
    "entry_point": "entry point from the cell's centre [mm]",
}

FloatArray = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """All observables in bins of one property of the incident particle.

    Attributes:
        name: ``momentum``, ``angle`` or ``entry_point``.
        axis_label: Label with the unit in square brackets, as mathtext.
        edges: Edges of the bins, shape ``(bins + 1,)``; showers beyond the outermost ones are in no bin.
        observables: Names of the observables.
        n_reference: Reference showers in each bin, shape ``(bins,)``.
        n_generated: Generated showers in each bin, shape ``(bins,)``.
        separation: Separation power less its floor, shape ``(observables, bins)``; NaN in bins of fewer than 50
            showers of either sample.
        separation_error: Its standard error, shape ``(observables, bins)``.
        shift: Mean of the generated less mean of the reference showers, in standard deviations of the reference in
            the bin, shape ``(observables, bins)``.
        shift_error: Its standard error, shape ``(observables, bins)``.
    """

    name: str
    axis_label: str
    edges: FloatArray
    observables: tuple[str, ...]
    n_reference: NDArray[np.int64]
    n_generated: NDArray[np.int64]
    separation: FloatArray
    separation_error: FloatArray
    shift: FloatArray
    shift_error: FloatArray

    @property
    def significance(self) -> FloatArray:
        """Separation power above its floor in units of its error, shape ``(observables, bins)``."""
        known = self.separation_error > 0
        return np.divide(self.separation, self.separation_error, out=np.full_like(self.separation, np.nan), where=known)


@dataclass(frozen=True)
class EdgeRegion:
    """Showers at an edge of the domain.

    Attributes:
        name: Which showers.
        low: Lowest value of the property that defines the region (|p| [GeV] or angle [degree]).
        high: Highest value.
        n_reference: Reference showers in the region.
        n_generated: Generated showers in the region.
        response: Response.
        resolution: Resolution.
        occupancy: Mean number of lit cells.
        width: Mean radial width; None if it is not among the observables.
    """

    name: str
    low: float
    high: float
    n_reference: int
    n_generated: int
    response: Comparison
    resolution: Comparison
    occupancy: Comparison
    width: Comparison | None


@dataclass(frozen=True)
class ConditionalStudy:
    """Checks in bins of the incident particle's properties.

    Attributes:
        conditions: One for each property that varies.
        regions: All showers, then the edges of the domain.
        outside: Reference showers whose entry point is in no cell of the first layer.
    """

    conditions: tuple[Condition, ...]
    regions: tuple[EdgeRegion, ...]
    outside: int

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """None: the numbers are arrays, and too many to be judged one by one."""
        return ()


def study_conditional(samples: Samples, reporter: Reporter) -> ConditionalStudy:
    """Compare every observable in bins of the momentum, the angle and the entry point.

    The bins hold equal numbers of reference showers. The entry point counts by its distance from the centre of the
    cell of the first layer that it is in, which decides how the energy is shared among cells. Properties that do not
    vary have no bins.

    Args:
        samples: Both samples.
        reporter: Told about each property.
    """
    properties = [_properties(showers) for showers in (samples.reference, samples.generated)]
    conditions = []
    with reporter.task("conditional checks", total=len(properties[0]) + 1, unit="properties") as task:
        for name, label in _LABELS.items():
            first, second = properties[0][name], properties[1][name]
            edges = _condition_edges(first, samples.settings.condition_bins)
            if len(edges) > 2:
                conditions.append(_condition(samples, name, label, edges, first, second))
            task.advance(note=name)
        regions = tuple(_regions(samples, *properties))
        task.advance(note="edges of the domain")
    return ConditionalStudy(tuple(conditions), regions, int(np.isnan(properties[0]["entry_point"]).sum()))


def _properties(showers: Showers) -> dict[str, FloatArray]:
    incident = showers.incident.astype(np.float64)
    return {
        "momentum": showers.momentum,
        "angle": np.degrees(angle(incident)),
        "entry_point": _from_cell_centre(incident[:, 3], incident[:, 4], showers.geometry.layers[0]),
    }


def _from_cell_centre(x: FloatArray, y: FloatArray, layer: Layer | PolarLayer) -> FloatArray:
    """Distance from the centre of the cell that holds the position [mm]; NaN outside of all cells."""
    cell = layer.locate(x, y)
    away = np.hypot(*(values - centre[cell] for values, centre in zip((x, y), layer.centres, strict=True)))
    return np.where(cell >= 0, away, np.nan)


def _condition_edges(values: FloatArray, bins: int) -> FloatArray:
    known = values[np.isfinite(values)]
    if not known.size:
        return np.empty(0)
    low, high = float(known.min()), float(known.max())
    if high - low <= _CONSTANT * max(abs(low), abs(high)):
        return np.array([low, high])
    return np.concatenate([[low], quantile_edges(known, bins), [high]])


def _condition(
    samples: Samples, name: str, label: str, edges: FloatArray, first: FloatArray, second: FloatArray
) -> Condition:
    places = [resolution.momentum_bin(values, edges.tolist()) for values in (first, second)]
    bins, names = len(edges) - 1, tuple(samples.observables)
    flags = [tuple(place == number for place in places) for number in range(bins)]
    numbers = np.array([[_compared(samples, one, *flag) for flag in flags] for one in names])
    return Condition(
        name=name,
        axis_label=label,
        edges=edges,
        observables=names,
        n_reference=np.array([flag[0].sum() for flag in flags]),
        n_generated=np.array([flag[1].sum() for flag in flags]),
        separation=numbers[..., 0],
        separation_error=numbers[..., 1],
        shift=numbers[..., 2],
        shift_error=numbers[..., 3],
    )


def _compared(samples: Samples, name: str, in_reference: Flags, in_generated: Flags) -> tuple[float, ...]:
    """Separation power above its floor and shift of the mean, each with its error."""
    reference, generated = samples.reference_values[name][in_reference], samples.generated_values[name][in_generated]
    if min(len(reference), len(generated)) < _LEAST_SHOWERS:
        return (math.nan,) * 4
    edges = observable_edges(samples.observables[name], reference, max_bins=_MAX_BINS)
    separation = separation_power(reference, generated, edges, paired=samples.paired)
    shift = mean_shift(reference, generated, paired=samples.paired)
    return separation.excess, separation.error, shift.value, shift.error


def mean_shift(reference: FloatArray, generated: FloatArray, *, paired: bool) -> Estimate:
    """Difference of the means in units of the reference's standard deviation, generated less reference.

    The error is that of linear propagation, with the covariance of pairs.

    Args:
        reference: Values of the reference, shape ``(n,)``; those that are not finite do not enter.
        generated: Values of the generated showers, shape ``(m,)``; the same.
        paired: Whether showers in the same place have the same incident particle; then pairs do not enter of which
            either value is not finite.

    Example:
        >>> mean_shift(np.array([0.0, 2.0]), np.array([1.0, 3.0]), paired=True)
        Estimate(value=1.0, error=0.0)
    """
    known = np.isfinite(reference), np.isfinite(generated)
    if paired:
        known = (known[0] & known[1],) * 2
    first, second = reference[known[0]], generated[known[1]]
    sigma = float(first.std()) if min(len(first), len(second)) > 1 else 0.0
    if sigma == 0:
        return Estimate(math.nan, math.nan)
    value = float(second.mean() - first.mean()) / sigma
    pull = (first - first.mean()) / sigma
    influence = -pull - value * (pull**2 - 1) / 2, (second - second.mean()) / sigma
    if paired:
        variance = float(np.var(influence[0] + influence[1])) / len(first)
    else:
        variance = sum(float(np.var(one)) / len(one) for one in influence)
    return Estimate(value, math.sqrt(variance))


def _mean_of_known(values: FloatArray) -> float:
    """An empty shower has no width."""
    known = values[np.isfinite(values)]
    return resolution.mean(known) if known.size else math.nan


def _regions(
    samples: Samples, reference: dict[str, FloatArray], generated: dict[str, FloatArray]
) -> Iterator[EdgeRegion]:
    momentum, angles = reference["momentum"], reference["angle"]
    ranges = {
        _ALL: ("momentum", -math.inf, math.inf),
        "lowest 5% of |p|": ("momentum", -math.inf, float(np.quantile(momentum, _EDGE))),
        "highest 5% of |p|": ("momentum", float(np.quantile(momentum, 1 - _EDGE)), math.inf),
        "smallest 5% of the angle": ("angle", -math.inf, float(np.quantile(angles, _EDGE))),
        "largest 5% of the angle": ("angle", float(np.quantile(angles, 1 - _EDGE)), math.inf),
    }
    for name, (which, low, high) in ranges.items():
        values = reference[which], generated[which]
        if name == _ALL or np.ptp(values[0]) > _CONSTANT * np.max(np.abs(values[0])):
            yield _region(samples, name, values, (low, high))


def _region(
    samples: Samples, name: str, values: tuple[FloatArray, FloatArray], bounds: tuple[float, float]
) -> EdgeRegion:
    flags = [(one >= bounds[0]) & (one <= bounds[1]) for one in values]

    def compared(which: str, pair: tuple[FloatArray, FloatArray], statistic: resolution.Statistic) -> Comparison:
        return resolution.compare(
            pair[0][flags[0]],
            pair[1][flags[1]],
            statistic,
            rng=samples.rng(f"{which} of {name}"),
            resamplings=samples.settings.bootstrap,
            paired=samples.paired,
        )

    responses, width = responses_of(samples), None
    if _WIDTH in samples.observables:
        widths = samples.reference_values[_WIDTH], samples.generated_values[_WIDTH]
        width = compared("width", widths, _mean_of_known)
    inside = values[0][flags[0]]
    return EdgeRegion(
        name=name,
        low=float(inside.min()),
        high=float(inside.max()),
        n_reference=int(flags[0].sum()),
        n_generated=int(flags[1].sum()),
        response=compared("response", responses, resolution.mean),
        resolution=compared("resolution", responses, resolution.relative_width),
        occupancy=compared("occupancy", lit_cells(samples), resolution.mean),
        width=width,
    )
