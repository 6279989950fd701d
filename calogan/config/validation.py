"""How samples are compared, and which differences matter."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from calogan.config.section import Section

__all__ = ["CriteriaConfig", "ValidationConfig"]


class CriteriaConfig(Section):
    """Effect sizes of the report's verdicts: the smallest differences beyond the floor that matter.

    See docs/validation.md for how errors and floors enter.
    """

    response: float = Field(default=0.004, gt=0, description="|relative difference of the response|, all momenta")
    response_bin: float = Field(default=0.02, gt=0, description="the same in each momentum bin")
    resolution: float = Field(default=0.05, gt=0, description="|relative difference of the resolution|, all momenta")
    resolution_bin: float = Field(default=0.15, gt=0, description="the same in each momentum bin")
    occupancy: float = Field(default=0.02, gt=0, description="|relative difference of the mean number of lit cells|")
    separation: float = Field(default=0.01, gt=0, description="separation power minus floor, each observable")
    copies: float = Field(
        default=0.005, gt=0, description="share of generated showers that are equal to another shower"
    )
    classifier_low: float = Field(default=0.6, gt=0.5, le=1, description="low-level classifier AUC")
    classifier_high: float = Field(default=0.6, gt=0.5, le=1, description="high-level classifier AUC")
    condition_p: float = Field(
        default=1e-3, gt=0, lt=1, description="least p-value of the same incident particles in both samples"
    )
    confidence: float = Field(
        default=0.95, ge=0.5, lt=1, description="confidence of the limit that must lie below the effect size"
    )
    false_failures: float = Field(
        default=0.01, gt=0, lt=0.5, description="chance that samples of one distribution fail any criterion, at most"
    )

    @model_validator(mode="after")
    def _chances_add_up(self) -> Self:
        if self.condition_p >= self.false_failures:
            msg = f"condition_p {self.condition_p} is part of false_failures {self.false_failures} and must be below it"
            raise ValueError(msg)
        return self


class ValidationConfig(Section):
    """How the comparison is made."""

    max_showers: int | None = Field(
        default=None, ge=100, description="showers compared at most; null takes the whole split"
    )
    momentum_bins: list[float] | None = Field(
        default=None,
        min_length=2,
        description="edges of the bins in |p| [GeV]; null makes four, equal in log |p|, of the domain",
    )
    condition_bins: int = Field(
        default=4, ge=2, le=12, description="bins of |p|, angle and entry point for every observable"
    )
    cell_thresholds: list[float] = Field(
        default=[1e-3, 3e-3, 1e-2],
        min_length=1,
        description="cell energies [GeV] at which coverage is measured, besides the read-out threshold",
    )
    observables: dict[str, str] = Field(
        default={},
        description="observables of your own: name to 'package.module:attribute', a function or an Observable",
    )
    bootstrap: int = Field(default=100, ge=20, description="resamplings for errors, and as many for floors")
    classifiers: bool = Field(
        default=True, description="train classifiers; a quick report without them has no criteria on them"
    )
    classifier_repeats: int = Field(
        default=5, ge=3, le=20, description="parts of the showers, each tested once by a classifier trained on others"
    )
    protocol: Literal["default", "calochallenge"] = Field(
        default="default", description="classifiers of this package, or those of the CaloChallenge (slow)"
    )
    full: bool = Field(
        default=False,
        description="whole learning curve, more blocks for coverage, all showers in the search for copies: slow",
    )
    weights: bool = Field(
        default=False, description="density ratio of the low-level classifier as weights of the generated showers"
    )
    seed: int = Field(default=20260101, ge=0, description="seed of resampling, splits and generated showers")
    criteria: CriteriaConfig = CriteriaConfig()

    @model_validator(mode="after")
    def _weights_need_classifiers(self) -> Self:
        if self.weights and not self.classifiers:
            msg = "weights come from the low-level classifier: set classifiers to true"
            raise ValueError(msg)
        return self

    @field_validator("momentum_bins")
    @classmethod
    def _ascending(cls, edges: list[float] | None) -> list[float] | None:
        if edges is not None and any(high <= low for low, high in pairwise(edges)):
            msg = f"must ascend, got {edges}"
            raise ValueError(msg)
        return edges
