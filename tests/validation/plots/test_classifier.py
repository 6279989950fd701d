"""What the drawings of the classifier tests show."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.geometry import Layer
from calogan.metrics.metric import Estimate
from calogan.validation.plots import classifier as plots
from calogan.validation.studies.classifiers import Importance, LearningPoint, SureShower


def sure(event, score):
    edges = (0.0, 10.0, 20.0, 30.0)
    return SureShower(event, 8.0, score, 0, Layer(edges, edges, 5.0), np.eye(3) * event)


def test_bars_are_what_is_lost_and_the_distance_of_the_area_alone_from_a_half():
    found = [Importance(f"n{number}", Estimate(0.1, 0.01), Estimate(0.3, 0.01)) for number in range(20)]
    axes = plots.importances(found).axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.1] * 12 + [0.2] * 12)
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"n{number}" for number in range(12)]


def test_learning_curve_has_its_sizes_as_ticks():
    points = [LearningPoint(300, Estimate(0.6, 0.02)), LearningPoint(1200, Estimate(0.7, 0.01))]
    axes = plots.learning_curve(points).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[300, 0.6], [1200, 0.7]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["300", "1200"]


def test_single_showers_share_their_colours_and_empty_places_stay_empty():
    figure = plots.surest_showers([sure(1, 0.1), sure(2, 0.2), sure(4, 0.3)], "Surest")
    pictures = figure.axes[:4]
    norms = [axes.collections[0].norm for axes in pictures[:3]]
    assert {(norm.vmin, norm.vmax) for norm in norms} == {(1.0, 4.0)}
    assert pictures[0].get_title() == "8 GeV, p = 0.1"
    assert not pictures[3].axison


def test_showers_without_energy_can_be_drawn():
    assert plots.surest_showers([sure(0, 0.5)], "Surest").axes
