"""Shares of the layers in bins of the momentum, and depth against the momentum."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calogan.validation.plots.style import (
    GENERATED,
    REFERENCE,
    WIDTH,
    FloatArray,
    draw_band,
    draw_ratio,
    log_ticks,
    with_ratio,
)
from calogan.validation.studies.longitudinal import DepthGrowth, LayerBin

__all__ = ["MOST_PANELS", "depth_growth", "layer_shares"]

MOST_PANELS = 6
_ROW = 1.75  # inches


def layer_shares(bins: Sequence[LayerBin], depth: FloatArray) -> Figure:
    """Mean share of each layer against its depth, a panel a momentum bin, six at most."""
    chosen = [bins[round(place)] for place in np.linspace(0, len(bins) - 1, min(len(bins), MOST_PANELS))]
    columns = 1 if len(chosen) == 1 else 2
    rows = math.ceil(len(chosen) / columns)
    height = _ROW * rows + 1.3
    figure = Figure(figsize=(WIDTH, height))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    below, above = 0.6 / height, 1 - 0.85 / height
    figure.subplots_adjust(left=0.14, right=0.97, top=above, bottom=below, hspace=0.28, wspace=0.08)
    for axes, one in zip(panels.flat, chosen, strict=False):
        _draw_shares(axes, one, depth)
    for axes in panels.flat[len(chosen) :]:
        axes.set_axis_off()
    for axes in (panels[-1, 0], *(panels.flat[len(chosen) - columns : len(chosen)])):
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("depth of the layer [mm]")
    for axes in panels[:, 0]:
        axes.set_ylabel("share of energy")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=2, bbox_to_anchor=(0.98, 1 - 0.28 / height))
    figure.suptitle("Shares of the layers", x=0.14, y=1 - 0.08 / height, ha="left", va="top", fontsize=12)
    return figure


def _draw_shares(axes: Axes, one: LayerBin, depth: FloatArray) -> None:
    axes.fill_between(
        depth, one.reference - one.reference_error, one.reference + one.reference_error, color=REFERENCE, alpha=0.25
    )
    axes.plot(depth, one.reference, color=REFERENCE, linewidth=1.6, label="reference")
    axes.errorbar(
        depth, one.generated, one.generated_error, fmt="o", color=GENERATED, markersize=3.5, label="generated"
    )
    axes.set_title(f"{one.low:.3g} to {one.high:.3g} GeV", fontsize=10)
    axes.set_yscale("log")


def depth_growth(growth: DepthGrowth) -> Figure:
    """Mean depth of both samples against the momentum with straight lines in its logarithm, and the ratio."""
    figure, main, ratio = with_ratio("Mean depth")
    profile = growth.profile
    centres = np.sqrt(profile.x[:-1] * profile.x[1:])
    reference, generated = (
        (getattr(profile, name), getattr(profile, f"{name}_error")) for name in ("reference", "generated")
    )
    draw_band(main, profile.x, *reference)
    main.stairs(reference[0], profile.x, baseline=None, color=REFERENCE, linewidth=1.6, label="reference")
    main.plot(growth.momentum, growth.reference_line, color=REFERENCE, linewidth=1)
    main.plot(growth.momentum, growth.generated_line, color=GENERATED, linewidth=1, linestyle=(0, (4, 1.5)))
    main.errorbar(centres, *generated, fmt="o", color=GENERATED, markersize=5, capsize=2, label="generated")
    main.set_ylabel("mean depth [mm]")
    main.legend(loc="upper left")
    draw_ratio(ratio, profile.x, reference, generated, centres, fit_range=True)
    ratio.set_xscale("log")
    ratio.set_xlabel("$|p|$ [GeV]")
    log_ticks(ratio.xaxis, float(profile.x[0]), float(profile.x[-1]))
    return figure
