"""Worth of generated samples whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.metrics.amplification import showers_worth

SHOWERS = 4000
BINS = 20


def _bias(size):
    """Squared difference of a flat density and one with a sine wave of this size, in 20 bins."""
    expected = 1 + size * np.sin(2 * np.pi * (np.arange(BINS) + 0.5) / BINS)
    return np.mean((expected - 1) ** 2 / ((expected + 1) / 2))


def _wave(rng, size, showers):
    """Numbers from 0 to 1 with the density 1 + size * sin(2 pi x), by rejection."""
    x = rng.random(4 * showers)
    return x[rng.random(4 * showers) * (1 + size) < 1 + size * np.sin(2 * np.pi * x)][:showers]


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("size", [0.0, 0.15])
def test_known_worth_is_within_the_limits(size, paired):
    """In the pairs half of the generated values are copies of the reference, the others have twice the wave."""
    rng = np.random.default_rng(1)
    bias = _bias(size)
    expected = (BINS - 1) / (bias + (BINS - 1) / SHOWERS)
    inside, biases = [], []
    for _ in range(80):
        reference = rng.random(SHOWERS)
        generated = _wave(rng, 2 * size if paired else size, SHOWERS)
        if paired:
            generated = np.where(rng.random(SHOWERS) < 0.5, reference, generated)
        found = showers_worth(reference, generated, paired=paired)
        assert found.bins == BINS
        inside.append(found.sample_low <= expected * 1.0001 and expected <= found.sample_high * 1.0001)
        biases.append((found.bias.value - bias) / found.bias.error)
    assert np.mean(inside) >= 0.85
    assert abs(np.mean(biases)) < 0.45
    assert 0.7 < np.std(biases) < 1.3


def test_a_strong_bias_limits_an_endless_sample():
    rng = np.random.default_rng(2)
    found = showers_worth(rng.random(20_000), _wave(rng, 0.5, 20_000))
    expected = (BINS - 1) / _bias(0.5)
    assert found.endless == pytest.approx(expected, rel=0.1)
    assert found.endless_low < found.endless < found.endless_high
    assert found.sample < found.endless


def test_no_bias_gives_a_lower_limit_only():
    rng = np.random.default_rng(3)
    found = showers_worth(rng.random(2000), rng.random(2000))
    assert found.endless is None
    assert found.endless_high is None
    assert found.endless_low > 0
    assert found.sample_low < found.sample_high == pytest.approx(2000)


def test_copies_of_the_reference_have_no_limit():
    values = np.random.default_rng(4).random(500)
    found = showers_worth(values, values, paired=True)
    assert (found.endless, found.endless_low, found.sample) == (None, None, pytest.approx(500))


def test_one_value_is_no_histogram():
    assert showers_worth(np.ones(100), np.ones(100)) is None


def test_whole_numbers_have_a_bin_each():
    rng = np.random.default_rng(5)
    assert showers_worth(rng.integers(4, size=1000), rng.integers(4, size=1000)).bins == 4
