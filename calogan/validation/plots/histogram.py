"""Histogram of an observable."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from calogan.validation.plots.style import (
    GENERATED,
    REFERENCE,
    centres_of,
    draw_band,
    draw_ratio,
    with_ratio,
)
from calogan.validation.studies.distributions import Distribution

__all__ = ["histogram"]


def histogram(distribution: Distribution) -> Figure:
    """Histograms of both samples with statistical errors, and their ratio."""
    figure, main, ratio = with_ratio(distribution.name)
    edges, centres = distribution.edges, centres_of(distribution.edges)
    separation, samples = distribution.separation, (distribution.reference_counts, distribution.generated_counts)
    sizes = (separation.n_reference, separation.n_generated)
    densities = [counts / size for counts, size in zip(samples, sizes, strict=True)]
    errors = [np.sqrt(counts) / size for counts, size in zip(samples, sizes, strict=True)]
    draw_band(main, edges, densities[0], errors[0])
    main.stairs(densities[0], edges, color=REFERENCE, linewidth=1.6, label="reference")
    main.stairs(densities[1], edges, color=GENERATED, linewidth=1.6, linestyle=(0, (4, 1.5)), label="generated")
    main.errorbar(centres, densities[1], errors[1], fmt="none", ecolor=GENERATED, elinewidth=1)
    main.set_ylabel("fraction of showers")
    main.set_ylim(bottom=0, top=1.25 * max(float(np.max(np.add(densities, errors))), 1e-9))
    main.legend(loc="upper right", ncols=2)
    draw_ratio(ratio, edges, (densities[0], errors[0]), (densities[1], errors[1]))
    ratio.set_xlabel(distribution.axis_label)
    if distribution.scale == "log":
        ratio.set_xscale("log")
    else:
        ratio.locator_params(axis="x", nbins=6)
        ratio.ticklabel_format(axis="x", scilimits=(-2, 4), useMathText=True)
    return figure
