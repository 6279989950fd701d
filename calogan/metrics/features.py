"""Vectors that stand for a shower in metrics of many numbers at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ShapeError, near_miss
from calogan.physics.kinematics import momentum, slopes

__all__ = ["cell_features", "condition_features", "observable_matrix", "standardise"]

_UNDEFINED = -5.0  # standard deviations from the mean


def observable_matrix(observables: Mapping[str, NDArray[Any]], names: list[str] | None = None) -> NDArray[np.float64]:
    """Observables as columns in the order of `names` (of the mapping if left out), shape ``(showers, names)``.

    Raises:
        ShapeError: A name that is not in the mapping.
    """
    wanted = list(observables) if names is None else names
    for name in wanted:
        if name not in observables:
            msg = f"no observable {name!r} in the sample; {near_miss(name, observables)}"
            raise ShapeError(msg)
    return np.stack([np.asarray(observables[name], dtype=np.float64) for name in wanted], axis=1)


def standardise(
    reference: NDArray[np.float64], generated: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both samples in units of the reference's standard deviations from its means.

    A number that is not finite (an observable of an empty shower) becomes five standard deviations below the mean,
    so that a sample with too many of them stands out. Columns without width in the reference are only shifted.

    Args:
        reference: Vectors, shape ``(n, numbers)``.
        generated: Vectors, shape ``(m, numbers)``.

    Returns:
        The two, in this order, same shapes.
    """
    finite = np.isfinite(reference)
    weight = np.maximum(finite.sum(axis=0), 1)
    mean = np.where(finite, reference, 0.0).sum(axis=0) / weight
    sigma = np.sqrt((np.where(finite, reference - mean, 0.0) ** 2).sum(axis=0) / weight)
    sigma = np.where(sigma > 1e-12 * np.abs(mean), sigma, 1.0)
    first, second = (
        np.where(np.isfinite(values), (values - mean) / sigma, _UNDEFINED) for values in (reference, generated)
    )
    return first, second


def condition_features(incident: NDArray[Any]) -> NDArray[np.float32]:
    """Log |p|, slopes and entry point [cm] of incident particles, shape ``(showers, 5)``."""
    particles = np.asarray(incident, dtype=np.float64)
    columns = [np.log(momentum(particles)), *slopes(particles), particles[:, 3] / 10, particles[:, 4] / 10]
    return np.stack(columns, axis=1).astype(np.float32)


def cell_features(cell_energy: NDArray[Any], incident: NDArray[Any], *, scale: float) -> NDArray[np.float32]:
    r"""Every cell on two scales, and what the particle was.

    .. math:: \tfrac14\,\mathrm{asinh}(E_i / s), \quad 3 \sqrt{E_i / |p|}

    The first shows the faint cells, the second the core.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        scale: Energy s [GeV] of faint cells, e.g. the threshold.

    Returns:
        Features, shape ``(showers, 2 * cells + 5)``.
    """
    energy = np.asarray(cell_energy, dtype=np.float32)
    size = momentum(np.asarray(incident, dtype=np.float32))[:, None]
    parts = [np.arcsinh(energy / np.float32(scale)) / 4, 3 * np.sqrt(energy / size), condition_features(incident)]
    return np.concatenate(parts, axis=1, dtype=np.float32)
