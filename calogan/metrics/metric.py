"""The result of a metric: a value with its error, beside what two samples of one source would give."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Estimate", "Metric"]


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error; NaN where it cannot be computed."""

    value: float
    error: float


@dataclass(frozen=True)
class Metric:
    """A number comparing a reference with a generated sample.

    Attributes:
        name: What was measured.
        value: Its value.
        error: Standard error of the value.
        floor: Mean value for two samples of the same distribution at the same sizes.
        floor_error: Standard error of the floor; 0 where a formula gives it.
        n_reference: Reference showers that entered.
        n_generated: Generated showers that entered.
        source: Where the definition comes from.
        floor_note: How the floor was found.
        p_value: Chance of such a value, or a larger one, for two samples of the same distribution.
    """

    name: str
    value: float
    error: float
    floor: float
    floor_error: float
    n_reference: int
    n_generated: int
    source: str
    floor_note: str = ""
    p_value: float | None = None

    @property
    def excess(self) -> float:
        """Value above the floor; negative by chance for samples that agree."""
        return self.value - self.floor

    @property
    def excess_error(self) -> float:
        """Standard error of the excess."""
        return math.hypot(self.error, self.floor_error)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
