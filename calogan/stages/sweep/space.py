"""What a sweep varies: settings that exist, with values that the configuration takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from calogan.config import Config, ModelConfig, ParameterConfig, TrainingConfig, make_config
from calogan.errors import ConfigError, near_miss

__all__ = ["SearchSpace"]

# They change no result, or what the score means, so that scores of two trials would not compare.
_FIXED = TrainingConfig.FREE | {"evaluate_every", "evaluate_showers", "hold_out_momentum"}


@dataclass(frozen=True)
class SearchSpace:
    """Settings that are varied.

    Attributes:
        config: The study; what is not varied stays as it says.
        parameters: Values by the path of a setting.
    """

    config: Config
    parameters: Mapping[str, ParameterConfig]

    @classmethod
    def of(cls, config: Config) -> SearchSpace:
        """The settings that `config.sweep` names, each with its ends or choices tried on the configuration.

        Raises:
            ConfigError: Nothing is varied, a setting cannot be varied, or the configuration refuses a value.
        """
        if not config.sweep.parameters:
            msg = (
                "the configuration has no sweep.parameters: name what is varied, such as "
                "sweep: {parameters: {training.critic_learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}}}"
            )
            raise ConfigError(msg)
        known = _variable()
        for path, values in config.sweep.parameters.items():
            if path not in known:
                msg = f"sweep.parameters.{path}: no setting that a sweep can vary; {near_miss(path, known)}"
                raise ConfigError(msg)
            if known[path] and values.choices is None and not all(_is_whole(end) for end in (values.low, values.high)):
                msg = f"sweep.parameters.{path}: low {values.low:g} and high {values.high:g} must be whole numbers"
                raise ConfigError(msg)
        return cls(config, config.sweep.parameters)

    def distributions(self) -> dict[str, BaseDistribution]:
        """What optuna draws from; choices that are lists or sections are texts there."""
        return {path: _distribution(values, whole=_variable()[path]) for path, values in self.parameters.items()}

    def chosen(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Values by path, from what optuna drew."""
        return {path: _choice(self.parameters[path], value) for path, value in drawn.items()}

    def configure(self, chosen: Mapping[str, Any], *, name: str, run_dir: Path) -> Config:
        """The configuration of a trial, without a sweep of its own.

        Raises:
            ConfigError: The configuration refuses the values together.
        """
        values = self.config.model_dump(mode="json") | {"name": name, "run_dir": str(run_dir), "sweep": {}}
        for path, value in chosen.items():
            *parents, last = path.split(".")
            node = values
            for parent in parents:
                node = node[parent]
            node[last] = value
        return make_config(values, "sweep.parameters")

    def examples(self) -> Iterator[Config]:
        """Configurations with each end of a range and each choice, one at a time.

        Raises:
            ConfigError: The configuration refuses one.
        """
        for path, distribution in self.distributions().items():
            if isinstance(distribution, CategoricalDistribution):
                drawn = list(distribution.choices)
            else:
                drawn = [distribution.low, distribution.high]  # type: ignore[attr-defined]
            for value in drawn:
                yield self.configure(self.chosen({path: value}), name=self.config.name, run_dir=self.config.run_dir)


def _variable() -> dict[str, bool]:
    """Paths of the settings that make another generator, and whether they are whole numbers."""
    found = {"seed": True, "condition": False}
    for section, model in (("model", ModelConfig), ("training", TrainingConfig)):
        for name, field in model.model_fields.items():
            if section == "model" or name not in _FIXED:
                kinds = get_args(field.annotation) or (field.annotation,)
                found[f"{section}.{name}"] = int in kinds and float not in kinds
    return found


def _is_whole(value: float | None) -> bool:
    return value is not None and float(value).is_integer()


def _distribution(values: ParameterConfig, *, whole: bool) -> BaseDistribution:
    if values.choices is not None:
        return CategoricalDistribution([_text(choice) for choice in values.choices])
    low, high = values.low, values.high
    assert low is not None
    assert high is not None
    if whole:
        return IntDistribution(int(low), int(high), log=values.log)
    return FloatDistribution(low, high, log=values.log)


def _text(choice: Any) -> Any:
    """A choice as optuna keeps it."""
    return choice if choice is None or isinstance(choice, bool | int | float | str) else json.dumps(choice)


def _choice(values: ParameterConfig, drawn: Any) -> Any:
    if values.choices is None:
        return drawn
    return next(choice for choice in values.choices if _text(choice) == drawn)
