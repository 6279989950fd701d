import numpy as np
import pytest
import torch

from calogan.models.noise import standard_normal_on
from calogan.noise import standard_normal

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", [0, 7, 2**63, 2**64 - 1])
@pytest.mark.parametrize("size", [1, 8, 13, 936])
def test_numbers_are_those_of_numpy(seed, size):
    """Of all bits of the key and the particle's index; float32 rounds a sum of squares by a few 1e-7."""
    rng = np.random.default_rng(3)
    ids = np.array([0, 1, -1, 2**63 - 1, -(2**63), *rng.integers(-(2**63), 2**63 - 1, 20)], dtype=np.int64)
    for particle in (None, rng.integers(0, 2**31, len(ids))):
        found = standard_normal_on(CPU, seed, ids, size, particle)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found.numpy(), standard_normal(seed, ids, size, particle), rtol=2e-6, atol=2e-6)


def test_no_showers_are_no_numbers():
    assert standard_normal_on(CPU, 7, np.empty(0, dtype=np.int64), 5).shape == (0, 5)
