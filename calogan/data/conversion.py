"""Showers from one layout into another: what the other file holds, and what of the first is left out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Decoded, Jagged
from calogan.data.encode import encode_energy, encode_particles, particle_types
from calogan.data.schema import Layout, Schema
from calogan.data.trees import ShowerTrees
from calogan.data.usual import format_alone, usual_schema
from calogan.data.writer import TreeSpec
from calogan.errors import ConfigError, near_miss
from calogan.geometry import Geometry

__all__ = ["DROPPED", "Conversion"]

DROPPED = ("event", "pdg", "direction", "entry_point")
"""What may be left out of the other file if that is asked for."""
_UNITS = {"energy_unit": "GeV", "momentum_unit": "GeV", "length_unit": "mm"}


@dataclass(frozen=True)
class Conversion:
    """How showers go from one file into another.

    Attributes:
        geometry: Cells of both.
        source: Schema that the one is read by.
        targets: Schemas that the other is written by: what its format asks for and, in HDF5, what it holds besides, so
            that nothing is lost.
        kept: Types of branches that no schema knows and that are copied.
    """

    geometry: Geometry
    source: Schema
    targets: tuple[Schema, ...]
    kept: Mapping[str, np.dtype[Any]]

    @classmethod
    def of(
        cls,
        source: Schema,
        layout: Layout,
        geometry: Geometry,
        drop: Collection[str] = (),
        kept: Mapping[str, np.dtype[Any]] | None = None,
    ) -> Self:
        """The conversion that keeps all that the source has.

        Numbers whose unit stays the same are read and written as GeV or mm, which changes nothing in them: a value in
        MeV that becomes one in GeV, and MeV again, is rounded twice.

        Args:
            source: Names and units of the one file.
            layout: Of the other.
            geometry: Cells.
            drop: What is left out, out of `DROPPED`.
            kept: Types of branches that the schema does not know and that are copied.

        Raises:
            ConfigError: Something that cannot be left out, or a copied branch with the name of another.
            SchemaError: A layout that the geometry does not go with.
        """
        for name in drop:
            if name not in DROPPED:
                msg = f"'{name}' cannot be left out; {near_miss(name, DROPPED)}"
                raise ConfigError(msg)
        whole = _whole(source, layout, geometry)
        whole = _without(whole, set(drop))
        targets = (format_alone(whole), whole) if whole.is_hdf5 else (whole,)
        source, *units = _with_units(source, *targets)
        conversion = cls(geometry, source, tuple(units), dict(kept or {}))
        for name in conversion.kept.keys() & conversion._own_types().keys():
            msg = f"'{name}' cannot be kept: the other file has showers' values of that name"
            raise ConfigError(msg)
        return conversion

    @property
    def spec(self) -> TreeSpec:
        """The other file's tree, or its data sets."""
        spec = ShowerTrees.of(self.targets[0], self.geometry).specs[0]
        kept = {name: dtype.name for name, dtype in self.kept.items()}
        return replace(spec, types={**kept, **self._own_types()})

    def columns(self, decoded: Decoded) -> dict[str, NDArray[Any] | Jagged]:
        """Values of all of its branches."""
        columns: dict[str, NDArray[Any] | Jagged] = dict(decoded.kept)
        for schema in self.targets:
            columns |= encode_particles(decoded.showers, schema)
        return columns | encode_energy(decoded.showers, self.targets[0])

    def _own_types(self) -> dict[str, str]:
        types = ShowerTrees.of(self.targets[0], self.geometry).specs[0].types
        return {name: kind for schema in self.targets for name, kind in particle_types(schema).items()} | dict(types)


def _whole(source: Schema, layout: Layout, geometry: Geometry) -> Schema:
    """Names and units of a file of a layout with all that the source has; ROOT files always have event ids."""
    usual = usual_schema(layout, geometry)
    if usual.is_hdf5:
        alone = format_alone(usual)
        if len(source.momentum) == 1:
            usual = replace(usual, momentum=alone.momentum, momentum_unit=alone.momentum_unit)
        usual = replace(usual, event=usual.event if source.event else None)
    elif source.layout in {"dense", "hits", "positions"}:
        pdg = source.pdg or ("pdg" if source.is_typed else None)
        return replace(source.as_layout(layout, geometry), event=source.event or "event", pdg=pdg, particle_id=None)
    return replace(
        usual,
        pdg=usual.pdg if source.is_typed else None,
        entry_point=usual.entry_point if source.entry_point else None,
    )


def _without(schema: Schema, drop: Collection[str]) -> Schema:
    """The schema without what is not wanted."""
    if "direction" in drop:
        if not schema.is_hdf5:
            msg = "'direction' cannot be left out of a ROOT file, which has px, py and pz"
            raise ConfigError(msg)
        alone = format_alone(schema)
        schema = replace(schema, momentum=alone.momentum, momentum_unit=alone.momentum_unit)
    gone = {name: None for name in ("event", "pdg", "entry_point") if name in drop}
    return replace(schema, **gone)


def _with_units(*schemas: Schema) -> list[Schema]:
    """The same schemas; where all of them have one unit, it is taken for that of the program."""
    located = any(schema.layout not in {"dense", "hits", "calochallenge", "calogan"} for schema in schemas)
    neutral = {
        name: unit
        for name, unit in _UNITS.items()
        if len({getattr(schema, name) for schema in schemas}) == 1 and not (located and name == "length_unit")
    }
    return [replace(schema, **neutral) for schema in schemas]
