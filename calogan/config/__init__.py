"""The configuration: one tree of bounded, described fields, read from YAML and hashed."""

from __future__ import annotations

from calogan.config.data import (
    CaloChallengeSource,
    CaloGANSource,
    DataConfig,
    DenseSource,
    DomainConfig,
    Edm4hepSource,
    HitsSource,
    PositionsSource,
    Source,
    Units,
)
from calogan.config.geometry import GeometryConfig, LayerConfig, PolarLayerConfig
from calogan.config.load import load_calorimeter, load_config, load_data, make_calorimeter, make_config
from calogan.config.study import ConditionName, Config, TrackingConfig
from calogan.config.sweep import ParameterConfig, SweepConfig
from calogan.config.training import ModelConfig, TrainingConfig
from calogan.config.validation import CriteriaConfig, ValidationConfig

__all__ = [
    "CaloChallengeSource",
    "CaloGANSource",
    "ConditionName",
    "Config",
    "CriteriaConfig",
    "DataConfig",
    "DenseSource",
    "DomainConfig",
    "Edm4hepSource",
    "GeometryConfig",
    "HitsSource",
    "LayerConfig",
    "ModelConfig",
    "ParameterConfig",
    "PolarLayerConfig",
    "PositionsSource",
    "Source",
    "SweepConfig",
    "TrackingConfig",
    "TrainingConfig",
    "Units",
    "ValidationConfig",
    "load_calorimeter",
    "load_config",
    "load_data",
    "make_calorimeter",
    "make_config",
]
