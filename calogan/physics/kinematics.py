"""Incident particles: momentum, direction, projected track, and the domain of a surrogate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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

    @classmethod
    def from_config(cls, config: DomainConfig) -> Domain:
        """Domain of a configuration, whose angle is in degrees."""
        return cls(
            momentum=config.momentum,
            max_angle=math.radians(config.max_angle),
            entry_x=config.entry_x,
            entry_y=config.entry_y,
            tolerance=config.tolerance,
        )

    @property
    def entry_centre(self) -> tuple[float, float]:
        """Middle of the entry windows, x and y [mm]."""
        return (self.entry_x[0] + self.entry_x[1]) / 2, (self.entry_y[0] + self.entry_y[1]) / 2

    def __str__(self) -> str:
        """The bounds in words."""
        windows = f"x {_range(self.entry_x)} mm, y {_range(self.entry_y)} mm"
        return f"{_range(self.momentum)} GeV, angles up to {math.degrees(self.max_angle):.3g} degrees, {windows}"

    def holds(self, other: Domain) -> bool:
        """Whether every particle of another domain is in this one, up to this one's tolerance.

        Example:
            >>> wide = Domain((1.0, 64.0), 0.35, (-20.0, 20.0), (-20.0, 20.0))
            >>> wide.holds(Domain((2.0, 64.0), 0.1, (0.0, 20.0), (-20.0, 20.0)))
            True
        """
        size, x, y = (values.ravel() for values in np.meshgrid(other.momentum, other.entry_x, other.entry_y))
        across, along = size * math.sin(other.max_angle), size * math.cos(other.max_angle)
        return not self.outside(np.stack([across, np.zeros_like(size), along, x, y], axis=1)).any()

    def outside(self, incident: NDArray[Any]) -> NDArray[np.bool_]:
        """Which particles are outside; one with NaN or with pz <= 0 is.

        A bound is widened by ``tolerance * |bound|``, that of an entry window by the tolerance times its larger
        bound (at least 1 mm).

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

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
        return ~inside

    def clip(self, incident: NDArray[Any]) -> NDArray[np.float32]:
        """Move |p|, direction (at the same azimuth) and entry point of outside particles to the nearest allowed.

        Args:
            incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.

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
        return clipped

    def describe(self) -> str:
        """One line with the ranges and their units.

        Example:
            >>> Domain((1.0, 64.0), 0.25, (-20.0, 20.0), (0.0, 0.0)).describe()
            '|p| 1 to 64 GeV, angle up to 14.32 degrees, x -20 to 20 mm, y 0 to 0 mm'
        """
        if not any((self.max_angle, *self.entry_x, *self.entry_y)):
            return f"|p| {self.momentum[0]:g} to {self.momentum[1]:g} GeV, along the axis"
        return (
            f"|p| {self.momentum[0]:g} to {self.momentum[1]:g} GeV, angle up to {math.degrees(self.max_angle):.4g} "
            f"degrees, x {self.entry_x[0]:g} to {self.entry_x[1]:g} mm, y {self.entry_y[0]:g} to {self.entry_y[1]:g} mm"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

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
            return cls(**ranges, max_angle=float(values["max_angle"]), tolerance=float(values["tolerance"]))
        except (KeyError, IndexError, TypeError, ValueError) as error:
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
