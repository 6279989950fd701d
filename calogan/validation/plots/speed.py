"""Time of a shower."""

from __future__ import annotations

from matplotlib.figure import Figure

from calogan.validation.numbers import number
from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH
from calogan.validation.studies.speed import SpeedStudy

__all__ = ["speed_bars"]


def speed_bars(study: SpeedStudy) -> Figure:
    """Bars of the full simulation and of each size of the request, on a logarithmic axis."""
    names = [f"{timing.batch} at a time" for timing in study.timings]
    medians = [timing.median for timing in study.timings]
    below = [timing.median - timing.low for timing in study.timings]
    above = [timing.high - timing.median for timing in study.timings]
    colours = [GENERATED] * len(names)
    if study.simulation is not None:
        names, medians = ["full simulation", *names], [study.simulation.mean, *medians]
        below, above, colours = [0.0, *below], [0.0, *above], [REFERENCE, *colours]
    figure = Figure(figsize=(WIDTH, 0.7 + 0.45 * len(names)))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.29, right=0.97, top=0.88, bottom=0.25)
    axes.barh(names, medians, xerr=(below, above), color=colours, height=0.6, error_kw={"elinewidth": 1, "capsize": 2})
    lowest, highest = min(medians), max(medians)
    for place, median in enumerate(medians):
        axes.text((median + above[place]) * 1.12, place, number(median, 3), va="center", fontsize=10)
    axes.set_xscale("log")
    axes.set_xlim(lowest / 5, highest * 6)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_title("Time of a shower")
    axes.set_xlabel("time [ms]")
    return figure
