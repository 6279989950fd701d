"""The time that the full simulation took for its showers, where its files record it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

__all__ = ["SimulationTime"]


@dataclass(frozen=True)
class SimulationTime:
    """Mean time of a shower.

    Attributes:
        branch: Branch that it was read from.
        showers: Showers in the mean.
        mean: Mean time of a shower [ms].
    """

    branch: str
    showers: int
    mean: float

    @classmethod
    def of_all(cls, times: Iterable[SimulationTime]) -> Self | None:
        """Mean over several files; None if there are none, or they have no showers."""
        known = list(times)
        showers = sum(time.showers for time in known)
        if not showers:
            return None
        names = ", ".join(dict.fromkeys(time.branch for time in known))
        return cls(names, showers, sum(time.mean * time.showers for time in known) / showers)
