"""Profiles with ratios."""

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
from calogan.validation.studies.profiles import Profile

__all__ = ["profile_curve"]


def profile_curve(profile: Profile, title: str, x_label: str, y_label: str, *, log_x: bool) -> Figure:
    """A profile of both samples on a logarithmic axis, and their ratio."""
    figure, main, ratio = with_ratio(title)
    reference = (profile.reference, profile.reference_error)
    generated = (profile.generated, profile.generated_error)
    if len(profile.x) == len(profile.reference) + 1:
        centres = np.sqrt(profile.x[:-1] * profile.x[1:]) if log_x else centres_of(profile.x)
        draw_band(main, profile.x, *reference)
        main.stairs(reference[0], profile.x, baseline=None, color=REFERENCE, linewidth=1.6, label="reference")
        edges = profile.x
    else:
        centres = edges = profile.x
        main.fill_between(
            centres, reference[0] - reference[1], reference[0] + reference[1], color=REFERENCE, alpha=0.25
        )
        main.plot(centres, reference[0], color=REFERENCE, linewidth=1.6, label="reference")
    main.errorbar(centres, *generated, fmt="o", color=GENERATED, markersize=3.5, elinewidth=1, label="generated")
    main.set_yscale("log")
    lit = [values[values > 0] for values in (profile.reference, profile.generated)]
    main.set_ylim(bottom=0.4 * min((float(values.min()) for values in lit if values.size), default=1e-9))
    main.set_ylabel(y_label)
    main.legend(loc="best")
    draw_ratio(ratio, edges, reference, generated, centres)
    ratio.set_xlabel(x_label)
    if log_x:
        ratio.set_xscale("log")
    return figure
