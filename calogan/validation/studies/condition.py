"""Were both samples made for the same incident particles? Everything else rests on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calogan.data.showers import Showers
from calogan.physics.kinematics import angle, slopes
from calogan.validation.numbers import number
from calogan.validation.samples import Samples

__all__ = ["ConditionCheck", "ConditionTest", "check_condition"]

_GRID = 50  # showers of one incident particle, above which it is a point of a grid
_ROUNDING = 1e-6  # of the largest value: float32 numbers that went through other units


@dataclass(frozen=True)
class ConditionTest:
    """Test of one property of the incident particles.

    Attributes:
        name: Property, with its unit in square brackets.
        method: Kolmogorov-Smirnov, or chi-squared for the counts of particle types.
        reference_mean: Mean over the reference sample; NaN for types.
        generated_mean: Mean over the generated sample; NaN for types.
        distance: Largest difference of the two cumulative distributions; of the shares of a type.
        p_value: Probability of a larger distance for particles of one distribution.
    """

    name: str
    method: str
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
        least_p: p-value, corrected for the number of tests, from which on the particles agree.
    """

    paired: bool
    tests: tuple[ConditionTest, ...]
    least_p: float

    @property
    def agree(self) -> bool:
        """Whether the particles may be of one distribution."""
        return self.lowest_p >= self.least_p

    @property
    def lowest_p(self) -> float:
        """Smallest p-value, multiplied by the number of tests (Bonferroni), at most 1."""
        return min(1.0, len(self.tests) * min(test.p_value for test in self.tests))

    @property
    def worst(self) -> ConditionTest:
        """The property that differs most."""
        return min(self.tests, key=lambda test: test.p_value)

    @property
    def sentence(self) -> str:
        """The outcome in a sentence."""
        if not self.agree:
            return (
                f"the incident particles of the two samples differ, most of all in {self.worst.name} "
                f"(p = {number(self.lowest_p, 2)}): differences of the showers may come from that"
            )
        if self.paired:
            return "both samples have the same incident particles: showers are compared in pairs"
        return f"the incident particles of both samples agree in their distributions (p = {number(self.lowest_p, 2)})"


def check_condition(samples: Samples) -> ConditionCheck:
    r"""Compare \|p\|, angle, slopes, entry point and type of the incident particles of both samples.

    Values that differ by no more than float32 rounding count as the same, so that particles of one and the same
    momentum agree whatever units they went through. Types are compared where both samples know them. Several showers
    of one particle count as one, unless there are more than 50: then the particles are points of a grid. A direction
    and an entry point that are 0 for all are none: the files have an energy alone.
    """
    first, second = _properties(samples.reference), _properties(samples.generated)
    sizes = _independent(samples.reference), _independent(samples.generated)
    known = [name for name in first if first[name].any() or second[name].any()]
    tests = [_compare(name, first[name], second[name], sizes) for name in known]
    types = samples.reference.pdg, samples.generated.pdg
    if all(pdg.all() for pdg in types):
        tests.append(_compare_types(*types))
    return ConditionCheck(samples.paired, tuple(tests), samples.settings.criteria.condition_p)


def _independent(showers: Showers) -> int:
    """Number of particles that were drawn independently."""
    particles = len(np.unique(showers.incident, axis=0))
    return particles if len(showers) <= _GRID * particles else len(showers)


def _compare(
    name: str, reference: NDArray[np.float64], generated: NDArray[np.float64], sizes: tuple[int, int]
) -> ConditionTest:
    step = _ROUNDING * max(float(np.abs(reference).max()), float(np.abs(generated).max())) or 1.0
    result = stats.ks_2samp(np.rint(reference / step), np.rint(generated / step), method="asymp")
    means = float(reference.mean()), float(generated.mean())
    p_value = float(stats.kstwo.sf(result.statistic, max(1, round(sizes[0] * sizes[1] / sum(sizes)))))
    return ConditionTest(name, "Kolmogorov-Smirnov", *means, float(result.statistic), p_value)


def _compare_types(reference: NDArray[np.int32], generated: NDArray[np.int32]) -> ConditionTest:
    known, index = np.unique(np.concatenate([reference, generated]), return_inverse=True)
    index = index.reshape(-1)
    parts = index[: len(reference)], index[len(reference) :]
    counts = np.stack([np.bincount(part, minlength=len(known)) for part in parts])
    shares = counts / counts.sum(axis=1, keepdims=True)
    p_value = float(stats.chi2_contingency(counts, correction=False).pvalue) if len(known) > 1 else 1.0
    distance = float(np.abs(shares[0] - shares[1]).max())
    return ConditionTest("particle type (pdg)", "chi-squared", np.nan, np.nan, distance, p_value)


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
