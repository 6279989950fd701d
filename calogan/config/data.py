"""Where the showers come from, and the particles that they belong to."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from calogan.config.local_frame import LocalFrameConfig
from calogan.config.section import Section
from calogan.redaction import DATA_CREDENTIALS, has_credentials

__all__ = [
    "DataConfig",
    "DenseSource",
    "DomainConfig",
    "Edm4hepSource",
    "HitsSource",
    "PositionsSource",
    "Source",
    "Units",
]


class Units(Section):
    """Units of the input files; everything is converted once, when it is read."""

    energy: Literal["keV", "MeV", "GeV"] = Field(default="MeV", description="unit of the cell energies")
    momentum: Literal["MeV", "GeV"] = Field(default="GeV", description="unit of the incident momentum")
    length: Literal["mm", "cm", "m"] = Field(default="mm", description="unit of entry points and positions")


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
        default=None, description="branch of the time [ms] that the full simulation took for the shower, for the report"
    )


class _Source(_Files):
    tree: str = Field(default="showers", description="name of the TTree or RNTuple")
    units: Units = Units()
    event: str | None = Field(default="event", description="branch of the unique event id; null if there is none")
    pdg: str | None = Field(default=None, description="branch of the incident particle's PDG id; null if there is none")
    momentum: tuple[str, str, str] = Field(default=("px", "py", "pz"), description="branches of the incident momentum")
    entry_point: tuple[str, str] | None = Field(
        default=("x", "y"), description="branches of the entry point at the front face; null if there is none"
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
    def momentum(self) -> tuple[str, str, str]:
        """Names of the incident momentum, in the local frame."""
        return f"{self.particles}.momentum.x", f"{self.particles}.momentum.y", f"{self.particles}.momentum.z"

    @property
    def entry_point(self) -> tuple[str, str]:
        """Names of the entry point, in the local frame."""
        return f"{self.particles}.entry.x", f"{self.particles}.entry.y"


Source = Annotated[DenseSource | HitsSource | PositionsSource | Edm4hepSource, Field(discriminator="layout")]


class DataConfig(Section):
    """Which files hold the full simulation, and how they are read."""

    sources: list[Source] = Field(min_length=1, description="groups of files of one layout each")
    on_bad_file: Literal["raise", "skip"] = Field(
        default="raise", description="stop at a bad file, or leave it out and list it"
    )
    workers: int = Field(default=1, ge=1, description="files read at the same time")
    chunk_showers: int = Field(default=2500, ge=1, description="showers held in memory at a time by each worker")


class DomainConfig(Section):
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
