"""How showers lie in a file: layout, names of branches or data sets, and units."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

from calogan.config import (
    CaloChallengeSource,
    CaloGANSource,
    DenseSource,
    Edm4hepSource,
    HitsSource,
    PositionsSource,
    Source,
)
from calogan.data.collections import Collections
from calogan.errors import SchemaError, near_miss
from calogan.geometry import Geometry

__all__ = ["Layout", "Schema", "length_in_mm", "per_gev"]

Layout = Literal["dense", "hits", "positions", "calochallenge", "calogan", "edm4hep"]

_HDF5 = frozenset({"calochallenge", "calogan"})

_PER_GEV = {"keV": 1e6, "MeV": 1e3, "GeV": 1.0}
_MM = {"mm": 1.0, "cm": 10.0, "m": 1e3}
# Where collections have no branches of their own.
_USUAL: dict[str, Any] = {
    "tree": "showers",
    "event": "event",
    "pdg": "pdg",
    "momentum": ("px", "py", "pz"),
    "entry_point": ("x", "y"),
    "collections": None,
}


@dataclass(frozen=True)
class Schema:
    """Names and units of files of showers; a branch below is a data set in an HDF5 file.

    Attributes:
        layout: ``dense``, a fixed-size branch a layer; ``hits``, jagged branches of cells; ``positions``, jagged
            branches of positions; of HDF5 files ``calochallenge``, one data set of all cells, and ``calogan``, one a
            layer; ``edm4hep``, collections, which are read as jagged branches of positions.
        tree: Name of the TTree or RNTuple; empty for HDF5.
        event: Branch of the unique event id, or None.
        pdg: Branch of the incident particle's PDG id, or None.
        momentum: Branches of px, py, pz, or the one of the size of the momentum of particles along the axis.
        entry_point: Branches of x, y at the front face, or None.
        energy: Branch of each layer (dense, calogan), or the one of all energies.
        place: Jagged branches that say where a hit is: layer (or None), row, column for hits; x, y, z (or None) for
            positions and edm4hep; empty for the others.
        energy_unit: keV, MeV or GeV.
        momentum_unit: MeV or GeV.
        length_unit: mm, cm or m.
        particle_id: PDG id of all incident particles where there is no branch of it, or None.
        collections: Collections of an edm4hep layout, else None; the branches are then what is made of them.
    """

    layout: Layout
    tree: str
    event: str | None
    pdg: str | None
    momentum: tuple[str, ...]
    entry_point: tuple[str, str] | None
    energy: tuple[str, ...]
    place: tuple[str | None, ...]
    energy_unit: str
    momentum_unit: str
    length_unit: str
    particle_id: int | None = None
    collections: Collections | None = None

    def __post_init__(self) -> None:
        """Refuse a layout or a unit that does not exist."""
        known = {
            "layout": get_args(Layout),
            "energy_unit": tuple(_PER_GEV),
            "momentum_unit": tuple(_PER_GEV),
            "length_unit": tuple(_MM),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                msg = f"schema: {name} is {getattr(self, name)!r}; {near_miss(str(getattr(self, name)), values)}"
                raise SchemaError(msg)

    @classmethod
    def from_source(cls, source: Source) -> Schema:
        """Schema of a ``data.sources`` entry of the configuration."""
        return cls(
            layout=source.layout,
            tree="" if isinstance(source, CaloChallengeSource | CaloGANSource) else source.tree,
            event=source.event,
            pdg=source.pdg,
            momentum=source.momentum,
            entry_point=source.entry_point,
            energy=_energy_branches(source),
            place=_place_branches(source),
            energy_unit=source.units.energy,
            momentum_unit=source.units.momentum,
            length_unit=source.units.length,
            particle_id=source.particle_id,
            collections=Collections.from_source(source) if isinstance(source, Edm4hepSource) else None,
        )

    @property
    def is_hdf5(self) -> bool:
        """Whether the files are HDF5, and not ROOT."""
        return self.layout in _HDF5

    @property
    def is_typed(self) -> bool:
        """Whether the particle type is known."""
        return self.pdg is not None or self.particle_id is not None

    @property
    def energy_per_gev(self) -> float:
        """Energy units of the file in 1 GeV."""
        return _PER_GEV[self.energy_unit]

    @property
    def momentum_per_gev(self) -> float:
        """Momentum units of the file in 1 GeV."""
        return _PER_GEV[self.momentum_unit]

    @property
    def length_in_mm(self) -> float:
        """Length of one unit of the file [mm]."""
        return _MM[self.length_unit]

    @property
    def incident_branches(self) -> tuple[str, ...]:
        """Branches of the momentum and, where there is one, of the entry point."""
        return (*self.momentum, *(self.entry_point or ()))

    @property
    def incident_columns(self) -> tuple[int, ...]:
        """Where the values of these branches go in px, py, pz, x, y; a size of the momentum is pz."""
        return (*((2,) if len(self.momentum) == 1 else (0, 1, 2)), *((3, 4) if self.entry_point else ()))

    @property
    def jagged_branches(self) -> tuple[str, ...]:
        """Branches with one value a hit; none in a layout with an energy for each cell."""
        if self.layout not in {"hits", "positions"}:
            return ()
        return (*(name for name in self.place if name is not None), *self.energy)

    @property
    def branches(self) -> list[str]:
        """All branches that are read and written, identifiers first."""
        names = (self.event, self.pdg, *self.incident_branches, *self.place, *self.energy)
        return [name for name in names if name is not None]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the schema."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def as_layout(self, layout: Layout, geometry: Geometry) -> Schema:
        """The same identifiers, conditions and units with the energies in another layout, under the usual names.

        From ROOT to HDF5, and back, all names and units are the usual ones of the layout; those of HDF5 have no
        direction, entry point, event id or particle type.
        """
        if layout == self.layout:
            return self
        if layout == "edm4hep":
            msg = "layout edm4hep is read, not written; choose another"
            raise SchemaError(msg)
        if (layout in _HDF5) or self.is_hdf5:
            return _usual(layout, self, geometry)
        several = geometry.n_layers > 1
        energy: tuple[str, ...]
        place: tuple[str | None, ...] = ()
        if layout == "dense":
            energy = tuple(f"energy_layer{layer}" for layer in range(geometry.n_layers)) if several else ("energy",)
        elif layout == "hits":
            energy, place = ("cell_energy",), ("cell_layer" if several else None, "cell_ix", "cell_iy")
        else:
            energy, place = ("hit_energy",), ("hit_x", "hit_y", "hit_z" if several else None)
        known = self if self.collections is None else replace(self, **_USUAL)
        return replace(known, layout=layout, energy=energy, place=place)

    def written(self, geometry: Geometry) -> Schema:
        """The schema that generated showers are written in: this one, or for collections the usual branches of hits."""
        return self if self.collections is None else self.as_layout("hits", geometry)

    def check(self, geometry: Geometry) -> None:
        """Refuse a geometry whose cells this schema cannot tell apart.

        Raises:
            SchemaError: Number of dense branches, or a missing layer or z.
        """
        if self.layout in {"dense", "calogan"} and len(self.energy) != geometry.n_layers:
            msg = f"layout {self.layout}: energy has {len(self.energy)} names for {geometry.n_layers} layers"
            raise SchemaError(msg)
        if self.layout == "hits" and self.place[0] is None and geometry.n_layers > 1:
            msg = f"tree '{self.tree}': set cell_layer, the geometry has {geometry.n_layers} layers"
            raise SchemaError(msg)
        positions = self.layout in {"positions", "edm4hep"}
        if positions and self.place[2] is None and geometry.n_layers > 1:
            msg = f"tree '{self.tree}': set hit_z, the geometry has {geometry.n_layers} layers"
            raise SchemaError(msg)
        if positions and self.place[2] and any(layer.z_range is None for layer in geometry.layers):
            msg = f"tree '{self.tree}': hits with z ('{self.place[2]}') need z_range [mm] in every geometry layer"
            raise SchemaError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        # None is left out, as in schemas of earlier versions, whose digests name what is prepared
        for name in ("particle_id", "collections"):
            if values[name] is None:
                del values[name]
        return values if self.collections is None else values | {"collections": self.collections.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schema:
        """Schema from the plain values of `to_dict`."""
        try:
            fields: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
            }
            if fields.get("collections") is not None:
                fields["collections"] = Collections.from_dict(fields["collections"])
            return cls(**fields)
        except TypeError as error:
            msg = f"not a schema: {error}"
            raise SchemaError(msg) from error


def per_gev(unit: str) -> float:
    """Units of energy, or of momentum, in 1 GeV."""
    return _PER_GEV[unit]


def length_in_mm(unit: str) -> float:
    """Length of a unit [mm]."""
    return _MM[unit]


def _usual(layout: Layout, schema: Schema, geometry: Geometry) -> Schema:
    """A layout with the names and units that its files usually have, where the other format's tell nothing of it."""
    if layout in _HDF5:
        usual: dict[str, Any] = {"tree": "", "event": None, "pdg": None, "entry_point": None, "place": ()}
        usual["collections"] = None
        if layout == "calochallenge":
            usual |= {"momentum": ("incident_energies",), "momentum_unit": "MeV", "energy": ("showers",)}
        else:
            layers = tuple(f"layer_{layer}" for layer in range(geometry.n_layers))
            usual |= {"momentum": ("energy",), "momentum_unit": "GeV", "energy": layers}
        return replace(schema, layout=layout, energy_unit="MeV", **usual)
    dense = replace(
        schema,
        layout="dense",
        tree="showers",
        event="event",
        pdg="pdg" if schema.is_typed else None,
        particle_id=None,
        momentum=("px", "py", "pz"),
        entry_point=None,
        energy=("energy",) if geometry.n_layers == 1 else tuple(f"energy_layer{n}" for n in range(geometry.n_layers)),
        place=(),
        momentum_unit="GeV",
    )
    return dense.as_layout(layout, geometry)


def _energy_branches(source: Source) -> tuple[str, ...]:
    match source:
        case DenseSource() | CaloGANSource():
            return tuple(source.energy)
        case CaloChallengeSource():
            return (source.showers,)
        case HitsSource():
            return (source.cell_energy,)
        case PositionsSource():
            return (source.hit_energy,)
        case Edm4hepSource():
            return ("+".join(f"{name}.energy" for name in source.steps or source.collections),)


def _place_branches(source: Source) -> tuple[str | None, ...]:
    match source:
        case DenseSource() | CaloChallengeSource() | CaloGANSource():
            return ()
        case HitsSource():
            return (source.cell_layer, source.cell_row, source.cell_column)
        case PositionsSource():
            return (source.hit_x, source.hit_y, source.hit_z)
        case Edm4hepSource():
            position = "stepPosition" if source.steps else "position"
            names = source.steps or source.collections
            return tuple("+".join(f"{name}.{position}.{axis}" for name in names) for axis in "xyz")
