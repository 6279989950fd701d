"""Vectors that stand for a shower in metrics of many numbers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ShapeError, near_miss
from calogan.geometry import Geometry
from calogan.metrics.neighbours import neighbour_features
from calogan.physics.kinematics import momentum, slopes, track_position

__all__ = ["cell_features", "condition_features", "observable_matrix", "standardise", "type_features", "voxel_features"]

_UNDEFINED = -5.0  # standard deviations from the mean
_BRIGHTEST = 100
_NEAREST = 64
_LEAST_NEAREST = 9  # of one layer
_BLOCK = 1000  # showers worked on at a time


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
    reference: NDArray[np.float64], generated: NDArray[np.float64], *, limit: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both samples in units of the reference's standard deviations from its means.

    A number that is not finite (an observable of an empty shower) becomes five standard deviations below the mean,
    so that a sample with too many of them stands out. Columns without width in the reference are only shifted.

    Args:
        reference: Vectors, shape ``(n, numbers)``.
        generated: Vectors, shape ``(m, numbers)``.
        limit: Numbers further from the mean, in standard deviations, are brought to this distance, so that long
            tails do not rule what follows; none if left out.

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
    return (first, second) if limit is None else (first.clip(-limit, limit), second.clip(-limit, limit))


def condition_features(incident: NDArray[Any]) -> NDArray[np.float32]:
    """Log |p|, slopes and entry point [cm] of incident particles, shape ``(showers, 5)``."""
    particles = np.asarray(incident, dtype=np.float64)
    columns = [np.log(momentum(particles)), *slopes(particles), particles[:, 3] / 10, particles[:, 4] / 10]
    return np.stack(columns, axis=1).astype(np.float32)


def type_features(pdg: NDArray[Any], types: Sequence[int]) -> NDArray[np.float32]:
    """A column for each particle type, 1 where the shower is of it and 0 elsewhere, shape ``(showers, types)``.

    Example:
        >>> type_features(np.array([22, 11]), (11, 22))
        array([[0., 1.],
               [1., 0.]], dtype=float32)
    """
    found: NDArray[np.float32] = (np.asarray(pdg)[:, None] == np.asarray(types, dtype=np.int64)).astype(np.float32)
    return found


def cell_features(
    cell_energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry, *, scale: float
) -> NDArray[np.float32]:
    r"""Every cell, their sums, the brightest, those along the track, pairs of neighbours, and what the particle was.

    .. math:: \tfrac1{100}\,\mathrm{asinh}(E_i / s), \quad \ln E, \quad \ln E / |p|, \quad
        \ln \frac{E_l + s}{E}, \quad \ln \frac{E_{(k)} + s}{E}, \quad \ln \frac{E_{l,[k]} + s}{E}

    with the layers' energies :math:`E_l`, the 100 highest cells :math:`E_{(k)}`, and in each layer the cells
    :math:`E_{l,[k]}` nearest to the straight line of the particle, in the order of their distance from it, about 64
    in all. Last come sums over cells and over pairs of neighbours in rings about that line, see `neighbour_features`.
    The cells in their own places are small numbers: with a few thousand showers a network learns more from the
    others, which mean the same for every particle, and it shall begin with these.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Where the cells are.
        scale: Energy s [GeV] of faint cells, e.g. the threshold.

    Returns:
        Features, shape ``(showers, features)``.
    """
    blocks = [
        _shower_features(cell_energy[start : start + _BLOCK], incident[start : start + _BLOCK], geometry, scale)
        for start in range(0, max(len(incident), 1), _BLOCK)
    ]
    return np.concatenate(blocks)


def voxel_features(cell_energy: NDArray[Any], incident: NDArray[Any]) -> NDArray[np.float32]:
    r"""What the CaloChallenge's low-level classifier sees: :math:`\log_{10} |p|` and :math:`100\,E_i / |p|`.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

    Returns:
        Features, shape ``(showers, 1 + cells)``.

    Source:
        arXiv:2410.21611 and its public evaluation, with the momentum for the incident energy.
    """
    size = momentum(np.asarray(incident, dtype=np.float64))[:, None]
    return np.concatenate([np.log10(size), 100 * cell_energy / size], axis=1, dtype=np.float32)


def _shower_features(
    cell_energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry, scale: float
) -> NDArray[np.float32]:
    energy = np.asarray(cell_energy, dtype=np.float32)
    size = momentum(np.asarray(incident, dtype=np.float64))[:, None]
    total = np.maximum(energy.sum(axis=1, dtype=np.float64, keepdims=True), scale)
    brightest = np.sort(energy, axis=1)[:, ::-1][:, :_BRIGHTEST]
    groups: list[NDArray[Any]] = [geometry.layer_energy(energy), brightest, *_nearest_cells(energy, incident, geometry)]
    parts = [np.arcsinh(energy / scale) / 100, condition_features(incident), np.log(total), np.log(total / size)]
    parts += [np.log((group + scale) / total) for group in groups]
    parts.append(neighbour_features(energy, incident, geometry, scale))
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _nearest_cells(energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry) -> list[NDArray[Any]]:
    """Energies of each layer's cells nearest to the projected track, nearest first."""
    particles = np.asarray(incident, dtype=np.float64)
    wanted = max(_LEAST_NEAREST, _NEAREST // geometry.n_layers)
    found = []
    for number, layer in enumerate(geometry.layers):
        cells = slice(geometry.offsets[number], geometry.offsets[number] + layer.n_cells)
        x, y = track_position(particles, layer.depth)
        distance = np.hypot(geometry.cell_x[cells] - x[:, None], geometry.cell_y[cells] - y[:, None])
        distance = np.hypot(distance, layer.spread)
        order = np.argsort(distance, axis=1, kind="stable")[:, :wanted]
        found.append(np.take_along_axis(energy[:, cells], order, axis=1))
    return found
