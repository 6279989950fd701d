"""Where a shower lies about its projected track: centres, widths, asymmetries, rings, depth."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from calogan.geometry import Geometry
from calogan.physics.arrays import like, ratio
from calogan.physics.kinematics import slopes

__all__ = [
    "asymmetry",
    "centre",
    "depth",
    "depth_width",
    "line_width",
    "radial_width",
    "ring_fraction",
    "track_offsets",
    "width",
]

ArrayT = TypeVar("ArrayT")  # a NumPy array or a torch tensor; the result is of the same kind


def track_offsets(incident: ArrayT, geometry: Geometry) -> tuple[ArrayT, ArrayT]:
    """Position of each cell relative to the straight track of the incident particle at the cell's depth.

    Args:
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells.

    Returns:
        Offsets along x and y [mm], each of shape ``(showers, cells)``.
    """
    particles: Any = incident
    depths = like(geometry.cell_depth, particles)[None, :]
    slope_x, slope_y = slopes(particles)
    offset_x = like(geometry.cell_x, particles)[None, :] - particles[:, 3:4] - slope_x[:, None] * depths
    offset_y = like(geometry.cell_y, particles)[None, :] - particles[:, 4:5] - slope_y[:, None] * depths
    return offset_x, offset_y


def centre(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry, *, axis: int) -> ArrayT:
    r"""Energy-weighted centre relative to the projected track.

    .. math:: \sum_i E_i (x_i - x - d_i p_x/p_z) / \sum_i E_i

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells; :math:`d_i` is the depth of the cell's layer.
        axis: 0 for x, 1 for y.

    Returns:
        Centres [mm], shape ``(showers,)``; NaN for an empty shower.
    """
    energy: Any = cell_energy
    particles: Any = incident
    position = geometry.cell_y if axis else geometry.cell_x
    first = energy @ like(position, energy) - slopes(particles)[axis] * (energy @ like(geometry.cell_depth, energy))
    return ratio(first, energy.sum(1)) - particles[:, 3 + axis]  # type: ignore[no-any-return]


def width(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry, *, axis: int) -> ArrayT:
    """Energy-weighted standard deviation of the cells' x (axis 0) or y (axis 1) about the shower's axis.

    The axis goes through the shower's centre along the incident direction; for one layer this is the plain
    standard deviation of the position.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells.
        axis: 0 for x, 1 for y.

    Returns:
        Widths [mm], shape ``(showers,)``; NaN for an empty shower.
    """
    return _variance(cell_energy, incident, geometry, axis) ** 0.5  # type: ignore[operator, no-any-return]


def radial_width(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry) -> ArrayT:
    """Root mean square distance of the energy from the shower's axis [mm], shape ``(showers,)``; NaN if empty."""
    parts: list[Any] = [_variance(cell_energy, incident, geometry, axis) for axis in (0, 1)]
    return (parts[0] + parts[1]) ** 0.5  # type: ignore[no-any-return]


def _variance(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry, axis: int) -> ArrayT:
    energy: Any = cell_energy
    slope: Any = slopes(incident)[axis]
    position, layer_depth = geometry.cell_y if axis else geometry.cell_x, geometry.cell_depth
    vectors = [position, layer_depth, position**2, position * layer_depth, layer_depth**2]
    moments = energy @ like(np.stack(vectors, axis=1), energy)
    total = energy.sum(1)
    mean = ratio(moments[:, 0] - slope * moments[:, 1], total)
    square = ratio(moments[:, 2] - 2 * slope * moments[:, 3] + slope * slope * moments[:, 4], total)
    return (square - mean * mean).clip(0, None)  # type: ignore[no-any-return]


def asymmetry(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry, *, longitudinal: bool) -> ArrayT:
    r"""Energy imbalance about the projected track.

    .. math:: (E_+ - E_-) / E

    where the sides are parted by the line through the projected point perpendicular to the transverse momentum
    (longitudinal; plus is downstream) or along it (transverse; plus is to the left of the momentum).
    A cell whose centre is on the line counts for neither side. Without transverse momentum the line's
    direction is that of x.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells; the track is projected to the depth of each layer.
        longitudinal: Which of the two asymmetries.

    Returns:
        Asymmetries from -1 to 1, shape ``(showers,)``; NaN for an empty shower.

    Source:
        arXiv:1812.01319, which projects to one fixed depth.
    """
    energy: Any = cell_energy
    along, across = _track_frame(incident, geometry)
    side: Any = along if longitudinal else across
    imbalance = (energy * (side > 0)).sum(1) - (energy * (side < 0)).sum(1)
    return ratio(imbalance, energy.sum(1))  # type: ignore[no-any-return]


def line_width(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry, *, longitudinal: bool) -> ArrayT:
    """Energy-weighted standard deviation of position along a line of one cell's width through the projected point.

    The line runs along the transverse momentum (longitudinal) or perpendicular to it (transverse). A cell whose
    centre is at a distance d from the line counts with the weight ``max(0, 1 - d / pitch)``, i.e. energies are
    interpolated linearly to the line; the pitch is the mean side of the layer's cells.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells; the track is projected to the depth of each layer.
        longitudinal: Which of the two widths.

    Returns:
        Widths [mm], shape ``(showers,)``; NaN if no energy lies on the line.

    Source:
        arXiv:1812.01319, which samples an interpolated image along the line.
    """
    energy: Any = cell_energy
    along, across = _track_frame(incident, geometry)
    position, distance = (along, across) if longitudinal else (across, along)
    weight = energy * (1 - abs(distance) / like(_pitch(geometry), energy)).clip(0, None)
    total = weight.sum(1)
    mean = ratio((weight * position).sum(1), total)
    square = ratio((weight * position * position).sum(1), total)
    return (square - mean * mean).clip(0, None) ** 0.5  # type: ignore[no-any-return]


def ring_fraction(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry, *, inner: float, outer: float) -> ArrayT:
    """Fraction of the energy in cells whose centres are from `inner` to below `outer` [mm] off the projected track.

    Args:
        cell_energy: Energies [GeV], shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells; the track is projected to the depth of each layer.
        inner: Inner radius [mm].
        outer: Outer radius [mm]; may be infinite.

    Returns:
        Fractions, shape ``(showers,)``; NaN for an empty shower.
    """
    energy: Any = cell_energy
    offset_x, offset_y = track_offsets(incident, geometry)
    square: Any = offset_x * offset_x + offset_y * offset_y  # type: ignore[operator]
    inside = (square >= inner * inner) & (square < outer * outer)
    return ratio((energy * inside).sum(1), energy.sum(1))  # type: ignore[no-any-return]


def depth(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry) -> ArrayT:  # noqa: ARG001
    """Energy-weighted mean depth of the layers [mm], shape ``(showers,)``; NaN for an empty shower."""
    energy: Any = cell_energy
    return ratio(energy @ like(geometry.cell_depth, energy), energy.sum(1))  # type: ignore[no-any-return]


def depth_width(cell_energy: ArrayT, incident: ArrayT, geometry: Geometry) -> ArrayT:
    """Energy-weighted standard deviation of the layers' depths [mm], shape ``(showers,)``; NaN if empty."""
    energy: Any = cell_energy
    mean: Any = depth(cell_energy, incident, geometry)
    square = ratio(energy @ like(geometry.cell_depth**2, energy), energy.sum(1))
    return (square - mean * mean).clip(0, None) ** 0.5  # type: ignore[no-any-return]


def _track_frame(incident: ArrayT, geometry: Geometry) -> tuple[Any, Any]:
    """Offsets of cells from the track along and to the left of the transverse momentum, each (showers, cells)."""
    particles: Any = incident
    px, py = particles[:, 0:1], particles[:, 1:2]
    size = (px * px + py * py) ** 0.5
    straight = size == 0
    cosine, sine = (px + straight) / (size + straight), py / (size + straight)
    offset_x, offset_y = track_offsets(particles, geometry)
    return offset_x * cosine + offset_y * sine, offset_y * cosine - offset_x * sine


def _pitch(geometry: Geometry) -> Any:
    sides = [np.sqrt(np.mean(np.diff(layer.x_edges)) * np.mean(np.diff(layer.y_edges))) for layer in geometry.layers]
    return np.array(sides)[geometry.cell_layer]
