"""Spreads at a fixed condition."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH
from calogan.validation.studies.diversity import Spread

__all__ = ["diversity_bars"]

_ROW = 0.27  # inches


def diversity_bars(spreads: tuple[Spread, ...]) -> Figure:
    """Generated over reference spread of each number as a bar from 1, with its error."""
    height = 1.3 + _ROW * len(spreads)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.48, right=0.96, top=1 - 0.4 / height, bottom=0.6 / height)
    ratio = np.array([1 + spread.spread.difference.value for spread in spreads])
    error = np.array([spread.spread.difference.error for spread in spreads])
    places = np.arange(len(spreads))[::-1]
    axes.barh(places, ratio - 1, left=1, height=0.6, color=GENERATED, alpha=0.55)
    axes.errorbar(ratio, places, xerr=error, fmt="o", color=GENERATED, markersize=3.5, elinewidth=1.2)
    axes.axvline(1, color=REFERENCE, linewidth=1.4)
    axes.set_yticks(places, [spread.label for spread in spreads], fontsize=9)
    axes.set_ylim(-0.6, len(spreads) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("spread, gen. / ref.")
    axes.set_title("Spread at a fixed condition", x=-0.9)
    return figure
