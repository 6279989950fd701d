"""Analytic showers for tests and for benchmarks of scale, never for a result."""

from __future__ import annotations

import numpy as np

from calogan.data.showers import Showers
from calogan.geometry import Geometry, Layer

__all__ = ["toy_geometry", "toy_showers"]

_SAMPLING_FRACTION = 0.2
_RADIUS = 15.0  # width of a shower [mm]


def toy_geometry() -> Geometry:
    """Three layers of 3x12, 6x6 and 4x2 cells over 120 mm x 120 mm, from z = 0 to 300 mm."""

    def edges(cells: int) -> tuple[float, ...]:
        return tuple(float(edge) for edge in np.linspace(-60.0, 60.0, cells + 1))

    return Geometry(
        (
            Layer(edges(3), edges(12), depth=25.0, z_range=(0.0, 50.0)),
            Layer(edges(6), edges(6), depth=125.0, z_range=(50.0, 200.0)),
            Layer(edges(4), edges(2), depth=250.0, z_range=(200.0, 300.0)),
        )
    )


def toy_showers(rng: np.random.Generator, geometry: Geometry, count: int, *, first_event: int = 0) -> Showers:
    """Gaussian blobs along the track, with fluctuating totals and cells, and cells without energy.

    Args:
        rng: Source of all numbers.
        geometry: Cells to fill.
        count: Number of showers.
        first_event: Id of the first shower; the others follow.

    Returns:
        Electrons of 1 to 64 GeV, up to 15 degrees from the axis, entering within 5 mm of its centre.
    """
    momentum = np.exp(rng.uniform(0.0, np.log(64.0), count))
    polar, azimuth = rng.uniform(0.0, np.radians(15.0), count), rng.uniform(0.0, 2 * np.pi, count)
    direction = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=1)
    entry = rng.uniform(-5.0, 5.0, (count, 2))
    at = entry[:, None, :] + (direction[:, :2] / direction[:, 2:])[:, None, :] * geometry.cell_depth[None, :, None]
    distance = (geometry.cell_x - at[..., 0]) ** 2 + (geometry.cell_y - at[..., 1]) ** 2 + geometry.cell_spread**2
    share = np.exp(-distance / (2 * _RADIUS**2)) * rng.gamma(2.0, 0.5, distance.shape)
    share[share < 1e-3] = 0.0
    total = _SAMPLING_FRACTION * momentum * (1 + 0.1 / np.sqrt(momentum) * rng.standard_normal(count).clip(-3, 3))
    cell_energy = total[:, None] * share / share.sum(axis=1, keepdims=True)
    return Showers(
        geometry=geometry,
        event=np.arange(first_event, first_event + count, dtype=np.int64),
        incident=np.concatenate([momentum[:, None] * direction, entry], axis=1).astype(np.float32),
        cell_energy=cell_energy.astype(np.float32),
        pdg=np.full(count, 11, dtype=np.int32),
    )
