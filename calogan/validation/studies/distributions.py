"""Every observable of both samples: histograms and the distances between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import count, observable_edges
from calogan.metrics.chi2 import chi2_per_ndf
from calogan.metrics.distances import kolmogorov_smirnov, wasserstein
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.separation import separation_power
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = ["Distribution", "DistributionsStudy", "mean_estimate", "study_distributions"]


@dataclass(frozen=True)
class Distribution:
    """An observable of both samples.

    Attributes:
        name: Name of the observable.
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
        ks: Kolmogorov-Smirnov test.
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
    ks: Metric
    wasserstein: Metric

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All four distances."""
        return self.separation, self.chi2, self.ks, self.wasserstein


@dataclass(frozen=True)
class DistributionsStudy:
    """All observables, in the order of the catalogue."""

    distributions: tuple[Distribution, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The distances of every observable."""
        return tuple(metric for one in self.distributions for metric in one.metrics)


def study_distributions(samples: Samples, reporter: Reporter) -> DistributionsStudy:
    """Histograms and distances of every observable.

    Args:
        samples: Both samples; errors, floors and p-values of paired ones are those of pairs.
        reporter: Told about each observable.
    """
    found = []
    with reporter.task("distributions", total=len(samples.observables), unit="observables") as task:
        for name in samples.observables:
            found.append(_distribution(samples, name))
            task.advance(note=name)
    return DistributionsStudy(tuple(found))


def _distribution(samples: Samples, name: str) -> Distribution:
    observable = samples.observables[name]
    values = reference, generated = samples.reference_values[name], samples.generated_values[name]
    edges = observable_edges(observable, reference)
    counts = [count(one, edges) for one in values]
    resampling, paired = samples.resampling(f"distribution of {name}"), samples.paired
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
        separation=separation_power(reference, generated, edges, paired=paired, name=f"separation {name}"),
        chi2=chi2_per_ndf(reference, generated, edges, paired=paired, name=f"chi2/ndf {name}"),
        ks=kolmogorov_smirnov(reference, generated, resampling, discrete=observable.discrete, name=f"KS {name}"),
        wasserstein=wasserstein(reference, generated, resampling, name=f"Wasserstein {name}"),
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
