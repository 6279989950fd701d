"""Connected cells."""

from __future__ import annotations

import numpy as np

from calogan.physics.clusters import find_clusters


def test_chains_hang_together_and_showers_without_cells_have_none():
    shower = np.array([1, 1, 1, 1, 1, 3])
    pairs = np.array([0, 1, 3]), np.array([1, 2, 4])
    found = find_clusters(shower, pairs, 5)
    assert found.number.tolist() == [0, 2, 0, 1, 0]
    assert found.largest.tolist() == [0, 3, 0, 1, 0]


def test_no_cells_at_all():
    none = np.array([], dtype=np.int64)
    found = find_clusters(none, (none, none), 2)
    assert found.number.tolist() == found.largest.tolist() == [0, 0]
