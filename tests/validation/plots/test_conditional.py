"""Maps of observables in bins of the incident particle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calogan.validation.plots.conditional import condition_map
from calogan.validation.studies.conditional import Condition

ONES = np.ones((2, 3))
CONDITION = Condition(
    "momentum",
    "$|p|$ [GeV]",
    np.array([1.0, 3.0, 10.0, 64.0]),
    ("response", "occupancy"),
    np.full(3, 100),
    np.full(3, 100),
    np.array([[0.1, 0.2, -0.1], [0.8, np.nan, 0.0]]),
    0.1 * ONES,
    ONES,
    ONES,
)


def test_each_known_cell_has_its_number_and_bins_their_edges():
    (axes,) = condition_map(CONDITION).axes
    assert [text.get_text() for text in axes.texts] == ["1.0", "2.0", "-1.0", "8.0", "0.0"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3", "10", "64"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["response", "occupancy"]


def test_many_bins_have_colours_only():
    wide = replace(
        CONDITION,
        edges=np.linspace(0, 1, 13),
        separation=np.ones((2, 12)),
        separation_error=np.ones((2, 12)),
    )
    assert not condition_map(wide).axes[0].texts
