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
