"""Which settings a sweep varies, and how many trials it makes."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from calogan.config.section import Section

__all__ = ["ParameterConfig", "SweepConfig"]


class ParameterConfig(Section):
    """Values of one setting: a range from `low` to `high`, or `choices`."""

    low: float | None = Field(default=None, description="least value of a number")
    high: float | None = Field(default=None, description="largest value of a number")
    log: bool = Field(default=False, description="evenly in the logarithm")
    choices: list[Any] | None = Field(default=None, min_length=2, description="values of any kind, lists too")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.choices is None) == (self.low is None and self.high is None) or (self.low is None) != (
            self.high is None
        ):
            msg = "give low and high, or choices"
            raise ValueError(msg)
        if self.low is not None and self.high is not None and not self.low < self.high:
            msg = f"low {self.low:g} must be below high {self.high:g}"
            raise ValueError(msg)
        if self.log and (self.low is None or self.low <= 0):
            msg = "log needs a range above 0"
            raise ValueError(msg)
        return self


class SweepConfig(Section):
    """Trainings of one study with other settings, judged by the physics score on validation showers."""

    parameters: dict[str, ParameterConfig] = Field(
        default={},
        description="what is varied: path of a setting, such as training.critic_learning_rate, to its values",
    )
    trials: int = Field(default=20, ge=1, description="trainings, of all processes together")
    prune: bool = Field(
        default=True, description="end a trial whose scores so far are worse than the median of those at the same step"
    )
    max_minutes: float | None = Field(default=None, gt=0, description="a process begins no trial after this time")
