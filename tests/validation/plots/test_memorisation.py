from __future__ import annotations

import numpy as np

from calogan.metrics.metric import Metric
from calogan.validation.plots.memorisation import training_distances
from calogan.validation.studies.memorisation import NearestTraining


def test_shares_of_both_samples_are_shown():
    metric = Metric("-", 0.5, 0.1, 0.5, 0.0, 10, 10, "-")
    counts = np.array([0, 10, 20, 10, 10]), np.array([5, 5, 20, 10, 0])
    nearest = NearestTraining(3e-4, 50, 75, 25, metric, metric, np.linspace(0, 10, 6), *counts, closest=())

    figure = training_distances(nearest)

    shares = [patch.get_data().values.tolist() for patch in figure.axes[0].patches]
    assert shares == [[0, 0.2, 0.4, 0.2, 0.2], [0.125, 0.125, 0.5, 0.25, 0]]
