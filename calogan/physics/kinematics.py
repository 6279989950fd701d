"""Incident particles: momentum, direction, projected track, and the domain of a surrogate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from calogan.config import DomainConfig

__all__ = ["Domain", "angle", "momentum", "slopes", "track_position"]

ArrayT = TypeVar("ArrayT")  # a NumPy array or a torch tensor; the result is of the same kind


def momentum(incident: ArrayT) -> ArrayT:
    r"""Momentum :math:`|p|` of incident particles.

    Args:
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

    Returns:
        Momenta [GeV], shape ``(showers,)``.

    Example:
        >>> momentum(np.array([[2.0, 3.0, 6.0, 0.0, 0.0]]))
        array([7.])
    """
    columns: Any = incident
    px, py, pz = columns[:, 0], columns[:, 1], columns[:, 2]
    return (px * px + py * py + pz * pz) ** 0.5  # type: ignore[no-any-return]


def slopes(incident: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Slopes px/pz and py/pz of incident particles, each of shape ``(showers,)``; needs pz > 0."""
    columns: Any = incident
    return columns[:, 0] / columns[:, 2], columns[:, 1] / columns[:, 2]


def track_position(incident: ArrayT, depth: float) -> tuple[ArrayT, ArrayT]:
    r"""Where the straight line of the incident particle is at a depth.

    .. math:: x(d) = x + d\,p_x/p_z, \quad y(d) = y + d\,p_y/p_z

    Args:
        incident: px, py, pz [GeV], x, y [mm] at the front face, shape ``(showers, 5)``.
        depth: Distance from the front face [mm].

    Returns:
        x and y [mm], each of shape ``(showers,)``.

    Example:
        >>> track_position(np.array([[1.0, 0.0, 10.0, 5.0, -5.0]]), 120.0)
        (array([17.]), array([-5.]))
    """
    columns: Any = incident
    slope_x, slope_y = slopes(columns)
    return columns[:, 3] + depth * slope_x, columns[:, 4] + depth * slope_y


def angle(incident: NDArray[Any]) -> NDArray[np.float64]:
    """Angle between the momentum and the calorimeter's axis [radian], shape ``(showers,)``, from 0 to pi."""
    direction = np.asarray(incident, dtype=np.float64)
    return np.arctan2(np.hypot(direction[:, 0], direction[:, 1]), direction[:, 2])


@dataclass(frozen=True)
class Domain:
    """Incident particles that a surrogate is made for.

    Attributes:
        momentum: Lowest and highest |p| [GeV].
        max_angle: Largest angle to the calorimeter's axis [radian]; 0 for particles along it.
        entry_x: Window of the entry point's x [mm].
        entry_y: Window of the entry point's y [mm].
        tolerance: Relative widening of the bounds, for float32 rounding.
        particles: Domains of single particle types within this one, by PDG id; other types have all of it.

    Example:
        >>> domain = Domain((1.0, 64.0), 0.35, (-20.0, 20.0), (-20.0, 20.0))
        >>> domain.outside(np.array([[0.0, 0.0, 10.0, 0.0, 0.0], [0.0, 0.0, 80.0, 0.0, 0.0]]))
        array([False,  True])
    """

    momentum: tuple[float, float]
    max_angle: float
    entry_x: tuple[float, float]
    entry_y: tuple[float, float]
    tolerance: float = 1e-5
    particles: Mapping[int, Domain] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: DomainConfig) -> Domain:
        """Domain of a configuration, whose angles are in degrees."""
        common = cls(
            momentum=config.momentum,
            max_angle=math.radians(config.max_angle),
            entry_x=config.entry_x,
            entry_y=config.entry_y,
            tolerance=config.tolerance,
        )
        own = {pdg: bounds.model_dump(exclude_none=True) for pdg, bounds in sorted(config.particles.items())}
        for bounds in own.values():
            if "max_angle" in bounds:
                bounds["max_angle"] = math.radians(bounds["max_angle"])
        return replace(common, particles={pdg: replace(common, **bounds) for pdg, bounds in own.items()})

    def of(self, pdg: int) -> Domain:
        """The domain of one particle type.

        Example:
            >>> photons = Domain((5.0, 64.0), 0.35, (0.0, 0.0), (0.0, 0.0))
            >>> Domain((1.0, 64.0), 0.35, (0.0, 0.0), (0.0, 0.0), particles={22: photons}).of(22).momentum
            (5.0, 64.0)
        """
        return self.particles.get(pdg) or replace(self, particles={})

    @property
    def entry_centre(self) -> tuple[float, float]:
        """Middle of the entry windows, x and y [mm]."""
        return (self.entry_x[0] + self.entry_x[1]) / 2, (self.entry_y[0] + self.entry_y[1]) / 2

    def __str__(self) -> str:
        """The bounds in words."""
        windows = f"x {_range(self.entry_x)} mm, y {_range(self.entry_y)} mm"
        common = f"{_range(self.momentum)} GeV, angles up to {math.degrees(self.max_angle):.3g} degrees, {windows}"
        return "; ".join([common, *(f"of pdg {pdg} {own}" for pdg, own in self.particles.items())])

    def common_window(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Entry points in x and y [mm] that particles of all types may have."""
        every = [self, *self.particles.values()]
        x, y = (
            (max(low for low, _ in windows), min(high for _, high in windows))
            for windows in zip(*((one.entry_x, one.entry_y) for one in every), strict=True)
        )
        return x, y

    def entering(self, entry_x: tuple[float, float], entry_y: tuple[float, float]) -> Domain:
        """The same domain with other entry windows [mm], for all types."""
        own = {pdg: domain.entering(entry_x, entry_y) for pdg, domain in self.particles.items()}
        return replace(self, entry_x=entry_x, entry_y=entry_y, particles=own)

    def holds(self, other: Domain) -> bool:
        """Whether every particle of another domain, of whatever type, is in this one, up to this one's tolerance.

        Example:
            >>> wide = Domain((1.0, 64.0), 0.35, (-20.0, 20.0), (-20.0, 20.0))
            >>> wide.holds(Domain((2.0, 64.0), 0.1, (0.0, 20.0), (-20.0, 20.0)))
            True
        """
        size, x, y = (values.ravel() for values in np.meshgrid(other.momentum, other.entry_x, other.entry_y))
        across, along = size * math.sin(other.max_angle), size * math.cos(other.max_angle)
        common = not self.outside(np.stack([across, np.zeros_like(size), along, x, y], axis=1)).any()
        return common and all(self.of(pdg).holds(other.of(pdg)) for pdg in {*self.particles, *other.particles})

    def outside(self, incident: NDArray[Any], pdg: NDArray[Any] | None = None) -> NDArray[np.bool_]:
        """Which particles are outside; one with NaN or with pz <= 0 is.

        A bound is widened by ``tolerance * |bound|``, that of an entry window by the tolerance times its larger
        bound (at least 1 mm).

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
            pdg: PDG ids, shape ``(showers,)``, where each type's own domain is to be kept to.

        Returns:
            Flags, shape ``(showers,)``.

        Raises:
            ShapeError: Not five columns.
        """
        values = _five_columns(incident)
        inside = _within(np.linalg.norm(values[:, :3], axis=1), self.momentum, self.tolerance)
        inside &= (angle(values) <= (self.max_angle * (1 + self.tolerance) or self.tolerance)) & (values[:, 2] > 0)
        for column, window in ((3, self.entry_x), (4, self.entry_y)):
            margin = self.tolerance * max(abs(window[0]), abs(window[1]), 1.0)
            inside &= (values[:, column] >= window[0] - margin) & (values[:, column] <= window[1] + margin)
        for own, rows in self.apart(pdg):
            inside[rows] = ~own.outside(values[rows])
        return ~inside

    def clip(self, incident: NDArray[Any], pdg: NDArray[Any] | None = None) -> NDArray[np.float32]:
        """Move |p|, direction (at the same azimuth) and entry point of outside particles to the nearest allowed.

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
            pdg: PDG ids, shape ``(showers,)``, where each type's own domain is meant.

        Returns:
            float32 copy, shape ``(showers, 5)``. Particles inside are unchanged; so are those with a number that is
            not finite or with pz <= 0, which never reach the front face and stay outside.
        """
        values = _five_columns(incident)
        size = np.linalg.norm(values[:, :3], axis=1)
        movable = self.outside(values) & np.isfinite(values).all(axis=1) & (values[:, 2] > 0) & np.isfinite(size)
        moved = values[movable]
        wanted = np.clip(size[movable], *self.momentum)
        polar = np.minimum(angle(moved), self.max_angle)
        azimuth = np.arctan2(moved[:, 1], moved[:, 0])
        clipped = np.asarray(incident, dtype=np.float32).copy()
        clipped[movable] = np.stack(
            [
                wanted * np.sin(polar) * np.cos(azimuth),
                wanted * np.sin(polar) * np.sin(azimuth),
                wanted * np.cos(polar),
                np.clip(moved[:, 3], *self.entry_x),
                np.clip(moved[:, 4], *self.entry_y),
            ],
            axis=1,
        )
        for own, rows in self.apart(pdg):
            clipped[rows] = own.clip(np.asarray(incident)[rows])
        return clipped

    def apart(self, pdg: NDArray[Any] | None) -> Iterator[tuple[Domain, NDArray[np.int64]]]:
        """Domains of the types that have their own, and which showers are of each.

        Args:
            pdg: PDG ids, shape ``(showers,)``; nothing comes of none.
        """
        if pdg is not None:
            for particle, own in self.particles.items():
                yield own, np.flatnonzero(pdg == particle)

    def describe(self) -> str:
        """One line with the ranges and their units.

        Example:
            >>> Domain((1.0, 64.0), 0.25, (-20.0, 20.0), (0.0, 0.0)).describe()
            '|p| 1 to 64 GeV, angle up to 14.32 degrees, x -20 to 20 mm, y 0 to 0 mm'
        """
        if not any((self.max_angle, *self.entry_x, *self.entry_y)):
            common = f"|p| {self.momentum[0]:g} to {self.momentum[1]:g} GeV, along the axis"
            return "; ".join([common, *(f"pdg {pdg}: {own.describe()}" for pdg, own in self.particles.items())])
        common = (
            f"|p| {self.momentum[0]:g} to {self.momentum[1]:g} GeV, angle up to {math.degrees(self.max_angle):.4g} "
            f"degrees, x {self.entry_x[0]:g} to {self.entry_x[1]:g} mm, y {self.entry_y[0]:g} to {self.entry_y[1]:g} mm"
        )
        return "; ".join([common, *(f"pdg {pdg}: {own.describe()}" for pdg, own in self.particles.items())])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        del values["particles"]
        own = {str(pdg): domain.to_dict() for pdg, domain in self.particles.items()}
        return values | {"particles": own} if own else values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Domain:
        """Domain from the plain values of `to_dict`.

        Raises:
            ConfigError: A bound is missing or is not a number.
        """
        try:
            ranges = {
                name: (float(values[name][0]), float(values[name][1])) for name in ("momentum", "entry_x", "entry_y")
            }
            angle, tolerance = float(values["max_angle"]), float(values["tolerance"])
            own = {int(pdg): cls.from_dict(domain) for pdg, domain in values.get("particles", {}).items()}
            return cls(**ranges, max_angle=angle, tolerance=tolerance, particles=own)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            msg = f"not a domain: {error!r}; expected momentum, max_angle, entry_x, entry_y and tolerance"
            raise ConfigError(msg) from error


def _five_columns(incident: NDArray[Any]) -> NDArray[np.float64]:
    values = np.asarray(incident, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 5:
        msg = f"incident has shape {values.shape}, expected (showers, 5) with px, py, pz [GeV], x, y [mm]"
        raise ShapeError(msg)
    return values


def _within(values: NDArray[np.float64], bounds: tuple[float, float], tolerance: float) -> NDArray[np.bool_]:
    low, high = bounds
    return (values >= low - tolerance * abs(low)) & (values <= high + tolerance * abs(high))


def _range(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"
