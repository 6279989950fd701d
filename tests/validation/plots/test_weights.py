"""What the drawings of the weights show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from calogan.metrics.metric import Metric
from calogan.validation.plots.weights import separations, weight_histogram


def test_all_showers_are_in_the_histogram():
    study = SimpleNamespace(edges=np.array([0.0, 1.0, 2.0]), counts=np.array([7, 3]))
    assert weight_histogram(study).axes[0].patches[0].get_data().values.tolist() == [7, 3]


def test_separations_are_less_their_floors_and_the_largest_comes_first():
    def entry(name, before, after):
        found = [Metric(name, value, 0.01, 0.1, 0.0, 10, 10, "-") for value in (before, after)]
        return SimpleNamespace(name=name, before=found[0], after=found[1])

    axes = separations(SimpleNamespace(separation=(entry("a", 0.2, 0.1), entry("b", 0.5, 0.2)))).axes[0]

    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    before, after = (container.lines[0].get_xdata(orig=False) for container in axes.containers)
    np.testing.assert_allclose(before, [0.4, 0.1])
    np.testing.assert_allclose(after, [0.1, 0.0], atol=1e-12)
