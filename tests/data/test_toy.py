from __future__ import annotations

import numpy as np
import pytest


def test_toy_showers_look_like_showers(toy):
    showers = toy.showers
    assert len(showers) == 200
    assert showers.event[0] == 1000
    assert (showers.cell_energy >= 0).all()
    assert 0.3 < np.mean(showers.cell_energy == 0) < 0.7
    assert np.mean(showers.total_energy / showers.momentum) == pytest.approx(0.2, rel=0.02)
    assert (showers.momentum.min(), showers.momentum.max()) == pytest.approx((1, 64), rel=0.2)
