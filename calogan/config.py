"""The configuration: one tree of bounded, described fields, read from YAML and hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from calogan.errors import ConfigError, near_miss

__all__ = [
    "ConditionName",
    "Config",
    "CriteriaConfig",
    "DataConfig",
    "DenseSource",
    "DomainConfig",
    "GeometryConfig",
    "HitsSource",
    "LayerConfig",
    "ModelConfig",
    "PositionsSource",
    "Source",
    "TrackingConfig",
    "TrainingConfig",
    "Units",
    "ValidationConfig",
    "load_config",
]

ConditionName = Literal["momentum", "direction", "entry_point"]

_EDGES = "list of edges"
# What pydantic names between a field and its key, to tell the forms of the field apart.
_FORMS = {"dense", "hits", "positions", "AxisConfig", _EDGES}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AxisConfig(_Section):
    """Equal cells along one axis."""

    cells: int = Field(ge=1, description="number of cells")
    low: float = Field(description="lower edge of the first cell [mm]")
    high: float = Field(description="upper edge of the last cell [mm]")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.high <= self.low:
            msg = f"high ({self.high}) must be above low ({self.low})"
            raise ValueError(msg)
        return self

    def edges(self) -> list[float]:
        """Edges [mm], ``cells + 1`` of them."""
        step = (self.high - self.low) / self.cells
        return [self.low + step * index for index in range(self.cells)] + [self.high]


def _form_of_axis(value: Any) -> str:
    return AxisConfig.__name__ if isinstance(value, AxisConfig | Mapping) else _EDGES


Axis = Annotated[
    Annotated[AxisConfig, Tag(AxisConfig.__name__)] | Annotated[list[float], Tag(_EDGES)], Discriminator(_form_of_axis)
]


class LayerConfig(_Section):
    """One layer: rows along x, columns along y."""

    x: Axis = Field(description="rows: {cells, low, high} or a list of edges [mm]")
    y: Axis = Field(description="columns: {cells, low, high} or a list of edges [mm]")
    depth: float = Field(ge=0, description="depth of a shower's centre in this layer from the front face [mm]")
    z_range: tuple[float, float] | None = Field(default=None, description="front and back of the layer [mm]")

    def to_dict(self) -> dict[str, Any]:
        """The form that `Geometry.from_dict` takes."""
        return {
            "x_edges": self.x.edges() if isinstance(self.x, AxisConfig) else self.x,
            "y_edges": self.y.edges() if isinstance(self.y, AxisConfig) else self.y,
            "depth": self.depth,
            "z_range": self.z_range,
        }


class GeometryConfig(_Section):
    """The calorimeter's layers, from the front to the back."""

    layers: list[LayerConfig] = Field(min_length=1, description="layers, front first")

    def to_dict(self) -> dict[str, Any]:
        """The form that `Geometry.from_dict` takes."""
        return {"layers": [layer.to_dict() for layer in self.layers]}


class Units(_Section):
    """Units of the input files; everything is converted once, when it is read."""

    energy: Literal["keV", "MeV", "GeV"] = Field(default="MeV", description="unit of the cell energies")
    momentum: Literal["MeV", "GeV"] = Field(default="GeV", description="unit of the incident momentum")
    length: Literal["mm", "cm", "m"] = Field(default="mm", description="unit of entry points and positions")


class _Source(_Section):
    files: list[str] = Field(
        min_length=1,
        description="paths, globs, folders, URLs (fsspec, XRootD), file.root:tree, or calogan://NAME for shipped data",
    )
    tree: str = Field(default="showers", description="name of the TTree or RNTuple")
    units: Units = Units()
    event: str | None = Field(default="event", description="branch of the unique event id; null if there is none")
    pdg: str | None = Field(default=None, description="branch of the incident particle's PDG id; null if there is none")
    momentum: tuple[str, str, str] = Field(default=("px", "py", "pz"), description="branches of the incident momentum")
    entry_point: tuple[str, str] | None = Field(
        default=("x", "y"), description="branches of the entry point at the front face; null if there is none"
    )
    simulation_time: str | None = Field(
        default=None, description="branch of the time [ms] that the full simulation took for the shower, for the report"
    )


class DenseSource(_Source):
    """A fixed-size branch a layer, `energy[rows][columns]`."""

    layout: Literal["dense"]
    energy: list[str] = Field(default=["energy"], min_length=1, description="branch of each layer, front first")


class HitsSource(_Source):
    """Jagged branches with the cell and the energy of each hit; hits in one cell are added."""

    layout: Literal["hits"]
    cell_layer: str | None = Field(default=None, description="branch of the hit's layer; null for one layer")
    cell_row: str = Field(default="cell_ix", description="branch of the hit's row, counted from 0 at the lowest x")
    cell_column: str = Field(default="cell_iy", description="branch of the hit's column, from 0 at the lowest y")
    cell_energy: str = Field(default="cell_energy", description="branch of the hit's energy")


class PositionsSource(_Source):
    """Jagged branches with the position and the energy of each hit; hits in one cell are added."""

    layout: Literal["positions"]
    hit_x: str = Field(default="hit_x", description="branch of the hit's x")
    hit_y: str = Field(default="hit_y", description="branch of the hit's y")
    hit_z: str | None = Field(
        default=None, description="branch of the hit's z, from the front face; null for one layer"
    )
    hit_energy: str = Field(default="hit_energy", description="branch of the hit's energy")


Source = Annotated[DenseSource | HitsSource | PositionsSource, Field(discriminator="layout")]


class DataConfig(_Section):
    """Which files hold the full simulation, and how they are read."""

    sources: list[Source] = Field(min_length=1, description="groups of files of one layout each")
    on_bad_file: Literal["raise", "skip"] = Field(
        default="raise", description="stop at a bad file, or leave it out and list it"
    )
    workers: int = Field(default=1, ge=1, description="files read at the same time")
    chunk_showers: int = Field(default=2500, ge=1, description="showers held in memory at a time by each worker")


class DomainConfig(_Section):
    """Incident particles that the surrogate is made for; data and requests are checked against it."""

    momentum: tuple[float, float] = Field(description="lowest and highest |p| [GeV]")
    max_angle: float = Field(gt=0, lt=90, description="largest angle to the calorimeter's axis [degree]")
    entry_x: tuple[float, float] = Field(default=(0.0, 0.0), description="window of the entry point's x [mm]")
    entry_y: tuple[float, float] = Field(default=(0.0, 0.0), description="window of the entry point's y [mm]")
    tolerance: float = Field(default=1e-5, ge=0, description="relative tolerance of the bounds (float32 rounding)")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for name in ("momentum", "entry_x", "entry_y"):
            low, high = getattr(self, name)
            if high < low:
                msg = f"{name}: the upper bound ({high}) is below the lower one ({low})"
                raise ValueError(msg)
        if self.momentum[0] <= 0:
            msg = f"momentum: the lower bound must be above 0 GeV, got {self.momentum[0]}"
            raise ValueError(msg)
        return self


class ModelConfig(_Section):
    """Sizes of the generator and the critic."""

    latent_size: int = Field(default=24, ge=1, description="noise shared by all cells of a shower")
    generator_hidden: list[int] = Field(
        default=[256, 320, 320], min_length=1, description="widths of the generator's hidden layers"
    )
    critic_hidden: list[int] = Field(
        default=[384, 256, 128], min_length=1, description="widths of the critic's hidden layers"
    )


class TrainingConfig(_Section):
    """Lengths in steps; one step is one update of the generator."""

    FREE: ClassVar[frozenset[str]] = frozenset({"checkpoint_every", "device", "log_every", "max_minutes", "threads"})
    """Fields that may change when a training is taken up again: they change no result."""

    batch_size: int = Field(default=128, ge=2, description="showers in a batch")
    warmup_steps: int = Field(default=2000, ge=1, description="supervised steps before the adversarial phase")
    steps: int = Field(default=6000, ge=0, description="adversarial steps")
    critic_steps: int = Field(default=3, ge=1, description="critic updates per generator update")
    critic_head_start: int = Field(default=100, ge=0, description="adversarial steps that train the critic alone")
    gradient_penalty: float = Field(default=10.0, gt=0, description="weight of the gradient penalty")
    warmup_learning_rate: float = Field(default=2e-3, gt=0, description="Adam's rate in the supervised phase")
    generator_learning_rate: float = Field(default=1e-4, gt=0, description="Adam's rate of the generator")
    critic_learning_rate: float = Field(default=2e-4, gt=0, description="Adam's rate of the critic")
    symmetries: list[Literal["flip_x", "flip_y", "swap_xy"]] = Field(
        default=[],
        description="mirror images of the showers to train on as well; only where calorimeter and particles have them",
    )
    ema_decay: float = Field(default=0.999, ge=0, lt=1, description="decay of the averaged generator weights per step")
    hold_out_momentum: tuple[float, float] | None = Field(
        default=None,
        description="band of |p| [GeV] kept from training and selection, to see in the report how well it is filled",
    )
    log_every: int = Field(default=50, ge=1, description="steps between two lines of metrics.jsonl")
    evaluate_every: int = Field(default=500, ge=1, description="steps between two physics scores on validation showers")
    evaluate_showers: int = Field(default=2000, ge=10, description="validation showers in a physics score")
    checkpoint_every: int = Field(default=500, ge=1, description="steps between two checkpoints")
    max_minutes: float | None = Field(default=None, gt=0, description="stop after this time, on top of the steps")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, ...")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; null leaves torch's choice")


class CriteriaConfig(_Section):
    """Effect sizes of the report's verdicts: the smallest differences beyond the floor that matter.

    See docs/validation.md for how errors and floors enter.
    """

    response: float = Field(default=0.004, gt=0, description="|relative difference of the response|, all momenta")
    response_bin: float = Field(default=0.02, gt=0, description="the same in each momentum bin")
    resolution: float = Field(default=0.045, gt=0, description="|relative difference of the resolution|, all momenta")
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


class ValidationConfig(_Section):
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
    full: bool = Field(default=False, description="more repeats, all sizes of the learning curve: takes long")
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


class TrackingConfig(_Section):
    """Where MLflow keeps the record; MLFLOW_TRACKING_URI goes before `uri`."""

    enabled: bool = Field(default=True, description="log to MLflow where it is installed")
    uri: str = Field(default="sqlite:///mlflow.db", description="tracking server or database")
    experiment: str = Field(default="calogan", min_length=1, description="MLflow experiment")


class Config(_Section):
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
    tracking: TrackingConfig = TrackingConfig()

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
            if isinstance(source, DenseSource) and len(source.energy) != len(self.geometry.layers):
                msg = (
                    f"data.sources[{number}].energy names {len(source.energy)} branches, "
                    f"but the geometry has {len(self.geometry.layers)} layers"
                )
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


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML configuration.

    Args:
        path: YAML file.
        overrides: ``section.key=value`` with the value in YAML, as of ``--set``.

    Raises:
        ConfigError: The file is unreadable, or a key or value is wrong; says where.
    """
    path = Path(path)
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
    for override in overrides:
        _apply_override(values, override)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_describe(path, error)) from error


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


def _describe(path: Path, error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"] if part not in _FORMS) or "config"
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"][:-1])
            parts.append(f"{where}: unknown key; {near_miss(str(problem['loc'][-1]), known)}")
        else:
            text = problem["msg"].removeprefix("Value error, ")
            shown = "" if isinstance(problem["input"], Mapping | list) else f" (got {problem['input']!r})"
            parts.append(f"{where}: {text}{shown}")
    return f"{path}: " + "; ".join(parts)


def _known_keys(location: Sequence[int | str]) -> list[str]:
    schema: Any = Config.model_json_schema()
    definitions = schema.get("$defs", {})
    node: Any = schema
    for part in location:
        node = _resolve(node, definitions)
        if isinstance(part, int):
            node = node.get("items", {})
        elif "discriminator" in node:
            node = {"$ref": node["discriminator"]["mapping"][part]}
        elif "oneOf" in node:
            node = {"$ref": f"#/$defs/{part}"}
        else:
            node = node.get("properties", {}).get(part, {})
    return list(_resolve(node, definitions).get("properties", {}))


def _resolve(node: Any, definitions: Mapping[str, Any]) -> Any:
    while "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    return node
