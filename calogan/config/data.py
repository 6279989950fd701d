"""Where the showers come from, and the particles that they belong to."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from calogan.config.local_frame import LocalFrameConfig
from calogan.config.section import Section
from calogan.redaction import DATA_CREDENTIALS, has_credentials

__all__ = [
    "CaloChallengeSource",
    "CaloGANSource",
    "DataConfig",
    "DenseSource",
    "DomainConfig",
    "Edm4hepSource",
    "HitsSource",
    "ParticleDomainConfig",
    "PositionsSource",
    "Source",
    "Units",
]


class Units(Section):
    """Units of the input files; everything is converted once, when it is read."""

    energy: Literal["keV", "MeV", "GeV"] = Field(default="MeV", description="unit of the cell energies")
    momentum: Literal["MeV", "GeV"] = Field(default="GeV", description="unit of the incident momentum")
    length: Literal["mm", "cm", "m"] = Field(default="mm", description="unit of entry points and positions")


class CaloChallengeUnits(Units):
    """Units of files of the CaloChallenge, whose energies are all in MeV."""

    momentum: Literal["MeV", "GeV"] = Field(default="MeV", description="unit of the incident energy")


def _without_credentials(path: str) -> str:
    if has_credentials(path):
        raise ValueError(DATA_CREDENTIALS)
    return path


class _Files(Section):
    files: list[Annotated[str, AfterValidator(_without_credentials)]] = Field(
        min_length=1,
        description="paths, globs, folders, URLs (fsspec, XRootD), file.root:tree, or calogan://NAME for shipped data",
    )
    simulation_time: str | None = Field(
        default=None,
        description="branch or data set of the time [ms] that the full simulation took for the shower, for the report",
    )


class _Source(_Files):
    units: Units = Units()
    event: str | None = Field(default=None, description="branch or data set of the unique event id; null: none")
    pdg: str | None = Field(default=None, description="branch or data set of the particle's PDG id; null: none")
    particle_id: int | None = Field(
        default=None, description="PDG id of all incident particles of these files, where they do not say it themselves"
    )
    momentum: tuple[str, ...] = Field(
        default=("px", "py", "pz"),
        description="branches or data sets of the incident momentum, or the one of its size: particles along the axis. "
        "An energy is taken for the momentum, which is right where it is far above the mass",
    )
    entry_point: tuple[str, str] | None = Field(
        default=None, description="branches or data sets of the entry point at the front face; null: there are none"
    )

    @field_validator("momentum")
    @classmethod
    def _size_or_components(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(names) not in {1, 3}:
            msg = f"name px, py, pz or the size alone, got {len(names)} names"
            raise ValueError(msg)
        return names

    @model_validator(mode="after")
    def _one_type(self) -> Self:
        if self.pdg is not None and self.particle_id is not None:
            msg = f"pdg names '{self.pdg}', which goes before particle_id {self.particle_id}; leave one of them out"
            raise ValueError(msg)
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `particle_id` where there is none: the digests of such studies stay what they were."""
        values: dict[str, Any] = serialise(self)
        return values if self.particle_id is not None else {k: v for k, v in values.items() if k != "particle_id"}


class _RootSource(_Source):
    tree: str = Field(default="showers", description="name of the TTree or RNTuple")
    event: str | None = Field(default="event", description="branch of the unique event id; null if there is none")
    entry_point: tuple[str, str] | None = Field(
        default=("x", "y"), description="branches of the entry point at the front face; null if there is none"
    )


class DenseSource(_RootSource):
    """A fixed-size branch a layer, `energy[rows][columns]`."""

    layout: Literal["dense"]
    energy: list[str] = Field(default=["energy"], min_length=1, description="branch of each layer, front first")


class HitsSource(_RootSource):
    """Jagged branches with the cell and the energy of each hit; hits in one cell are added."""

    layout: Literal["hits"]
    cell_layer: str | None = Field(default=None, description="branch of the hit's layer; null for one layer")
    cell_row: str = Field(default="cell_ix", description="branch of the hit's row, counted from 0 at the lowest x")
    cell_column: str = Field(default="cell_iy", description="branch of the hit's column, from 0 at the lowest y")
    cell_energy: str = Field(default="cell_energy", description="branch of the hit's energy")


class PositionsSource(_RootSource):
    """Jagged branches with the position and the energy of each hit; hits in one cell are added."""

    layout: Literal["positions"]
    hit_x: str = Field(default="hit_x", description="branch of the hit's x")
    hit_y: str = Field(default="hit_y", description="branch of the hit's y")
    hit_z: str | None = Field(
        default=None, description="branch of the hit's z, from the front face; null for one layer"
    )
    hit_energy: str = Field(default="hit_energy", description="branch of the hit's energy")


class Edm4hepSource(_Files):
    """Hits at positions in a collider detector, and the particles that made them, in collections of EDM4hep."""

    layout: Literal["edm4hep"]
    tree: str = Field(default="events", description="name of the TTree or RNTuple")
    units: Units = Field(default=Units(energy="GeV"), description="units of the file; those of EDM4hep by default")
    header: str | None = Field(
        default="EventHeader", description="collection with run and event number; null if they are not unique"
    )
    collections: list[str] = Field(min_length=1, description="collections of hits, which are added to one shower")
    position: Literal["hit", "contribution"] = Field(
        default="hit", description="put energies where the hit's cell is, or where its contributions' steps are"
    )
    contributions: list[str] | None = Field(
        default=None, description="contributions of each of the collections; NAMEContributions by default"
    )
    particles: str = Field(default="MCParticles", description="collection with the incident particle")
    charged: Literal["refuse", "straight"] = Field(
        default="refuse", description="charged particles from afar: refuse, or follow straight lines (no field)"
    )
    local_frame: LocalFrameConfig = Field(description="front face of the calorimeter, and axes of the showers on it")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.collections)) < len(self.collections):
            msg = f"collections: each may be named once, got {self.collections}"
            raise ValueError(msg)
        if self.contributions is not None and len(self.contributions) != len(self.collections):
            msg = f"contributions: name one of each of the {len(self.collections)} collections"
            raise ValueError(msg)
        return self

    @property
    def steps(self) -> list[str]:
        """Collection of contributions of each of the collections; none where the hits' positions are taken."""
        if self.position == "hit":
            return []
        return self.contributions or [f"{name}Contributions" for name in self.collections]

    @property
    def event(self) -> str | None:
        """Name of the event id, which the header makes."""
        return None if self.header is None else f"{self.header}.eventNumber"

    @property
    def pdg(self) -> str:
        """Name of the incident particle's PDG id."""
        return f"{self.particles}.PDG"

    @property
    def particle_id(self) -> None:
        """The files say themselves what particles they have."""
        return

    @property
    def momentum(self) -> tuple[str, ...]:
        """Names of the incident momentum, in the local frame."""
        return f"{self.particles}.momentum.x", f"{self.particles}.momentum.y", f"{self.particles}.momentum.z"

    @property
    def entry_point(self) -> tuple[str, str]:
        """Names of the entry point, in the local frame."""
        return f"{self.particles}.entry.x", f"{self.particles}.entry.y"


class CaloChallengeSource(_Source):
    """HDF5 files of the CaloChallenge: the energies of all cells in one row a shower, layer by layer."""

    layout: Literal["calochallenge"]
    units: CaloChallengeUnits = CaloChallengeUnits()
    momentum: tuple[str, ...] = Field(default=("incident_energies",), description="data set of the incident energy")
    showers: str = Field(default="showers", description="data set of the cells' energies")


class CaloGANSource(_Source):
    """HDF5 files of CaloGAN: a data set a layer, of rows x columns a shower; its `overflow` is not looked at."""

    layout: Literal["calogan"]
    momentum: tuple[str, ...] = Field(default=("energy",), description="data set of the incident energy")
    energy: list[str] = Field(
        default=["layer_0", "layer_1", "layer_2"], min_length=1, description="data set of each layer, front first"
    )


Source = Annotated[
    DenseSource | HitsSource | PositionsSource | CaloChallengeSource | CaloGANSource | Edm4hepSource,
    Field(discriminator="layout"),
]


class DataConfig(Section):
    """Which files hold the full simulation, and how they are read."""

    sources: list[Source] = Field(min_length=1, description="groups of files of one layout each")
    on_bad_file: Literal["raise", "skip"] = Field(
        default="raise", description="stop at a bad file, or leave it out and list it"
    )
    workers: int = Field(default=1, ge=1, description="files read at the same time")
    chunk_showers: int = Field(default=2500, ge=1, description="showers held in memory at a time by each worker")
    storage: Literal["auto", "dense", "sparse"] = Field(
        default="auto",
        description="cells of prepared showers on disk: all, those that are not 0, or what takes clearly less disk",
    )


class ParticleDomainConfig(Section):
    """What differs for one particle type; what is left out is as for all types."""

    momentum: tuple[float, float] | None = Field(default=None, description="lowest and highest |p| [GeV]")
    max_angle: float | None = Field(default=None, gt=0, description="largest angle to the axis [degree]")
    entry_x: tuple[float, float] | None = Field(default=None, description="window of the entry point's x [mm]")
    entry_y: tuple[float, float] | None = Field(default=None, description="window of the entry point's y [mm]")


class DomainConfig(Section):
    """Incident particles that the surrogate is made for; data and requests are checked against it."""

    momentum: tuple[float, float] = Field(description="lowest and highest |p| [GeV]")
    max_angle: float = Field(
        default=0.0, ge=0, lt=90, description="largest angle to the calorimeter's axis [degree]; 0: along the axis"
    )
    entry_x: tuple[float, float] = Field(default=(0.0, 0.0), description="window of the entry point's x [mm]")
    entry_y: tuple[float, float] = Field(default=(0.0, 0.0), description="window of the entry point's y [mm]")
    tolerance: float = Field(default=1e-5, ge=0, description="relative tolerance of the bounds (float32 rounding)")
    particles: dict[int, ParticleDomainConfig] = Field(
        default={}, description="narrower bounds of single particle types, by PDG id, where the type is a condition"
    )

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

    @model_validator(mode="after")
    def _narrower(self) -> Self:
        """A type's own bounds are within those of all types, by which the networks scale what they are told."""
        for pdg, own in self.particles.items():
            for name in ("momentum", "entry_x", "entry_y"):
                bounds, (low, high) = getattr(own, name), getattr(self, name)
                if bounds is not None and not low <= bounds[0] <= bounds[1] <= high:
                    msg = f"particles.{pdg}.{name}: {list(bounds)} is no range within the domain's {[low, high]}"
                    raise ValueError(msg)
            if own.max_angle is not None and own.max_angle > self.max_angle:
                msg = f"particles.{pdg}.max_angle: {own.max_angle} is above the domain's max_angle {self.max_angle}"
                raise ValueError(msg)
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `particles` where no type has bounds of its own: the digests of such studies stay what they were."""
        values: dict[str, Any] = serialise(self)
        return values if self.particles else {name: value for name, value in values.items() if name != "particles"}
