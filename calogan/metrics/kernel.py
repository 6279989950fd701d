"""Kernel physics distance: maximum mean discrepancy of many observables at once, without bias."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.metrics.features import standardise
from calogan.metrics.metric import Metric
from calogan.metrics.resampling import Resampling, distance_error

__all__ = ["kernel_physics_distance"]

_BLOCK = 1000
_LIMIT = 5.0  # standard deviations
_LINEAR_SHARE = 1.0  # share of the null variance in that of the influences, see `_linear_variance`


def kernel_physics_distance(
    reference: NDArray[np.float64],
    generated: NDArray[np.float64],
    resampling: Resampling,
    *,
    block: int = _BLOCK,
    name: str = "KPD",
) -> Metric:
    r"""Squared maximum mean discrepancy with a polynomial kernel, averaged over blocks of showers.

    .. math:: \frac{1}{N (N - 1)} \sum_{i \ne j} k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(y_i, x_j),
        \quad k(x, y) = (x \cdot y / d + 1)^4

    with d observables in units of the reference's standard deviations. Observables have long tails, and the fourth
    power would see little else: numbers beyond five standard deviations are brought there. Terms of a shower with
    its own pair are left out, so the expectation is 0 for equal distributions, for paired samples too, and does not
    depend on the size of the blocks.

    Args:
        reference: Observables of the reference, shape ``(n, observables)``.
        generated: Observables of the generated showers, shape ``(m, observables)``. Of the larger sample, as many
            showers are taken as the smaller one has.
        resampling: How labels are exchanged; the error needs no draws.
        block: Showers of each sample in a block, at most.
        name: Name of the result.

    Raises:
        DataError: Fewer than eight showers in a sample.

    Source:
        arXiv:2211.10295; unbiased estimate of Gretton et al., JMLR 13 (2012) 723, equation 4. The code of the former
        divides features by their largest values, and takes the median of ten batches of 5,000 showers drawn with
        replacement, and half of the range from 16 to 84% of them as error. Its values and these cannot be compared:
        the units, and the bound at five standard deviations, are others.
    """
    size = min(len(reference), len(generated))
    if size < 8:
        msg = f"{name}: {len(reference)} reference and {len(generated)} generated showers; give at least 8 of each"
        raise DataError(msg)
    first, second = standardise(reference, generated)
    rng = np.random.default_rng([resampling.seed, 2])
    order = rng.permutation(len(first))
    other = order if resampling.paired else rng.permutation(len(second))
    count = math.ceil(size / block)
    length = size // count
    blocks, nulls = [], np.zeros(resampling.repeats)
    for start in range(0, count * length, length):
        part = slice(start, start + length)
        found, terms = _compare(first[order[part]], second[other[part]])
        blocks.append(found)
        nulls += _exchanged(terms, resampling.repeats, rng) / count
    value = float(np.mean([found.value for found in blocks]))
    used = order[: count * length]
    return Metric(
        name=name,
        value=value,
        error=distance_error(value, _linear_variance(blocks, first[used]), float(nulls.var(ddof=1)), _LINEAR_SHARE),
        floor=0.0,
        floor_error=0.0,
        n_reference=count * length,
        n_generated=count * length,
        source=f"arXiv:2211.10295, blocks of {length}",
        floor_note="the estimate is unbiased",
        p_value=float((1 + np.sum(nulls >= value)) / (1 + len(nulls))),
    )


@dataclass(frozen=True)
class _Block:
    """Discrepancy in a block of N pairs of a reference and a generated shower, and how it moves.

    Attributes:
        value: The discrepancy.
        rows: Mean of the terms of each pair with all others, shape ``(N,)``.
        mean_slope: Derivative by the mean of each observable, in standard deviations, shape ``(d,)``.
        width_slope: Derivative by the logarithm of its standard deviation, same shape.
    """

    value: float
    rows: NDArray[np.float64]
    mean_slope: NDArray[np.float64]
    width_slope: NDArray[np.float64]


def _compare(reference: NDArray[np.float64], generated: NDArray[np.float64]) -> tuple[_Block, NDArray[np.float64]]:
    """A block, and its terms over i and j, ``(N, N)`` with 0 on the diagonal: exchanging a label changes a sign."""
    terms = np.zeros((len(reference), len(reference)))
    slopes = np.zeros((2, reference.shape[1]))
    for left, right, sign in ((reference, reference, 1), (generated, generated, 1), (reference, generated, -1)):
        kernel, slope = _kernel(left, right)
        twice = 2 if sign < 0 else 1  # k(x_i, y_j) and k(y_i, x_j)
        terms += kernel if sign > 0 else -kernel - kernel.T
        slopes += sign * twice * slope
    count = len(terms) * (len(terms) - 1)
    rows = terms.sum(axis=1) / (len(terms) - 1)
    return _Block(float(terms.sum() / count), rows, slopes[0] / count, slopes[1] / count), terms


def _exchanged(terms: NDArray[np.float64], repeats: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Discrepancies of a block after random exchanges of labels within pairs, shape ``(repeats,)``."""
    signs = rng.choice([-1.0, 1.0], size=(len(terms), repeats))
    found: NDArray[np.float64] = np.einsum("ir,ir->r", signs, terms @ signs) / (len(terms) * (len(terms) - 1))
    return found


def _kernel(left: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernel of each two vectors but those in the same place, and the slopes of its sum by mean and log width."""
    free_left, free_right = np.abs(left) < _LIMIT, np.abs(right) < _LIMIT
    left, right = left.clip(-_LIMIT, _LIMIT), right.clip(-_LIMIT, _LIMIT)
    base = left @ right.T / left.shape[1] + 1
    np.fill_diagonal(base, 0.0)
    cube = base * base * base
    pull_left = 4 / left.shape[1] * free_left * (cube @ right)
    pull_right = 4 / left.shape[1] * free_right * (cube.T @ left)
    by_mean = -(pull_left + pull_right).sum(axis=0)
    by_width = -(left * pull_left + right * pull_right).sum(axis=0)
    return cube * base, np.stack([by_mean, by_width])


def _linear_variance(blocks: list[_Block], reference: NDArray[np.float64]) -> float:
    """Variance of the mean over blocks from the influence of each pair, through the terms and through the units.

    Near equality, where the mean of a pair's terms vanishes, the part of the terms is twice the variance, as a
    jackknife's is (Efron and Stein, Ann. Stat. 9 (1981) 586), hence the share 1 of the null variance to be taken off.

    Args:
        blocks: Blocks of N pairs.
        reference: Reference vectors in the order of the blocks, in units of their standard deviations.
    """
    mean_slope = np.mean([block.mean_slope for block in blocks], axis=0)
    width_slope = np.mean([block.width_slope for block in blocks], axis=0)
    units = reference @ mean_slope + (reference**2 - 1) / 2 @ width_slope
    terms = np.concatenate([2 * (block.rows - block.value) for block in blocks])
    influence = terms + units
    return float(np.sum((influence - influence.mean()) ** 2) / len(influence) / (len(influence) - 1))
