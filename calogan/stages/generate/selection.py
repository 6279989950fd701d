"""Which particles the surrogate makes showers for, and why it leaves the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Self

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ConfigError
from calogan.physics.kinematics import Domain, angle, momentum
from calogan.physics.particles import list_types
from calogan.sampler import ShowerSampler

__all__ = ["Reason", "Selection"]


class Reason(IntFlag):
    """Why a particle is left to the full simulation; several reasons are added."""

    MOMENTUM = 1
    ANGLE = 2
    ENTRY_POINT = 4
    PARTICLE_TYPE = 8
    NOT_A_NUMBER = 16

    @property
    def text(self) -> str:
        """The reasons in words.

        Example:
            >>> Reason(9).text
            'momentum; particle type'
        """
        return "; ".join(reason.name.lower().replace("_", " ") for reason in Reason if reason in self and reason.name)

    @classmethod
    def legend(cls) -> str:
        """All reasons with their numbers."""
        return ", ".join(f"{reason.value} {reason.text}" for reason in cls)


@dataclass(frozen=True)
class Selection:
    """Particle types and domain of a surrogate.

    Attributes:
        domain: Incident particles that showers can be made for.
        pdg: PDG ids that it is used for; none stands for all.
        entry_point: Whether it is told the entry point.
    """

    domain: Domain
    pdg: tuple[int, ...]
    entry_point: bool

    @classmethod
    def of(cls, sampler: ShowerSampler, domain: Domain, pdg: Sequence[int]) -> Self:
        """Selection of a sampler.

        Args:
            sampler: Makes the showers.
            domain: Particles that they are wanted for, which it may move into its own domain.
            pdg: Other particle types than those of its training, if any.

        Raises:
            ConfigError: It is told the type, and does not know one of these.
        """
        unknown = [one for one in pdg if one not in sampler.pdg]
        if unknown and "particle" in sampler.condition:
            msg = f"no showers of pdg {list_types(unknown)}: the model makes those of pdg {list_types(sampler.pdg)}"
            raise ConfigError(msg)
        return cls(domain, tuple(pdg) or sampler.pdg, "entry_point" in sampler.condition)

    @property
    def only_pdg(self) -> int:
        """The PDG id if there is one alone, else 0."""
        return self.pdg[0] if len(self.pdg) == 1 else 0

    def seen(self, incident: NDArray[np.float32]) -> NDArray[np.float32]:
        """Incident particles as the surrogate takes them: in the centre where it is told no entry point."""
        if self.entry_point:
            return incident
        moved = incident.copy()
        moved[:, 3:] = self.domain.entry_centre
        return moved

    def reasons(self, incident: NDArray[np.float32], pdg: NDArray[np.int32] | None) -> NDArray[np.uint8]:
        """Reasons to leave each particle, added; 0 for one to make a shower for.

        Args:
            incident: px, py, pz [GeV], x, y [mm] as by `seen`, shape ``(particles, 5)``.
            pdg: PDG ids, shape ``(particles,)``; none where they are not known.

        Returns:
            Sums, shape ``(particles,)``.
        """
        sums = np.zeros(len(incident), dtype=np.uint8)
        for domain, rows in ((self.domain, np.arange(len(incident))), *self.domain.apart(pdg)):
            outside = domain.outside(incident[rows])
            sums[rows] = 0
            sums[rows[outside]] = _reasons(incident[rows[outside]], domain)
        if pdg is not None and self.pdg:
            other = ~np.isin(pdg, self.pdg) & (sums != Reason.NOT_A_NUMBER)
            sums[other] |= np.uint8(Reason.PARTICLE_TYPE)
        return sums

    def describe(self) -> str:
        """Domain and particle types in words."""
        types = f", pdg {list_types(self.pdg)}" if self.pdg else ""
        return f"{self.domain.describe()}{types}"


def _reasons(incident: NDArray[np.float32], domain: Domain) -> NDArray[np.uint8]:
    """Why each particle is outside: what is tried has all else in the middle of the domain."""
    sizes: NDArray[np.float32] = momentum(incident)
    straight = np.zeros_like(incident)
    straight[:, 2] = np.sqrt(domain.momentum[0] * domain.momentum[1])
    straight[:, 3:] = domain.entry_centre
    size, direction, entry = straight.copy(), straight.copy(), straight.copy()
    size[:, 2] = sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        direction[:, :3] = incident[:, :3] / sizes[:, None] * straight[:, 2:3]
    entry[:, 3:] = incident[:, 3:]
    sums = np.zeros(len(incident), dtype=np.uint8)
    for reason, tried in ((Reason.MOMENTUM, size), (Reason.ANGLE, direction), (Reason.ENTRY_POINT, entry)):
        sums[domain.outside(tried)] |= np.uint8(reason)
    # By rounding, a particle just beyond a bound may pass when it is tried.
    passed = sums == 0
    sums[passed] = _nearest(incident[passed].astype(np.float64), domain)
    sums[~np.isfinite(incident.sum(axis=1))] = Reason.NOT_A_NUMBER
    return sums


def _nearest(incident: NDArray[np.float64], domain: Domain) -> NDArray[np.uint8]:
    """The bound that each particle is furthest beyond, in units of the bound."""
    sizes: NDArray[np.float64] = momentum(incident)
    beyond = [
        _beyond(sizes, domain.momentum, domain.momentum),
        (angle(incident) - domain.max_angle) / (domain.max_angle or 1),
    ]
    for column, window in ((3, domain.entry_x), (4, domain.entry_y)):
        scale = max(1.0, *map(abs, window))  # as the domain's tolerance
        beyond.append(_beyond(incident[:, column], window, (scale, scale)))
    reasons = np.array([Reason.MOMENTUM, Reason.ANGLE, Reason.ENTRY_POINT, Reason.ENTRY_POINT], dtype=np.uint8)
    furthest: NDArray[np.uint8] = reasons[np.argmax(beyond, axis=0)]
    return furthest


def _beyond(
    values: NDArray[np.float64], bounds: tuple[float, float], scales: tuple[float, float]
) -> NDArray[np.float64]:
    return np.maximum((bounds[0] - values) / scales[0], (values - bounds[1]) / scales[1])
