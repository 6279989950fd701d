"""Distances from the nearest training shower."""

from __future__ import annotations

from matplotlib.figure import Figure

from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH
from calogan.validation.studies.memorisation import NearestTraining

__all__ = ["training_distances"]


def training_distances(nearest: NearestTraining) -> Figure:
    """Histograms of both samples' distances, each as a share of its showers."""
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.16, right=0.97, top=0.9, bottom=0.17)
    shares = [counts / max(1, int(counts.sum())) for counts in (nearest.reference, nearest.generated)]
    axes.stairs(shares[0], nearest.edges, color=REFERENCE, linewidth=1.6, label="reference")
    axes.stairs(shares[1], nearest.edges, color=GENERATED, linewidth=1.6, label="generated")
    axes.set_xlim(0, float(nearest.edges[-1]))
    axes.set_ylim(bottom=0)
    axes.set_title("Distance from the nearest training shower")
    axes.set_xlabel("distance in $\\ln(1 + E/s)$ of all cells")
    axes.set_ylabel("share of the showers")
    axes.legend(loc="best")
    return figure
