from __future__ import annotations

import numpy as np

from calogan.validation.sections.profiles import profiles_section
from calogan.validation.studies.profiles import Profile


def test_every_profile_is_drawn_even_without_energy():
    lit, dark = np.array([2.0, 1.0]), np.zeros(2)
    rings = Profile(np.array([0.0, 1.0, 2.0]), lit, lit / 10, dark, dark)
    points = Profile(np.array([1.0, 2.0]), lit, lit / 10, lit, lit / 10)

    section = profiles_section(rings, rings, points)

    assert [drawing.name for drawing in section.drawings] == ["radial_profile", "cell_spectrum", "occupancy_curve"]
    scales = []
    for drawing in section.drawings:
        main, ratio = drawing.make().axes
        scales.append((main.get_xscale(), main.get_yscale()))
        assert "[" in ratio.get_xlabel()
        assert [text.get_text() for text in main.get_legend().get_texts()] == ["reference", "generated"]
    assert scales == [("linear", "log"), ("log", "log"), ("log", "log")]


def test_points_that_differ_surely_are_counted():
    """One of two known points is off by half; the third is known worse than to a half."""
    reference, generated = np.array([1.0, 2.0, 0.1]), np.array([1.5, 2.0, 9.0])
    errors = np.array([0.01, 0.01, 0.09])
    curve = Profile(np.array([1.0, 2.0, 3.0]), reference, errors, generated, errors)

    finding = profiles_section(curve, curve, curve).finding

    assert "radial profile 1 of 2 points, by +50% at most" in finding
