"""One observable of both samples: histograms and the distances between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import count, observable_edges
from calogan.metrics.chi2 import chi2_per_ndf
from calogan.metrics.crossed import crossed
from calogan.metrics.distances import kolmogorov_smirnov, wasserstein
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.separation import separation_power
from calogan.physics.observables import OBSERVABLES

__all__ = ["Distribution", "compare_distributions", "mean_estimate"]


@dataclass(frozen=True)
class Distribution:
    """An observable of both samples.

    Attributes:
        name: Name in the registry of observables.
        axis_label: Label with the unit in square brackets, as mathtext.
        unit: Unit, empty for a pure number.
        scale: Scale of the axis that suits the values.
        edges: Edges of the histogram, shape ``(bins + 1,)``.
        reference_counts: Reference showers in each bin, shape ``(bins,)``.
        generated_counts: Generated showers in each bin, shape ``(bins,)``.
        reference_outside: Reference showers below the first or above the last edge.
        generated_outside: Generated showers below the first or above the last edge.
        reference_undefined: Reference showers that have no such number (an empty one has no centre).
        generated_undefined: Generated showers that have no such number.
        reference_mean: Mean over the reference showers.
        generated_mean: Mean over the generated showers.
        separation: Separation power of the histograms.
        chi2: Chi-squared per degree of freedom of the histograms.
        ks: Kolmogorov-Smirnov test; None for whole numbers, for which it does not hold.
        wasserstein: Wasserstein distance in widths of the reference.
    """

    name: str
    axis_label: str
    unit: str
    scale: Literal["linear", "log"]
    edges: NDArray[np.float64]
    reference_counts: NDArray[np.int64]
    generated_counts: NDArray[np.int64]
    reference_outside: int
    generated_outside: int
    reference_undefined: int
    generated_undefined: int
    reference_mean: Estimate
    generated_mean: Estimate
    separation: Metric
    chi2: Metric
    ks: Metric | None
    wasserstein: Metric


def compare_distributions(
    name: str,
    reference: NDArray[np.float64],
    generated: NDArray[np.float64],
    resamplings: int,
    rng: np.random.Generator,
    half: NDArray[np.bool_] | None = None,
) -> Distribution:
    """Histograms and distances of one observable.

    Args:
        name: Name in the registry of observables.
        reference: Values of the reference showers, shape ``(showers,)``; NaN where there is none.
        generated: Values of the generated showers, shape ``(other showers,)``.
        resamplings: Bootstrap samples for the errors of the Wasserstein distance.
        rng: Draws the bootstrap samples.
        half: Flags of half of the showers if the samples are paired; distances are then those of `crossed` halves.
    """
    observable = OBSERVABLES[name]
    edges = observable_edges(name, reference)
    counts = [count(values, edges) for values in (reference, generated)]
    distance = partial(crossed, reference=reference, generated=generated, half=half)
    return Distribution(
        name=name,
        axis_label=observable.axis_label,
        unit=observable.unit,
        scale=observable.scale,
        edges=edges,
        reference_counts=counts[0][1:-2],
        generated_counts=counts[1][1:-2],
        reference_outside=int(counts[0][0] + counts[0][-2]),
        generated_outside=int(counts[1][0] + counts[1][-2]),
        reference_undefined=int(counts[0][-1]),
        generated_undefined=int(counts[1][-1]),
        reference_mean=mean_estimate(reference),
        generated_mean=mean_estimate(generated),
        separation=distance(partial(separation_power, edges=edges)),
        chi2=distance(partial(chi2_per_ndf, edges=edges)),
        ks=None if observable.discrete else distance(kolmogorov_smirnov),
        wasserstein=distance(partial(wasserstein, rng=rng, resamplings=resamplings)),
    )


def mean_estimate(values: NDArray[np.float64]) -> Estimate:
    """Mean of the values that are numbers, with its standard error.

    Example:
        >>> mean_estimate(np.array([1.0, 3.0, np.nan]))
        Estimate(value=2.0, error=1.0)
    """
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return Estimate(math.nan, math.nan)
    return Estimate(float(known.mean()), float(known.std(ddof=1) / math.sqrt(len(known))))
