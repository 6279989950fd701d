"""Rings about the projected track, as wide as the cells of a geometry suggest."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calogan.geometry import Geometry

__all__ = ["cell_pitch", "ring_edges"]

_MULTIPLES = (1, 3, 6, 9, 12, 16)


def cell_pitch(geometry: Geometry) -> NDArray[np.float64]:
    """Root of the mean area of each layer's cells [mm], shape ``(layers,)``."""
    areas = [np.mean(np.diff(layer.x_edges)) * np.mean(np.diff(layer.y_edges)) for layer in geometry.layers]
    return np.sqrt(np.array(areas))


def ring_edges(geometry: Geometry) -> tuple[float, ...]:
    """Radii between rings: 1, 3, 6, 9, 12 and 16 cells, as far as the calorimeter reaches.

    A cell stands for the geometric mean of the layers' pitches, rounded to one digit so that labels read well.
    Radii at which no cell is left, seen from the middle of the layers, are left out; the last ring has no end.

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
    unit = float(f"{np.exp(np.log(cell_pitch(geometry)).mean()):.0e}")
    reach = max(math.hypot(_reach(layer.x_edges), _reach(layer.y_edges)) for layer in geometry.layers)
    return (0.0, *(unit * number for number in _MULTIPLES if unit * number < reach), math.inf)


def _reach(edges: tuple[float, ...]) -> float:
    """Distance of the outermost cell's centre from the middle [mm]."""
    return (edges[-1] - edges[0]) / 2 - min(edges[1] - edges[0], edges[-1] - edges[-2]) / 2
