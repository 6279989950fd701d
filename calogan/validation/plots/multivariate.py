"""Correlation matrices, the curve of precision and recall, neighbours against threshold."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calogan.metrics.correlation import CorrelationComparison
from calogan.metrics.metric import Metric
from calogan.metrics.prd import ClusterComparison
from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH, FloatArray
from calogan.validation.studies.multivariate import Coverage

__all__ = ["correlation_differences", "correlation_matrices", "coverage_against_threshold", "precision_recall_curves"]

_LABEL_SIZE = 7.0  # points, of the names along a matrix
_ROW = 0.115  # inches a name needs
_MOST_NAMES = 5  # that fit beside each other
_LEAST_RANGE = 0.1  # of the colours of the difference
_ZOOM = 5.0  # times the distance of the curve from its corner


def correlation_matrices(comparison: CorrelationComparison, title: str = "Rank correlations") -> Figure:
    """Correlations of the reference below the diagonal and of the generated showers above it."""
    matrix = np.tril(comparison.reference) + np.triu(comparison.generated, 1)
    return _matrix(matrix, comparison.names, 1.0, title, "reference below, generated above the diagonal")


def correlation_differences(comparison: CorrelationComparison) -> Figure:
    """Correlations of the generated showers less those of the reference."""
    difference = comparison.generated - comparison.reference
    reach = max(_LEAST_RANGE, float(np.nanmax(np.abs(difference), initial=0.0)))
    return _matrix(difference, comparison.names, reach, "Differences of rank correlations", "generated less reference")


def _matrix(matrix: FloatArray, names: tuple[str, ...], limit: float, title: str, label: str) -> Figure:
    side = max(2.2, _ROW * len(names))
    height = side + 0.95
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((1.75 / WIDTH, 0.6 / height, (WIDTH - 2.2) / WIDTH, side / height))
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set_title(title, x=-0.55)
    axes.set_xlabel(label)
    axes.grid(visible=False)
    if len(names) <= _MOST_NAMES:
        axes.set_yticks(np.arange(len(names)), names, fontsize=8)
        axes.set_xticks(np.arange(len(names)), names, fontsize=8)
    else:
        # columns have the numbers of the rows: names do not fit beside each other
        rows = [f"{name}  {number}" for number, name in enumerate(names, start=1)]
        axes.set_yticks(np.arange(len(names)), rows, fontsize=_LABEL_SIZE)
        step = max(1, len(names) // 10)
        columns = range(step - 1, len(names), step)
        axes.set_xticks(list(columns), [str(column + 1) for column in columns], fontsize=8)
    axes.tick_params(length=0, pad=2)
    figure.colorbar(image, ax=axes, pad=0.03, fraction=0.06).ax.tick_params(labelsize=8)
    return figure


def precision_recall_curves(comparison: ClusterComparison) -> Figure:
    """Precision against recall of the clusters, beside the curve after exchanging labels."""
    figure = Figure(figsize=(WIDTH, 4.0))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.15, right=0.96, top=0.91, bottom=0.15)
    axes.set_title("Precision and recall of clusters")
    floor = (comparison.floor_recall, comparison.floor_precision)
    axes.plot(*floor, color=REFERENCE, linewidth=1.6, linestyle="--", label="labels exchanged (floor)")
    axes.plot(
        comparison.recall,
        comparison.precision,
        color=GENERATED,
        linewidth=1.8,
        label=f"generated, area {comparison.area.value:.4f}",
    )
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    corner = float(comparison.precision[len(comparison.precision) // 2])  # where precision and recall are equal
    low = max(0.0, 1 - _ZOOM * max(1 - corner, 0.01))
    axes.set_xlim(low, 1 + 0.03 * (1 - low))
    axes.set_ylim(low, 1 + 0.03 * (1 - low))
    axes.legend(loc="lower left")
    return figure


def coverage_against_threshold(coverage: tuple[Coverage, ...]) -> Figure:
    """Precision, recall, density and coverage at each threshold, with their floors."""
    figure = Figure(figsize=(WIDTH, 4.8))
    panels = figure.subplots(2, 2, sharex=True)
    figure.subplots_adjust(left=0.12, right=0.97, top=0.85, bottom=0.13, hspace=0.28, wspace=0.28)
    thresholds = [1000 * entry.threshold for entry in coverage]
    for axes, name in zip(panels.flat, ("precision", "recall", "density", "coverage"), strict=True):
        metrics = [getattr(entry, name) for entry in coverage]
        _draw_with_floor(axes, thresholds, metrics)
        axes.set_title(name)
        axes.set_xscale("log")
        axes.set_xticks(thresholds, [f"{threshold:g}" for threshold in thresholds])
        axes.minorticks_off()
    for axes in panels[1]:
        axes.set_xlabel("threshold [MeV]")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=2)
    return figure


def _draw_with_floor(axes: Axes, x: list[float], metrics: list[Metric]) -> None:
    floors, floor_errors, values, errors = (
        [getattr(metric, name) for metric in metrics] for name in ("floor", "floor_error", "value", "error")
    )
    axes.errorbar(x, floors, floor_errors, fmt="s--", color=REFERENCE, markersize=4, label="reference (floor)")
    axes.errorbar(x, values, errors, fmt="o-", color=GENERATED, markersize=4, label="generated")
