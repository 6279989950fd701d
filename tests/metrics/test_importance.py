"""Importance of numbers whose effect is known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from calogan.metrics.importance import own_area, permutation_importance


def test_alone_a_shifted_gaussian_has_its_area_and_undefined_values_are_lowest():
    rng = np.random.default_rng(0)
    found = own_area(rng.normal(size=4000), rng.normal(size=4000) + 1)
    assert abs(found.value - NormalDist().cdf(2**-0.5)) < 4 * found.error
    assert own_area(np.array([1.0, 2.0]), np.array([np.nan, np.nan])).value == 0.0


def test_only_what_the_classifier_uses_is_important():
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], 1000)
    features = rng.normal(size=(2000, 3))
    features[:, 0] += 1.0 * label
    features[:, 1] += 2.0 * label  # a difference that the classifier does not use

    used, unused = permutation_importance(
        lambda values: values[:, 0] + 0.1 * values[:, 2], features, label, np.arange(2000), columns=2, rng=rng
    )

    assert abs(used.value - (NormalDist().cdf(2**-0.5) - 0.5)) < 4 * used.error
    assert 0 < used.error < 0.03
    assert unused.value == pytest.approx(0.0, abs=1e-12)
