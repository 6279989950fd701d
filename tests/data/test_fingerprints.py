from __future__ import annotations

import numpy as np

from calogan.data.fingerprints import shower_fingerprints


def test_copies_and_only_copies_share_a_number():
    energy = np.random.default_rng(1).random((500, 7)).astype(np.float32)
    copied = np.concatenate([energy, energy[::-1]])

    found = shower_fingerprints(copied)

    assert len(np.unique(found)) == 500
    assert np.array_equal(found[:500], found[500:][::-1])


def test_the_smallest_change_and_the_order_of_cells_matter():
    energy = np.array([[1.0, 2.0], [np.nextafter(np.float32(1), np.float32(2)), 2.0], [2.0, 1.0]], dtype=np.float32)

    assert len(np.unique(shower_fingerprints(energy))) == 3


def test_no_showers_have_no_numbers():
    assert shower_fingerprints(np.empty((0, 4), dtype=np.float32)).shape == (0,)
