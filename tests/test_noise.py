"""Keyed normal numbers: against Philox and Box-Muller written out, and as a sample."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

from calogan.errors import ConfigError, ShapeError
from calogan.noise import standard_normal

MASK = 2**64 - 1


def philox4x64(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 as Salmon et al. (SC11) define it, in plain integers."""
    for _ in range(10):
        low_product, high_product = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        counter = [
            (high_product >> 64) ^ counter[1] ^ key[0],
            high_product & MASK,
            (low_product >> 64) ^ counter[3] ^ key[1],
            low_product & MASK,
        ]
        key = [(key[0] + 0x9E3779B97F4A7C15) & MASK, (key[1] + 0xBB67AE8584CAA73B) & MASK]
    return counter


def expected(seed: int, shower_id: int, size: int, particle: int = 0) -> np.ndarray:
    half = (size + 1) // 2
    words: list[int] = []
    while len(words) < half:
        words += philox4x64([len(words) // 4 + 1, 0, particle, 0], [seed, shower_id & MASK])
    integers = [number for word in words[:half] for number in (word & 0xFFFFFFFF, word >> 32)]
    radius = [math.sqrt(-2 * math.log((number + 1) / 2**32)) for number in integers[:half]]
    angle = [2 * math.pi * number / 2**32 for number in integers[half:]]
    cosines = [r * math.cos(a) for r, a in zip(radius, angle, strict=True)]
    sines = [r * math.sin(a) for r, a in zip(radius, angle, strict=True)]
    return np.array([*cosines, *sines][:size])


@pytest.mark.parametrize(
    ("seed", "shower_id", "particle"),
    [(7, 5, 0), (0, 0, 0), (2**64 - 1, 2**63 - 1, 0), (2**63 + 11, -1, 3), (12, -(2**63), 2**31)],
)
@pytest.mark.parametrize("size", [1, 8, 13])
def test_is_box_muller_of_philox(seed, shower_id, particle, size):
    found = standard_normal(seed, [shower_id], size, [particle])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected(seed, shower_id, size, particle), rtol=0, atol=2e-6)


def test_values_are_pinned():
    pinned = [0.43097752, 0.08498538, 0.30386862, 0.25556621, -0.60535276, 0.727417]
    np.testing.assert_allclose(standard_normal(7, [1001000001], 6)[0], pinned, rtol=1e-5)


def test_philox_known_answer():
    """First line of Philox4x64-10 in kat_vectors of the authors' Random123."""
    assert philox4x64([0] * 4, [0] * 2) == [
        0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B,
    ]  # fmt: skip


def test_does_not_depend_on_the_batch():
    ids = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 300)
    whole = standard_normal(99, ids, 925)
    order = np.random.default_rng(2).permutation(300)
    np.testing.assert_array_equal(standard_normal(99, ids[order], 925), whole[order])
    for batch in (1, 7, 64, 65):
        parts = [standard_normal(99, ids[start : start + batch], 925) for start in range(0, 300, batch)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_does_not_depend_on_other_threads():
    ids = np.arange(40)
    whole = standard_normal(5, ids, 101)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda shower: standard_normal(5, [shower], 101), ids))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_is_standard_normal():
    numbers = standard_normal(20260101, np.arange(2000), 501).astype(np.float64)
    count = numbers.size
    assert abs(numbers.mean()) < 4 / math.sqrt(count)
    assert abs(numbers.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((numbers**3).mean()) < 4 * math.sqrt(15 / count)
    assert abs((numbers**4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 1e-3
    beyond = (np.abs(numbers) > 4).sum()
    assert stats.poisson.cdf(beyond, 2 * stats.norm.sf(4) * count) > 1e-3
    assert stats.poisson.sf(beyond - 1, 2 * stats.norm.sf(4) * count) > 1e-3


def test_columns_are_independent():
    numbers = standard_normal(3, np.arange(20000), 11).astype(np.float64)
    for values in (numbers, numbers**2):
        correlation = np.corrcoef(values, rowvar=False)[np.triu_indices(11, 1)]
        assert stats.kstest(correlation * math.sqrt(20000), "norm").pvalue > 1e-3


@pytest.mark.parametrize("neighbour", ["shower", "seed", "particle"])
def test_neighbouring_keys_are_independent(neighbour):
    ids = np.arange(1000, 1400)
    first = standard_normal(8, ids, 500, ids)
    shift = {"shower": (8, ids + 1, ids), "seed": (9, ids, ids), "particle": (8, ids, ids + 1)}[neighbour]
    second = standard_normal(shift[0], shift[1], 500, shift[2])
    for power in (1, 2):
        correlation = stats.pearsonr((first**power).ravel(), (second**power).ravel()).statistic
        assert abs(correlation) < 4 / math.sqrt(first.size)


def test_all_64_bits_of_the_key_count():
    first = standard_normal(0, [0], 4)
    for bit in (0, 31, 32, 52, 53, 62):
        assert not np.array_equal(standard_normal(2**bit, [0], 4), first)
        assert not np.array_equal(standard_normal(0, [2**bit], 4), first)
    assert not np.array_equal(standard_normal(2**63, [0], 4), first)
    assert not np.array_equal(standard_normal(0, [-(2**63)], 4), first)


def test_unsigned_ids_are_the_twos_complement():
    signed = standard_normal(1, np.array([-2], dtype=np.int64), 4)
    np.testing.assert_array_equal(standard_normal(1, np.array([2**64 - 2], dtype=np.uint64), 4), signed)


def test_nothing_asked_nothing_given():
    assert standard_normal(1, np.array([], dtype=np.int64), 5).shape == (0, 5)
    assert standard_normal(1, [], 5).shape == (0, 5)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range_is_refused(seed):
    with pytest.raises(ConfigError, match=r"from 0 to 2\*\*64 - 1"):
        standard_normal(seed, [0], 3)


def test_wrong_ids_are_refused():
    with pytest.raises(ShapeError, match="integers"):
        standard_normal(1, [0.5], 3)
    with pytest.raises(ShapeError, match="one-dimensional"):
        standard_normal(1, [[1, 2]], 3)
    with pytest.raises(ShapeError, match="particle has shape"):
        standard_normal(1, [1, 2], 3, [1])
