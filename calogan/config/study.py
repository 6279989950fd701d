"""A whole study: data, model, training, validation, and where the results go."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from calogan.config.data import CaloGANSource, DataConfig, DenseSource, DomainConfig
from calogan.config.geometry import GeometryConfig
from calogan.config.section import Section
from calogan.config.sweep import SweepConfig
from calogan.config.training import ModelConfig, TrainingConfig
from calogan.config.validation import ValidationConfig
from calogan.redaction import has_credentials

__all__ = ["ConditionName", "Config", "TrackingConfig"]

ConditionName = Literal["momentum", "direction", "entry_point", "particle"]


class TrackingConfig(Section):
    """Where MLflow keeps the record; MLFLOW_TRACKING_URI goes before `uri`."""

    enabled: bool = Field(default=True, description="log to MLflow where it is installed")
    uri: str = Field(default="sqlite:///mlflow.db", description="tracking server or database")
    experiment: str = Field(default="calogan", min_length=1, description="MLflow experiment")

    @field_validator("uri")
    @classmethod
    def _without_credentials(cls, uri: str) -> str:
        if has_credentials(uri):
            msg = (
                "holds a user name, password or token, which would be kept in files; leave it out and set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment"
            )
            raise ValueError(msg)
        return uri


class Config(Section):
    """One study: data, geometry, model, training, validation and where the results go."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name of the study")
    run_dir: Path = Field(description="folder of everything that is written, relative to the working directory")
    seed: int = Field(default=1, ge=0, lt=2**63, description="seed of the training")
    threshold: float = Field(
        default=0.0, ge=0, description="read-out threshold of a cell [GeV]; fainter cells count as 0"
    )
    condition: list[ConditionName] = Field(
        default=["momentum", "direction", "entry_point"], min_length=1, description="what the generator is told"
    )
    data: DataConfig
    geometry: GeometryConfig
    domain: DomainConfig
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    validation: ValidationConfig = ValidationConfig()
    beside: str | None = Field(
        default=None,
        description="another bundle, as for --bundle, that calogan run puts beside the trained one",
    )
    tracking: TrackingConfig = TrackingConfig()
    sweep: SweepConfig = SweepConfig()

    @field_validator("condition")
    @classmethod
    def _known_once(cls, names: list[ConditionName]) -> list[ConditionName]:
        if len(set(names)) != len(names):
            msg = f"names a condition twice: {names}"
            raise ValueError(msg)
        if "momentum" not in names:
            msg = "must contain 'momentum'"
            raise ValueError(msg)
        return names

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for number, source in enumerate(self.data.sources):
            if "entry_point" in self.condition and source.entry_point is None:
                msg = f"condition lists entry_point, but data.sources[{number}].entry_point is null"
                raise ValueError(msg)
            if "particle" in self.condition and source.pdg is None and source.particle_id is None:
                msg = (
                    f"condition lists particle, but data.sources[{number}] has neither pdg, the branch of the PDG id, "
                    "nor particle_id, that of all its showers"
                )
                raise ValueError(msg)
            if "direction" in self.condition and len(source.momentum) == 1:
                msg = (
                    f"condition lists direction, but data.sources[{number}].momentum ({source.momentum[0]}) has none; "
                    "set condition: [momentum]"
                )
                raise ValueError(msg)
            if isinstance(source, DenseSource | CaloGANSource) and len(source.energy) != len(self.geometry.layers):
                msg = (
                    f"data.sources[{number}].energy has {len(source.energy)} names, "
                    f"but the geometry has {len(self.geometry.layers)} layers"
                )
                raise ValueError(msg)
        if "direction" in self.condition and self.domain.max_angle == 0:
            msg = "condition lists direction: set domain.max_angle to the largest angle to the axis [degree]"
            raise ValueError(msg)
        if self.domain.particles and "particle" not in self.condition:
            msg = "domain.particles has bounds of single particle types, but condition does not list particle"
            raise ValueError(msg)
        if self.training.balance_particles and "particle" not in self.condition:
            msg = "training.balance_particles is set, but condition does not list particle"
            raise ValueError(msg)
        self._check_hold_out()
        return self

    def _check_hold_out(self) -> None:
        band = self.training.hold_out_momentum
        if band is None:
            return
        low, high = self.domain.momentum
        if not low < band[0] < band[1] < high:
            msg = f"training.hold_out_momentum {list(band)} must be a band inside of domain.momentum {[low, high]}"
            raise ValueError(msg)

    def to_yaml(self) -> str:
        """The resolved configuration, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)

    def digest(self, *sections: str) -> str:
        """SHA-256 of the named sections (all of them if none is named), without `run_dir`."""
        values = self.model_dump(mode="json", exclude={"run_dir"})
        chosen = {key: values[key] for key in sections} if sections else values
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
