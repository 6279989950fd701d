"""Showers of a collider detector seen from where their particles enter it: local frames on a barrel or an endcap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from calogan.errors import GeometryError

__all__ = ["Barrel", "Endcap", "Face", "LocalFrame", "Meeting", "Views"]

FloatArray = NDArray[np.float64]

_NEVER = 1e9
"""Flight [mm] along a front face that is not met: far outside of any calorimeter."""


@dataclass(frozen=True)
class Meeting:
    """Where particles meet a front face.

    Attributes:
        entry: The points, in the detector [mm], shape ``(particles, 3)``.
        axes: The face's x, y and depth there, one a row, in the detector's coordinates, shape ``(particles, 3, 3)``.
        behind: Distance of the vertices behind the face [mm], negative before it, shape ``(particles,)``.
    """

    entry: FloatArray
    axes: FloatArray
    behind: FloatArray


@dataclass(frozen=True)
class Barrel:
    """Front face about the beam axis z: a cylinder, or a prism of flat sides.

    x is along the azimuth and y along the beam. The depth is along the normal of the flat side that the particle meets
    first. On a cylinder it is the distance from the face, and x the arc along the face, so that a layer has one depth.

    Attributes:
        radius: Radius of the cylinder, or distance of the sides from the beam axis [mm].
        half_length: Largest abs(z) of the front face [mm].
        sides: Number of flat sides; 0 is a cylinder.
        phi: Azimuth of the normal of one side [degree].
    """

    radius: float
    half_length: float
    sides: int = 0
    phi: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is not a barrel."""
        if not (self.radius > 0 and self.half_length > 0) or self.sides in {1, 2} or self.sides < 0:
            msg = f"a barrel needs a radius and a half_length above 0 mm, and no sides or at least 3, got {self}"
            raise GeometryError(msg)

    def meet(self, vertex: FloatArray, momentum: FloatArray) -> Meeting:
        """Follow straight lines to the front face, as if it had no ends."""
        if not self.sides:
            a, b = np.sum(momentum[:, :2] ** 2, axis=1), np.sum(momentum[:, :2] * vertex[:, :2], axis=1)
            behind = np.hypot(vertex[:, 0], vertex[:, 1]) - self.radius
            root = np.sqrt(np.maximum(b**2 - a * behind * (behind + 2 * self.radius), 0))
            entry = _fly(vertex, momentum, root - b, a)
            return Meeting(entry, _axes_at(np.arctan2(entry[:, 1], entry[:, 0])), behind)
        azimuth = np.radians(self.phi) + 2 * np.pi * np.arange(self.sides) / self.sides
        normals = np.column_stack([np.cos(azimuth), np.sin(azimuth), np.zeros(self.sides)])
        gap, speed = self.radius - vertex @ normals.T, momentum @ normals.T
        flight = np.divide(gap, speed, out=np.full(gap.shape, np.inf), where=speed > 0)
        side = np.argmin(flight, axis=1)
        each = np.arange(len(side))
        return Meeting(_fly(vertex, momentum, gap[each, side], speed[each, side]), _axes_at(azimuth[side]), -gap.min(1))

    def nearest(self, entry: FloatArray) -> FloatArray:
        """The points of the face that are nearest to points of an endless one."""
        return np.column_stack([entry[:, :2], np.clip(entry[:, 2], -self.half_length, self.half_length)])


@dataclass(frozen=True)
class Endcap:
    """Front faces at either end of the detector, across the beam axis z; the depth is along the beam, outwards.

    Attributes:
        z: Distance of the front faces from the detector's centre [mm].
        radii: Inner and outer radius of the front faces [mm].
        phi: Azimuth of the x axis at +z [degree]. At -z x points the other way, so that x, y and depth are
            right-handed at either end. None: y points away from the beam, whatever the azimuth of the particle.
    """

    z: float
    radii: tuple[float, float]
    phi: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is not an endcap."""
        if not (self.z > 0 and 0 <= self.radii[0] < self.radii[1]):
            msg = f"an endcap needs a z above 0 mm, and an inner radius below the outer one, got {self}"
            raise GeometryError(msg)

    def meet(self, vertex: FloatArray, momentum: FloatArray) -> Meeting:
        """Follow straight lines to the front face, as if it had no edges."""
        end = np.where(momentum[:, 2] < 0, -1.0, 1.0)
        gap = self.z - end * vertex[:, 2]
        entry = _fly(vertex, momentum, gap, end * momentum[:, 2])
        azimuth = np.arctan2(entry[:, 1], entry[:, 0])
        if self.phi is not None:
            azimuth = np.full(len(end), np.radians(self.phi + 90))
        zero = np.zeros(len(end))
        y, depth = np.column_stack([np.cos(azimuth), np.sin(azimuth), zero]), np.column_stack([zero, zero, end])
        return Meeting(entry, np.stack([np.cross(y, depth), y, depth], axis=1), -gap)

    def nearest(self, entry: FloatArray) -> FloatArray:
        """The points of the face that are nearest to points of an endless one."""
        radius = np.hypot(entry[:, 0], entry[:, 1])
        scale = np.divide(np.clip(radius, *self.radii), radius, out=np.ones_like(radius), where=radius > 0)
        return np.column_stack([entry[:, :2] * scale[:, None], entry[:, 2]])


Face = Barrel | Endcap
_FACES: dict[str, type[Face]] = {"barrel": Barrel, "endcap": Endcap}


@dataclass(frozen=True)
class Views:
    """The local frames of many particles.

    Attributes:
        origin: Where each has its x = y = depth = 0, in the detector [mm], shape ``(particles, 3)``.
        axes: Its x, y and depth axes, one a row, in the detector's coordinates, shape ``(particles, 3, 3)``.
        incident: px, py, pz [GeV] and the entry point x, y [mm] in it, shape ``(particles, 5)``.
        flight: Length of the straight line from the vertex to the front face [mm], shape ``(particles,)``.
        behind: Distance of the vertex behind the front face [mm], negative before it, shape ``(particles,)``.
        radius: Radius of the cylinder that x is an arc on and the depth is counted from [mm]; None for flat frames.
    """

    origin: FloatArray
    axes: FloatArray
    incident: FloatArray
    flight: FloatArray
    behind: FloatArray
    radius: float | None

    def to_local(self, position: FloatArray, particle: NDArray[np.int64]) -> FloatArray:
        """x, y and depth [mm] of positions in the detector [mm].

        Args:
            position: Positions, shape ``(positions, 3)``.
            particle: Whose frame each is seen in, shape ``(positions,)``.
        """
        origin = self.origin[particle]
        if self.radius is None:
            local: FloatArray = np.einsum("nij,nj->ni", self.axes[particle], position - origin)
            return local
        return np.column_stack(
            [
                self.radius * _turn(_azimuth(position) - _azimuth(origin)),
                position[:, 2] - origin[:, 2],
                np.hypot(position[:, 0], position[:, 1]) - self.radius,
            ]
        )


@dataclass(frozen=True)
class LocalFrame:
    """How the frame of a shower lies in the detector.

    Attributes:
        face: Front face of the calorimeter.
        axes: ``face``, those of the front face at the entry point, or ``particle``: depth along the momentum and x
            along the azimuth, across the beam.
        cell: Size of the detector's cells along the face's x and y [mm]. The origin is then the cell centre nearest to
            the entry point, so that each cell of the detector falls whole into one of the geometry, and the entry
            point is the rest. None: the origin is the entry point.
        cell_centre: Where one of the cells has its centre [mm]: along the face's x and y, from the middle of a side, or
            azimuth 0 of a cylinder, and z = 0; in an endcap from the beam, along the axes at +z.
    """

    face: Face
    axes: Literal["face", "particle"] = "face"
    cell: tuple[float, float] | None = None
    cell_centre: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Refuse cells that do not lie along the axes."""
        turned = self.axes == "particle" or (isinstance(self.face, Endcap) and self.face.phi is None)
        if self.cell is not None and (turned or min(self.cell) <= 0):
            msg = (
                f"cells of {self.cell} mm need sizes above 0 and axes that lie along them: axes 'face', and phi in an "
                "endcap"
            )
            raise GeometryError(msg)

    def about(self, vertex: FloatArray, momentum: FloatArray) -> Views:
        """Frames about the points where straight lines meet the front face.

        A particle that passes beside the face has an origin on the face's edge, and an entry point as far away from it
        as it passes; one that flies along the face has one at a million metres.

        Args:
            vertex: Where each particle starts, in the detector [mm], shape ``(particles, 3)``.
            momentum: px, py, pz there, in the detector [GeV], shape ``(particles, 3)``.
        """
        met = self.face.meet(vertex, momentum)
        radius = self.face.radius if isinstance(self.face, Barrel) and not self.face.sides else None
        origin, axes = self.face.nearest(met.entry), met.axes
        if self.cell is not None:
            origin = _to_cell_centre(origin, axes, radius, np.array(self.cell), np.array(self.cell_centre))
        if radius is not None:
            axes = _axes_at(_azimuth(origin))
        every = np.arange(len(origin))
        point = Views(origin, axes, np.empty(0), np.empty(0), met.behind, radius).to_local(met.entry, every)[:, :2]
        if self.axes == "particle":
            radius, axes = None, _axes_along(momentum)
        local = np.einsum("nij,nj->ni", axes, momentum)
        flight = np.linalg.norm(met.entry - vertex, axis=1)
        return Views(origin, axes, np.column_stack([local, point]), flight, met.behind, radius)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        name = next(name for name, kind in _FACES.items() if isinstance(self.face, kind))
        values = {"face": name, **asdict(self.face), "axes": self.axes}
        values |= {"cell": self.cell, "cell_centre": self.cell_centre}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Frame from the plain values of `to_dict`."""
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        own = {key: fields.pop(key) for key in ("axes", "cell", "cell_centre") if key in fields}
        try:
            return cls(_FACES[fields.pop("face")](**fields), **own)
        except (KeyError, TypeError) as error:
            msg = f"not a local frame: {error}"
            raise GeometryError(msg) from error


def _fly(vertex: FloatArray, momentum: FloatArray, gap: FloatArray, speed: FloatArray) -> FloatArray:
    """Ends of straight flights; those that never meet the face end far away along it."""
    size = np.linalg.norm(momentum, axis=1)
    longest = np.divide(_NEVER, size, out=np.zeros_like(size), where=size > 0)
    flight = np.divide(gap, speed, out=longest.copy(), where=speed * longest > np.maximum(gap, 0))
    end: FloatArray = vertex + momentum * np.maximum(flight, 0)[:, None]
    return end


def _azimuth(points: FloatArray) -> FloatArray:
    return np.arctan2(points[:, 1], points[:, 0])


def _turn(angle: FloatArray) -> FloatArray:
    """The same angles between -pi and pi."""
    return np.mod(angle + np.pi, 2 * np.pi) - np.pi


def _axes_at(azimuth: FloatArray) -> FloatArray:
    """Along the azimuth, along the beam, away from it."""
    cos, sin, zero = np.cos(azimuth), np.sin(azimuth), np.zeros_like(azimuth)
    rows = [(-sin, cos, zero), (zero, zero, zero + 1), (cos, sin, zero)]
    return np.stack([np.column_stack(row) for row in rows], axis=1)


def _axes_along(momentum: FloatArray) -> FloatArray:
    """Along the azimuth of the momentum, across it and that, along it."""
    azimuth = _azimuth(momentum)
    size = np.linalg.norm(momentum, axis=1, keepdims=True)
    depth = np.divide(momentum, size, out=np.zeros_like(momentum), where=size > 0)
    x = np.column_stack([-np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)])
    return np.stack([x, np.cross(depth, x), depth], axis=1)


def _to_cell_centre(
    point: FloatArray, axes: FloatArray, radius: float | None, cell: FloatArray, centre: FloatArray
) -> FloatArray:
    """The centre of the cell that each point of a face is in."""
    if radius is not None:
        place = np.column_stack([radius * _azimuth(point), point[:, 2]])
        arc, z = (centre + np.round((place - centre) / cell) * cell).T
        return np.column_stack([radius * np.cos(arc / radius), radius * np.sin(arc / radius), z])
    place = np.einsum("nij,nj->ni", axes[:, :2], point)
    # x points the other way at -z
    centres = centre * np.where(axes[:, 2, 2:] < 0, [-1.0, 1.0], 1.0)
    moved = centres + np.round((place - centres) / cell) * cell - place
    centre_of: FloatArray = point + np.einsum("nij,ni->nj", axes[:, :2], moved)
    return centre_of
