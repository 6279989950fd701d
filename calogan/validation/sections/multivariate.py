"""Metrics of many numbers at once."""

from __future__ import annotations

from functools import partial

import numpy as np

from calogan.metrics.correlation import SIGNIFICANT, CorrelationComparison
from calogan.metrics.metric import Metric
from calogan.validation.numbers import number, probability, sigmas, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.multivariate import (
    correlation_differences,
    correlation_matrices,
    coverage_against_threshold,
    precision_recall_curves,
)
from calogan.validation.studies.multivariate import MultivariateStudy

__all__ = ["multivariate_section"]

_HEADER = ("metric", "value", "floor", "p-value")
_MOST_ENTRIES = 10
_INTRODUCTION = (
    "Each of these numbers compares many properties of a shower at once, with the dependence between them. The floor "
    "is what two samples of one distribution give at the same sizes. Distances (FPD, KPD, the mean squared difference "
    "of correlations) above the floor are bad, all others below it; precision and density above it are bad, too."
)
_NEIGHBOURS = (
    "Precision and density ask whether generated showers lie among reference showers, recall and coverage whether "
    "reference showers lie among generated ones; neighbours are found by the logarithms of all cells. Precision or "
    "density above the floor shows generated showers concentrated where reference showers are most frequent, as those "
    "of a generator are that fluctuates too little. At the read-out threshold faint cells rule the distances, at "
    "higher thresholds the bright ones do."
)


def multivariate_section(study: MultivariateStudy) -> Section:
    """Distances, clusters, neighbours and correlations."""
    return Section(
        id="multivariate",
        title="Many observables at once",
        text=(_INTRODUCTION, _observables_text(study), _NEIGHBOURS, _correlation_text(study.correlation)),
        tables=(_distances(study), _neighbours(study), _entries(study.correlation)),
        drawings=_drawings(study),
        finding=_finding(study),
    )


def _drawings(study: MultivariateStudy) -> tuple[Drawing, ...]:
    return (
        Drawing(
            "correlations",
            "Matrix of the observables' rank correlations: reference below, generated above the diagonal",
            partial(correlation_matrices, study.correlation),
        ),
        Drawing(
            "correlation_differences",
            "Matrix of the differences of the rank correlations, generated less reference",
            partial(correlation_differences, study.correlation),
        ),
        Drawing(
            "precision_recall",
            "Precision against recall of clusters of showers",
            partial(precision_recall_curves, study.prd),
            caption="Equal distributions reach the upper right corner.",
        ),
        Drawing(
            "coverage",
            "Precision, recall, density and coverage against the threshold",
            partial(coverage_against_threshold, study.coverage),
        ),
    )


def _finding(study: MultivariateStudy) -> str:
    found = study.correlation
    told = (
        f"{one.name} {with_error(one.value, one.error)}, floor {with_error(one.floor, one.floor_error)} "
        f"({sigmas(one.excess, one.excess_error)})"
        for one in (study.fpd, study.kpd, study.prd.area)
    )
    return (
        f"{'; '.join(told)}. Correlations that differ: {found.significant} of {found.entries}, "
        f"{number(found.expected, 2)} by chance."
    )


def _observables_text(study: MultivariateStudy) -> str:
    clusters = study.prd
    return (
        f"FPD and KPD use {len(study.observables)} observables in units of the reference's standard deviations, those "
        "beyond five of them brought there; other observables and units give other values, so they cannot be compared "
        "with published ones. The correlations are those of the observables' ranks. PRD uses the 24 "
        f"statistics of the LHCb calorimeter task in {clusters.clusters} clusters, the mean of {clusters.clusterings} "
        "clusterings; F8 weighs recall, F1/8 precision."
    )


def _correlation_text(comparison: CorrelationComparison) -> str:
    rms = number(max(comparison.difference.value, 0.0) ** 0.5, 2)
    return (
        f"Of {comparison.entries} correlations between two observables, {comparison.significant} differ by more than "
        f"three standard errors ({number(comparison.expected, 2)} are expected by chance, with the errors' own "
        f"uncertainty); the root mean square difference is {rms}."
    )


def _row(metric: Metric) -> tuple[str, ...]:
    floor = with_error(metric.floor, metric.floor_error)
    return metric.name, with_error(metric.value, metric.error), floor, probability(metric.p_value)


def _distances(study: MultivariateStudy) -> Table:
    metrics = [study.fpd, study.fpd_infinite, study.kpd, *study.prd.metrics, study.correlation.difference]
    return Table(_HEADER, tuple(_row(metric) for metric in metrics if metric is not None), "Distances and clusters")


def _neighbours(study: MultivariateStudy) -> Table:
    rows = [_row(metric)[:3] for entry in study.coverage for metric in entry.metrics]
    return Table(_HEADER[:3], tuple(rows), "Neighbours among the cells", folded=True)


def _entries(comparison: CorrelationComparison) -> Table:
    """The largest differences among those beyond three standard errors."""
    difference = comparison.generated - comparison.reference
    sure = np.triu(np.abs(difference) > SIGNIFICANT * comparison.error, 1) & (comparison.error > 0)
    size = np.where(sure, np.abs(difference), 0.0)
    order = np.argsort(size, axis=None)[::-1][: min(_MOST_ENTRIES, int(sure.sum()))]
    rows = []
    for row, column in zip(*np.unravel_index(order, size.shape), strict=True):
        values = (comparison.reference[row, column], comparison.generated[row, column])
        shift = with_error(float(difference[row, column]), float(comparison.error[row, column]))
        names = f"{comparison.names[row]}, {comparison.names[column]}"
        rows.append((names, *(number(float(value), 3) for value in values), shift))
    header = ("observables", "reference", "generated", "difference")
    return Table(header, tuple(rows), "Largest differences of correlations beyond three standard errors")
