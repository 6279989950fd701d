"""Maps of how well every observable agrees in bins of the incident particle."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calogan.validation.plots.style import WIDTH
from calogan.validation.studies.conditional import Condition

__all__ = ["condition_map"]

_ROW = 0.19  # inches
_MOST = 10.0  # standard deviations at which the colour ends
_DARK = 6.0  # from where letters are white
_MOST_TEXTS = 6  # bins in which numbers can be read


def condition_map(condition: Condition) -> Figure:
    """Separation power above its floor, in standard errors, of each observable in each bin."""
    rows, bins = condition.separation.shape
    height = 1.3 + _ROW * rows
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.4, right=0.97, top=1 - 0.45 / height, bottom=0.75 / height)
    significance = condition.significance
    axes.imshow(np.ma.masked_invalid(significance), cmap="YlOrRd", vmin=0, vmax=_MOST, aspect="auto")
    if bins <= _MOST_TEXTS:
        for row, column in np.argwhere(np.isfinite(significance)):
            value = significance[row, column]
            colour = "white" if value > _DARK else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_yticks(np.arange(rows), condition.observables, fontsize=8)
    axes.set_xticks(np.arange(bins + 1) - 0.5, [f"{edge:.3g}" for edge in condition.edges], fontsize=9)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.set_xlabel(condition.axis_label)
    axes.set_title("Separation above floor, in errors", x=0)
    return figure
