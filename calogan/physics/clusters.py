"""Clusters: lit cells that hang together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clusters", "find_clusters"]


@dataclass(frozen=True)
class Clusters:
    """How many clusters showers have, and how large they are.

    Attributes:
        number: Clusters, shape ``(showers,)``.
        largest: Cells in the largest cluster, shape ``(showers,)``; 0 without any.
    """

    number: NDArray[np.int64]
    largest: NDArray[np.int64]


def find_clusters(
    shower: NDArray[np.int64], pairs: tuple[NDArray[np.int64], NDArray[np.int64]], showers: int
) -> Clusters:
    """Clusters of cells, of which neighbours hang together.

    Args:
        shower: Shower of each cell, shape ``(cells,)``.
        pairs: Places in `shower` of the two cells of each pair of neighbours, the first ones ascending, each of
            shape ``(pairs,)``.
        showers: How many showers there are.

    Example:
        >>> cells = np.array([0, 0, 0, 2])
        >>> find_clusters(cells, (np.array([0]), np.array([2])), 3)
        Clusters(number=array([2, 0, 1]), largest=array([2, 0, 1]))
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    first, second = pairs
    begin = np.concatenate([[0], np.bincount(first, minlength=len(shower)).cumsum()])
    graph = csr_array((np.ones(len(first)), second, begin), shape=(len(shower), len(shower)))
    number, label = connected_components(graph, directed=False)
    owner = np.zeros(number, dtype=np.int64)
    owner[label] = shower
    largest = np.zeros(showers, dtype=np.int64)
    np.maximum.at(largest, owner, np.bincount(label, minlength=number))
    return Clusters(np.bincount(owner, minlength=showers), largest)
