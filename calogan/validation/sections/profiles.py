"""Curves over the cells: radial profile, cell spectrum, occupancy."""

from __future__ import annotations

from functools import partial

import numpy as np

from calogan.validation.page import Drawing, Section
from calogan.validation.plots.profile import profile_curve
from calogan.validation.studies.profiles import Profile

__all__ = ["profiles_section"]

# Title, labels of both axes, whether the horizontal one is logarithmic.
_LABELS = {
    "radial_profile": (
        "Radial profile",
        "distance from the projected track [mm]",
        "fraction of visible energy",
        False,
    ),
    "cell_spectrum": ("Cell spectrum", "cell energy [GeV]", "cells per shower", True),
    "occupancy_curve": ("Occupancy against threshold", "threshold [GeV]", "cells per shower above it", True),
}
_KNOWN = 0.5  # largest relative error of the reference where a difference counts
_SURE = 3  # standard errors


def profiles_section(radial_profile: Profile, cell_spectrum: Profile, occupancy_curve: Profile) -> Section:
    """Means over the showers, with their standard errors, and ratios."""
    curves = tuple(
        (name, profile, *_LABELS[name])
        for name, profile in (
            ("radial_profile", radial_profile),
            ("cell_spectrum", cell_spectrum),
            ("occupancy_curve", occupancy_curve),
        )
    )
    drawings = tuple(
        Drawing(
            name,
            f"{title} of reference and generated showers, and their ratio",
            partial(profile_curve, profile, title, x_label, y_label, log_x=log_x),
            key=name in {"radial_profile", "cell_spectrum"},
        )
        for name, profile, title, x_label, y_label, log_x in curves
    )
    text = ("Means over the showers of each sample, with their standard errors.",)
    told = "; ".join(_differing(title.lower(), profile) for _, profile, title, *_ in curves)
    finding = f"Differences of more than three standard errors: {told}."
    return Section("profiles", "Profiles", text, (), drawings, finding=finding)


def _differing(name: str, profile: Profile) -> str:
    """How many points differ surely, and by how much at most, of those where the reference is known."""
    known = profile.reference_error < _KNOWN * profile.reference
    difference = (profile.generated - profile.reference)[known]
    sure = np.abs(difference) > _SURE * np.hypot(profile.reference_error, profile.generated_error)[known]
    if not sure.any():
        return f"{name} none of {known.sum()} points"
    relative = difference[sure] / profile.reference[known][sure]
    most = 100 * relative[np.argmax(np.abs(relative))]
    return f"{name} {sure.sum()} of {known.sum()} points, by {most:+.2g}% at most"
