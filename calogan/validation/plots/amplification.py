"""Worth of the generated sample in reference showers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH, log_ticks
from calogan.validation.studies.amplification import AmplificationStudy

__all__ = ["worth_chart"]

_ROW = 0.4  # inches


def worth_chart(study: AmplificationStudy) -> Figure:
    """Reference showers that this sample, and an endless one, is worth for each histogram, with their limits."""
    height = 1.5 + _ROW * len(study.worths)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.36, right=0.96, top=1 - 0.4 / height, bottom=0.95 / height)
    places = np.arange(len(study.worths))[::-1]
    for place, worth in zip(places, study.worths, strict=True):
        axes.plot([worth.sample_low, worth.sample_high], [place + 0.13] * 2, color=GENERATED, linewidth=2)
        axes.plot(worth.sample, place + 0.13, "o", color=GENERATED, markersize=5)
        if worth.endless_low is None:
            continue
        if worth.endless is None or worth.endless_high is None:
            axes.plot(worth.endless_low, place - 0.13, ">", color=REFERENCE, markersize=6)
        else:
            axes.plot([worth.endless_low, worth.endless_high], [place - 0.13] * 2, color=REFERENCE, linewidth=2)
            axes.plot(worth.endless, place - 0.13, "s", color=REFERENCE, markersize=4.5)
    axes.axvline(study.n_generated, color="0.35", linewidth=1, linestyle=(0, (4, 2)))
    axes.plot([], [], "o-", color=GENERATED, label=f"this sample of {study.n_generated}")
    axes.plot([], [], "s-", color=REFERENCE, label="an endless one")
    axes.plot([], [], ">", color=REFERENCE, label="at least")
    axes.set_xscale("log")
    log_ticks(axes.xaxis, *axes.get_xlim())
    axes.set_yticks(places, [worth.name for worth in study.worths], fontsize=9)
    axes.set_ylim(-0.6, len(study.worths) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("reference showers")
    figure.legend(loc="lower center", ncols=3, fontsize=9, columnspacing=1, handletextpad=0.5)
    axes.set_title("Worth in reference showers", x=0)
    return figure
