"""Both samples compared in many numbers at once: distances, clusters, neighbours, correlations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from calogan.metrics.correlation import CorrelationComparison, compare_correlations
from calogan.metrics.coverage import BLOCKS, neighbour_metrics, scaled_cells
from calogan.metrics.features import observable_matrix
from calogan.metrics.frechet import extrapolated_frechet_distance, frechet_physics_distance
from calogan.metrics.kernel import kernel_physics_distance
from calogan.metrics.metric import Metric
from calogan.metrics.prd import ClusterComparison, cluster_comparison
from calogan.physics.lhcb import lhcb_statistics
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = ["Coverage", "MultivariateStudy", "measure_coverage", "study_multivariate"]

_LEAST_EXTRAPOLATED = 5000  # showers of each sample


@dataclass(frozen=True)
class Coverage:
    """Neighbours among cells at one threshold.

    Attributes:
        threshold: Cells below it [GeV] were set to 0.
        precision: Generated showers in the neighbourhood of a reference shower.
        recall: Reference showers in the neighbourhood of a generated one.
        density: Reference neighbourhoods around a generated shower, over the number expected.
        coverage: Reference showers with a generated one in their neighbourhood.
    """

    threshold: float
    precision: Metric
    recall: Metric
    density: Metric
    coverage: Metric

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All four."""
        return self.precision, self.recall, self.density, self.coverage


@dataclass(frozen=True)
class MultivariateStudy:
    """Metrics of many numbers at once.

    Attributes:
        observables: Names of the observables in the distances and the correlations.
        fpd: Frechet physics distance at the full sizes.
        fpd_infinite: The same extrapolated to infinite sizes; None with fewer than 5,000 showers in a sample.
        kpd: Kernel physics distance.
        prd: Precision and recall of distributions, of the 24 statistics of the LHCb task.
        coverage: Precision, recall, density and coverage of the cells, in ascending order of the threshold.
        correlation: Rank correlations of the observables.
    """

    observables: tuple[str, ...]
    fpd: Metric
    fpd_infinite: Metric | None
    kpd: Metric
    prd: ClusterComparison
    coverage: tuple[Coverage, ...]
    correlation: CorrelationComparison

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All figures."""
        distances = [self.fpd] if self.fpd_infinite is None else [self.fpd, self.fpd_infinite]
        neighbours = [metric for entry in self.coverage for metric in entry.metrics]
        return (*distances, self.kpd, *self.prd.metrics, *neighbours, self.correlation.difference)


def study_multivariate(samples: Samples, reporter: Reporter) -> MultivariateStudy:
    """Distances, clusters, neighbours and correlations of both samples."""
    names = list(samples.observables)
    reference, generated = (
        observable_matrix(values, names) for values in (samples.reference_values, samples.generated_values)
    )
    thresholds = _thresholds(samples)
    with reporter.task("multivariate metrics", total=4 + len(thresholds), unit="metrics") as task:
        fpd = frechet_physics_distance(reference, generated, samples.resampling("fpd"))
        fpd_infinite = None
        if min(len(reference), len(generated)) >= _LEAST_EXTRAPOLATED:
            rng = samples.rng("fpd extrapolated")
            fpd_infinite = extrapolated_frechet_distance(reference, generated, fpd, rng=rng, paired=samples.paired)
        task.advance(note=f"FPD {fpd.value:.3g}")
        kpd = kernel_physics_distance(reference, generated, samples.resampling("kpd"))
        task.advance(note=f"KPD {kpd.value:.3g}")
        prd = _clusters(samples)
        task.advance(note=f"PRD area {prd.area.value:.3g}")
        correlation = compare_correlations(reference, generated, names, samples.resampling("correlation"))
        task.advance()
        coverage = []
        for threshold in thresholds:
            coverage.append(measure_coverage(samples, threshold))
            task.advance(note=f"recall {coverage[-1].recall.value:.3g}")
    return MultivariateStudy(tuple(names), fpd, fpd_infinite, kpd, prd, tuple(coverage), correlation)


def _thresholds(samples: Samples) -> list[float]:
    """The read-out threshold, if there is one, and those of the settings that are above it, in ascending order."""
    own = [samples.threshold] if samples.threshold > 0 else []
    return own + sorted({value for value in samples.settings.cell_thresholds if value > samples.threshold})


def _clusters(samples: Samples) -> ClusterComparison:
    statistics = [
        lhcb_statistics(side.cell_energy, side.incident, side.geometry)
        for side in (samples.reference, samples.generated)
    ]
    return cluster_comparison(statistics[0], statistics[1], samples.resampling("prd"))


def measure_coverage(samples: Samples, threshold: float) -> Coverage:
    """Precision, recall, density and coverage of the cells above a threshold [GeV]."""
    metrics = neighbour_metrics(
        samples.reference.cell_energy,
        samples.generated.cell_energy,
        partial(scaled_cells, threshold=threshold),
        rng=samples.rng("coverage"),
        paired=samples.paired,
        suffix=f"at {1000 * threshold:g} MeV",
        most_blocks=None if samples.settings.full else BLOCKS,
    )
    return Coverage(threshold, *metrics)
