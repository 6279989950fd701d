"""Response and resolution against the momentum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calogan.metrics.resolution import ResponseBin
from calogan.metrics.resolution_fit import ResolutionFit
from calogan.validation.plots.style import (
    GENERATED,
    REFERENCE,
    FloatArray,
    draw_band,
    draw_ratio,
    log_ticks,
    with_ratio,
)

__all__ = ["momentum_trend", "resolution_curves"]


def momentum_trend(bins: Sequence[ResponseBin], which: str, layer: int | None = None) -> Figure:
    """Response or resolution, of all layers or of one, against the incident momentum, and the relative difference."""
    energy = "E_{visible}" if layer is None else f"E_{{{layer}}}"
    title, label = {
        "response": ("Response", f"mean of ${energy}/|p|$"),
        "resolution": ("Resolution", f"relative width of ${energy}/|p|$"),
    }[which]
    unit = 1.0
    if layer is not None:
        title = f"{title}, layer {layer}"
        if which == "response":  # of a thin layer a small number
            unit, label = 1000.0, f"{label} [MeV/GeV]"
    quantities = [getattr(one, which) for one in bins]
    edges = np.array([bins[0].low, *(one.high for one in bins)])
    figure, main, ratio = with_ratio(title)
    reference = unit * np.array([(one.reference.value, one.reference.error) for one in quantities]).T
    generated = unit * np.array([(one.generated.value, one.generated.error) for one in quantities]).T
    centres = np.sqrt(edges[:-1] * edges[1:])
    draw_band(main, edges, *reference)
    main.stairs(reference[0], edges, baseline=None, color=REFERENCE, linewidth=1.6, label="reference")
    main.errorbar(
        centres, generated[0], generated[1], fmt="o", color=GENERATED, markersize=5, capsize=2, label="generated"
    )
    main.set_ylabel(label)
    ends = np.concatenate([values + sign * errors for values, errors in (reference, generated) for sign in (-1, 1)])
    known = ends[np.isfinite(ends)]
    if known.size:
        # 2% at least on each side, so that agreement does not look like a difference
        main.set_ylim(0.98 * known.min(), 1.02 * known.max())
    main.legend(loc="best")
    draw_ratio(ratio, edges, (reference[0], reference[1]), (generated[0], generated[1]), centres, fit_range=True)
    ratio.set_xscale("log")
    ratio.set_xlabel("$|p|$ [GeV]")
    _plain_log_ticks(ratio, edges)
    return figure


def resolution_curves(fit: ResolutionFit) -> Figure:
    """Resolution of both samples in bins of the momentum with the fitted curves, and the ratio."""
    figure, main, ratio = with_ratio("Resolution and fits")
    points = fit.momentum
    main.fill_between(
        points, fit.reference - fit.reference_error, fit.reference + fit.reference_error, color=REFERENCE, alpha=0.25
    )
    main.plot(fit.curve_momentum, fit.reference_curve, color=REFERENCE, linewidth=1.6)
    main.plot(fit.curve_momentum, fit.generated_curve, color=GENERATED, linewidth=1.6, linestyle=(0, (4, 1.5)))
    main.errorbar(
        points, fit.reference, fit.reference_error, fmt="s", color=REFERENCE, markersize=4.5, label="reference"
    )
    main.errorbar(
        points, fit.generated, fit.generated_error, fmt="o", color=GENERATED, markersize=4.5, label="generated"
    )
    main.set_yscale("log")
    main.set_ylabel("relative width of $E_{visible}/|p|$")
    main.legend(loc="upper right")
    low, high = (float(extreme(np.append(fit.reference, fit.generated))) for extreme in (np.min, np.max))
    main.set_ylim(0.8 * low, 1.25 * high)
    log_ticks(main.yaxis, 0.8 * low, 1.25 * high)
    reference, generated = (fit.reference, fit.reference_error), (fit.generated, fit.generated_error)
    draw_ratio(ratio, points, reference, generated, points, fit_range=True)
    ratio.set_xscale("log")
    ratio.set_xlabel("$|p|$ [GeV]")
    _plain_log_ticks(ratio, np.array([float(f"{point:.2g}") for point in points]))
    return figure


def _plain_log_ticks(axes: Axes, edges: FloatArray) -> None:
    axes.set_xticks(edges, [f"{edge:.3g}" for edge in edges])
    axes.minorticks_off()
