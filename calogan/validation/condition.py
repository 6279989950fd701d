"""Were both samples made for the same incident particles? Everything else rests on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calogan.data.showers import Showers
from calogan.physics.kinematics import angle, slopes

__all__ = ["ConditionCheck", "ConditionTest", "check_condition"]


@dataclass(frozen=True)
class ConditionTest:
    """Kolmogorov-Smirnov test of one property of the incident particles.

    Attributes:
        name: Property, with its unit in square brackets.
        reference_mean: Mean over the reference sample.
        generated_mean: Mean over the generated sample.
        distance: Largest difference of the two cumulative distributions.
        p_value: Probability of a larger distance for particles of one distribution.
    """

    name: str
    reference_mean: float
    generated_mean: float
    distance: float
    p_value: float


@dataclass(frozen=True)
class ConditionCheck:
    """Comparison of the incident particles of both samples.

    Attributes:
        paired: Every generated shower has the very particle of the reference shower in the same place.
        tests: One test for each property.
    """

    paired: bool
    tests: tuple[ConditionTest, ...]

    @property
    def lowest_p(self) -> float:
        """Smallest p-value, multiplied by the number of tests (Bonferroni), at most 1."""
        return min(1.0, len(self.tests) * min(test.p_value for test in self.tests))


def check_condition(reference: Showers, generated: Showers) -> ConditionCheck:
    r"""Compare \|p\|, angle, slopes and entry point of the incident particles of both samples."""
    paired = len(reference) == len(generated) and bool(np.array_equal(reference.incident, generated.incident))
    first, second = _properties(reference), _properties(generated)
    tests = []
    for name, values in first.items():
        result = stats.ks_2samp(values, second[name], method="asymp")
        tests.append(
            ConditionTest(
                name, float(values.mean()), float(second[name].mean()), float(result.statistic), float(result.pvalue)
            )
        )
    return ConditionCheck(paired, tuple(tests))


def _properties(showers: Showers) -> dict[str, NDArray[np.float64]]:
    slope_x, slope_y = slopes(showers.incident.astype(np.float64))
    return {
        "|p| [GeV]": showers.momentum,
        "angle [degree]": np.degrees(angle(showers.incident)),
        "px/pz": slope_x,
        "py/pz": slope_y,
        "entry point x [mm]": showers.incident[:, 3].astype(np.float64),
        "entry point y [mm]": showers.incident[:, 4].astype(np.float64),
    }
