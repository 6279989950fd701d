"""Curves over the cells: radial profile, cell spectrum, occupancy."""

from __future__ import annotations

from functools import partial

from calogan.validation.page import Drawing, Section
from calogan.validation.plots.profile import profile_curve
from calogan.validation.studies.profiles import Profile

__all__ = ["profiles_section"]


def profiles_section(radial_profile: Profile, cell_spectrum: Profile, occupancy_curve: Profile) -> Section:
    """Means over the showers, with their standard errors, and ratios."""
    curves = (
        (
            "radial_profile",
            radial_profile,
            "Radial profile",
            "distance from the projected track [mm]",
            "fraction of visible energy",
            False,
        ),
        ("cell_spectrum", cell_spectrum, "Cell spectrum", "cell energy [GeV]", "cells per shower", True),
        (
            "occupancy_curve",
            occupancy_curve,
            "Occupancy against threshold",
            "threshold [GeV]",
            "cells per shower above it",
            True,
        ),
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
    return Section("profiles", "Profiles", ("Means over the showers of each sample.",), (), drawings)
