"""Spreads as bars."""

from __future__ import annotations

import numpy as np

from calogan.metrics.metric import Estimate
from calogan.metrics.resolution import Comparison
from calogan.validation.plots.diversity import diversity_bars
from calogan.validation.studies.diversity import Spread


def spread(name, difference):
    found = Comparison(Estimate(1.0, 0.1), Estimate(1 + difference, 0.1), Estimate(difference, 0.05))
    return Spread(name, f"label of {name}", "", True, found, 10, 10)


def test_each_number_has_a_bar_from_1():
    axes = diversity_bars((spread("a", -0.4), spread("b", 0.1))).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["label of a", "label of b"]
    np.testing.assert_allclose([bar.get_x() for bar in axes.patches], [1, 1])
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [-0.4, 0.1])
    assert axes.patches[0].get_y() > axes.patches[1].get_y()


def test_a_number_without_a_spread_is_left_blank():
    assert len(diversity_bars((spread("a", float("nan")),)).axes[0].patches) == 1
