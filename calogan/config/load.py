"""Reading a configuration from YAML, with overrides and errors that say where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from calogan.config.data import DataConfig
from calogan.config.geometry import LIST_OF_EDGES, GeometryConfig
from calogan.config.study import Config
from calogan.errors import ConfigError, near_miss
from calogan.redaction import redact

__all__ = ["load_calorimeter", "load_config", "load_data", "make_calorimeter", "make_config"]

# What pydantic names between a field and its key, to tell the forms of the field apart.
_FORMS = {
    "dense",
    "hits",
    "positions",
    "calochallenge",
    "calogan",
    "edm4hep",
    "barrel",
    "endcap",
    "AxisConfig",
    LIST_OF_EDGES,
    "LayerConfig",
    "PolarLayerConfig",
}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML configuration.

    Args:
        path: YAML file.
        overrides: ``section.key=value`` with the value in YAML, as of ``--set``.

    Raises:
        ConfigError: The file is unreadable, or a key or value is wrong; says where.
    """
    path = Path(path)
    values = _read(path)
    for override in overrides:
        _apply_override(values, override)
    return make_config(values, path)


def make_config(values: Mapping[str, Any], origin: object) -> Config:
    """A configuration from plain values.

    Args:
        values: Sections by name.
        origin: Where they are from, for the message.

    Raises:
        ConfigError: A key or value is wrong; says where.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_describe(origin, error, Config)) from error


def load_calorimeter(path: str | Path, particle: str | None = None) -> GeometryConfig:
    """Read the cells of a calorimeter.

    Args:
        path: YAML file with a section `geometry`, such as a configuration, or with what is in one, and no more; or a
            binning file of the CaloChallenge (.xml).
        particle: Element of the binning file; may be left out where there is one only.

    Raises:
        ConfigError: The file is unreadable, or a key or value is wrong; says where.
    """
    path = Path(path)
    if path.suffix.lower() == ".xml":
        return make_calorimeter({"xml": path, "particle": particle}, path)
    if particle is not None:
        msg = f"{path}: a particle ({particle}) is chosen from a binning file of the CaloChallenge (.xml) only"
        raise ConfigError(msg)
    values = _read(path)
    return make_calorimeter(values.get("geometry", values), path)


def load_data(path: str | Path) -> DataConfig:
    """Read the section `data` of a configuration that need not have any other yet.

    Raises:
        ConfigError: The file is unreadable, or a key or value is wrong; says where.
    """
    path = Path(path)
    try:
        return DataConfig.model_validate(_read(path).get("data"))
    except ValidationError as error:
        raise ConfigError(_describe(path, error, DataConfig)) from error


def make_calorimeter(values: Mapping[str, Any], origin: object) -> GeometryConfig:
    """The cells of a calorimeter from plain values.

    Args:
        values: Section `geometry` of a configuration.
        origin: Where they are from, for the message.

    Raises:
        ConfigError: A key or value is wrong; says where.
    """
    try:
        return GeometryConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_describe(origin, error, GeometryConfig)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot read the configuration: {error}"
        raise ConfigError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{path}: not valid YAML: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error
    if not isinstance(values, dict):
        msg = f"{path}: expected a mapping of sections, got {type(values).__name__}"
        raise ConfigError(msg)
    return values


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        msg = f"--set {override}: expected section.key=value"
        raise ConfigError(msg)
    *parents, last = key.split(".")
    node: Any = values
    for parent in parents:
        node = _child(node, parent, override)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        msg = f"--set {override}: the value is not valid YAML"
        raise ConfigError(msg) from error
    if isinstance(node, list):
        if not last.isdigit() or int(last) >= len(node):
            msg = f"--set {override}: {last!r} is not an index of a list of {len(node)}"
            raise ConfigError(msg)
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        msg = f"--set {override}: {'.'.join(parents)} is a value, not a section"
        raise ConfigError(msg)


def _child(node: Any, key: str, override: str) -> Any:
    if isinstance(node, dict):
        return node.setdefault(key, {})
    if isinstance(node, list) and key.isdigit() and int(key) < len(node):
        return node[int(key)]
    msg = f"--set {override}: there is no section {key!r}"
    raise ConfigError(msg)


def _describe(origin: object, error: ValidationError, model: type[BaseModel]) -> str:
    parts = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"] if part not in _FORMS) or "config"
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"][:-1], model)
            parts.append(f"{where}: unknown key; {near_miss(str(problem['loc'][-1]), known)}")
        else:
            text = problem["msg"].removeprefix("Value error, ")
            shown = "" if isinstance(problem["input"], Mapping | list) else f" (got {redact(repr(problem['input']))})"
            parts.append(f"{where}: {text}{shown}")
    return f"{origin}: " + "; ".join(parts)


def _known_keys(location: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    schema: Any = model.model_json_schema()
    definitions = schema.get("$defs", {})
    node: Any = schema
    for part in location:
        node = _resolve(node, definitions)
        if isinstance(part, int):
            node = node.get("items") or node.get("additionalProperties") or {}  # a list, or a mapping by numbers
        elif "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"][part]}
        elif "oneOf" in node:
            node = {"$ref": f"#/$defs/{part}"}
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
    return list(_resolve(node, definitions).get("properties", {}))


def _resolve(node: Any, definitions: Mapping[str, Any]) -> Any:
    while "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    return node
