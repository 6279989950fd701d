"""Weights of the generated showers, and what they change."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH
from calogan.validation.studies.weights import WeightStudy

__all__ = ["separations", "weight_histogram"]

_SHOWN = 16  # observables


def weight_histogram(study: WeightStudy) -> Figure:
    """Numbers of generated showers against their weight."""
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.17, right=0.96, top=0.9, bottom=0.18)
    axes.stairs(study.counts, study.edges, fill=True, color=GENERATED, alpha=0.8)
    axes.axvline(1, color=REFERENCE, linewidth=1.2)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.5)
    axes.set_xlabel("weight")
    axes.set_ylabel("generated showers")
    axes.set_title("Density ratio, mean 1")
    return figure


def separations(study: WeightStudy) -> Figure:
    """Separation power beyond its floor, of the observables that differed most, without and with weights."""
    shown = sorted(study.separation, key=lambda entry: -entry.before.excess)[:_SHOWN]
    figure = Figure(figsize=(WIDTH, 1.75 + 0.27 * len(shown)))
    height = figure.get_figheight()
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.42, right=0.96, top=1 - 0.35 / height, bottom=1.3 / height)
    rows = np.arange(len(shown))
    for offset, key, marker, colour in ((-0.16, "before", "o", GENERATED), (0.16, "after", "s", "#009E73")):
        found = [getattr(entry, key) for entry in shown]
        values, errors = [one.excess for one in found], [one.excess_error for one in found]
        axes.errorbar(values, rows + offset, xerr=errors, fmt=marker, color=colour, markersize=4.5, label=key)
    axes.axvline(0, color=REFERENCE, linewidth=1.2)
    axes.set_yticks(rows, [entry.name for entry in shown], fontsize=9)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("separation power beyond the floor")
    axes.set_title("Before and after weighting")
    figure.legend(loc="lower right", ncols=2)
    return figure
