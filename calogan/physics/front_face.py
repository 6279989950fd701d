"""Where particles from a vertex enter the calorimeter: straight lines to its front face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calogan.errors import DomainError, GeometryError, ShapeError

__all__ = ["Entry", "FrontFace", "enter"]

_UNIT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_ORTHONORMAL = 1e-6
_ON_FACE = 1e-6
"""Depth [mm] up to which a vertex is on the front face, for rounding."""


@dataclass(frozen=True)
class FrontFace:
    """The front face of a calorimeter: a plane in the detector, with the calorimeter's own frame on it.

    In the calorimeter's frame the front face is z = 0, and z points inwards; x and y are those of its cells.

    Attributes:
        origin: Where the calorimeter's x = y = z = 0 is in the detector [mm].
        axes: The calorimeter's x, y and z axes, one a row, in the detector's coordinates: the matrix that turns a
            detector's vector into the calorimeter's. By default the axes are the detector's.

    Raises:
        GeometryError: Axes that are not those of a rotation.

    Example:
        >>> FrontFace((0.0, 0.0, 12_620.0)).to_local_position(np.array([[10.0, 0.0, 12_620.0]]))
        array([[10., 0., 0.]])
    """

    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    axes: tuple[tuple[float, float, float], ...] = _UNIT

    def __post_init__(self) -> None:
        """Refuse what is not a point and a rotation."""
        try:
            origin, axes = np.asarray(self.origin, dtype=np.float64), np.asarray(self.axes, dtype=np.float64)
        except (TypeError, ValueError) as error:
            msg = f"a front face needs numbers for origin and axes, got {self.origin!r} and {self.axes!r}"
            raise GeometryError(msg) from error
        if origin.shape != (3,) or axes.shape != (3, 3):
            msg = f"a front face needs an origin (3,) and axes (3, 3), got {origin.shape} and {axes.shape}"
            raise GeometryError(msg)
        if not np.isfinite(origin).all():
            msg = f"the origin of the front face must be finite [mm], got {self.origin}"
            raise GeometryError(msg)
        if not np.allclose(axes @ axes.T, np.eye(3), rtol=0, atol=_ORTHONORMAL) or np.linalg.det(axes) < 0:
            msg = f"the axes of the front face must be orthogonal unit vectors with x cross y = z, got {self.axes}"
            raise GeometryError(msg)

    def to_local_position(self, position: ArrayLike) -> NDArray[np.float64]:
        """Positions in the calorimeter's frame [mm] of positions in the detector [mm], shapes ``(particles, 3)``."""
        return self.to_local_direction(_three_columns("position", position) - np.asarray(self.origin, dtype=np.float64))

    def to_local_direction(self, direction: ArrayLike) -> NDArray[np.float64]:
        """Momenta or directions in the calorimeter's frame of those in the detector, shapes ``(particles, 3)``."""
        turned: NDArray[np.float64] = _three_columns("direction", direction) @ np.asarray(self.axes, dtype=np.float64).T
        return turned


@dataclass(frozen=True)
class Entry:
    """Particles at the front face, in the calorimeter's frame.

    Attributes:
        incident: px, py, pz [GeV] and x, y [mm] at the front face, as the sampler takes them, float64, shape
            ``(particles, 5)``; x and y are NaN for particles that never reach it.
        away: Particles that fly away from the front face, shape ``(particles,)``.
        parallel: Particles that fly along it, or have no momentum, shape ``(particles,)``.
        behind: Particles that start behind it, inside of the calorimeter or beyond, whatever their direction, shape
            ``(particles,)``.
    """

    incident: NDArray[np.float64]
    away: NDArray[np.bool_]
    parallel: NDArray[np.bool_]
    behind: NDArray[np.bool_]

    @property
    def reaches(self) -> NDArray[np.bool_]:
        """Particles that cross the front face's plane on their way in, shape ``(particles,)``."""
        return ~(self.away | self.parallel | self.behind)


def enter(vertex: ArrayLike, momentum: ArrayLike, face: FrontFace | None = None) -> Entry:
    r"""Follow particles from their production vertex along straight lines to the front face.

    .. math:: x = x_v - z_v\,p_x/p_z, \quad y = y_v - z_v\,p_y/p_z

    in the calorimeter's frame, in which also the momentum is returned. The face is a plane without end: whether a
    particle meets the calorimeter is for the sampler's domain to say.

    A charged particle bends in a magnetic field. Then give the sampler what your own propagation found at the front
    face instead, or pass here a position and momentum behind the field.

    Args:
        vertex: Where each particle starts, in the detector [mm], shape ``(particles, 3)``.
        momentum: px, py, pz there, in the detector [GeV], shape ``(particles, 3)``.
        face: The front face; by default z = 0 of the detector.

    Raises:
        ShapeError: Arrays that do not have three columns or go together.
        DomainError: A NaN or an infinity.

    Example:
        >>> vertex = np.array([[0.0, 0.0, -50.0], [0.0, 0.0, 0.0]])
        >>> momentum = np.array([[1.0, 0.0, 10.0], [0.0, 1.0, -10.0]])
        >>> entry = enter(vertex, momentum, FrontFace((0.0, 0.0, 950.0)))
        >>> entry.reaches, entry.incident[entry.reaches]
        (array([ True, False]), array([[ 1., 0., 10., 100., 0.]]))
    """
    face = face or FrontFace()
    points, momenta = _three_columns("vertex", vertex), _three_columns("momentum", momentum)
    if len(points) != len(momenta):
        msg = f"{len(points)} vertices for {len(momenta)} momenta; give one a particle"
        raise ShapeError(msg)
    start, flight = face.to_local_position(points), face.to_local_direction(momenta)
    behind = start[:, 2] > _ON_FACE
    away = ~behind & (flight[:, 2] < 0)
    point = np.full((len(start), 2), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(flight[:, :2], flight[:, 2:], out=point, where=(flight[:, 2:] > 0) & ~behind[:, None])
        point = start[:, :2] - start[:, 2:] * point
    parallel = ~behind & ~away & ~np.isfinite(point).all(axis=1)
    point[parallel] = np.nan
    return Entry(np.concatenate([flight, point], axis=1), away, parallel, behind)


def _three_columns(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be numbers of shape (particles, 3), events flattened; got {type(values).__name__}"
        raise ShapeError(msg) from error
    if array.ndim != 2 or array.shape[1] != 3:
        msg = f"{name} has shape {array.shape}, expected (particles, 3)"
        raise ShapeError(msg)
    bad = ~np.isfinite(array).all(axis=1)
    if bad.any():
        first = int(np.argmax(bad))
        msg = f"{name} of particle {first} is {array[first].tolist()}; leave such particles out"
        raise DomainError(msg)
    return array
