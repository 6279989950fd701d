"""Colours, sizes and the parts that figures have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from calogan.geometry import Layer, PolarLayer
from calogan.validation.numbers import number

__all__ = [
    "GENERATED",
    "REFERENCE",
    "STYLE",
    "WIDTH",
    "FloatArray",
    "centres_of",
    "draw_band",
    "draw_cells",
    "draw_ratio",
    "log_ticks",
    "with_ratio",
]

FloatArray = NDArray[np.float64]

REFERENCE, GENERATED = "#0072B2", "#D55E00"
STYLE: Any = {  # of rc_context, whose keys have a type of their own
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.facecolor": "white",
}
WIDTH = 5.0  # inches: 360 points, so that a figure fits a narrow screen with its letters at full size
_RATIO_RANGE = (0.4, 1.6)
_MOST_TICKS = 6  # that fit beside each other
_MOST_UNCERTAIN = 0.5  # relative error of the reference, above which a bin's ratio says nothing


def draw_cells(axes: Axes, cells: Layer | PolarLayer, picture: FloatArray, **how: Any) -> QuadMesh:
    """Cells of a layer in colours; `picture` has a number for each, shape ``(rows, columns)``, and may be masked."""
    x, y = cells.corners
    return axes.pcolormesh(x, y, picture.repeat((len(x) - 1) // cells.rows, axis=0), **how)


def with_ratio(title: str) -> tuple[Figure, Axes, Axes]:
    """A figure with a main picture and a lower one for a ratio."""
    figure = Figure(figsize=(WIDTH, 4.4))
    main, ratio = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.25))
    # fixed margins: a layout engine takes most of the time of drawing
    figure.subplots_adjust(left=0.17, right=0.97, top=0.93, bottom=0.125, hspace=0.09)
    main.set_title(title)
    return figure, main, ratio


def draw_band(axes: Axes, edges: FloatArray, values: FloatArray, errors: FloatArray) -> None:
    """The reference's values with their errors as a band."""
    axes.stairs(values + errors, edges, baseline=np.maximum(values - errors, 0), fill=True, color=REFERENCE, alpha=0.25)


def draw_ratio(
    axes: Axes,
    edges: FloatArray,
    reference: tuple[FloatArray, FloatArray],
    generated: tuple[FloatArray, FloatArray],
    centres: FloatArray | None = None,
    *,
    fit_range: bool = False,
) -> None:
    """Generated over reference, with the reference's own error as a band about 1."""
    x = centres_of(edges) if centres is None else centres
    known = reference[1] < _MOST_UNCERTAIN * reference[0]
    band = np.divide(reference[1], reference[0], out=np.zeros_like(reference[0]), where=known)
    ratio = np.divide(generated[0], reference[0], out=np.full_like(reference[0], np.nan), where=known)
    error = np.divide(generated[1], reference[0], out=np.full_like(reference[0], np.nan), where=known)
    low, high = _ratio_range(ratio, band) if fit_range else _RATIO_RANGE
    if len(edges) == len(x):
        axes.fill_between(x, 1 - band, 1 + band, color=REFERENCE, alpha=0.25)
    else:
        axes.stairs(1 + band, edges, baseline=1 - band, fill=True, color=REFERENCE, alpha=0.25)
    axes.axhline(1, color=REFERENCE, linewidth=1.2)
    inside = (ratio >= low) & (ratio <= high)
    axes.errorbar(x[inside], ratio[inside], error[inside], fmt="o", color=GENERATED, markersize=3.5, elinewidth=1)
    for beyond, place, marker in ((ratio > high, high, "^"), (ratio < low, low, "v")):
        axes.plot(x[beyond], np.full(int(beyond.sum()), place), marker, color=GENERATED, markersize=5, clip_on=False)
    axes.set_ylim(low, high)
    axes.set_ylabel("gen. / ref.")


def _ratio_range(ratio: FloatArray, band: FloatArray) -> tuple[float, float]:
    largest = float(np.nanmax(np.append(np.abs(ratio - 1), 2 * band), initial=0.02))
    return 1 - min(0.6, 1.4 * largest), 1 + min(0.6, 1.4 * largest)


def centres_of(edges: FloatArray) -> FloatArray:
    """Middles of bins."""
    return (edges[:-1] + edges[1:]) / 2


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Round numbers, written out and few enough not to overlap, on a logarithmic axis from `low` to `high`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]
        if len(ticks) <= _MOST_TICKS:
            break
    axis.set_ticks(ticks, [number(tick) for tick in ticks])
    axis.set_minor_locator(NullLocator())
