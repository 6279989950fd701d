"""Rings about the projected track, as wide as the cells of a geometry suggest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calogan.geometry import Geometry

__all__ = ["cell_pitch", "ring_edges"]

_MULTIPLES = (1, 3, 6, 9, 12, 16)


def cell_pitch(geometry: Geometry) -> NDArray[np.float64]:
    """Root of the mean area of each layer's cells [mm], of rings the geometric mean, shape ``(layers,)``."""
    return np.array([layer.cell_size for layer in geometry.layers])


def ring_edges(geometry: Geometry) -> tuple[float, ...]:
    """Radii between rings: 1, 3, 6, 9, 12 and 16 cells, as far as the calorimeter reaches.

    A cell stands for the geometric mean of the layers' pitches, rounded to one digit so that labels read well.
    Radii at which no cell is left, seen from the middle of the layers, are left out; the last ring has no end.
    A calorimeter of rings about its axis has edges of its own: the first, third, sixth, ... of those of all layers.

    Args:
        geometry: Cells.

    Returns:
        Edges [mm] from 0 to infinity, at least two.

    Example:
        >>> from calogan.geometry import Layer
        >>> edges = tuple(20.2 * step for step in range(-15, 16))
        >>> ring_edges(Geometry((Layer(edges, edges, depth=122.0),)))
        (0.0, 20.0, 60.0, 120.0, 180.0, 240.0, 320.0, inf)
    """
    reach = max(layer.reach for layer in geometry.layers)
    own = geometry.all_r_edges
    if own:
        return (0.0, *(own[place] for place in _MULTIPLES if place < len(own) and 0 < own[place] < reach), math.inf)
    unit = float(f"{np.exp(np.log(cell_pitch(geometry)).mean()):.0e}")
    return (0.0, *(unit * number for number in _MULTIPLES if unit * number < reach), math.inf)
