"""Precision, recall, density and coverage: whether showers of one sample lie among those of the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.metrics.metric import Metric

__all__ = [
    "BLOCKS",
    "NEIGHBOURS",
    "NeighbourScores",
    "block_length",
    "neighbour_metrics",
    "neighbour_scores",
    "scaled_cells",
]

NEIGHBOURS = 5
_NAMES = ("precision", "recall", "density", "coverage")
_SOURCES = ("arXiv:1904.06991", "arXiv:1904.06991", "arXiv:2002.09797", "arXiv:2002.09797")
BLOCKS = 40  # of each sample, so that the spread between them is known
_BLOCK_RANGE = (50, 1000)


@dataclass(frozen=True)
class NeighbourScores:
    """Figures of two sets of vectors.

    Attributes:
        precision: Fraction of the generated vectors that lie in the ball of a reference vector.
        recall: Fraction of the reference vectors that lie in the ball of a generated vector.
        density: Mean number of reference balls that a generated vector lies in, over k.
        coverage: Fraction of the reference vectors with a generated vector in their ball.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def scaled_cells(cell_energy: NDArray[Any], threshold: float) -> NDArray[np.float32]:
    r"""Cells as :math:`\ln(1 + E / E_t)`, those below the threshold [GeV] as 0; shape ``(showers, cells)``."""
    energy = np.asarray(cell_energy, dtype=np.float32)
    return np.log1p(np.where(energy >= threshold, energy, np.float32(0)) / np.float32(threshold))


def neighbour_scores(
    reference: NDArray[Any], generated: NDArray[Any], *, neighbours: int = NEIGHBOURS
) -> NeighbourScores:
    """Precision, recall, density and coverage of two sets of vectors.

    The ball of a vector reaches to its k-th nearest neighbour in its own set, its surface included.

    Args:
        reference: Vectors of the reference, shape ``(n, numbers)``.
        generated: Vectors of the generated sample, shape ``(m, numbers)``.
        neighbours: Number k of neighbours.

    Raises:
        DataError: A set of k vectors or fewer.

    Source:
        arXiv:1904.06991 (precision, recall) and arXiv:2002.09797 (density, coverage).
    """
    return _scores(
        _squared_distances(reference, generated),
        _radii(reference, neighbours),
        _radii(generated, neighbours),
        neighbours,
    )


def block_length(size: int) -> int:
    """Showers in a block for samples of a size: a fortieth, between 50 and 1,000, and no more than a quarter."""
    least, most = _BLOCK_RANGE
    return min(max(min(size // BLOCKS, most), least), size // 4)


def neighbour_metrics(
    reference: NDArray[Any],
    generated: NDArray[Any],
    features: Callable[[NDArray[Any]], NDArray[np.float32]],
    *,
    rng: np.random.Generator,
    paired: bool,
    suffix: str,
    most_blocks: int | None = BLOCKS,
    neighbours: int = NEIGHBOURS,
) -> tuple[Metric, Metric, Metric, Metric]:
    """Precision, recall, density and coverage in blocks of one size, with errors and floors.

    Both samples are cut into blocks A and B by turns. Reference A is compared with generated B and reference B with
    generated A, so that no incident particle is in both, and reference A with reference B for the floor. The errors
    are those of means over comparisons that share no shower.

    Args:
        reference: Showers of the reference, shape ``(n, numbers)``.
        generated: Generated showers, shape ``(m, numbers)``. Of the larger sample, as many showers are taken as the
            smaller one has.
        features: From some showers to the vectors that are compared; called block by block.
        rng: Source of the order of the showers.
        paired: Whether showers in the same place have the same particle.
        suffix: What follows the names of the figures, e.g. ``"at 1 MeV"``.
        most_blocks: Blocks of each sample at most; all if None.
        neighbours: Number of neighbours that makes a ball.

    Raises:
        DataError: Too few showers for four blocks with more than `neighbours` showers each.
    """
    length = block_length(min(len(reference), len(generated)))
    if length <= neighbours:
        msg = (
            f"{len(reference)} and {len(generated)} showers make no blocks; give at least {4 * neighbours + 4} of each"
        )
        raise DataError(msg)
    blocks = min(len(reference), len(generated)) // length // 2 * 2
    blocks = blocks if most_blocks is None else min(blocks, most_blocks)
    order = rng.permutation(len(reference))
    other = order if paired else rng.permutation(len(generated))
    values, floors = [], []
    for start in range(0, blocks * length, 2 * length):
        parts = [slice(start, start + length), slice(start + length, start + 2 * length)]
        found = _crosswise(
            [features(reference[order[part]]) for part in parts],
            [features(generated[other[part]]) for part in parts],
            neighbours,
        )
        values += found[0]
        floors.append(found[1])
    return _metrics(np.array(values), np.array(floors), length, suffix, neighbours)


def _metrics(
    values: NDArray[np.float64], floors: NDArray[np.float64], length: int, suffix: str, neighbours: int
) -> tuple[Metric, Metric, Metric, Metric]:
    """Metrics from the figures of each comparison, shape ``(2 pairs, 4)``, and the floors of each pair of blocks."""
    found = [
        Metric(
            name=f"{name} {suffix}",
            value=float(values[:, number].mean()),
            error=float(values[:, number].std(ddof=1) / math.sqrt(len(values))),
            floor=float(floors[:, number].mean()),
            floor_error=float(floors[:, number].std(ddof=1) / math.sqrt(len(floors))),
            n_reference=len(values) * length,
            n_generated=len(values) * length,
            source=f"{source}, {neighbours} neighbours, blocks of {length}",
            floor_note="reference against reference, in blocks of the same size",
        )
        for number, (name, source) in enumerate(zip(_NAMES, _SOURCES, strict=True))
    ]
    return found[0], found[1], found[2], found[3]


def _crosswise(
    reference: list[NDArray[np.float32]], generated: list[NDArray[np.float32]], neighbours: int
) -> tuple[list[list[float]], list[float]]:
    """Figures of A against B and B against A, and the means of those of reference A against B, both ways."""
    radii = [_radii(block, neighbours) for block in reference]
    generated_radii = [_radii(block, neighbours) for block in generated]
    between = _squared_distances(reference[0], reference[1])
    values, floors = [], []
    for one, two, distance in ((0, 1, between), (1, 0, between.T)):
        crossed = _squared_distances(reference[one], generated[two])
        values.append(list(astuple(_scores(crossed, radii[one], generated_radii[two], neighbours))))
        floors.append(astuple(_scores(distance, radii[one], radii[two], neighbours)))
    return values, [sum(pair) / 2 for pair in zip(*floors, strict=True)]


def _scores(
    distance: NDArray[np.float32],
    reference_radius: NDArray[np.float32],
    generated_radius: NDArray[np.float32],
    neighbours: int,
) -> NeighbourScores:
    """Figures from squared distances ``(n, m)`` and the squared radii of both sets."""
    inside = distance <= reference_radius[:, None]
    return NeighbourScores(
        precision=float(inside.any(axis=0).mean()),
        recall=float((distance <= generated_radius).any(axis=1).mean()),
        density=float(inside.sum(axis=0).mean() / neighbours),
        coverage=float(inside.any(axis=1).mean()),
    )


def _squared_distances(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float32]:
    left, right = (np.asarray(values, dtype=np.float32) for values in (first, second))
    squares = [np.einsum("ij,ij->i", values, values) for values in (left, right)]
    found: NDArray[np.float32] = (squares[0][:, None] + squares[1] - 2 * (left @ right.T)).clip(0)
    return found


def _radii(vectors: NDArray[Any], neighbours: int) -> NDArray[np.float32]:
    """Squared distance of each vector's k-th nearest neighbour in its own set."""
    if len(vectors) <= neighbours:
        msg = f"{len(vectors)} vectors have no {neighbours} neighbours each; give at least {neighbours + 1}"
        raise DataError(msg)
    distance = _squared_distances(vectors, vectors)
    np.fill_diagonal(distance, np.inf)
    found: NDArray[np.float32] = np.partition(distance, neighbours - 1, axis=1)[:, neighbours - 1]
    return found
