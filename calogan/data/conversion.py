"""Showers from one layout into another: what the other file holds, and what of the first is left out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
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
        """The conversion that keeps all that the source has, under the usual names and in the usual units.

        Numbers whose unit stays the same are read and written as if it were GeV, which changes nothing in them: a value
        in MeV that becomes one in GeV, and MeV again, is rounded twice.

        Args:
            source: Names and units of the one file.
            layout: Of the other.
            geometry: Cells.
            drop: What is left out, out of `DROPPED`.
            kept: Types of branches that the schema does not know and that are copied.

        Raises:
            ConfigError: Something that cannot be left out.
            SchemaError: A layout that the geometry does not go with.
        """
        for name in drop:
            if name not in DROPPED:
                msg = f"'{name}' cannot be left out; {near_miss(name, DROPPED)}"
                raise ConfigError(msg)
        whole = _without(_whole(source, layout, geometry), drop)
        written = (format_alone(whole), whole) if whole.is_hdf5 else (whole,)
        source, *targets = _with_units(source, *written)
        return cls(geometry, source, tuple(targets), dict(kept or {}))

    @cached_property
    def spec(self) -> TreeSpec:
        """The other file's tree, or its data sets.

        Raises:
            ConfigError: A branch that is copied has the name of another.
        """
        spec = ShowerTrees.of(self.targets[0], self.geometry).specs[0]
        own = {name: kind for schema in self.targets for name, kind in particle_types(schema).items()} | dict(
            spec.types
        )
        for name in self.kept.keys() & own.keys():
            msg = f"'{name}' cannot be kept: the other file has values of the showers under that name"
            raise ConfigError(msg)
        return replace(spec, types=own | {name: dtype.name for name, dtype in self.kept.items()})

    def columns(self, decoded: Decoded) -> dict[str, NDArray[Any] | Jagged]:
        """Values of all of its branches."""
        columns: dict[str, NDArray[Any] | Jagged] = dict(decoded.kept)
        for schema in self.targets:
            columns |= encode_particles(decoded.showers, schema)
        return columns | encode_energy(decoded.showers, self.targets[0])


def _whole(source: Schema, layout: Layout, geometry: Geometry) -> Schema:
    """The usual names and units of a layout for all that the source has; ROOT files always have event ids."""
    usual = usual_schema(layout, geometry)
    missing = {
        "event": usual.is_hdf5 and source.event is None,
        "pdg": not source.is_typed,
        "entry_point": source.entry_point is None,
        "direction": usual.is_hdf5 and len(source.momentum) == 1,
    }
    return _without(usual, [name for name, is_missing in missing.items() if is_missing])


def _without(schema: Schema, drop: Collection[str]) -> Schema:
    """The schema without what is not wanted."""
    if "direction" in drop:
        if not schema.is_hdf5:
            msg = "'direction' cannot be left out of a ROOT file, which has px, py and pz"
            raise ConfigError(msg)
        alone = format_alone(schema)
        schema = replace(schema, momentum=alone.momentum, momentum_unit=alone.momentum_unit)
    gone: dict[str, Any] = {name: None for name in ("event", "pdg", "entry_point") if name in drop}
    return replace(schema, **gone)


def _with_units(*schemas: Schema) -> list[Schema]:
    """The same schemas; a unit that all of them have is taken for GeV."""
    same: dict[str, Any] = {
        name: "GeV" for name in ("energy_unit", "momentum_unit") if len({getattr(one, name) for one in schemas}) == 1
    }
    return [replace(schema, **same) for schema in schemas]
