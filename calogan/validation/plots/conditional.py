"""Maps of how well every observable agrees in bins of the incident particle."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calogan.validation.plots.style import WIDTH
from calogan.validation.studies.conditional import Condition

__all__ = ["condition_map", "shown_observables"]

_ROW = 0.19  # inches
_MOST = 10.0  # standard deviations at which the colour ends
_DARK = 6.0  # from where letters are white
_MOST_ROWS = 24  # observables
_MOST_TEXTS = 6  # bins in which numbers can be read


def condition_map(condition: Condition) -> Figure:
    """Separation power above its floor, in standard errors, of the observables that differ most in each bin."""
    shown = shown_observables(condition)
    rows, bins = len(shown), condition.separation.shape[1]
    height = 1.3 + _ROW * rows
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.4, right=0.97, top=1 - 0.45 / height, bottom=0.75 / height)
    significance = condition.significance[shown]
    axes.imshow(np.ma.masked_invalid(significance), cmap="YlOrRd", vmin=0, vmax=_MOST, aspect="auto")
    if bins <= _MOST_TEXTS:
        for row, column in np.argwhere(np.isfinite(significance)):
            value = significance[row, column]
            colour = "white" if value > _DARK else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_yticks(np.arange(rows), [condition.observables[row] for row in shown], fontsize=8)
    axes.set_xticks(np.arange(bins + 1) - 0.5, [f"{edge:.3g}" for edge in condition.edges], fontsize=9)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.set_xlabel(condition.axis_label)
    axes.set_title("Separation above floor, in errors", x=0)
    return figure


def shown_observables(condition: Condition) -> list[int]:
    """Rows of the map: the observables with the largest significance in any bin, in the order of the catalogue."""
    largest = np.max(np.nan_to_num(condition.significance, nan=-np.inf), axis=1)
    return sorted(np.argsort(-largest, kind="stable")[:_MOST_ROWS].tolist())
